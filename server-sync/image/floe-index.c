/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-index.h"

#include "server-sync/image/floe-wire.h"

#include <inttypes.h>
#include <string.h>

/* casync's src/caformat.h. */
#define TYPE_INDEX UINT64_C (0x96824d9c7b129ff9)
#define TYPE_TABLE UINT64_C (0xe75b9e112f17417d)
#define TAIL_MARKER UINT64_C (0x4b4f050e5549ecd1)
#define EXCLUDE_FILE UINT64_C (0x1000000000000000)
#define EXCLUDE_SUBMOUNTS UINT64_C (0x4000000000000000)
#define EXCLUDE_NODUMP UINT64_C (0x8000000000000000)

#define HEAD_SIZE 48 /* CaFormatIndex: u64 size, type, feature flags, minimal, average and maximal chunk size */
#define TABLE_HEAD_SIZE 16
#define ITEM_SIZE 40
#define TAIL_SIZE 40
#define ITEMS_AT (HEAD_SIZE + TABLE_HEAD_SIZE)

struct _FloeIndex {
  GBytes *bytes;
  const uint8_t *items;
  size_t chunks;
  uint64_t size;
};

static gboolean
check_head (const uint8_t *head, GError **error)
{
  /* What `casync make` may set for a blob: which files of an archive it would have passed over. */
  uint64_t harmless = EXCLUDE_FILE | EXCLUDE_SUBMOUNTS | EXCLUDE_NODUMP;

  if (floe_read_u64 (head) != HEAD_SIZE || floe_read_u64 (head + 8) != TYPE_INDEX)
    return floe_error_set (error, FLOE_ERROR_INVALID, "not a casync index");
  if ((floe_read_u64 (head + 16) & ~harmless) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "feature flags %016" PRIx64 ": only a blob's with SHA-256 are taken",
                           floe_read_u64 (head + 16));
  for (int i = 0; i < 3; i++)
    if (floe_read_u64 (head + 24 + 8 * i) != FLOE_CHUNK_SIZE)
      return floe_error_set (error, FLOE_ERROR_INVALID, "chunk size %" PRIu64 ", %u wanted (min:avg:max %u:%u:%u)",
                             floe_read_u64 (head + 24 + 8 * i), FLOE_CHUNK_SIZE, FLOE_CHUNK_SIZE, FLOE_CHUNK_SIZE,
                             FLOE_CHUNK_SIZE);
  if (floe_read_u64 (head + 48) != UINT64_MAX || floe_read_u64 (head + 56) != TYPE_TABLE)
    return floe_error_set (error, FLOE_ERROR_INVALID, "no chunk list behind the head");
  return TRUE;
}

static gboolean
check_tail (const uint8_t *tail, size_t chunks, GError **error)
{
  uint64_t table_size = TABLE_HEAD_SIZE + (uint64_t) chunks * ITEM_SIZE + TAIL_SIZE;

  if (floe_read_u64 (tail) != 0 || floe_read_u64 (tail + 8) != 0 || floe_read_u64 (tail + 16) != HEAD_SIZE
      || floe_read_u64 (tail + 24) != table_size || floe_read_u64 (tail + 32) != TAIL_MARKER)
    return floe_error_set (error, FLOE_ERROR_INVALID, "its tail does not fit its length");
  return TRUE;
}

static const char *
wrong_with (uint64_t start, uint64_t end, gboolean last)
{
  if (end <= start)
    return "overlaps the one before";
  if (end - start > FLOE_CHUNK_SIZE)
    return "leaves a gap or overruns";
  return end - start < FLOE_CHUNK_SIZE && !last ? "makes it short in the middle" : NULL;
}

static gboolean
check_items (const uint8_t *items, size_t chunks, GError **error)
{
  for (size_t i = 0; i < chunks; i++) {
    uint64_t end = floe_read_u64 (items + i * ITEM_SIZE);
    const char *wrong = wrong_with ((uint64_t) i * FLOE_CHUNK_SIZE, end, i + 1 == chunks);

    if (wrong != NULL)
      return floe_error_set (error, FLOE_ERROR_INVALID, "chunk %zu ends at %" PRIu64 ", which %s", i, end, wrong);
  }
  return TRUE;
}

static gboolean
check (const uint8_t *data, size_t size, GError **error)
{
  size_t chunks;

  if (size > FLOE_INDEX_MAX_BYTES)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%zu bytes, %zu at most (an image of 256 GiB)", size,
                           FLOE_INDEX_MAX_BYTES);
  if (size < ITEMS_AT + TAIL_SIZE || (size - ITEMS_AT - TAIL_SIZE) % ITEM_SIZE != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%zu bytes is no index's length", size);
  chunks = (size - ITEMS_AT - TAIL_SIZE) / ITEM_SIZE;
  return check_head (data, error) && check_tail (data + size - TAIL_SIZE, chunks, error)
         && check_items (data + ITEMS_AT, chunks, error);
}

FloeIndex *
floe_index_parse (GBytes *bytes, const char *source, GError **error)
{
  FloeIndex *index;
  gsize size;
  const uint8_t *data = g_bytes_get_data (bytes, &size);

  if (!check (data, size, error)) {
    g_prefix_error (error, "%s: ", source);
    return NULL;
  }
  index = g_new0 (FloeIndex, 1);
  index->bytes = g_bytes_ref (bytes);
  index->items = data + ITEMS_AT;
  index->chunks = (size - ITEMS_AT - TAIL_SIZE) / ITEM_SIZE;
  index->size = index->chunks == 0 ? 0 : floe_read_u64 (index->items + (index->chunks - 1) * ITEM_SIZE);
  return index;
}

void
floe_index_free (FloeIndex *index)
{
  if (index == NULL)
    return;
  g_bytes_unref (index->bytes);
  g_free (index);
}

uint64_t
floe_index_size (const FloeIndex *index)
{
  return index->size;
}

size_t
floe_index_chunks (const FloeIndex *index)
{
  return index->chunks;
}

void
floe_index_chunk (const FloeIndex *index, size_t number, FloeDigest *digest, uint32_t *size)
{
  const uint8_t *item = index->items + number * ITEM_SIZE;

  g_assert (number < index->chunks);
  memcpy (digest->bytes, item + 8, FLOE_DIGEST_SIZE);
  *size = (uint32_t) (floe_read_u64 (item) - (uint64_t) number * FLOE_CHUNK_SIZE);
}

size_t
floe_index_chunks_for (uint64_t size)
{
  return (size_t) (size / FLOE_CHUNK_SIZE + (size % FLOE_CHUNK_SIZE != 0));
}

GBytes *
floe_index_build (const FloeDigest *digests, uint64_t size)
{
  size_t chunks = floe_index_chunks_for (size), length = ITEMS_AT + chunks * ITEM_SIZE + TAIL_SIZE;
  uint8_t *data, *at;

  g_assert (size <= FLOE_IMAGE_MAX_SIZE);
  data = at = g_malloc0 (length);
  floe_write_u64 (&at, HEAD_SIZE);
  floe_write_u64 (&at, TYPE_INDEX);
  floe_write_u64 (&at, EXCLUDE_FILE | EXCLUDE_NODUMP); /* as casync does for a blob, so that the bytes are the same */
  for (int i = 0; i < 3; i++)
    floe_write_u64 (&at, FLOE_CHUNK_SIZE);
  floe_write_u64 (&at, UINT64_MAX);
  floe_write_u64 (&at, TYPE_TABLE);
  for (size_t i = 0; i < chunks; i++) {
    floe_write_u64 (&at, MIN (size, ((uint64_t) i + 1) * FLOE_CHUNK_SIZE));
    memcpy (at, digests[i].bytes, FLOE_DIGEST_SIZE);
    at += FLOE_DIGEST_SIZE;
  }
  floe_write_u64 (&at, 0);
  floe_write_u64 (&at, 0);
  floe_write_u64 (&at, HEAD_SIZE);
  floe_write_u64 (&at, TABLE_HEAD_SIZE + (uint64_t) chunks * ITEM_SIZE + TAIL_SIZE);
  floe_write_u64 (&at, TAIL_MARKER);
  return g_bytes_new_take (data, length);
}

void
floe_index_version (GBytes *bytes, char version[FLOE_VERSION_SIZE])
{
  FloeDigest digest;
  char hex[FLOE_DIGEST_HEX_SIZE];
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  floe_digest_of (data, size, &digest);
  floe_digest_to_hex (&digest, hex);
  memcpy (version, hex, FLOE_VERSION_SIZE - 1);
  version[FLOE_VERSION_SIZE - 1] = '\0';
}
