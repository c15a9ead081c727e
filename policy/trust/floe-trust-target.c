/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-receive.h"
#include "policy/trust/floe-trust-private.h"

#include <string.h>

/* From a target's name to its bytes: the search through the delegations (5.6.7) and the fetch (5.7). */

#define MAX_VISITED 32 /* roles whose metadata one search may read */
#define MAX_DEPTH 16   /* delegations in a row */

struct _FloeVerified {
  gatomicrefcount references;
  GBytes *bytes;
  char *name, *role;
  gint64 version;
};

/* A delegation waiting for its turn. */
typedef struct {
  const FloeRole *role;
  int depth;
} Waiting;

typedef struct {
  const char *name;
  GArray *waiting;      /* of Waiting; the next one last */
  GHashTable *visited;  /* borrowed names */
  const char *role;     /* where the target was found */
  FloeMetadata *metadata;
  const FloeExpected *expected;
} Search;

static void
search_clear (Search *search)
{
  g_clear_pointer (&search->waiting, g_array_unref);
  g_clear_pointer (&search->visited, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Search, search_clear)

/* -- Delegated metadata ---------------------------------------------------------------------------------------------- */

/* Offline: what was accepted is taken as it is, if the delegator's keys signed it and it is not ahead of the snapshot. */
static FloeMetadata *
resume_delegated (FloeTrust *trust, const FloeRole *role, const FloeMetaFile *file)
{
  g_autoptr (FloeMetadata) local = floe_trust_local (trust, role, FLOE_ROLE_TARGETS);

  return local != NULL && local->version <= file->version ? g_steal_pointer (&local) : NULL;
}

static FloeMetadata *
read_delegated (FloeTrust *trust, const FloeRole *role, GCancellable *cancellable, GError **error)
{
  const FloeMetaFile *file = floe_metadata_file (trust->snapshot, role->name);
  g_autoptr (FloeMetadata) metadata = NULL;
  gboolean fetched = FALSE;

  if (file == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "role %s is delegated to, but snapshot version %" G_GINT64_FORMAT
                    " does not list it; publish it", role->name, trust->snapshot->version);
    return NULL;
  }
  if (trust->resumed)
    metadata = resume_delegated (trust, role, file);
  if (metadata == NULL)
    metadata = floe_trust_obtain (trust, role, FLOE_ROLE_TARGETS, file, FLOE_TRUST_TARGETS_MAX, &fetched, cancellable, error);
  if (metadata == NULL || !floe_trust_check_fresh (trust, metadata, error)
      || (fetched && !floe_state_store (trust->state, role->name, metadata->raw, error)))
    return NULL;
  return g_steal_pointer (&metadata);
}

/* The metadata of the delegated ROLE, kept for this snapshot. Who reached it first says nothing: it is verified by the keys of each
 * delegator that leads to it. */
static FloeMetadata *
get_delegated (FloeTrust *trust, const FloeRole *role, GCancellable *cancellable, GError **error)
{
  FloeMetadata *metadata = g_hash_table_lookup (trust->delegated, role->name);

  if (metadata != NULL)
    return floe_metadata_verify (metadata, role, error) ? metadata : NULL;
  metadata = read_delegated (trust, role, cancellable, error);
  if (metadata != NULL)
    g_hash_table_insert (trust->delegated, g_strdup (role->name), metadata);
  return metadata;
}

/* -- Search ---------------------------------------------------------------------------------------------------------- */

/* Queues the delegations of METADATA that cover the target, the first to be visited first. After a terminating one nothing more
 * is considered, neither of this role nor of those that led here. */
static void
queue_delegations (Search *search, FloeMetadata *metadata, int depth)
{
  guint first = search->waiting->len;

  for (guint i = 0; i < metadata->delegations->len; i++) {
    const FloeRole *role = metadata->delegations->pdata[i];
    Waiting waiting = { role, depth + 1 };

    if (!floe_role_covers (role, search->name))
      continue;
    if (role->terminating) {
      g_array_remove_range (search->waiting, 0, first);
      first = 0;
    }
    g_array_insert_val (search->waiting, first, waiting);
    if (role->terminating)
      break;
  }
}

/* Looks into METADATA; TRUE when the target is there, otherwise its delegations wait. */
static gboolean
look_into (Search *search, FloeMetadata *metadata, const char *role, int depth)
{
  g_hash_table_add (search->visited, (gpointer) role);
  search->expected = g_hash_table_lookup (metadata->targets, search->name);
  if (search->expected == NULL) {
    queue_delegations (search, metadata, depth);
    return FALSE;
  }
  search->metadata = metadata;
  search->role = role;
  return TRUE;
}

static gboolean
find_target (FloeTrust *trust, Search *search, GCancellable *cancellable, GError **error)
{
  gboolean found = look_into (search, trust->targets, "targets", 0);

  while (!found && search->waiting->len > 0) {
    Waiting next = g_array_index (search->waiting, Waiting, search->waiting->len - 1);
    FloeMetadata *metadata;

    g_array_set_size (search->waiting, search->waiting->len - 1);
    if (g_hash_table_contains (search->visited, next.role->name))
      continue;
    if (g_hash_table_size (search->visited) >= MAX_VISITED)
      return floe_error_set (error, FLOE_ERROR_LIMIT, "target %s: not found in the first %d roles, which is as far as is searched",
                             search->name, MAX_VISITED);
    if (next.depth > MAX_DEPTH)
      return floe_error_set (error, FLOE_ERROR_LIMIT, "target %s: role %s is delegation %d in a row, %d at most", search->name,
                             next.role->name, next.depth, MAX_DEPTH);
    metadata = get_delegated (trust, next.role, cancellable, error);
    if (metadata == NULL) {
      g_prefix_error (error, "target %s: ", search->name);
      return FALSE;
    }
    found = look_into (search, metadata, next.role->name, next.depth);
  }
  return found || floe_error_set (error, FLOE_ERROR_NOT_FOUND, "target %s: none of the %u roles that may have it lists it",
                                  search->name, g_hash_table_size (search->visited));
}

/* -- Fetch ----------------------------------------------------------------------------------------------------------- */

static char *
hash_in_name (const FloeExpected *expected)
{
  return expected->has_sha256 ? floe_hex_encode (expected->sha256.bytes, FLOE_DIGEST_SIZE)
                              : floe_hex_encode (expected->sha512, FLOE_SHA512_SIZE);
}

/* Where the target is in the repository; NULL for a name that is no relative path, which no transport is handed. */
static char *
target_path (FloeTrust *trust, const char *name, const FloeExpected *expected, GError **error)
{
  g_auto (GStrv) components = g_strsplit (name, "/", -1);
  g_autofree char *hash = NULL, *encoded = NULL, *directory = NULL;
  const char *base;

  for (size_t i = 0; components[i] != NULL; i++)
    if (*components[i] == '\0' || strcmp (components[i], ".") == 0 || strcmp (components[i], "..") == 0) {
      floe_error_set (error, FLOE_ERROR_INVALID, "target '%s': not a path below the repository", name);
      return NULL;
    }
  encoded = floe_percent_encode (name, "/");
  if (!trust->root->consistent)
    return g_strconcat ("targets/", encoded, NULL);
  hash = hash_in_name (expected);
  base = strrchr (encoded, '/') != NULL ? strrchr (encoded, '/') + 1 : encoded;
  directory = g_strndup (encoded, (gsize) (base - encoded));
  return g_strconcat ("targets/", directory, hash, ".", base, NULL);
}

static FloeVerified *
verified_new (const Search *search, GBytes *bytes)
{
  FloeVerified *verified = g_new0 (FloeVerified, 1);

  g_atomic_ref_count_init (&verified->references);
  verified->bytes = g_bytes_ref (bytes);
  verified->name = g_strdup (search->name);
  verified->role = g_strdup (search->role);
  verified->version = search->metadata->version;
  return verified;
}

static gboolean
search_begin (FloeTrust *trust, Search *search, GCancellable *cancellable, GError **error)
{
  search->waiting = g_array_new (FALSE, FALSE, sizeof (Waiting));
  search->visited = g_hash_table_new (g_str_hash, g_str_equal);
  if (trust->targets == NULL)
    return floe_error_set (error, FLOE_ERROR_BUSY, "target %s: nothing is trusted before a refresh has succeeded", search->name);
  return find_target (trust, search, cancellable, error);
}

FloeVerified *
floe_trust_target (FloeTrust *trust, const char *name, size_t max, GCancellable *cancellable, GError **error)
{
  g_auto (Search) search = { .name = name };
  g_autofree char *path = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (!search_begin (trust, &search, cancellable, error))
    return NULL;
  path = target_path (trust, name, search.expected, error);
  if (path == NULL)
    return NULL;
  bytes = floe_receive (trust->transport, path, search.expected, max, cancellable, error);
  return bytes != NULL ? verified_new (&search, bytes) : NULL;
}

FloeVerified *
floe_trust_adopt (FloeTrust *trust, const char *name, GBytes *content, GCancellable *cancellable, GError **error)
{
  g_auto (Search) search = { .name = name };

  if (!search_begin (trust, &search, cancellable, error) || !floe_expected_check (search.expected, content, name, error))
    return NULL;
  return verified_new (&search, content);
}

/* -- Verified objects ------------------------------------------------------------------------------------------------ */

FloeVerified *
floe_verified_ref (FloeVerified *verified)
{
  g_atomic_ref_count_inc (&verified->references);
  return verified;
}

void
floe_verified_unref (FloeVerified *verified)
{
  if (verified == NULL || !g_atomic_ref_count_dec (&verified->references))
    return;
  g_bytes_unref (verified->bytes);
  g_free (verified->name);
  g_free (verified->role);
  g_free (verified);
}

GBytes *
floe_verified_bytes (FloeVerified *verified)
{
  return verified->bytes;
}

const char *
floe_verified_name (FloeVerified *verified)
{
  return verified->name;
}

const char *
floe_verified_role (FloeVerified *verified)
{
  return verified->role;
}

gint64
floe_verified_version (FloeVerified *verified)
{
  return verified->version;
}
