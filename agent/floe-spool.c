/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-spool.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define METADATA "metadata"
#define TIMESTAMP "timestamp.json"
#define TARGETS "targets"
#define DEPTH_MAX 4 /* targets/images/NAME/FILE */

typedef struct {
  FloeTrustTransport base;
  FloeTrustTransport *spool;   /* reads */
  FloeTrustTransport *network; /* writes what it fetches */
  FloeTrustTransport *fetch;   /* the network alone; owned by `network` */
  GByteArray *timestamp;       /* not in the spool yet; NULL when there is none */
  GHashTable *asked;           /* paths of targets */
  int spool_dir;
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
fetch_timestamp (Spool *self, const char *path, guint64 max, FloeTrustSink sink, gpointer context, GCancellable *cancellable, GError **error)
{
  g_autoptr (GByteArray) content = g_byte_array_new ();

  if (!floe_trust_transport_fetch (self->fetch, path, max, collect, content, cancellable, error) ||
      !sink (content->data, content->len, context, error))
    return FALSE;
  g_clear_pointer (&self->timestamp, g_byte_array_unref);
  self->timestamp = g_steal_pointer (&content);
  return TRUE;
}

static gboolean
spool_fetch (FloeTrustTransport *base, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
             GCancellable *cancellable, GError **error)
{
  Spool *self = (Spool *) base;
  g_autoptr (GByteArray) content = NULL;

  if (strcmp (path, METADATA "/" TIMESTAMP) == 0)
    return fetch_timestamp (self, path, max, sink, context, cancellable, error);
  if (g_str_has_prefix (path, TARGETS "/"))
    g_hash_table_add (self->asked, g_strdup (path));
  content = read_spooled (self, path, max, cancellable);
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
  g_clear_pointer (&self->timestamp, g_byte_array_unref);
  g_hash_table_unref (self->asked);
  g_free (self);
}

FloeTrustTransport *
floe_spool_transport (const char *spool_path, int spool_dir, FloeTrustTransport *network)
{
  Spool *self = g_new0 (Spool, 1);

  self->base.fetch = spool_fetch;
  self->base.free = spool_free;
  self->spool = floe_trust_transport_directory (spool_path);
  self->network = floe_trust_transport_tee (network, spool_dir);
  self->fetch = network;
  self->asked = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->spool_dir = spool_dir;
  return &self->base;
}

gboolean
floe_spool_commit (FloeTrustTransport *transport, GError **error)
{
  Spool *self = (Spool *) transport;
  floe_autofd metadata = -1;

  if (self->timestamp == NULL)
    return TRUE;
  metadata = floe_dir_make_at (self->spool_dir, METADATA, 0755, error);
  if (metadata < 0 || !floe_file_replace_at (metadata, TIMESTAMP, self->timestamp->data, self->timestamp->len, 0644, error)) {
    g_prefix_error (error, "spool " METADATA "/" TIMESTAMP ": ");
    return FALSE;
  }
  g_clear_pointer (&self->timestamp, g_byte_array_unref);
  return TRUE;
}

/* -- What is not asked for any more --------------------------------------------------------------------------------- */

typedef struct {
  GHashTable *asked, *before, *now;
} Pruning;

static gboolean
is_large (const char *name)
{
  return g_str_has_suffix (name, ".caibx") || g_str_has_suffix (name, ".table") || g_str_has_suffix (name, ".boot");
}

static gboolean prune_directory (int parent, const char *name, const char *path, unsigned depth, Pruning *pruning, GError **error);

static gboolean
prune_entry (int dir, const char *name, const char *path, unsigned depth, Pruning *pruning, GError **error)
{
  g_autofree char *below = g_strdup_printf ("%s/%s", path, name);
  struct stat st;

  if (fstatat (dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT || floe_error_set_errno (error, errno, "look at %s", below);
  if (S_ISDIR (st.st_mode))
    return depth >= DEPTH_MAX || prune_directory (dir, name, below, depth + 1, pruning, error);
  if (!is_large (name) || g_hash_table_contains (pruning->asked, below))
    return TRUE;
  if (!g_hash_table_contains (pruning->before, below)) {
    g_hash_table_add (pruning->now, g_steal_pointer (&below));
    return TRUE;
  }
  return unlinkat (dir, name, 0) == 0 || errno == ENOENT || floe_error_set_errno (error, errno, "remove %s", below);
}

/* PATH, whose last name is NAME below PARENT. */
static gboolean
prune_directory (int parent, const char *name, const char *path, unsigned depth, Pruning *pruning, GError **error)
{
  floe_autofd dir = openat (parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  g_autoptr (GPtrArray) names = NULL;
  gboolean done;

  if (dir < 0)
    return errno == ENOENT || floe_error_set_errno (error, errno, "list %s of the spool", path);
  names = floe_dir_names_at (dir, ".", error);
  done = names != NULL;
  for (guint i = 0; done && i < names->len; i++)
    done = prune_entry (dir, g_ptr_array_index (names, i), path, depth, pruning, error);
  return done;
}

gboolean
floe_spool_prune (FloeTrustTransport *transport, GHashTable **unneeded, GError **error)
{
  Spool *self = (Spool *) transport;
  g_autoptr (GHashTable) before = g_steal_pointer (unneeded);
  Pruning pruning = { self->asked, before, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };

  *unneeded = pruning.now;
  return prune_directory (self->spool_dir, TARGETS, TARGETS, 1, &pruning, error);
}
