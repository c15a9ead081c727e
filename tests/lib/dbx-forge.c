/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/dbx-forge.h"

static void
put32 (GByteArray *to, guint32 value)
{
  for (guint i = 0; i < 4; i++) {
    guint8 byte = (guint8) (value >> (8 * i));

    g_byte_array_append (to, &byte, 1);
  }
}

static void
begin (GByteArray *lists, const guint8 type[16], guint count, guint size)
{
  g_byte_array_append (lists, type, 16);
  put32 (lists, 28 + count * (16 + size));
  put32 (lists, 0);
  put32 (lists, 16 + size);
}

static void
owner (GByteArray *lists)
{
  static const guint8 somebody[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

  g_byte_array_append (lists, somebody, sizeof somebody);
}

void
dbx_forge_images (GByteArray *lists, const FloeDigest *images, guint count)
{
  /* EFI_CERT_SHA256_GUID. */
  static const guint8 type[16] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };

  begin (lists, type, count, FLOE_DIGEST_SIZE);
  for (guint i = 0; i < count; i++) {
    owner (lists);
    g_byte_array_append (lists, images[i].bytes, FLOE_DIGEST_SIZE);
  }
}

void
dbx_forge_others (GByteArray *lists, guint count, guint size)
{
  /* EFI_CERT_X509_GUID. */
  static const guint8 type[16] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };
  g_autofree guint8 *body = g_malloc0 (size);

  begin (lists, type, count, size);
  for (guint i = 0; i < count; i++) {
    owner (lists);
    g_byte_array_append (lists, body, size);
  }
}

GBytes *
dbx_forge_update (const FloeDigest *images, guint count)
{
  static const guint8 time[16] = { 0xea, 0x07, 11, 26 }, signature[DBX_FORGE_SIGNATURE] = { 0x30, 3, 2, 1, 1 };
  /* EFI_CERT_TYPE_PKCS7_GUID. */
  static const guint8 type[16] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49, 0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };
  GByteArray *update = g_byte_array_new ();

  g_byte_array_append (update, time, sizeof time);
  put32 (update, 24 + sizeof signature);
  put32 (update, 0x0ef10200);
  g_byte_array_append (update, type, sizeof type);
  g_byte_array_append (update, signature, sizeof signature);
  if (count > 0)
    dbx_forge_images (update, images, count);
  return g_byte_array_free_to_bytes (update);
}
