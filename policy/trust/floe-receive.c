/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-receive.h"

#include <string.h>

typedef struct {
  const char *name;
  const FloeExpected *expected;
  guint64 max;
  guint64 size;
  FloeDigester *sha256;
  GChecksum *sha512;
  GByteArray *content; /* NULL when the caller has it */
} Receiver;

static void
receiver_clear (Receiver *receiver)
{
  g_clear_pointer (&receiver->sha256, floe_digester_free);
  g_clear_pointer (&receiver->sha512, g_checksum_free);
  g_clear_pointer (&receiver->content, g_byte_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Receiver, receiver_clear)

static gboolean
receiver_begin (Receiver *receiver, GError **error)
{
  const FloeExpected *expected = receiver->expected;

  if (expected->hashed && !expected->has_sha256 && !expected->has_sha512)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED,
                           "%s: none of its hashes is SHA-256 or SHA-512, so it cannot be checked; publish one of these",
                           receiver->name);
  if (expected->length > 0 && (guint64) expected->length > receiver->max)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: %" G_GINT64_FORMAT " bytes, %" G_GUINT64_FORMAT " at most",
                           receiver->name, expected->length, receiver->max);
  if (expected->has_sha256)
    receiver->sha256 = floe_digester_new ();
  if (expected->has_sha512)
    receiver->sha512 = g_checksum_new (G_CHECKSUM_SHA512);
  return TRUE;
}

static gboolean
receiver_take (const void *data, size_t size, gpointer context, GError **error)
{
  Receiver *receiver = context;
  gint64 length = receiver->expected->length;

  if (length >= 0 && size > (guint64) length - receiver->size)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED,
                           "%s: longer than the %" G_GINT64_FORMAT " bytes that its metadata says; it was altered",
                           receiver->name, length);
  if (size > receiver->max - receiver->size)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: more than %" G_GUINT64_FORMAT " bytes, which is the limit; transfer ended",
                           receiver->name, receiver->max);
  receiver->size += size;
  if (receiver->sha256 != NULL)
    floe_digester_update (receiver->sha256, data, size);
  if (receiver->sha512 != NULL)
    g_checksum_update (receiver->sha512, data, (gssize) size);
  if (receiver->content != NULL)
    g_byte_array_append (receiver->content, data, (guint) size);
  return TRUE;
}

static gboolean
receiver_end (Receiver *receiver, GError **error)
{
  const FloeExpected *expected = receiver->expected;
  guint8 sha512[FLOE_SHA512_SIZE];
  gsize sha512_size = sizeof sha512;
  FloeDigest sha256;

  if (expected->length >= 0 && receiver->size != (guint64) expected->length)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: %" G_GUINT64_FORMAT " bytes, its metadata says %" G_GINT64_FORMAT
                           "; it was cut short or altered", receiver->name, receiver->size, expected->length);
  if (receiver->sha256 != NULL) {
    floe_digester_finish (receiver->sha256, &sha256);
    if (!floe_digest_equal (&sha256, &expected->sha256))
      return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: its SHA-256 is not the one that its metadata says; it was altered",
                             receiver->name);
  }
  if (receiver->sha512 != NULL) {
    g_checksum_get_digest (receiver->sha512, sha512, &sha512_size);
    if (memcmp (sha512, expected->sha512, sizeof sha512) != 0)
      return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: its SHA-512 is not the one that its metadata says; it was altered",
                             receiver->name);
  }
  return TRUE;
}

GBytes *
floe_receive (FloeTrustTransport *transport, const char *path, const FloeExpected *expected, guint64 max,
              GCancellable *cancellable, GError **error)
{
  g_auto (Receiver) receiver = { .name = path, .expected = expected, .max = MIN (max, FLOE_RECEIVE_MAX) };
  guint64 allowed;

  if (!receiver_begin (&receiver, error))
    return NULL;
  allowed = expected->length >= 0 ? (guint64) expected->length : receiver.max;
  receiver.content = g_byte_array_new ();
  if (!floe_trust_transport_fetch (transport, path, allowed, receiver_take, &receiver, cancellable, error)
      || !receiver_end (&receiver, error))
    return NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&receiver.content));
}

gboolean
floe_expected_check (const FloeExpected *expected, GBytes *content, const char *name, GError **error)
{
  g_auto (Receiver) receiver = { .name = name, .expected = expected, .max = FLOE_RECEIVE_MAX };
  gsize size;
  const void *data = g_bytes_get_data (content, &size);

  return receiver_begin (&receiver, error) && receiver_take (data, size, &receiver, error) && receiver_end (&receiver, error);
}
