/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-dbx.h"

#include <string.h>

#define GUID_SIZE 16u
#define LIST_SIZE_AT 16u
#define LIST_HEADER 28u
#define SHA256_ENTRY (GUID_SIZE + FLOE_DIGEST_SIZE)
#define TIME_SIZE 16u
#define CERTIFICATE_HEADER 24u
#define REVISION 0x0200u
#define TYPE_GUID 0x0ef1u

/* As they lie in memory: the first three parts are little-endian. */
static const uint8_t sha256_type[GUID_SIZE] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };
static const uint8_t pkcs7_type[GUID_SIZE] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49, 0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };

struct _FloeDbx {
  GHashTable *images; /* of FloeDigest */
  guint others;       /* lists of something else, be they empty */
};

static uint32_t
read32 (const uint8_t *at)
{
  return at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

static void
add_image (FloeDbx *dbx, const uint8_t *digest)
{
  FloeDigest *image = g_new (FloeDigest, 1);

  memcpy (image->bytes, digest, FLOE_DIGEST_SIZE);
  g_hash_table_add (dbx->images, image);
}

/* One list of SIZE bytes, of which the header and its own size were looked at. */
static gboolean
read_list (FloeDbx *dbx, const uint8_t *list, uint32_t size, GError **error)
{
  uint32_t header = read32 (list + 20), entry = read32 (list + 24), body;
  gboolean images = memcmp (list, sha256_type, GUID_SIZE) == 0;

  if (header > size - LIST_HEADER || entry < GUID_SIZE)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a list of signatures has a header of %u bytes and entries of %u", header, entry);
  body = size - LIST_HEADER - header;
  if (body % entry != 0 || (images && (header != 0 || entry != SHA256_ENTRY)))
    return floe_error_set (error, FLOE_ERROR_INVALID, "a list of signatures has %u bytes of entries of %u", body, entry);
  dbx->others += images ? 0 : 1;
  for (uint32_t at = LIST_HEADER + header; images && at < size; at += entry)
    add_image (dbx, list + at + GUID_SIZE);
  return TRUE;
}

static FloeDbx *
parse (const uint8_t *data, gsize size, GError **error)
{
  g_autoptr (FloeDbx) dbx = g_new0 (FloeDbx, 1);

  dbx->images = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  if (size > FLOE_DBX_MAX) {
    floe_error_set (error, FLOE_ERROR_LIMIT, "the list of what is forbidden has %zu bytes, %u at most", size, FLOE_DBX_MAX);
    return NULL;
  }
  for (gsize at = 0; at < size;) {
    uint32_t list = size - at < LIST_HEADER ? 0 : read32 (data + at + LIST_SIZE_AT);

    if (list < LIST_HEADER || list > size - at) {
      floe_error_set (error, FLOE_ERROR_INVALID, "the list of what is forbidden ends within a list of signatures");
      return NULL;
    }
    if (!read_list (dbx, data + at, list, error))
      return NULL;
    at += list;
  }
  return g_steal_pointer (&dbx);
}

FloeDbx *
floe_dbx_parse (GBytes *lists, GError **error)
{
  gsize size;
  const uint8_t *data = g_bytes_get_data (lists, &size);

  return parse (data, size, error);
}

FloeDbx *
floe_dbx_parse_update (GBytes *update, GError **error)
{
  gsize size, head = TIME_SIZE + CERTIFICATE_HEADER;
  const uint8_t *data = g_bytes_get_data (update, &size), *certificate;
  g_autoptr (FloeDbx) dbx = NULL;
  uint32_t length;

  if (size > FLOE_DBX_UPDATE_MAX) {
    floe_error_set (error, FLOE_ERROR_LIMIT, "the update has %zu bytes, %u at most", size, FLOE_DBX_UPDATE_MAX);
    return NULL;
  }
  certificate = size < head ? NULL : data + TIME_SIZE;
  length = certificate == NULL ? 0 : read32 (certificate);
  if (length < CERTIFICATE_HEADER || length > size - TIME_SIZE || read32 (certificate + 4) != (REVISION | TYPE_GUID << 16) ||
      memcmp (certificate + 8, pkcs7_type, GUID_SIZE) != 0) {
    floe_error_set (error, FLOE_ERROR_INVALID, "the update is not signed as firmware wants it");
    return NULL;
  }
  dbx = parse (data + TIME_SIZE + length, size - TIME_SIZE - length, error);
  if (dbx == NULL)
    return NULL;
  if (dbx->others > 0 || floe_dbx_count (dbx) == 0) {
    floe_error_set (error, FLOE_ERROR_INVALID, "the update has something else than images by their SHA-256, or nothing");
    return NULL;
  }
  return g_steal_pointer (&dbx);
}

void
floe_dbx_free (FloeDbx *dbx)
{
  if (dbx == NULL)
    return;
  g_hash_table_unref (dbx->images);
  g_free (dbx);
}

guint
floe_dbx_count (const FloeDbx *dbx)
{
  return g_hash_table_size (dbx->images);
}

gboolean
floe_dbx_has (const FloeDbx *dbx, const FloeDigest *image)
{
  return g_hash_table_contains (dbx->images, image);
}

guint
floe_dbx_missing (const FloeDbx *dbx, const FloeDbx *wanted)
{
  GHashTableIter iter;
  gpointer image;
  guint missing = 0;

  g_hash_table_iter_init (&iter, wanted->images);
  while (g_hash_table_iter_next (&iter, &image, NULL))
    missing += floe_dbx_has (dbx, image) ? 0 : 1;
  return missing;
}

/* -- What an append makes of it -------------------------------------------------------------------------------------- */

static void
write32 (uint8_t *at, uint32_t value)
{
  for (int i = 0; i < 4; i++)
    at[i] = (uint8_t) (value >> (8 * i));
}

/* Whether LISTS, which were parsed, have this entry of a list with images. */
static gboolean
has_entry (const uint8_t *lists, gsize size, const uint8_t *entry)
{
  for (gsize at = 0; at < size; at += read32 (lists + at + LIST_SIZE_AT)) {
    uint32_t list = read32 (lists + at + LIST_SIZE_AT);

    if (memcmp (lists + at, sha256_type, GUID_SIZE) != 0)
      continue;
    for (gsize i = at + LIST_HEADER; i < at + list; i += SHA256_ENTRY)
      if (memcmp (lists + i, entry, SHA256_ENTRY) == 0)
        return TRUE;
  }
  return FALSE;
}

GBytes *
floe_dbx_appended (GBytes *lists, GBytes *update, GError **error)
{
  g_autoptr (FloeDbx) before = floe_dbx_parse (lists, error), wanted = before == NULL ? NULL : floe_dbx_parse_update (update, error);
  g_autoptr (GByteArray) after = g_byte_array_new ();
  gsize size, old_size;
  const uint8_t *old = g_bytes_get_data (lists, &old_size), *data = g_bytes_get_data (update, &size);

  if (wanted == NULL)
    return NULL;
  if (old_size > 0)
    g_byte_array_append (after, old, (guint) old_size);
  /* Of images alone, as the parser has seen to. */
  for (gsize at = TIME_SIZE + read32 (data + TIME_SIZE); at < size; at += read32 (data + at + LIST_SIZE_AT)) {
    guint start = after->len;

    g_byte_array_append (after, data + at, LIST_HEADER);
    for (gsize i = at + LIST_HEADER; i < at + read32 (data + at + LIST_SIZE_AT); i += SHA256_ENTRY)
      if (!has_entry (old, old_size, data + i))
        g_byte_array_append (after, data + i, SHA256_ENTRY);
    if (after->len == start + LIST_HEADER)
      g_byte_array_set_size (after, start);
    else
      write32 (after->data + start + LIST_SIZE_AT, after->len - start);
  }
  return g_byte_array_free_to_bytes (g_steal_pointer (&after));
}
