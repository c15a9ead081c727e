/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-slot-source.h"
#include "appliance/floe-slot.h"
#include "policy/trust/floe-trust.h"
#include "server-sync/image/floe-table.h"

/* Shared by the files of floe-slot.h only. */

struct _FloeSlot {
  const FloeSlotOptions *options;
  int dir, trust_dir; /* STATE/slot, STATE/slot/trust */
  FloeSlotDisk *disk;
  FloeSlotMenu *menu;
  FloeSlotRecord record;
  FloeStore *store;
  FloeSlotSource *source;
  int entry_fd; /* the running version's kernel image, a source; -1: not open */
  int running_root, running_verity; /* places in the disk's arrays; the other slot's are 1 minus these */
  int64_t offered; /* version that the channel offers; 0: not known */
};

/* What is offered, verified: description, and of each piece index and table, which belong together. */
typedef struct {
  FloeApplianceInfo *info;
  FloeIndex *index[FLOE_APPLIANCE_PIECES];
  FloeTable *table[FLOE_APPLIANCE_PIECES];
} FloeSlotOffer;
void floe_slot_offer_free (FloeSlotOffer *offer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSlotOffer, floe_slot_offer_free)

/* From the spool, by the state in SLOT's trust directory. */
FloeSlotOffer *floe_slot_offer_read (FloeSlot *slot, GError **error) FLOE_WARN_UNUSED;

/* OFFER's kernel image: the entry NAME, which is that, or NULL: put together of its chunks. */
GBytes *floe_slot_kernel (FloeSlot *slot, const FloeSlotOffer *offer, const char *name, GError **error) FLOE_WARN_UNUSED;
/* Whether firmware starts it, as far as can be told; REFUSED. */
gboolean floe_slot_check_starts (FloeSlot *slot, const FloeSlotOffer *offer, const char *name, GError **error) FLOE_WARN_UNUSED;

/* Writes STATE/slot/report.json. PROBLEM: what is in the way of an update; "": nothing, and then what is in the way of revoking older versions. */
void floe_slot_report (FloeSlot *slot, const char *problem);
/* What that is, to be freed; NULL: nothing. */
char *floe_slot_revoke_problem (FloeSlot *slot);

/* Steps 2 to 6 of floe-slot.h, for an OFFER that may replace what runs and whose chunks are there. */
gboolean floe_slot_write (FloeSlot *slot, const FloeSlotOffer *offer, GError **error) FLOE_WARN_UNUSED;
/* Whether the other slot has OFFER's root and tree, whole, under their names. */
gboolean floe_slot_holds (FloeSlot *slot, const FloeSlotOffer *offer);
/* Whether the entry NAME is OFFER's kernel image, byte for byte. */
gboolean floe_slot_entry_is (FloeSlot *slot, const char *name, const FloeSlotOffer *offer);

/* The root and the tree at these places, as floe_verity_check() takes them. SIZEs of the pieces, which fit. */
FloeVerityPart floe_slot_part (const FloeSlotDisk *disk, const FloeSlotPartition *partition, uint64_t size);
