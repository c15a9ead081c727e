/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-spool.h"

#include "common/floe-digest.h"

#include <string.h>

typedef struct {
  FloeTrustTransport base;
  FloeTrustTransport *spool;
  FloeTrustTransport *network;
} Spool;

static gboolean
collect (const void *data, size_t size, gpointer context, GError **error)
{
  (void) error;
  g_byte_array_append (context, data, (guint) size);
  return TRUE;
}

/* The digest in `targets/…/HASH.NAME`; FALSE when the repository names its targets by another hash, or not at all. */
static gboolean
digest_in_path (const char *path, FloeDigest *digest)
{
  g_autofree char *hex = NULL;
  const char *name = strrchr (path, '/');

  if (!g_str_has_prefix (path, "targets/") || strlen (name + 1) <= FLOE_DIGEST_HEX_SIZE || name[FLOE_DIGEST_HEX_SIZE] != '.')
    return FALSE;
  hex = g_strndup (name + 1, FLOE_DIGEST_HEX_SIZE - 1);
  return floe_digest_from_hex (hex, digest, NULL);
}

static GByteArray *
read_spooled (Spool *self, const char *path, guint64 max, GCancellable *cancellable)
{
  g_autoptr (GByteArray) content = g_byte_array_new ();
  FloeDigest named, found;

  if (!digest_in_path (path, &named) ||
      !floe_trust_transport_fetch (self->spool, path, max, collect, content, cancellable, NULL))
    return NULL;
  floe_digest_of (content->data, content->len, &found);
  return floe_digest_equal (&named, &found) ? g_steal_pointer (&content) : NULL;
}

static gboolean
spool_fetch (FloeTrustTransport *base, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
             GCancellable *cancellable, GError **error)
{
  Spool *self = (Spool *) base;
  g_autoptr (GByteArray) content = read_spooled (self, path, max, cancellable);

  if (content != NULL)
    return sink (content->data, content->len, context, error);
  return floe_trust_transport_fetch (self->network, path, max, sink, context, cancellable, error);
}

static void
spool_free (FloeTrustTransport *base)
{
  Spool *self = (Spool *) base;

  floe_trust_transport_free (self->spool);
  floe_trust_transport_free (self->network);
  g_free (self);
}

FloeTrustTransport *
floe_spool_transport (const char *spool_path, FloeTrustTransport *network)
{
  Spool *self = g_new0 (Spool, 1);

  self->base.fetch = spool_fetch;
  self->base.free = spool_free;
  self->spool = floe_trust_transport_directory (spool_path);
  self->network = network;
  return &self->base;
}
