/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-boot-list.h"

#include "server-sync/image/floe-wire.h"

#include <string.h>

static const uint8_t magic[8] = { 'F', 'L', 'O', 'E', 'B', 'O', 'T', '1' };

#define LINE (FLOE_DIGEST_HEX_SIZE) /* 64 digits and the end of the line */

struct _FloeBootList {
  GBytes *bytes;
  const uint8_t *digests;
  size_t count;
};

static gboolean
check_head (const uint8_t *data, size_t size, GError **error)
{
  if (size < FLOE_BOOT_LIST_HEAD || memcmp (data, magic, sizeof magic) != 0
      || floe_read_u32 (data + 12) != FLOE_DIGEST_SIZE)
    return floe_error_set (error, FLOE_ERROR_INVALID, "not a boot list");
  if (floe_read_u32 (data + 8) > FLOE_BOOT_LIST_MAX_CHUNKS)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%u chunks, %u at most", floe_read_u32 (data + 8),
                           FLOE_BOOT_LIST_MAX_CHUNKS);
  if (size != FLOE_BOOT_LIST_HEAD + (size_t) floe_read_u32 (data + 8) * FLOE_DIGEST_SIZE)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%zu bytes do not hold %u digests exactly", size,
                           floe_read_u32 (data + 8));
  return TRUE;
}

static gboolean
check_unique (const uint8_t *digests, size_t count, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (floe_digest_hash, floe_digest_equal_func);

  for (size_t i = 0; i < count; i++)
    if (!g_hash_table_add (seen, (gpointer) (digests + i * FLOE_DIGEST_SIZE)))
      return floe_error_set (error, FLOE_ERROR_INVALID, "digest %zu is in the list twice", i);
  return TRUE;
}

FloeBootList *
floe_boot_list_parse (GBytes *bytes, const char *source, GError **error)
{
  FloeBootList *list;
  gsize size;
  const uint8_t *data = g_bytes_get_data (bytes, &size);

  if (!check_head (data, size, error) || !check_unique (data + FLOE_BOOT_LIST_HEAD, floe_read_u32 (data + 8), error)) {
    g_prefix_error (error, "%s: ", source);
    return NULL;
  }
  list = g_new0 (FloeBootList, 1);
  list->bytes = g_bytes_ref (bytes);
  list->digests = data + FLOE_BOOT_LIST_HEAD;
  list->count = floe_read_u32 (data + 8);
  return list;
}

void
floe_boot_list_free (FloeBootList *list)
{
  if (list == NULL)
    return;
  g_bytes_unref (list->bytes);
  g_free (list);
}

size_t
floe_boot_list_count (const FloeBootList *list)
{
  return list->count;
}

void
floe_boot_list_digest (const FloeBootList *list, size_t number, FloeDigest *digest)
{
  g_assert (number < list->count);
  memcpy (digest->bytes, list->digests + number * FLOE_DIGEST_SIZE, FLOE_DIGEST_SIZE);
}

static gboolean
read_line (const char *text, size_t number, FloeDigest *digest, GError **error)
{
  char line[LINE];

  memcpy (line, text + number * LINE, LINE);
  if (line[LINE - 1] != '\n')
    return floe_error_set (error, FLOE_ERROR_INVALID, "line %zu is not 64 digits", number + 1);
  line[LINE - 1] = '\0';
  if (!floe_digest_from_hex (line, digest, error)) {
    g_prefix_error (error, "line %zu: ", number + 1);
    return FALSE;
  }
  return TRUE;
}

/* Collects the digests of TEXT's lines that TABLE has, each once, in their order. */
static gboolean
collect (const char *text, size_t size, const FloeTable *table, GArray *digests, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  FloeTableEntry entry;
  FloeDigest digest;

  if (size % LINE != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "its last line is not whole");
  for (size_t i = 0; i < size / LINE; i++) {
    if (!read_line (text, i, &digest, error))
      return FALSE;
    if (!floe_table_find (table, &digest, &entry))
      continue;
    if (g_hash_table_add (seen, g_memdup2 (&digest, sizeof digest)))
      g_array_append_val (digests, digest);
  }
  if (digests->len > FLOE_BOOT_LIST_MAX_CHUNKS)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%u chunks, %u at most", digests->len, FLOE_BOOT_LIST_MAX_CHUNKS);
  return TRUE;
}

GBytes *
floe_boot_list_build (const FloeDigest *digests, size_t count)
{
  size_t length = FLOE_BOOT_LIST_HEAD + count * FLOE_DIGEST_SIZE;
  uint8_t *data, *at;

  g_assert (count <= FLOE_BOOT_LIST_MAX_CHUNKS);
  data = at = g_malloc (length);
  floe_write_bytes (&at, magic, sizeof magic);
  floe_write_u32 (&at, (uint32_t) count);
  floe_write_u32 (&at, FLOE_DIGEST_SIZE);
  if (count > 0)
    floe_write_bytes (&at, digests, count * FLOE_DIGEST_SIZE);
  return g_bytes_new_take (data, length);
}

GBytes *
floe_boot_list_from_trace (GBytes *trace, const char *source, const FloeTable *table, GError **error)
{
  g_autoptr (GArray) digests = g_array_new (FALSE, FALSE, sizeof (FloeDigest));
  gsize size;
  const char *text = g_bytes_get_data (trace, &size);

  if (!collect (text, size, table, digests, error)) {
    g_prefix_error (error, "%s: ", source);
    return NULL;
  }
  return floe_boot_list_build ((const FloeDigest *) (gpointer) digests->data, digests->len);
}
