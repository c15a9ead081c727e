/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which drafts take force, and in which order they are written: floe-repository-private.h has the theory. */
#include "policy/signing/floe-repository-private.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"

#include <string.h>

#define DAY 86400
#define DEFAULT_DAYS 7

typedef struct {
  FloeRepository *repository;
  GHashTable *set; /* roles whose draft is to take force; keys are the draft table's */
  FloeEnvelope *snapshot, *timestamp; /* made anew, or NULL where what is in force stays */
} Commit;

static void
commit_clear (Commit *commit)
{
  g_clear_pointer (&commit->set, g_hash_table_unref);
  g_clear_pointer (&commit->snapshot, floe_envelope_free);
  g_clear_pointer (&commit->timestamp, floe_envelope_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Commit, commit_clear)

/* ROLE as it will be. */
static FloeEnvelope *
candidate (const Commit *commit, const char *role)
{
  GHashTable *table = g_hash_table_contains (commit->set, role) ? commit->repository->draft : commit->repository->force;

  return g_hash_table_lookup (table, role);
}

static gboolean
signed_by (const FloeEnvelope *delegator, const FloeEnvelope *envelope, const char *role)
{
  g_autoptr (FloeAuthority) authority = floe_authority_new (delegator, role, NULL);

  return authority != NULL && floe_authority_check (authority, envelope, role, NULL);
}

/* -- The set -------------------------------------------------------------------------------------------------------- */

/* ROLE as it will be has no right signature. What gives way is its draft, else its delegator's; FALSE with *error set when both are in
 * force: someone altered the repository. */
static gboolean
give_way (Commit *commit, const char *role, GError **error)
{
  return g_hash_table_remove (commit->set, role) || g_hash_table_remove (commit->set, floe_role_delegator (role)) ||
         floe_error_set (error, FLOE_ERROR_UNVERIFIED,
                         "%s in force is not signed by its keys: the repository was altered, nothing is signed", role);
}

static gboolean
root_is_right (const Commit *commit)
{
  FloeEnvelope *next = candidate (commit, "root"), *force = floe_repository_force (commit->repository, "root");

  return next == force || (signed_by (force, next, "root") && signed_by (next, next, "root"));
}

/* One pass over the roles; *SHRUNK when a draft had to give way and the rest is to be looked at again. */
static gboolean
shrink_once (Commit *commit, gboolean *shrunk, GError **error)
{
  FloeEnvelope *targets = candidate (commit, "targets");
  json_t *role;
  size_t i;

  *shrunk = TRUE;
  if (!root_is_right (commit))
    return g_hash_table_remove (commit->set, "root");
  if (targets != NULL && !signed_by (candidate (commit, "root"), targets, "targets"))
    return give_way (commit, "targets", error);
  json_array_foreach (json_object_get (json_object_get (targets == NULL ? NULL : floe_envelope_signed (targets), "delegations"),
                                       "roles"),
                      i, role) {
    const char *name = json_string_value (json_object_get (role, "name"));
    FloeEnvelope *envelope = candidate (commit, name);

    if (envelope != NULL && !signed_by (targets, envelope, name))
      return give_way (commit, name, error);
  }
  *shrunk = FALSE;
  return TRUE;
}

/* Drafts of roles that the targets to come do not know (their delegation waits in a draft that gave way). */
static gboolean
is_unknown (gpointer key, gpointer value, gpointer data)
{
  const Commit *commit = data;
  FloeEnvelope *delegator = candidate (commit, floe_role_delegator (key));

  (void) value;
  return delegator == NULL || floe_envelope_role (delegator, key) == NULL;
}

static gboolean
shrink (Commit *commit, GError **error)
{
  gboolean shrunk = TRUE;

  while (shrunk) {
    if (!shrink_once (commit, &shrunk, error))
      return FALSE;
    if (g_hash_table_foreach_remove (commit->set, is_unknown, commit) > 0)
      shrunk = TRUE;
  }
  return TRUE;
}

/* -- Snapshot and timestamp ----------------------------------------------------------------------------------------- */

static gint64
next_version (const Commit *commit, const char *role)
{
  FloeEnvelope *force = floe_repository_force (commit->repository, role);

  return force == NULL ? 1 : floe_envelope_version (force) + 1;
}

static gint64
days_of (const Commit *commit, const char *role)
{
  json_t *entry = floe_envelope_role (candidate (commit, "root"), role);
  gint64 days = json_integer_value (json_object_get (entry, "x-floe-days"));

  return days > 0 ? days : DEFAULT_DAYS;
}

static json_t *
describe (const FloeEnvelope *envelope)
{
  g_autoptr (GBytes) text = floe_envelope_bytes (envelope);
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeDigest digest;

  floe_digest_of (g_bytes_get_data (text, NULL), g_bytes_get_size (text), &digest);
  floe_digest_to_hex (&digest, hex);
  return json_pack ("{s:I, s:I, s:{s:s}}", "version", (json_int_t) floe_envelope_version (envelope), "length",
                    (json_int_t) g_bytes_get_size (text), "hashes", "sha256", hex);
}

/* META is taken over. */
static FloeEnvelope *
make_online (const Commit *commit, const char *role, json_t *meta, gint64 now)
{
  g_autofree char *expires = floe_time_format (now + days_of (commit, role) * DAY);

  return floe_envelope_new (json_pack ("{s:s, s:s, s:I, s:s, s:o}", "_type", role, "spec_version", FLOE_SPEC_VERSION, "version",
                                       (json_int_t) next_version (commit, role), "expires", expires, "meta", meta));
}

/* Entries of roles that do not change stay as they are, also of roles no longer delegated to: a client takes a snapshot that lost
 * one for a rollback (TUF 5.5.5). */
static json_t *
snapshot_meta (const Commit *commit)
{
  FloeEnvelope *force = floe_repository_force (commit->repository, "snapshot");
  json_t *meta = force == NULL ? json_object () : json_deep_copy (json_object_get (floe_envelope_signed (force), "meta"));
  GHashTableIter iter;
  gpointer role;

  g_hash_table_iter_init (&iter, commit->set);
  while (g_hash_table_iter_next (&iter, &role, NULL)) {
    g_autofree char *file = g_strconcat (role, ".json", NULL);

    if (strcmp (role, "root") != 0)
      json_object_set_new (meta, file, describe (candidate (commit, role)));
  }
  return meta;
}

/* Signs *MADE for ROLE with the keys here; *ENOUGH tells whether the root to come is content with it. */
static gboolean
sign_online (const Commit *commit, const char *role, FloeEnvelope *made, gboolean *enough, GError **error)
{
  if (!floe_repository_add_signatures (commit->repository, role, made, NULL, error))
    return FALSE;
  *enough = *enough && signed_by (candidate (commit, "root"), made, role);
  return TRUE;
}

static gboolean
needs_new (const Commit *commit, const char *role)
{
  FloeEnvelope *force = floe_repository_force (commit->repository, role);

  return force == NULL || !signed_by (candidate (commit, "root"), force, role);
}

/* Makes what has to be new of snapshot and timestamp. *ENOUGH: the online keys are here, or are not needed. */
static gboolean
prepare_online (Commit *commit, gboolean renew, gint64 now, gboolean *enough, GError **error)
{
  FloeEnvelope *snapshot = floe_repository_force (commit->repository, "snapshot");
  guint roles = g_hash_table_size (commit->set) - (g_hash_table_contains (commit->set, "root") ? 1 : 0);

  *enough = TRUE;
  g_clear_pointer (&commit->snapshot, floe_envelope_free);
  g_clear_pointer (&commit->timestamp, floe_envelope_free);
  if (roles > 0 || needs_new (commit, "snapshot") ||
      (renew && floe_envelope_expires (snapshot) - now < days_of (commit, "snapshot") * DAY / 2)) {
    commit->snapshot = make_online (commit, "snapshot", snapshot_meta (commit), now);
    if (!sign_online (commit, "snapshot", commit->snapshot, enough, error))
      return FALSE;
  }
  if (commit->snapshot == NULL && !renew && !needs_new (commit, "timestamp"))
    return TRUE;
  if (commit->snapshot != NULL) {
    commit->timestamp = make_online (commit, "timestamp", json_pack ("{s:o}", "snapshot.json", describe (commit->snapshot)), now);
  } else {
    json_t *meta = json_object_get (floe_envelope_signed (floe_repository_force (commit->repository, "timestamp")), "meta");

    commit->timestamp = make_online (commit, "timestamp", json_deep_copy (meta), now);
  }
  return sign_online (commit, "timestamp", commit->timestamp, enough, error);
}

/* -- Writing -------------------------------------------------------------------------------------------------------- */

static gboolean
write_metadata (const Commit *commit, const char *role, const FloeEnvelope *envelope, GError **error)
{
  g_autofree char *file = strcmp (role, "timestamp") == 0
                            ? g_strdup ("timestamp.json")
                            : g_strdup_printf ("%" G_GINT64_FORMAT ".%s.json", floe_envelope_version (envelope), role);
  g_autoptr (GBytes) text = floe_envelope_bytes (envelope);
  gsize size;
  const void *data = g_bytes_get_data (text, &size);

  return floe_file_replace_at (commit->repository->metadata, file, data, size, 0644, error);
}

static gboolean
write_root (const Commit *commit, GError **error)
{
  return !g_hash_table_contains (commit->set, "root") || write_metadata (commit, "root", candidate (commit, "root"), error);
}

static gboolean
write_roles (const Commit *commit, GError **error)
{
  GHashTableIter iter;
  gpointer role;

  g_hash_table_iter_init (&iter, commit->set);
  while (g_hash_table_iter_next (&iter, &role, NULL))
    if (strcmp (role, "root") != 0 && !write_metadata (commit, role, candidate (commit, role), error))
      return FALSE;
  return commit->snapshot == NULL || write_metadata (commit, "snapshot", commit->snapshot, error);
}

/* Whether clients that still have the root in force will be content with everything to come. */
static gboolean
old_root_is_content (const Commit *commit)
{
  FloeEnvelope *root = floe_repository_force (commit->repository, "root");
  FloeEnvelope *targets = candidate (commit, "targets");

  return (commit->timestamp == NULL || signed_by (root, commit->timestamp, "timestamp")) &&
         (commit->snapshot == NULL || signed_by (root, commit->snapshot, "snapshot")) &&
         (targets == NULL || signed_by (root, targets, "targets"));
}

static gboolean
write_all (const Commit *commit, GError **error)
{
  gboolean root_last = old_root_is_content (commit);

  if (!write_roles (commit, error) || (!root_last && !write_root (commit, error)))
    return FALSE;
  if (commit->timestamp != NULL && !write_metadata (commit, "timestamp", commit->timestamp, error))
    return FALSE;
  return !root_last || write_root (commit, error);
}

/* Memory follows what is on disk; drafts that are in force now are of no more use. */
static gboolean
settle (Commit *commit, GError **error)
{
  FloeRepository *repository = commit->repository;
  g_autofree gpointer *roles = g_hash_table_get_keys_as_array (commit->set, NULL);
  gboolean ok = TRUE;

  if (commit->snapshot != NULL)
    g_hash_table_insert (repository->force, g_strdup ("snapshot"), g_steal_pointer (&commit->snapshot));
  if (commit->timestamp != NULL)
    g_hash_table_insert (repository->force, g_strdup ("timestamp"), g_steal_pointer (&commit->timestamp));
  g_hash_table_remove_all (commit->set);
  for (size_t i = 0; roles[i] != NULL; i++) {
    gpointer role = NULL, draft = NULL;
    g_autofree char *file = g_strconcat (roles[i], ".json", NULL);

    ok = floe_file_remove_at (repository->drafts, file, ok ? error : NULL) && ok;
    g_hash_table_remove (repository->stale, roles[i]);
    if (g_hash_table_steal_extended (repository->draft, roles[i], &role, &draft))
      g_hash_table_insert (repository->force, role, draft);
  }
  return ok;
}

/* -- Commit --------------------------------------------------------------------------------------------------------- */

/* Without the online keys a new root alone can still take force, if everything in force is content with it. */
static gboolean
only_root (Commit *commit, gint64 now, gboolean *enough, GError **error)
{
  GHashTableIter iter;
  gpointer role;

  g_hash_table_iter_init (&iter, commit->set);
  while (g_hash_table_iter_next (&iter, &role, NULL))
    if (strcmp (role, "root") != 0)
      g_hash_table_iter_remove (&iter);
  return shrink (commit, error) && prepare_online (commit, FALSE, now, enough, error);
}

gboolean
floe_repository_commit (FloeRepository *repository, gboolean renew, gint64 now, GError **error)
{
  g_auto (Commit) commit = { repository, g_hash_table_new (g_str_hash, g_str_equal), NULL, NULL };
  GHashTableIter iter;
  gpointer role;
  gboolean enough;

  g_hash_table_iter_init (&iter, repository->draft);
  while (g_hash_table_iter_next (&iter, &role, NULL))
    g_hash_table_add (commit.set, role);
  if (!shrink (&commit, error) || !prepare_online (&commit, renew, now, &enough, error))
    return FALSE;
  if (!enough && renew)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the keys of timestamp and snapshot are not here (with --keys)");
  if (!enough && !only_root (&commit, now, &enough, error))
    return FALSE;
  if (!enough)
    return TRUE; /* signed drafts wait for a refresh where the online keys are */
  return write_all (&commit, error) && settle (&commit, error);
}
