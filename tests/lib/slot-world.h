/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-slot.h"
#include "tests/lib/forge.h"

/* Versions of an appliance as small as they get, published in a forged repository that lies in a spool, and a disk that has one installed. sfdisk and
 * veritysetup, which share no code with Floe, make the disk and the hash trees; without them slot_world_new() is NULL. */

#define SLOT_WORLD_VERSIONS 8
#define SLOT_WORLD_ROOT (1u << 20)

typedef struct {
  FloeDigest root_hash;
  GBytes *pieces[FLOE_APPLIANCE_PIECES];
} SlotVersion;

typedef struct {
  char *path; /* removed with the world */
  char *state, *root, *disk, *boot, *menu; /* menu: EFI/Linux below boot */
  Forge *forge;
  SlotVersion versions[SLOT_WORLD_VERSIONS + 1]; /* by their number, from 1 */
  FloeSlotOptions options;
} SlotWorld;

SlotWorld *slot_world_new (void);
void slot_world_free (SlotWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SlotWorld, slot_world_free)

/* Makes NUMBER, if it was not made yet. */
void slot_world_version (SlotWorld *world, int number);
/* What describes NUMBER, with index and table of each piece put into the repository's role appliance, and all its chunks into the store. */
FloeApplianceInfo *slot_world_describe (SlotWorld *world, int number);
/* INFO becomes what the channel is at, signed by ROLE, and the spool what the repository has. */
void slot_world_offer (SlotWorld *world, const FloeApplianceInfo *info, const char *role);
/* Both at once. */
void slot_world_publish (SlotWorld *world, int number, gboolean allow_older);
/* Writes the repository as it is into the spool. */
void slot_world_spool (SlotWorld *world);

/* A new disk and boot partition: RUNNING in slot a and found good; OTHER (0: none) in b, good too. The options say that RUNNING runs; what
 * floe-slot remembered is gone. */
void slot_world_install (SlotWorld *world, int running, int other);
/* The machine has started again, into NUMBER. */
void slot_world_run (SlotWorld *world, int number);

/* A fresh process's `update`: opens, updates, closes. */
gboolean slot_world_update (SlotWorld *world, FloeSlotOutcome *outcome, GError **error);
/* Version that starts next, its slot verified whole; 0 when nothing does. */
int64_t slot_world_next (SlotWorld *world);
/* Whether the boot partition has an entry of this name. */
gboolean slot_world_has_entry (SlotWorld *world, const char *name);
/* Replaces bytes of the file PATH. */
void slot_world_poke (const char *path, off_t offset, const char *bytes);
