/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-agent-config.h"
#include "agent/floe-catalogue.h"

/* Chunks: what plugins ask for, what boots will ask for, and the rest, brought from the server into the store. Joins listener,
 * catalogue, scheduler, fetcher and store on the main loop. */

typedef struct {
  guint64 background_rate; /* bytes a second, 0: no bound */
} FloeChunkServiceOptions;

typedef struct _FloeChunkService FloeChunkService;

/* Listens on "chunks.sock" in RUN_DIR; nothing is known yet, and whoever asks is told to come back. STORE must live as long. */
FloeChunkService *floe_chunk_service_new (const FloeAgentConfig *config, FloeStore *store, int run_dir,
                                          const FloeChunkServiceOptions *options, GError **error) FLOE_WARN_UNUSED;
void floe_chunk_service_free (FloeChunkService *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeChunkService, floe_chunk_service_free)

/* IMAGES (of FloeCatalogueImage; taken out of the array) become known besides those that are, CURRENT (NULL: as before) are the
 * ids that channels are at. */
void floe_chunk_service_update (FloeChunkService *service, GPtrArray *images, const char *const *current);
/* Whether the images known are all there are: then a chunk of none is UNKNOWN for good. Otherwise (at first, during a refresh, after one
 * that failed) its image may become known any moment, and who asks is told to come back. */
void floe_chunk_service_set_certain (FloeChunkService *service, gboolean certain);
FloeCatalogue *floe_chunk_service_catalogue (FloeChunkService *service);

void floe_chunk_service_allow_background (FloeChunkService *service, gboolean allowed);
/* Whether nobody has asked for anything for SECONDS. */
gboolean floe_chunk_service_is_idle (FloeChunkService *service, guint seconds);
/* About once a second. */
void floe_chunk_service_tick (FloeChunkService *service);

/* Verifies what the store has of ENTRIES (of FloeTableEntry; taken over), one after another, beside all other work. What is altered is removed and
 * said; that and what is missing counts as not had from then on, and is fetched again in the background. DONE is told how many there were, from
 * the main loop. One scrub at a time. */
typedef void (*FloeChunkScrubbed) (guint bad, gpointer data);
void floe_chunk_service_scrub (FloeChunkService *service, GArray *entries, FloeChunkScrubbed done, gpointer data);
