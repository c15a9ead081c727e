/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/probe/floe-probe.h"

/* What this computer has of what Floe wants, item by item, and what will not work for want of it. Pure but for reading: proc_meminfo(5),
 * and sysfs (Documentation/ABI/testing: sysfs-class-tpm, sysfs-class-net, sysfs-class-drm, sysfs-firmware-efi-vars), below a root that
 * tests replace. Nothing is opened that has an effect. */

typedef enum {
  FLOE_HARDWARE_GOOD,
  FLOE_HARDWARE_NOTE, /* works, with less than one may expect */
  FLOE_HARDWARE_BAD,  /* something will not work */
} FloeHardwareLevel;

const char *floe_hardware_level_name (FloeHardwareLevel level);

typedef struct {
  const char *id;    /* kvm, memory, tpm, secure-boot, network, graphics, kernel */
  const char *state; /* what of it: a word that the console translates */
  FloeHardwareLevel level;
  char *detail;      /* numbers and names that belong to the state, "" for none */
  char *text;        /* a sentence or two, in English */
} FloeHardwareItem;

/* Of FloeHardwareItem, always in the same order, each id once; "kernel" only when it lacks something. ROOT is "" for this host. */
GPtrArray *floe_hardware_check (const char *root, FloeAccelerator accelerator, const char *accelerator_reason, const char *const *lacking);
