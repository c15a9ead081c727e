/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/plugin/floe-reader.h"

#include "common/floe-fd.h"
#include "server-sync/image/floe-chunk-socket.h"
#include "server-sync/image/floe-store.h"
#include "server-sync/image/floe-table.h"
#include "server-sync/plugin/floe-slots.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Theory of operation: a read goes chunk by chunk. Chunks of zeros are known by their digest. Others come from a slot; on a
 * miss this thread fills one: it takes a codec (few, for each has half a megabyte), reads and verifies the chunk from the
 * store, and gives the codec back before it asks the agent and waits, so that a chunk that does not come keeps nobody else
 * from decompressing. An altered chunk is treated as a missing one: said once, asked for, looked at again.
 *
 * A chunk that is read for the first time goes into a few slots in memory. Only one that has to be decompressed again is
 * put into the cache file, if there is one: a boot reads most chunks once, and would pay for writing each (measured in
 * docs/architecture.md). */

#define MEMORY_CACHE (2u << 20) /* two for each of nbdkit's eight threads: no reader waits for a slot */
#define MIN_CODECS 2u
#define MAX_CODECS 4u
#define RETRY_FIRST_MS 50u
#define RETRY_LAST_MS 2000u

typedef struct Worker {
  struct Worker *next;
  FloeChunkCodec *codec;
  uint8_t raw[FLOE_CHUNK_SIZE];
} Worker;

struct FloeReader {
  FloeIndex *index;
  FloeTable *table;
  FloeStore *store;
  FloeChunkClient *client;
  FloeSlots *memory, *file; /* file: NULL without a cache file */
  _Atomic uint8_t *seen;    /* a bit a chunk: it was decompressed before */
  FloeDigest zero;
  int trace;
  _Atomic uint8_t *traced; /* a bit a chunk: it is in the trace */

  pthread_mutex_t lock; /* of all below */
  pthread_cond_t idle;
  Worker *workers;     /* those idle */
  unsigned made, most; /* how many there are */
  GHashTable *said;    /* digests of altered chunks that were logged */
};

/* Opening */

static int
open_cache (const char *path, GError **error)
{
  floe_autofd dir = floe_dir_open (path, error);
  floe_autofd fd = -1;
  char name[32];

  if (dir < 0)
    return -1;
  fd = openat (dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    /* Not every file system has files without a name. */
    g_snprintf (name, sizeof name, ".cache-%08x", g_random_int ());
    fd = openat (dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
      unlinkat (dir, name, 0);
  }
  if (fd < 0)
    floe_error_set_errno (error, errno, "make a cache file in %s", path);
  return floe_fd_steal (&fd);
}

/* Takes over FD, which must be a file that only this process can come by. */
static int
adopt_cache (int fd, GError **error)
{
  struct stat st;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode) || st.st_nlink != 0 || st.st_size != 0) {
    floe_error_set (error, FLOE_ERROR_INVALID, "descriptor %d is no empty regular file without a name", fd);
    return -1;
  }
  if (fcntl (fd, F_SETFD, FD_CLOEXEC) < 0) {
    floe_error_set_errno (error, errno, "descriptor %d", fd);
    return -1;
  }
  return fd;
}

static gboolean
open_formats (FloeReader *reader, const FloeReaderOptions *options, GError **error)
{
  g_autoptr (GBytes) index = floe_file_read (options->index, FLOE_INDEX_MAX_BYTES, error);
  g_autoptr (GBytes) table = index == NULL ? NULL : floe_file_read (options->table, FLOE_TABLE_MAX_BYTES, error);

  if (table == NULL)
    return FALSE;
  reader->index = floe_index_parse (index, options->index, error);
  if (reader->index == NULL)
    return FALSE;
  reader->table = floe_table_parse (table, options->table, error);
  return reader->table != NULL && floe_table_matches (reader->table, reader->index, error);
}

static gboolean
open_trace (FloeReader *reader, const char *path, GError **error)
{
  if (path == NULL)
    return TRUE;
  reader->trace = open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (reader->trace < 0)
    return floe_error_set_errno (error, errno, "open trace %s", path);
  return TRUE;
}

static gboolean
open_places (FloeReader *reader, const FloeReaderOptions *options, GError **error)
{
  floe_autofd dir = floe_dir_open (options->store, error);
  floe_autofd cache = -1;
  size_t chunks = floe_index_chunks (reader->index);

  reader->seen = (_Atomic uint8_t *) g_malloc0 (chunks / 8 + 1);
  reader->traced = (_Atomic uint8_t *) g_malloc0 (chunks / 8 + 1);
  if (dir < 0 || (reader->store = floe_store_open (dir, error)) == NULL || !open_trace (reader, options->trace, error))
    return FALSE;
  if (options->cache_fd >= 0)
    cache = adopt_cache (options->cache_fd, error);
  else if (options->cache != NULL)
    cache = open_cache (options->cache, error);
  if (cache < 0 && (options->cache_fd >= 0 || options->cache != NULL))
    return FALSE;
  if (options->agent != NULL && (reader->client = floe_chunk_client_new (options->agent)) == NULL)
    return floe_error_set_errno (error, errno, "chunk socket %s", options->agent);
  reader->memory = floe_slots_new (chunks, MEMORY_CACHE, -1);
  if (cache >= 0)
    reader->file = floe_slots_new (chunks, options->cache_size, cache);
  if (reader->memory == NULL || (cache >= 0 && reader->file == NULL))
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for the chunk cache");
  floe_fd_steal (&cache);
  return TRUE;
}

FloeReader *
floe_reader_new (const FloeReaderOptions *options, GError **error)
{
  FloeReader *reader = g_new0 (FloeReader, 1);
  g_autofree uint8_t *zeros = g_malloc0 (FLOE_CHUNK_SIZE);

  reader->trace = -1;
  reader->most = CLAMP (g_get_num_processors (), MIN_CODECS, MAX_CODECS);
  floe_digest_of (zeros, FLOE_CHUNK_SIZE, &reader->zero);
  pthread_mutex_init (&reader->lock, NULL);
  pthread_cond_init (&reader->idle, NULL);
  reader->said = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  if (!open_formats (reader, options, error) || !open_places (reader, options, error)) {
    floe_reader_free (reader);
    return NULL;
  }
  return reader;
}

void
floe_reader_free (FloeReader *reader)
{
  if (reader == NULL)
    return;
  while (reader->workers != NULL) {
    Worker *worker = reader->workers;

    reader->workers = worker->next;
    floe_chunk_codec_free (worker->codec);
    g_free (worker);
  }
  g_hash_table_unref (reader->said);
  floe_slots_free (reader->memory);
  floe_slots_free (reader->file);
  floe_chunk_client_free (reader->client);
  floe_store_free (reader->store);
  floe_table_free (reader->table);
  floe_index_free (reader->index);
  floe_fd_clear (&reader->trace);
  g_free ((void *) reader->seen);
  g_free ((void *) reader->traced);
  pthread_cond_destroy (&reader->idle);
  pthread_mutex_destroy (&reader->lock);
  g_free (reader);
}

uint64_t
floe_reader_size (const FloeReader *reader)
{
  return floe_index_size (reader->index);
}

bool
floe_reader_is_zero (const FloeReader *reader, uint64_t offset, uint64_t *length)
{
  size_t number = (size_t) (offset / FLOE_CHUNK_SIZE);
  FloeDigest digest;
  uint32_t size;

  floe_index_chunk (reader->index, number, &digest, &size);
  *length = (uint64_t) number * FLOE_CHUNK_SIZE + size - offset;
  return floe_digest_equal (&digest, &reader->zero);
}

/* Reading */

static Worker *
take_worker (FloeReader *reader)
{
  Worker *worker = NULL;

  pthread_mutex_lock (&reader->lock);
  while (reader->workers == NULL && reader->made == reader->most)
    pthread_cond_wait (&reader->idle, &reader->lock);
  if (reader->workers != NULL) {
    worker = reader->workers;
    reader->workers = worker->next;
  } else
    reader->made++;
  pthread_mutex_unlock (&reader->lock);
  if (worker == NULL) {
    worker = g_new0 (Worker, 1);
    worker->codec = floe_chunk_codec_new ();
  }
  return worker;
}

static void
give_worker (FloeReader *reader, Worker *worker)
{
  pthread_mutex_lock (&reader->lock);
  worker->next = reader->workers;
  reader->workers = worker;
  pthread_cond_signal (&reader->idle);
  pthread_mutex_unlock (&reader->lock);
}

/* Whether this is the first time that the chunk is found altered (or unreadable). */
static bool
first_time (FloeReader *reader, const FloeDigest *digest)
{
  bool first;

  pthread_mutex_lock (&reader->lock);
  first = g_hash_table_add (reader->said, g_memdup2 (digest, sizeof *digest));
  pthread_mutex_unlock (&reader->lock);
  return first;
}

static bool
stopped (void *data)
{
  const FloeReaderHost *host = data;

  return !host->sleep (0);
}

static gboolean
stopped_for_client (void *data)
{
  return stopped (data);
}

/* Asks the agent until the chunk is said to be in the store. 0 or an errno. */
static int
ask_agent (FloeReader *reader, const FloeReaderHost *host, const FloeDigest *digest, unsigned *pause)
{
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeChunkStatus status;

  floe_digest_to_hex (digest, hex);
  for (;;) {
    if (floe_chunk_client_need (reader->client, digest, &status, stopped_for_client, (void *) host) == 0) {
      if (status == FLOE_CHUNK_HERE)
        return 0;
      if (status == FLOE_CHUNK_UNKNOWN) {
        host->log ("chunk %s: the agent knows no image that has it", hex);
        return EIO;
      }
    } else if (errno == ECANCELED)
      return ESHUTDOWN;
    /* Not now, or no agent: this is the guest's slow disk, never its broken one. */
    if (!host->sleep (*pause))
      return ESHUTDOWN;
    *pause = MIN (*pause * 2, RETRY_LAST_MS);
  }
}

/* Gets the chunk into worker->raw, from wherever. On failure the worker is given back. */
static int
fetch (FloeReader *reader, const FloeReaderHost *host, const FloeTableEntry *entry, Worker **worker)
{
  unsigned pause = RETRY_FIRST_MS;
  bool asked = false;

  for (;;) {
    g_autoptr (GError) error = NULL;
    int failed;

    *worker = take_worker (reader);
    if (floe_store_get (reader->store, (*worker)->codec, entry, (*worker)->raw, &error))
      return 0;
    give_worker (reader, *worker);
    if (!g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND) && first_time (reader, &entry->digest))
      host->log ("%s; asking for it again", error->message);
    if (reader->client == NULL) {
      host->log ("%s, and no agent to ask", error->message);
      return EIO;
    }
    /* The agent said that it is here, and it is not, or not whole: no use in asking in a tight loop. */
    if (asked && !host->sleep (pause))
      return ESHUTDOWN;
    if (asked)
      pause = MIN (pause * 2, RETRY_LAST_MS);
    failed = ask_agent (reader, host, &entry->digest, &pause);
    if (failed != 0)
      return failed;
    asked = true;
  }
}

/* Sets NUMBER's bit; whether it was set before. */
static bool
mark (_Atomic uint8_t *bits, size_t number)
{
  uint8_t bit = (uint8_t) (1u << (number % 8));

  return (atomic_fetch_or (&bits[number / 8], bit) & bit) != 0;
}

static bool
is_marked (_Atomic uint8_t *bits, size_t number)
{
  return (atomic_load (&bits[number / 8]) >> (number % 8) & 1) != 0;
}

static void
trace (FloeReader *reader, size_t number, const FloeDigest *digest)
{
  char line[FLOE_DIGEST_HEX_SIZE];

  if (reader->trace < 0 || mark (reader->traced, number))
    return;
  floe_digest_to_hex (digest, line);
  line[FLOE_DIGEST_HEX_SIZE - 1] = '\n';
  /* A trace that cannot be written costs a boot list, not a guest's read. */
  if (write (reader->trace, line, sizeof line) != (ssize_t) sizeof line)
    return;
}

/* What is asked of one chunk. */
typedef struct {
  size_t number;
  FloeDigest digest;
  uint8_t *buffer;
  size_t size, within;
} Part;

/* Decompresses the chunk, copies what was asked for, and fills SLOT of SLOTS with it (NULL: goes without). */
static int
read_miss (FloeReader *reader, const FloeReaderHost *host, const Part *part, FloeSlots *slots, uint32_t slot)
{
  FloeTableEntry entry;
  Worker *worker;
  int failed = EIO;

  /* floe_table_matches() has made sure of it at the start. */
  if (floe_table_find (reader->table, &part->digest, &entry))
    failed = fetch (reader, host, &entry, &worker);
  if (failed != 0) {
    if (slots != NULL)
      floe_slots_release (slots, slot);
    return failed;
  }
  memcpy (part->buffer, worker->raw + part->within, part->size);
  mark (reader->seen, part->number);
  if (slots != NULL)
    floe_slots_filled (slots, slot, worker->raw, entry.raw_size);
  give_worker (reader, worker);
  return 0;
}

static int
read_ready (FloeReader *reader, const FloeReaderHost *host, const Part *part, FloeSlots *slots, uint32_t slot)
{
  bool done = floe_slots_read (slots, slot, part->buffer, part->size, part->within);

  floe_slots_release (slots, slot);
  /* The cache's disk failed; the store may still be whole. */
  return done ? 0 : read_miss (reader, host, part, NULL, 0);
}

static int
read_part (FloeReader *reader, const FloeReaderHost *host, const Part *part)
{
  FloeSlots *slots = reader->memory;
  uint32_t slot;

  if (reader->file != NULL && is_marked (reader->seen, part->number)) {
    if (floe_slots_peek (reader->memory, part->number, &slot))
      return read_ready (reader, host, part, reader->memory, slot);
    slots = reader->file;
  }
  switch (floe_slots_find (slots, part->number, &slot, stopped, (void *) host)) {
  case FLOE_SLOT_READY:
    return read_ready (reader, host, part, slots, slot);
  case FLOE_SLOT_FILL:
    return read_miss (reader, host, part, slots, slot);
  case FLOE_SLOT_STOPPED:
    return ESHUTDOWN;
  case FLOE_SLOT_NONE:
    break;
  }
  return read_miss (reader, host, part, NULL, 0);
}

int
floe_reader_read (FloeReader *reader, const FloeReaderHost *host, void *buffer, size_t size, uint64_t offset)
{
  Part part = { .buffer = buffer };

  for (; size > 0; part.buffer += part.size, offset += part.size, size -= part.size) {
    uint32_t chunk_size;
    int failed;

    part.number = (size_t) (offset / FLOE_CHUNK_SIZE);
    part.within = (size_t) (offset % FLOE_CHUNK_SIZE);
    part.size = MIN (size, FLOE_CHUNK_SIZE - part.within);
    floe_index_chunk (reader->index, part.number, &part.digest, &chunk_size);
    if (floe_digest_equal (&part.digest, &reader->zero)) {
      memset (part.buffer, 0, part.size);
      continue;
    }
    trace (reader, part.number, &part.digest);
    failed = read_part (reader, host, &part);
    if (failed != 0)
      return failed;
  }
  return 0;
}
