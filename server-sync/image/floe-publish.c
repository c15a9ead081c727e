/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-publish.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Theory of operation: workers take chunk numbers from one counter. Each reads its chunk, names it, and looks into
 * `distinct` under the lock: who enters a digest there first also compresses and stores it. The result does not depend on
 * who was faster: digests are kept by chunk number and the table is sorted.
 *
 * A chunk that an earlier table names keeps that table's frame as long as the store has it whole: another zstd release
 * would compress it to other bytes, and putting these would break the earlier version. */

#define COMMIT_EVERY 2048u /* chunks: at most 256 MiB wait under temporary names */
#define PROGRESS_MS 100

typedef struct {
  int image;
  FloeStore *store;
  GPtrArray *known; /* of FloeTable */
  int level;
  uint64_t size;
  size_t chunks;
  GCancellable *cancellable;
  FloeDigest zero; /* of a whole chunk of zeros */

  gint next, finished; /* atomic: the next chunk to take, chunks done */
  FloeDigest *digests; /* by chunk number; each written by the one who took it */
  FloeStoreBatch *batch;

  GMutex lock; /* of all below */
  GCond ended;
  guint running;
  GHashTable *distinct; /* FloeTableEntry *, its own key */
  uint64_t zeros, added, added_bytes;
  GError *error; /* the first */
} Job;

static gboolean
is_zero (const uint8_t *data, size_t size)
{
  return data[0] == 0 && memcmp (data, data + 1, size - 1) == 0;
}

static void
fail (Job *job, GError *error)
{
  g_mutex_lock (&job->lock);
  if (job->error == NULL)
    job->error = error;
  else
    g_error_free (error);
  g_mutex_unlock (&job->lock);
  /* Nobody takes another. */
  g_atomic_int_set (&job->next, (gint) job->chunks);
}

/* Whether the chunk's bytes lie in a hole; *in_data (for its caller to begin with 0) saves asking again within one extent.
 */
static gboolean
in_hole (Job *job, uint64_t start, uint64_t end, uint64_t *in_data)
{
  off_t data;

  if (start < *in_data)
    return FALSE;
  data = lseek (job->image, (off_t) start, SEEK_DATA);
  if (data < 0)
    return errno == ENXIO; /* no data up to the end; other errors: holes cannot be told here */
  if ((uint64_t) data >= end)
    return TRUE;
  data = lseek (job->image, data, SEEK_HOLE);
  *in_data = data < 0 ? 0 : (uint64_t) data;
  return FALSE;
}

static gboolean
find_known (Job *job, const FloeDigest *digest, FloeTableEntry *entry)
{
  for (guint i = 0; job->known != NULL && i < job->known->len; i++)
    if (floe_table_find (g_ptr_array_index (job->known, i), digest, entry) && floe_store_verify (job->store, entry, NULL))
      return TRUE;
  return FALSE;
}

static gboolean
put (Job *job, const FloeTableEntry *entry, const uint8_t *frame, GError **error)
{
  gboolean commit;

  if (floe_store_verify (job->store, entry, NULL))
    return TRUE;
  if (!floe_store_batch_put (job->batch, entry, frame, entry->compressed_size, error))
    return FALSE;
  g_mutex_lock (&job->lock);
  job->added++;
  job->added_bytes += entry->compressed_size;
  commit = job->added % COMMIT_EVERY == 0;
  g_mutex_unlock (&job->lock);
  return !commit || floe_store_batch_commit (job->batch, error);
}

/* Stores the chunk if this is the first time that it is met. */
static gboolean
keep (Job *job, FloeChunkCodec *codec, const FloeDigest *digest, const uint8_t *raw, size_t size, GError **error)
{
  g_autofree FloeTableEntry *entry = g_new0 (FloeTableEntry, 1);
  FloeTableEntry made;
  gboolean first;

  entry->digest = *digest;
  g_mutex_lock (&job->lock);
  first = !g_hash_table_contains (job->distinct, entry);
  if (first)
    g_hash_table_add (job->distinct, entry);
  g_mutex_unlock (&job->lock);
  if (!first)
    return TRUE;
  if (!find_known (job, digest, &made)
      && (!floe_chunk_compress (codec, raw, size, job->level, &made, error)
          || !put (job, &made, floe_chunk_codec_buffer (codec), error))) {
    g_steal_pointer (&entry);
    return FALSE;
  }
  g_mutex_lock (&job->lock);
  *g_steal_pointer (&entry) = made;
  g_mutex_unlock (&job->lock);
  return TRUE;
}

static gboolean
do_chunk (Job *job, FloeChunkCodec *codec, uint8_t *raw, size_t number, uint64_t *in_data, GError **error)
{
  uint64_t start = (uint64_t) number * FLOE_CHUNK_SIZE;
  size_t size = (size_t) MIN (FLOE_CHUNK_SIZE, job->size - start);
  gboolean zero = in_hole (job, start, start + size, in_data);

  if (g_cancellable_is_cancelled (job->cancellable))
    return floe_error_set (error, FLOE_ERROR_CANCELLED, "publishing was cancelled");
  if (zero)
    memset (raw, 0, size);
  else if (!floe_pread_all (job->image, raw, size, (off_t) start, error))
    return FALSE;
  else
    zero = is_zero (raw, size);
  if (zero) {
    g_mutex_lock (&job->lock);
    job->zeros++;
    g_mutex_unlock (&job->lock);
  }
  if (zero && size == FLOE_CHUNK_SIZE)
    job->digests[number] = job->zero;
  else
    floe_digest_of (raw, size, &job->digests[number]);
  return keep (job, codec, &job->digests[number], raw, size, error);
}

static gpointer
work (gpointer data)
{
  Job *job = data;
  g_autoptr (FloeChunkCodec) codec = floe_chunk_codec_new ();
  g_autofree uint8_t *raw = g_malloc (FLOE_CHUNK_SIZE);
  uint64_t in_data = 0;

  for (;;) {
    gint number = g_atomic_int_add (&job->next, 1);
    GError *error = NULL;

    if (number < 0 || (size_t) number >= job->chunks)
      break;
    if (!do_chunk (job, codec, raw, (size_t) number, &in_data, &error)) {
      fail (job, error);
      break;
    }
    g_atomic_int_inc (&job->finished);
  }
  g_mutex_lock (&job->lock);
  job->running--;
  g_cond_signal (&job->ended);
  g_mutex_unlock (&job->lock);
  return NULL;
}

static void
report (Job *job, const FloePublishOptions *options)
{
  uint64_t done = (uint64_t) g_atomic_int_get (&job->finished) * FLOE_CHUNK_SIZE;

  if (options->progress != NULL)
    options->progress (MIN (done, job->size), job->size, options->progress_data);
}

static void
run_workers (Job *job, const FloePublishOptions *options)
{
  GThread *threads[16];
  guint wanted = CLAMP (options->threads == 0 ? 2 : options->threads, 1, G_N_ELEMENTS (threads));

  job->running = wanted;
  for (guint i = 0; i < wanted; i++)
    threads[i] = g_thread_new ("publish", work, job);
  g_mutex_lock (&job->lock);
  while (job->running > 0) {
    g_cond_wait_until (&job->ended, &job->lock, g_get_monotonic_time () + PROGRESS_MS * G_TIME_SPAN_MILLISECOND);
    g_mutex_unlock (&job->lock);
    report (job, options);
    g_mutex_lock (&job->lock);
  }
  g_mutex_unlock (&job->lock);
  for (guint i = 0; i < wanted; i++)
    g_thread_join (threads[i]);
}

static gboolean
find_size (int image, gboolean any_size, uint64_t *size, GError **error)
{
  struct stat st;
  off_t end;

  if (fstat (image, &st) < 0 || (end = lseek (image, 0, SEEK_END)) < 0)
    return floe_error_set_errno (error, errno, "size of the image");
  if (!S_ISREG (st.st_mode) && !S_ISBLK (st.st_mode))
    return floe_error_set (error, FLOE_ERROR_INVALID, "the image is neither a regular file nor a block device");
  if (end == 0 || (end % 512 != 0 && !any_size))
    return floe_error_set (error, FLOE_ERROR_INVALID,
                           "the image has %" PRIi64 " bytes: a raw disk image has a multiple of 512; `floe-image import` "
                           "converts other formats",
                           (gint64) end);
  if ((uint64_t) end > FLOE_IMAGE_MAX_SIZE)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "the image has %" PRIi64 " bytes, %" PRIu64 " (256 GiB) at most",
                           (gint64) end, FLOE_IMAGE_MAX_SIZE);
  *size = (uint64_t) end;
  return TRUE;
}

static FloePublished *
collect (Job *job)
{
  FloePublished *published = g_new0 (FloePublished, 1);
  guint count = g_hash_table_size (job->distinct);
  g_autofree FloeTableEntry *entries = g_new (FloeTableEntry, count);
  GHashTableIter iter;
  gpointer key;
  guint i = 0;

  g_hash_table_iter_init (&iter, job->distinct);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    entries[i] = *(FloeTableEntry *) key;
    published->distinct_bytes += entries[i++].compressed_size;
  }
  published->index = floe_index_build (job->digests, job->size);
  published->table = floe_table_build (entries, count);
  published->size = job->size;
  published->chunks = job->chunks;
  published->zero = job->zeros;
  published->distinct = count;
  published->added = job->added;
  published->added_bytes = job->added_bytes;
  return published;
}

static FloePublished *
run (Job *job, const FloePublishOptions *options, GError **error)
{
  run_workers (job, options);
  if (job->error != NULL) {
    g_propagate_error (error, g_steal_pointer (&job->error));
    return NULL;
  }
  return floe_store_batch_commit (job->batch, error) ? collect (job) : NULL;
}

FloePublished *
floe_publish_chunks (int image, FloeStore *store, GPtrArray *known, const FloePublishOptions *options,
                     GCancellable *cancellable, GError **error)
{
  g_autofree uint8_t *zeros = g_malloc0 (FLOE_CHUNK_SIZE);
  Job job = { .image = image, .store = store, .known = known, .cancellable = cancellable };
  FloePublished *published;

  if (!find_size (image, options->any_size, &job.size, error))
    return NULL;
  job.level = options->level != 0 ? options->level : FLOE_CHUNK_LEVEL;
  job.chunks = floe_index_chunks_for (job.size);
  job.digests = g_new0 (FloeDigest, job.chunks);
  job.batch = floe_store_batch_new (store);
  /* The digest is the entry's first member: an entry is its own key. */
  job.distinct = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  floe_digest_of (zeros, FLOE_CHUNK_SIZE, &job.zero);
  g_mutex_init (&job.lock);
  g_cond_init (&job.ended);
  published = run (&job, options, error);
  g_cond_clear (&job.ended);
  g_mutex_clear (&job.lock);
  g_hash_table_unref (job.distinct);
  floe_store_batch_free (job.batch);
  g_free (job.digests);
  return published;
}

void
floe_published_free (FloePublished *published)
{
  if (published == NULL)
    return;
  g_bytes_unref (published->index);
  g_bytes_unref (published->table);
  g_free (published);
}
