/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-image-info.h"
#include "server-sync/image/floe-store.h"
#include "server-sync/image/floe-table.h"

/* Cuts a raw image into chunks. Holes and all-zero chunks cost nothing but their line in the index. */

typedef struct {
  guint threads; /* 0: two */
  int level;     /* zstd's; 0: FLOE_CHUNK_LEVEL */
  gboolean any_size; /* what is cut is no disk: its size need not be a multiple of 512 */
  /* Called from the calling thread about ten times a second with bytes done and to do; may be NULL. */
  void (*progress) (uint64_t done, uint64_t total, gpointer data);
  gpointer progress_data;
} FloePublishOptions;

typedef struct {
  GBytes *index, *table; /* the .caibx and .table */
  uint64_t size;         /* of the image */
  uint64_t chunks;       /* in the image */
  uint64_t zero;         /* of these, all zero */
  uint64_t distinct;
  uint64_t distinct_bytes; /* compressed */
  uint64_t added;          /* distinct chunks that the store did not have */
  uint64_t added_bytes;    /* compressed */
} FloePublished;

/* Reads the raw image IMAGE (a regular file or block device; a size that is no multiple of 512 is INVALID, unless any_size) and puts into
 * STORE the chunks that it does not have, durably. KNOWN (may be NULL) are tables published before: a chunk they name that
 * is in the store is not compressed again. */
FloePublished *floe_publish_chunks (int image, FloeStore *store, GPtrArray *known, const FloePublishOptions *options,
                                    GCancellable *cancellable, GError **error) FLOE_WARN_UNUSED;
void floe_published_free (FloePublished *published);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloePublished, floe_published_free)
