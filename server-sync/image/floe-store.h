/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-chunk.h"

/* A chunk store in casync's layout (.castr): DIR/abcd/abcd….cacnk, one zstd frame a file, named by the chunk's digest and
 * by nothing else. Everything read is verified first; symbolic links, other file types, files too short or too long are
 * refused as altered.
 *
 * One process writes: a writing store holds a lock on DIR/.writing, where chunks wait under a temporary name until they are
 * whole. Any number of processes read meanwhile. All calls may be made from several threads at once. */
typedef struct _FloeStore FloeStore;

/* Opens the store in the directory DIR (the descriptor is duplicated) for reading. */
FloeStore *floe_store_open (int dir, GError **error) FLOE_WARN_UNUSED;
/* Opens it for writing, too; leftovers of a writer that died are removed, and the chunks that it made visible are made durable. BUSY
 * when another process writes. */
FloeStore *floe_store_open_writing (int dir, GError **error) FLOE_WARN_UNUSED;
void floe_store_free (FloeStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeStore, floe_store_free)

/* Whether a regular file of the right name and compressed size is there. Cheap: not verified. */
gboolean floe_store_has (FloeStore *store, const FloeTableEntry *entry);
/* The chunk's bytes, entry->raw_size of them, into RAW. NOT_FOUND when absent; UNVERIFIED when what is there is altered in
 * any way, with RAW's content then undefined; IO. */
gboolean floe_store_get (FloeStore *store, FloeChunkCodec *codec, const FloeTableEntry *entry, void *raw,
                         GError **error) FLOE_WARN_UNUSED;
/* The same without decompressing: whether what is there is the frame that ENTRY names. */
gboolean floe_store_verify (FloeStore *store, const FloeTableEntry *entry, GError **error) FLOE_WARN_UNUSED;

typedef enum {
  /* Readers see it at once; after a power cut the file may be torn, which its next reader finds. For chunks that someone
     waits for. */
  FLOE_STORE_FAST,
  /* fsync, rename, fsync of the directory. */
  FLOE_STORE_DURABLE,
} FloeStoreHow;

/* Verifies FRAME against ENTRY (UNVERIFIED otherwise) and puts it into the store, replacing what was there. NO_SPACE when
 * the disk is full; nothing is left behind then. */
gboolean floe_store_put (FloeStore *store, const FloeTableEntry *entry, const void *frame, size_t size, FloeStoreHow how,
                         GError **error) FLOE_WARN_UNUSED;
/* Makes durable what was put FLOE_STORE_FAST so far. */
gboolean floe_store_sync (FloeStore *store, GError **error) FLOE_WARN_UNUSED;
/* Removes the chunk; an absent one is success. */
gboolean floe_store_remove (FloeStore *store, const FloeDigest *digest, GError **error) FLOE_WARN_UNUSED;

/* Many chunks durably, without an fsync for each: all are written under temporary names, made durable with one syncfs, and
 * only then renamed. A batch that is freed before it was committed leaves nothing. A batch may be filled from several
 * threads. */
typedef struct _FloeStoreBatch FloeStoreBatch;
FloeStoreBatch *floe_store_batch_new (FloeStore *store);
gboolean floe_store_batch_put (FloeStoreBatch *batch, const FloeTableEntry *entry, const void *frame, size_t size,
                               GError **error) FLOE_WARN_UNUSED;
/* Makes everything put so far durable and visible; the batch can be filled again. */
gboolean floe_store_batch_commit (FloeStoreBatch *batch, GError **error) FLOE_WARN_UNUSED;
void floe_store_batch_free (FloeStoreBatch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeStoreBatch, floe_store_batch_free)

/* A store is 65,536 directories, by the first 16 bits of its chunks' digests. Removes of directory NUMBER the chunks that KEEP does not want, adds what went to
 * *COUNT and *BYTES (on disk). Not durably: after a power cut some may be there again. */
gboolean floe_store_sweep (FloeStore *store, uint16_t number, gboolean (*keep) (const FloeDigest *digest, gpointer data), gpointer data,
                           guint64 *count, guint64 *bytes, GError **error) FLOE_WARN_UNUSED;

/* Calls EACH with every chunk's digest and size on disk, in no order, until it answers FALSE; it may remove the chunk.
 * Files with other names are passed over. For clean-up. */
gboolean floe_store_foreach (FloeStore *store, gboolean (*each) (const FloeDigest *digest, uint64_t size, gpointer data),
                             gpointer data, GError **error) FLOE_WARN_UNUSED;
