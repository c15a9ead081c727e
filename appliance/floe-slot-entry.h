/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* Entries of the boot menu as they are called on the boot partition, and which of them systemd-boot starts. Pure.
 *
 * EFI/Linux/floe_VERSION.efi is good; floe_VERSION+LEFT-DONE.efi is on trial and has LEFT more tries (Boot Loader Specification, "Boot
 * counting"; systemd's "Automatic Boot Assessment"). systemd-boot counts down before it starts an entry. One that has no try left comes
 * after all others; of the rest the newest version comes first. */

typedef struct {
  int64_t version;
  int left; /* -1: no counter, so it is good */
  int done;
} FloeSlotEntry;

#define FLOE_SLOT_TRIES 3

/* FALSE when NAME is no such entry: anything else on the boot partition is none of ours. */
gboolean floe_slot_entry_parse (const char *name, FloeSlotEntry *entry);
/* The name of a new entry of VERSION with LEFT tries and none done; of a good one for -1. */
char *floe_slot_entry_name (int64_t version, int left);

/* Has been tried as often as it might, in vain. */
gboolean floe_slot_entry_failed (const FloeSlotEntry *entry);
/* The place of the entry that starts next among COUNT of ENTRIES; -1 when there are none. */
int floe_slot_entry_next (const FloeSlotEntry *entries, size_t count);

/* Labels of the partitions: "floe_VERSION", "floe_VERSION_verity", and "_empty" for one that holds nothing whole. */
#define FLOE_SLOT_EMPTY "_empty"
char *floe_slot_label (int64_t version, gboolean verity);
