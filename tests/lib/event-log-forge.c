/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/event-log-forge.h"

#include <string.h>

static void
put (GByteArray *to, guint64 value, guint bytes)
{
  for (guint i = 0; i < bytes; i++) {
    guint8 byte = (guint8) (value >> (8 * i));

    g_byte_array_append (to, &byte, 1);
  }
}

EventLogForge *
event_log_forge_new (gboolean without_sha256)
{
  EventLogForge *log = g_new0 (EventLogForge, 1);
  guint banks = without_sha256 ? 1 : 2;
  static const guint8 nothing[20];

  log->bytes = g_byte_array_new ();
  log->without_sha256 = without_sha256;
  put (log->bytes, 0, 4);
  put (log->bytes, EVENT_LOG_NO_ACTION, 4);
  g_byte_array_append (log->bytes, nothing, sizeof nothing);
  put (log->bytes, 16 + 8 + 4 + 4 * banks + 1, 4);
  g_byte_array_append (log->bytes, (const guint8 *) "Spec ID Event03", 16);
  put (log->bytes, 0, 4);
  put (log->bytes, 0x02000200, 4);
  put (log->bytes, banks, 4);
  put (log->bytes, 0x0004 | 20u << 16, 4);
  if (!without_sha256)
    put (log->bytes, 0x000b | 32u << 16, 4);
  put (log->bytes, 0, 1);
  return log;
}

void
event_log_forge_free (EventLogForge *log)
{
  g_byte_array_unref (log->bytes);
  g_free (log);
}

void
event_log_forge_add (EventLogForge *log, guint32 pcr, guint32 type, const void *data, gsize size)
{
  static const guint8 sha1[20] = { 1, 2, 3 };
  FloeDigest digest;

  floe_digest_of (data, size, &digest);
  put (log->bytes, pcr, 4);
  put (log->bytes, type, 4);
  put (log->bytes, log->without_sha256 ? 1 : 2, 4);
  put (log->bytes, 0x0004, 2);
  g_byte_array_append (log->bytes, sha1, sizeof sha1);
  if (!log->without_sha256) {
    put (log->bytes, 0x000b, 2);
    g_byte_array_append (log->bytes, digest.bytes, sizeof digest.bytes);
  }
  put (log->bytes, size, 4);
  g_byte_array_append (log->bytes, data, (guint) size);
  if (pcr == 7 && type != EVENT_LOG_NO_ACTION) {
    guint8 both[2 * FLOE_DIGEST_SIZE];

    memcpy (both, log->pcr7.bytes, FLOE_DIGEST_SIZE);
    memcpy (both + FLOE_DIGEST_SIZE, digest.bytes, FLOE_DIGEST_SIZE);
    floe_digest_of (both, sizeof both, &log->pcr7);
  }
}

void
event_log_forge_variable (EventLogForge *log, const char *name, gboolean of_images, const void *data, gsize size)
{
  /* EFI_IMAGE_SECURITY_DATABASE_GUID, EFI_GLOBAL_VARIABLE. */
  static const guint8 images[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
  static const guint8 global[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
  g_autoptr (GByteArray) event = g_byte_array_new ();

  g_byte_array_append (event, of_images ? images : global, 16);
  put (event, strlen (name), 8);
  put (event, size, 8);
  for (gsize i = 0; name[i] != 0; i++)
    put (event, (guint8) name[i], 2);
  if (size > 0)
    g_byte_array_append (event, data, (guint) size);
  event_log_forge_add (log, 7, EVENT_LOG_VARIABLE, event->data, event->len);
}

EventLogForge *
event_log_forge_start (GBytes *dbx)
{
  EventLogForge *log = event_log_forge_new (FALSE);
  gsize size;
  const void *data = g_bytes_get_data (dbx, &size);

  event_log_forge_add (log, 0, 0x8, "firmware", 8);
  event_log_forge_variable (log, "SecureBoot", FALSE, "\1", 1);
  event_log_forge_variable (log, "PK", FALSE, "platform", 8);
  event_log_forge_variable (log, "KEK", FALSE, "exchange", 8);
  event_log_forge_variable (log, "db", TRUE, "allowed", 7);
  event_log_forge_variable (log, "dbx", TRUE, data, size);
  event_log_forge_add (log, 7, EVENT_LOG_SEPARATOR, "\0\0\0\0", 4);
  event_log_forge_add (log, 7, 0x800000e0u, "the key that signed", 19);
  event_log_forge_add (log, 11, 0xd, "kernel", 6);
  event_log_forge_add (log, 7, EVENT_LOG_NO_ACTION, "a note", 6);
  return log;
}
