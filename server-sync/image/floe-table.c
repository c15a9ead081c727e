/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-table.h"

#include "server-sync/image/floe-wire.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[8] = { 'F', 'L', 'O', 'E', 'T', 'B', 'L', '1' };

struct _FloeTable {
  GBytes *bytes;
  const uint8_t *entries;
  size_t count;
  uint64_t compressed_total;
};

static void
decode (const uint8_t *at, FloeTableEntry *entry)
{
  memcpy (entry->digest.bytes, at, FLOE_DIGEST_SIZE);
  memcpy (entry->compressed_digest.bytes, at + 32, FLOE_DIGEST_SIZE);
  entry->compressed_size = floe_read_u32 (at + 64);
  entry->raw_size = floe_read_u32 (at + 68);
}

static gboolean
check_head (const uint8_t *data, size_t size, GError **error)
{
  if (size < FLOE_TABLE_HEAD || memcmp (data, magic, sizeof magic) != 0 || floe_read_u32 (data + 12) != FLOE_TABLE_ENTRY)
    return floe_error_set (error, FLOE_ERROR_INVALID, "not a chunk table");
  if (size > FLOE_TABLE_MAX_BYTES)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%zu bytes, %zu at most", size, FLOE_TABLE_MAX_BYTES);
  if ((uint64_t) size != FLOE_TABLE_HEAD + (uint64_t) floe_read_u32 (data + 8) * FLOE_TABLE_ENTRY)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%zu bytes do not hold %u entries exactly", size,
                           floe_read_u32 (data + 8));
  return TRUE;
}

/* Checks every entry and sums the compressed sizes, of which at most 2^21 are added: no overflow. */
static gboolean
check_entries (const uint8_t *entries, size_t count, uint64_t *total, GError **error)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < count; i++) {
    FloeTableEntry entry;

    decode (entries + i * FLOE_TABLE_ENTRY, &entry);
    if (entry.raw_size < 1 || entry.raw_size > FLOE_CHUNK_SIZE)
      return floe_error_set (error, FLOE_ERROR_INVALID, "entry %zu: a chunk of %u bytes, 1 to %u wanted", i, entry.raw_size,
                             FLOE_CHUNK_SIZE);
    if (entry.compressed_size < 1 || entry.compressed_size > FLOE_CHUNK_COMPRESSED_MAX)
      return floe_error_set (error, FLOE_ERROR_INVALID, "entry %zu: a compressed chunk of %u bytes, 1 to %u wanted", i,
                             entry.compressed_size, FLOE_CHUNK_COMPRESSED_MAX);
    if (i > 0 && memcmp (entries + (i - 1) * FLOE_TABLE_ENTRY, entry.digest.bytes, FLOE_DIGEST_SIZE) >= 0)
      return floe_error_set (error, FLOE_ERROR_INVALID, "entry %zu is not above the one before: the order is by digest", i);
    sum += entry.compressed_size;
  }
  *total = sum;
  return TRUE;
}

FloeTable *
floe_table_parse (GBytes *bytes, const char *source, GError **error)
{
  FloeTable *table;
  uint64_t total = 0;
  gsize size;
  const uint8_t *data = g_bytes_get_data (bytes, &size);

  if (!check_head (data, size, error) || !check_entries (data + FLOE_TABLE_HEAD, floe_read_u32 (data + 8), &total, error)) {
    g_prefix_error (error, "%s: ", source);
    return NULL;
  }
  table = g_new0 (FloeTable, 1);
  table->bytes = g_bytes_ref (bytes);
  table->entries = data + FLOE_TABLE_HEAD;
  table->count = floe_read_u32 (data + 8);
  table->compressed_total = total;
  return table;
}

void
floe_table_free (FloeTable *table)
{
  if (table == NULL)
    return;
  g_bytes_unref (table->bytes);
  g_free (table);
}

size_t
floe_table_count (const FloeTable *table)
{
  return table->count;
}

void
floe_table_entry (const FloeTable *table, size_t number, FloeTableEntry *entry)
{
  g_assert (number < table->count);
  decode (table->entries + number * FLOE_TABLE_ENTRY, entry);
}

static gboolean
find (const FloeTable *table, const FloeDigest *digest, size_t *number)
{
  size_t low = 0, high = table->count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = memcmp (digest->bytes, table->entries + middle * FLOE_TABLE_ENTRY, FLOE_DIGEST_SIZE);

    if (order == 0) {
      *number = middle;
      return TRUE;
    }
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return FALSE;
}

gboolean
floe_table_find_number (const FloeTable *table, const FloeDigest *digest, size_t *number, FloeTableEntry *entry)
{
  if (!find (table, digest, number))
    return FALSE;
  decode (table->entries + *number * FLOE_TABLE_ENTRY, entry);
  return TRUE;
}

gboolean
floe_table_find (const FloeTable *table, const FloeDigest *digest, FloeTableEntry *entry)
{
  size_t number;

  return floe_table_find_number (table, digest, &number, entry);
}

uint64_t
floe_table_compressed_total (const FloeTable *table)
{
  return table->compressed_total;
}

gboolean
floe_table_matches (const FloeTable *table, const FloeIndex *index, GError **error)
{
  g_autofree uint8_t *used = g_malloc0 (table->count + 1);
  size_t found = 0;

  for (size_t i = 0; i < floe_index_chunks (index); i++) {
    FloeTableEntry entry;
    FloeDigest digest;
    uint32_t size;
    size_t number;

    floe_index_chunk (index, i, &digest, &size);
    if (!find (table, &digest, &number))
      return floe_error_set (error, FLOE_ERROR_INVALID, "chunk %zu of the index is not in the table", i);
    floe_table_entry (table, number, &entry);
    if (entry.raw_size != size)
      return floe_error_set (error, FLOE_ERROR_INVALID, "chunk %zu has %u bytes in the index and %u in the table", i, size,
                             entry.raw_size);
    found += !used[number];
    used[number] = 1;
  }
  if (found != table->count)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the table has %zu chunks that the index does not have",
                           table->count - found);
  return TRUE;
}

static int
compare (const void *a, const void *b)
{
  return memcmp (((const FloeTableEntry *) a)->digest.bytes, ((const FloeTableEntry *) b)->digest.bytes, FLOE_DIGEST_SIZE);
}

GBytes *
floe_table_build (FloeTableEntry *entries, size_t count)
{
  size_t length = FLOE_TABLE_HEAD + count * FLOE_TABLE_ENTRY;
  uint8_t *data, *at;

  g_assert (count <= FLOE_IMAGE_MAX_CHUNKS);
  if (count > 0)
    qsort (entries, count, sizeof *entries, compare);
  data = at = g_malloc (length);
  floe_write_bytes (&at, magic, sizeof magic);
  floe_write_u32 (&at, (uint32_t) count);
  floe_write_u32 (&at, FLOE_TABLE_ENTRY);
  for (size_t i = 0; i < count; i++) {
    floe_write_bytes (&at, entries[i].digest.bytes, FLOE_DIGEST_SIZE);
    floe_write_bytes (&at, entries[i].compressed_digest.bytes, FLOE_DIGEST_SIZE);
    floe_write_u32 (&at, entries[i].compressed_size);
    floe_write_u32 (&at, entries[i].raw_size);
  }
  return g_bytes_new_take (data, length);
}
