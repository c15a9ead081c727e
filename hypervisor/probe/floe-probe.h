/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>
#include <sys/types.h>

/* Which accelerator this host has (docs/architecture.md, decision 1): /dev/kvm can exist and answer every question and yet
 * hang on an ordinary kernel. KVM is believed only when it opens, the CPU shows vmx or svm, and a guest of a few bytes
 * comes back with the right answer. */

typedef enum {
  FLOE_ACCELERATOR_TCG,
  FLOE_ACCELERATOR_KVM,
} FloeAccelerator;

/* "kvm" or "tcg", as QEMU's -accel wants it. */
const char *floe_accelerator_name (FloeAccelerator accelerator);

/* Decides, and says why in *reason (a sentence for people; caller frees). Never fails and never waits longer than about a
 * second, whatever /dev/kvm does: the guest runs in a child that is killed at its deadline. */
FloeAccelerator floe_probe_accelerator (char **reason);

/* Memory that can be used now without swapping (MemAvailable, proc_meminfo(5)), in MiB; 0 when it cannot be told. */
guint64 floe_probe_memory_available_mib (void);

/* NO_SPACE, naming both numbers, unless MIB for a guest and 64 MiB for its QEMU are available now. */
gboolean floe_probe_memory (guint64 mib, GError **error) FLOE_WARN_UNUSED;

/* What this host lacks for running machines at all, a sentence each (a device that does not open, a kernel too old, no
 * namespaces); empty when nothing. NULL-terminated; free with g_strfreev. */
char **floe_probe_host (void);
