/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-scheduler.h"
#include "server-sync/image/floe-store.h"

/* Keeps the disk off the main loop. Two threads: one for chunks that somebody waits for, which are visible at once, one for the background,
 * whose chunks are not before they are durable. Both are made durable many at a time, by the second. */

typedef struct _FloeStoreWriter FloeStoreWriter;

typedef struct {
  /* A chunk was put; FLOE_FETCH_STORED, _NO_SPACE, or _BAD with PROBLEM. One that is STORED is durable, and visible if it is of the
     background, with committed(). */
  void (*stored) (const FloeTableEntry *entry, FloeFetchClass fetch_class, FloeFetchOutcome outcome, const char *problem,
                  gpointer data);
  /* These chunks are in the store for good (COUNT of DIGESTS, each once for each time that it was STORED), or, with PROBLEM, are not and
     were removed. */
  void (*committed) (const FloeDigest *digests, size_t count, gboolean full, const char *problem, gpointer data);
  /* Answer to floe_store_writer_check(): the chunk is in the store and unaltered; ALTERED, when it was there and was not. */
  void (*checked) (const FloeTableEntry *entry, const FloeWaiter *waiter, gboolean good, gboolean altered, gpointer data);
  /* Answer to floe_store_writer_scrub(): the chunk is in the store and unaltered, or PROBLEM says why not. */
  void (*scrubbed) (const FloeTableEntry *entry, const char *problem, gpointer data);
} FloeStoreHandlers;

/* STORE and HANDLERS must live as long. Handlers are called from the main loop. */
FloeStoreWriter *floe_store_writer_new (FloeStore *store, const FloeStoreHandlers *handlers, gpointer data);
/* Waits for what is being written; no handler is called from then on. */
void floe_store_writer_free (FloeStoreWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeStoreWriter, floe_store_writer_free)

void floe_store_writer_put (FloeStoreWriter *writer, const FloeTableEntry *entry, FloeFetchClass fetch_class, GBytes *frame);
/* Makes what was put durable, the background's chunks visible, if there are any: from time to time. */
void floe_store_writer_commit (FloeStoreWriter *writer);
void floe_store_writer_check (FloeStoreWriter *writer, const FloeTableEntry *entry, const FloeWaiter *waiter);
/* The same on the background's thread, where it holds nobody up; what is there and is not the chunk, or cannot be read, is removed. */
void floe_store_writer_scrub (FloeStoreWriter *writer, const FloeTableEntry *entry);
