/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* What floe-slot has to know of this machine before it touches anything: configuration, what runs, from which disk. */

typedef struct {
  char *state, *root; /* [paths] of floe.conf */
  char *channel;      /* [appliance] channel; NULL: this endpoint's appliance is not updated */
  char *boot;         /* [appliance] boot: where the boot partition is mounted */
} FloeSlotConfig;

/* TEXT in GKeyFile's form; SOURCE names it in errors. INVALID for a value of the wrong form or, in [appliance], an unknown key; other groups
 * are checked by the programs that they are for. */
FloeSlotConfig *floe_slot_config_parse (const char *text, size_t size, const char *source, GError **error) FLOE_WARN_UNUSED;
void floe_slot_config_free (FloeSlotConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSlotConfig, floe_slot_config_free)

/* roothash= of a kernel command line: exactly one. */
gboolean floe_slot_parse_command_line (const char *text, FloeDigest *root_hash, GError **error) FLOE_WARN_UNUSED;
/* IMAGE_VERSION= of an os-release file (os-release(5)): exactly one. */
gboolean floe_slot_parse_os_release (const char *text, int64_t *version, GError **error) FLOE_WARN_UNUSED;

/* The device of the whole disk ("/dev/vda") under the verified root file system that FILE lies on: through SYSFS ("/sys") from its device, which is
 * device-mapper's, to the partitions below. All of them have to be on one disk. */
char *floe_slot_find_disk (const char *sysfs, const char *file, GError **error) FLOE_WARN_UNUSED;
