/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/probe/floe-probe.h"
#include "policy/document/floe-policy.h"

/* What is written down about a machine. Strictly read: a record that is not exactly one of ours is INVALID, and its machine
 * is then ended rather than guessed at. */
#define FLOE_RECORD_MAX_BYTES 8192

/* Machines' slots; each has as many network slots. */
#define FLOE_MACHINE_SLOTS 4096

/* A machine that runs: RUN/hypervisor/machines/ID/record.json. */
typedef struct {
  unsigned slot;
  gint64 qemu_pid, nbdkit_pid; /* nbdkit's 0 when it is being started again */
  guint64 qemu_start, nbdkit_start;
  FloeAccelerator accelerator;
  char *cards[FLOE_POLICY_CARDS_MAX + 1]; /* names of the networks of its cards, in their order; NULL-terminated */
  gboolean usb; /* it has a USB controller */
  gint64 started_us; /* CLOCK_BOOTTIME when Start was called, to go on counting from */
  double desktop_s;  /* 0: the desktop is not up yet */
  char *image;       /* NAME/VERSION */
  char *fingerprint; /* floe_vm_fingerprint() */
} FloeRunRecord;

FloeRunRecord *floe_run_record_parse (GBytes *bytes, const char *source, GError **error) FLOE_WARN_UNUSED;
GBytes *floe_run_record_build (const FloeRunRecord *record);
void floe_run_record_free (FloeRunRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeRunRecord, floe_run_record_free)

/* What outlives the host's power: STATE/hypervisor/machines/ID/disk.json. */
typedef struct {
  unsigned slot;   /* the machine's for good: tap, addresses and user ids follow from it */
  char *image;     /* the version that the overlay was begun on; "" for none */
  char *suspended; /* fingerprint of the machine in memory.img; "" when not suspended */
} FloeDiskRecord;

FloeDiskRecord *floe_disk_record_parse (GBytes *bytes, const char *source, GError **error) FLOE_WARN_UNUSED;
GBytes *floe_disk_record_build (const FloeDiskRecord *record);
void floe_disk_record_free (FloeDiskRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeDiskRecord, floe_disk_record_free)
