/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-slot-disk.h"
#include "appliance/floe-slot-menu.h"
#include "appliance/floe-slot-record.h"

/* The appliance's two slots. Theory of operation of an update, in its order; the power may fail between any two steps, and within each:
 *
 *   1. What is offered is verified by a TUF client with a state of its own, compared with what runs, and all its chunks looked for. Until here
 *      nothing is written.
 *   2. Boot entries of every version but the running one are removed: nothing points at the slot that is overwritten.
 *   3. Its partitions get the label "_empty" and random UUIDs: no root hash leads to them.
 *   4. Root and hash tree are written, synced, read back, and hashed up to the root hash that was signed.
 *   5. They get the version's labels and the UUIDs that follow from the root hash.
 *   6. The kernel image is written under a name that no boot loader looks at, synced, read back, and renamed to floe_VERSION+3.efi.
 *
 * From 2 to 6 the running version's entry, which must be a good one, is the only one; after 6 there is a second, and both are
 * whole. The running slot is never written to, and its entry is touched in one case: a version that is older, which signed metadata has to
 * allow, starts only when the running one's entry is put behind it (renamed to floe_VERSION+0.efi: no try left, so it comes last). */

typedef struct {
  const char *state;   /* STATE of floe.conf: spool/, chunks/, slot/ are below it */
  const char *root;    /* the root metadata to begin with */
  const char *channel; /* floe_name_is_safe() */
  const char *disk;    /* NULL: for floe_slot_revoke() alone */
  const char *boot;
  const char *efivars; /* where efivarfs is mounted: what firmware would not start is not installed. NULL: not asked */
  int64_t running;          /* version that runs, from its verified root */
  FloeDigest running_hash;  /* and its root hash, from its verified command line */
  gint64 now;               /* seconds since 1970 */
  gboolean again;           /* a version that failed here before is tried once more */
  gboolean waits;           /* until no other floe-slot is at work: never BUSY for that */
} FloeSlotOptions;

typedef enum {
  FLOE_SLOT_CURRENT,     /* what is offered runs */
  FLOE_SLOT_WAITING,     /* chunks or metadata are not there yet: `message` says what */
  FLOE_SLOT_INSTALLED,   /* what is offered starts next */
  FLOE_SLOT_GAVE_UP,     /* it failed here before */
} FloeSlotOutcome;

typedef struct _FloeSlot FloeSlot;

/* OPTIONS must live as long. Locks STATE/slot (BUSY, or waits), finds the running slot (INVALID when it cannot be told). */
FloeSlot *floe_slot_open (const FloeSlotOptions *options, GError **error) FLOE_WARN_UNUSED;
void floe_slot_free (FloeSlot *slot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSlot, floe_slot_free)

/* Installs what the channel offers. MESSAGE (to be freed) says what happened, for people. Errors: those of the trust client; ROLLBACK and REFUSED
 * for a version that may not replace the running one, or that firmware would not start; UNVERIFIED for chunks, index, table, tree; BUSY while the running
 * version has not been found good; NO_SPACE, LIMIT for pieces that do not fit. A failure after step 2 leaves the other slot empty. */
gboolean floe_slot_update (FloeSlot *slot, FloeSlotOutcome *outcome, char **message, GError **error) FLOE_WARN_UNUSED;
/* The running version works: its entry loses its counter. Versions whose tries are used up are recorded as failed. */
gboolean floe_slot_good (FloeSlot *slot, char **message, GError **error) FLOE_WARN_UNUSED;
/* Whether the running version is still on trial while another one, whose entry is good, could start instead. */
gboolean floe_slot_is_overdue (FloeSlot *slot);
/* Lines for people. */
char *floe_slot_status (FloeSlot *slot);

/* What systemd-boot would start next from DISK and BOOT, verified whole: its kernel image names a root hash, which leads to a root and a tree that
 * hash up to it. UNVERIFIED, NOT_FOUND, INVALID otherwise: then the machine does not start by itself. */
gboolean floe_slot_check (const char *disk, const char *boot, int64_t *version, GError **error) FLOE_WARN_UNUSED;
