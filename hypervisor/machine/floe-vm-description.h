/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/probe/floe-probe.h"
#include "policy/document/floe-policy.h"
#include "server-sync/image/floe-image-info.h"

/* All that makes one QEMU differ from another. QEMU opens nothing by name but its own program files and the NBD socket: the
 * rest are descriptors, whose numbers in QEMU are fixed. */
enum {
  FLOE_VM_FD_QMP = 3,   /* listening AF_UNIX socket */
  FLOE_VM_FD_OVERLAY,   /* the qcow2 overlay, read and write */
  FLOE_VM_FD_FIRMWARE,  /* UEFI code, read only */
  FLOE_VM_FD_VARIABLES, /* UEFI variables, read and write */
  FLOE_VM_FD_TAP,       /* the first card's tap; the others' follow */
  FLOE_VM_FD_VHOST = FLOE_VM_FD_TAP + FLOE_POLICY_CARDS_MAX, /* /dev/vhost-net, opened once for each card that uses it */
};

/* Where the directory with nbdkit's socket is in QEMU's jail. */
#define FLOE_VM_NBD_DIRECTORY "/nbd"
#define FLOE_VM_NBD_SOCKET FLOE_VM_NBD_DIRECTORY "/socket"
/* chardev of the port that the SPICE agent opens in the guest; also the port's id in VSERPORT_CHANGE. */
#define FLOE_VM_VDAGENT "vdagent"
#define FLOE_VM_GUEST_AGENT "guest-agent"
/* What an emulated machine's translated code may take beside its memory. QEMU's own limit is 1 GiB, which a desktop fills. */
#define FLOE_VM_TRANSLATION_MIB 256

typedef struct {
  const char *mac;
  gboolean vhost; /* descriptor FLOE_VM_FD_VHOST + its index is there */
} FloeVmCard;

typedef struct {
  const char *id; /* floe_name_is_safe() */
  FloeAccelerator accelerator;
  FloeImageOs os;
  FloePolicyFirmware firmware;
  FloePolicyDisk disk;
  unsigned vcpus, memory_mib, screens;
  gboolean clipboard, file_transfer; /* in either direction; which one, the console knows */
  gboolean audio;
  gboolean usb; /* the policy may give it a USB device: it has a controller for that */
  FloeVmCard cards[FLOE_POLICY_CARDS_MAX]; /* in the order of the machine's networks */
  size_t n_cards;
  gboolean incoming; /* waits for a saved machine instead of starting one */
} FloeVmDescription;

/* QEMU's arguments, argv[0] being PROGRAM. A pure function: the same description always gives the same arguments. Needs
 * QEMU 7.2. */
char **floe_vm_argv (const FloeVmDescription *description, const char *program);

/* SHA-256 in hexadecimal over all that a saved machine must find again when it is loaded: the arguments without incoming.
 */
char *floe_vm_fingerprint (const FloeVmDescription *description);
