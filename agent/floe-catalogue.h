/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-scheduler.h"
#include "server-sync/image/floe-boot-list.h"
#include "server-sync/image/floe-store.h"

/* The images that the agent knows: their tables, which of their chunks are in the store, and what to fetch next without being
 * asked. Main thread only, but for FloeCatalogueImage before it is added: making one reads the whole store's directory. */

typedef struct _FloeCatalogue FloeCatalogue;
typedef struct _FloeCatalogueImage FloeCatalogueImage;

/* ID is "NAME/VERSION", CURRENT whether a channel is at it: others are kept for machines that still run them, served on
 * demand only. TABLE and BOOT (may be NULL) are taken over in any case. Looks which chunks STORE has. */
FloeCatalogueImage *floe_catalogue_image_new (const char *id, gboolean current, FloeTable *table, FloeBootList *boot,
                                              FloeStore *store, GError **error) FLOE_WARN_UNUSED;
void floe_catalogue_image_free (FloeCatalogueImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeCatalogueImage, floe_catalogue_image_free)

/* The image is a piece of the appliance: chunks that the running version has are there, though not in the store. Before it is added. */
void floe_catalogue_image_set_appliance (FloeCatalogueImage *image);

FloeCatalogue *floe_catalogue_new (void);
void floe_catalogue_free (FloeCatalogue *catalogue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeCatalogue, floe_catalogue_free)

gboolean floe_catalogue_has_image (FloeCatalogue *catalogue, const char *id);
/* Takes IMAGE over, in place of one with its id. */
void floe_catalogue_add (FloeCatalogue *catalogue, FloeCatalogueImage *image);
/* Only IDS (NULL-terminated) are current from now on. */
void floe_catalogue_set_current (FloeCatalogue *catalogue, const char *const *ids);
/* Drops images that no channel is at, that are not among IN_USE (NULL-terminated), and that were neither at any call of the last GRACE microseconds before NOW.
 * DROPPED is called with the id of each. Answers how many went. */
guint floe_catalogue_retire (FloeCatalogue *catalogue, const char *const *in_use, gint64 now, gint64 grace,
                             void (*dropped) (const char *id, gpointer data), gpointer data);
gboolean floe_catalogue_is_empty (FloeCatalogue *catalogue);

gboolean floe_catalogue_find (FloeCatalogue *catalogue, const FloeDigest *digest, FloeTableEntry *entry);
/* DIGEST is missing and somebody waits for it: what a boot reads next of its images becomes wanted. */
void floe_catalogue_missed (FloeCatalogue *catalogue, const FloeDigest *digest);
/* BYTES of DIGEST came over the network. */
void floe_catalogue_fetched (FloeCatalogue *catalogue, const FloeDigest *digest, guint64 bytes);
/* DIGEST is put into the store, where it may be found before it is durable: until floe_catalogue_put_ended() it is not had, whatever is
 * found, and not handed out to be fetched. Puts of one chunk count. DURABLE: it is had from now on, and no power cut takes it away again. */
void floe_catalogue_put_begins (FloeCatalogue *catalogue, const FloeDigest *digest);
void floe_catalogue_put_ended (FloeCatalogue *catalogue, const FloeDigest *digest, gboolean durable);
/* How many chunks are between the two. */
guint floe_catalogue_puts (FloeCatalogue *catalogue);
/* Whether the store has DIGEST now. */
void floe_catalogue_mark (FloeCatalogue *catalogue, const FloeDigest *digest, gboolean have);
/* Whether the store was said to have DIGEST. */
gboolean floe_catalogue_has (FloeCatalogue *catalogue, const FloeDigest *digest);
/* Looks again what STORE has, since somebody else has changed it. Reads its whole directory. */
gboolean floe_catalogue_rescan (FloeCatalogue *catalogue, FloeStore *store, GError **error) FLOE_WARN_UNUSED;
/* The chunks that the running version of the appliance has are those of LIST (taken over; NULL: none) from now on. Looks again what STORE has. */
gboolean floe_catalogue_set_running (FloeCatalogue *catalogue, FloeBootList *list, FloeStore *store, GError **error) FLOE_WARN_UNUSED;
/* Whether there are current pieces of the appliance, and every chunk of them is there. */
gboolean floe_catalogue_has_appliance (FloeCatalogue *catalogue);
/* The chunks of the current pieces of the appliance that the running version does not have, as a new array of FloeTableEntry. */
GArray *floe_catalogue_appliance_chunks (FloeCatalogue *catalogue);
/* A FloeSchedulerSource; DATA is the catalogue. A pass over the background ends with FALSE; floe_catalogue_rewind() begins
 * another one. */
gboolean floe_catalogue_next (FloeFetchClass fetch_class, FloeTableEntry *entry, gpointer data);
void floe_catalogue_rewind (FloeCatalogue *catalogue);
/* Whether every chunk of the current images is in the store. */
gboolean floe_catalogue_is_complete (FloeCatalogue *catalogue);

/* Compressed bytes. */
typedef struct {
  const char *id; /* borrowed */
  guint64 have, total, fetched;
} FloeCatalogueProgress;

/* Calls EACH for every image whose progress changed since it was last called, or for all. */
void floe_catalogue_report (FloeCatalogue *catalogue, gboolean all,
                            void (*each) (const FloeCatalogueProgress *progress, gpointer data), gpointer data);
