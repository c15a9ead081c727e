/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-trust-http.h"

#include <string.h>

/* trust-http URL PIN MAX PATH...: fetches each path over one transport and prints a line for it: `ok SIZE SHA-256`, or the code of the error,
 * as in org.floe.Error.NAME, and what was said. PIN may be `-`. A PATH of `!` asks for the next one to be cancelled, one of `%` for its sink
 * to refuse, one of `@SECONDS` sets how long a transfer may be slow, if it comes first. */

typedef struct {
  GChecksum *digest;
  guint64 size;
  gboolean refuses;
} Taken;

static gboolean
take (const void *data, size_t size, gpointer context, GError **error)
{
  Taken *taken = context;

  if (taken->refuses)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "the sink refused");
  g_checksum_update (taken->digest, data, (gssize) size);
  taken->size += size;
  return TRUE;
}

static void
fetch (FloeTrustTransport *transport, const char *path, guint64 max, gboolean cancelled, gboolean refuses)
{
  Taken taken = { g_checksum_new (G_CHECKSUM_SHA256), 0, refuses };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;

  if (cancelled)
    g_cancellable_cancel (cancellable);
  if (floe_trust_transport_fetch (transport, path, max, take, &taken, cancellable, &error)) {
    g_print ("ok %" G_GUINT64_FORMAT " %s\n", taken.size, g_checksum_get_string (taken.digest));
  } else {
    name = g_dbus_error_encode_gerror (error);
    g_print ("%s %s\n", strrchr (name, '.') + 1, error->message);
  }
  g_checksum_free (taken.digest);
}

int
main (int argc, char **argv)
{
  static const char *const headers[] = { "X-Floe-Test: 1", NULL };
  FloeTrustHttpOptions options = { .headers = headers };
  g_autoptr (FloeTrustTransport) transport = NULL;
  g_autoptr (GError) error = NULL;
  guint64 max;
  int at = 4;

  if (argc < 5)
    return 2;
  options.url = argv[1];
  options.pin = strcmp (argv[2], "-") != 0 ? argv[2] : NULL;
  max = g_ascii_strtoull (argv[3], NULL, 10);
  if (*argv[at] == '@')
    options.patience = (unsigned) g_ascii_strtoull (argv[at++] + 1, NULL, 10);
  transport = floe_trust_transport_http (&options, &error);
  if (transport == NULL) {
    g_print ("none %s\n", error->message);
    return 0;
  }
  for (gboolean cancelled = FALSE, refuses = FALSE; at < argc; at++) {
    if (strcmp (argv[at], "!") != 0 && strcmp (argv[at], "%") != 0)
      fetch (transport, argv[at], max, cancelled, refuses);
    cancelled = strcmp (argv[at], "!") == 0;
    refuses = strcmp (argv[at], "%") == 0;
  }
  return 0;
}
