/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-log.h"
#include "policy/trust/floe-receive.h"
#include "policy/trust/floe-trust-private.h"

#include <string.h>

/* Theory of operation: the steps are the specification's, in its order, and bear its numbers. A file is stored at the step where it
 * becomes trusted and nowhere else, each by one atomic replacement, so that a stop at any point leaves a state that an
 * uninterrupted refresh also passes through. Local files serve twice: as what new ones are compared with (rollback), and in place
 * of a download when they are what the repository names. They count only if today's keys signed them: after a key was
 * replaced, what the old one signed is forgotten, which is how a repository recovers from a fast-forward attack. */

#define MAX_ROOTS 1024 /* Y of 5.3.3, a refresh */
#define ROOT_MAX (512u << 10)
#define TIMESTAMP_MAX (64u << 10)
#define SNAPSHOT_MAX (8u << 20)

static const FloeExpected anything = { .length = -1 };

/* -- Judging one file ------------------------------------------------------------------------------------------------ */

FloeMetadata *
floe_trust_judge (GBytes *raw, const char *source, const FloeRole *role, FloeRoleType type, GError **error)
{
  g_autoptr (FloeMetadata) metadata = floe_metadata_open (raw, source, error);

  if (metadata == NULL || !floe_metadata_verify (metadata, role, error) || !floe_metadata_parse (metadata, type, error))
    return NULL;
  return g_steal_pointer (&metadata);
}

/* Root metadata that its own keys signed. */
static FloeMetadata *
judge_root (GBytes *raw, const char *source, GError **error)
{
  g_autoptr (FloeMetadata) root = floe_metadata_open (raw, source, error);

  if (root == NULL || !floe_metadata_parse (root, FLOE_ROLE_ROOT, error)
      || !floe_metadata_verify (root, root->roles[FLOE_ROLE_ROOT], error))
    return NULL;
  return g_steal_pointer (&root);
}

gboolean
floe_trust_check_fresh (FloeTrust *trust, FloeMetadata *metadata, GError **error)
{
  g_autoptr (GDateTime) expires = NULL, now = NULL;
  g_autofree char *then = NULL, *today = NULL;

  if (trust->resumed || metadata->expires > trust->now)
    return TRUE;
  expires = g_date_time_new_from_unix_utc (metadata->expires);
  now = g_date_time_new_from_unix_utc (trust->now);
  then = g_date_time_format (expires, "%Y-%m-%dT%H:%M:%SZ");
  today = now != NULL ? g_date_time_format (now, "%Y-%m-%dT%H:%M:%SZ") : NULL;
  return floe_error_set (error, FLOE_ERROR_EXPIRED,
                         "%s: version %" G_GINT64_FORMAT " expired on %s and it is %s. If that is the right time, either someone "
                         "withholds newer metadata or it has to be signed again",
                         metadata->source, metadata->version, then, today != NULL ? today : "no known date");
}

FloeMetadata *
floe_trust_local (FloeTrust *trust, const FloeRole *role, FloeRoleType type)
{
  g_autoptr (GError) why = NULL;
  g_autofree char *source = g_strdup_printf ("trusted %s.json", role->name);
  g_autoptr (GBytes) raw = floe_state_load (trust->state, role->name, &why);
  FloeMetadata *metadata = raw != NULL ? floe_trust_judge (raw, source, role, type, &why) : NULL;

  if (metadata == NULL)
    floe_debug ("local metadata not used", "ROLE", role->name, "REASON", why->message);
  return metadata;
}

static gboolean
is_named (FloeTrust *trust, FloeMetadata *local, const FloeMetaFile *file)
{
  return local->version == file->version && floe_expected_check (&file->expected, local->raw, local->source, NULL)
         && floe_trust_check_fresh (trust, local, NULL);
}

static char *
metadata_path (FloeTrust *trust, const char *role, gint64 version)
{
  g_autofree char *encoded = floe_percent_encode (role, "");

  if (trust->root->consistent)
    return g_strdup_printf ("metadata/%" G_GINT64_FORMAT ".%s.json", version, encoded);
  return g_strdup_printf ("metadata/%s.json", encoded);
}

FloeMetadata *
floe_trust_obtain (FloeTrust *trust, const FloeRole *role, FloeRoleType type, const FloeMetaFile *file, guint64 max,
                   gboolean *fetched, GCancellable *cancellable, GError **error)
{
  g_autoptr (FloeMetadata) metadata = floe_trust_local (trust, role, type);
  g_autofree char *path = metadata_path (trust, role->name, file->version);
  g_autoptr (GBytes) raw = NULL;

  *fetched = metadata == NULL || !is_named (trust, metadata, file);
  if (!*fetched)
    return g_steal_pointer (&metadata);
  g_clear_pointer (&metadata, floe_metadata_free);
  raw = floe_receive (trust->transport, path, &file->expected, file->expected.length >= 0 ? FLOE_METADATA_MAX_SIZE : max,
                      cancellable, error);
  if (raw == NULL)
    return NULL;
  metadata = floe_trust_judge (raw, path, role, type, error);
  if (metadata == NULL)
    return NULL;
  if (metadata->version != file->version) {
    floe_error_set (error, metadata->version < file->version ? FLOE_ERROR_ROLLBACK : FLOE_ERROR_UNVERIFIED,
                    "%s: version %" G_GINT64_FORMAT ", but version %" G_GINT64_FORMAT " is what was announced; the repository mixes "
                    "releases or someone else does",
                    path, metadata->version, file->version);
    return NULL;
  }
  return g_steal_pointer (&metadata);
}

/* -- 5.3: root ------------------------------------------------------------------------------------------------------- */

static gboolean
has_key (const FloeRole *role, FloeKey *key)
{
  for (guint i = 0; i < role->keys->len; i++)
    if (floe_key_equal (role->keys->pdata[i], key))
      return TRUE;
  return FALSE;
}

/* Whether a key that could sign for TYPE cannot any more: the sign of a recovery (5.3.11). A key added takes nothing back. */
static gboolean
lost_key (FloeMetadata *before, FloeMetadata *after, FloeRoleType type)
{
  const GPtrArray *keys = before->roles[type]->keys;

  for (guint i = 0; i < keys->len; i++)
    if (floe_key_is_usable (keys->pdata[i]) && !has_key (after->roles[type], keys->pdata[i]))
      return TRUE;
  return FALSE;
}

static gboolean
is_recovery (FloeMetadata *before, FloeMetadata *after)
{
  return lost_key (before, after, FLOE_ROLE_TIMESTAMP) || lost_key (before, after, FLOE_ROLE_SNAPSHOT);
}

/* 5.3.4 to 5.3.8. 5.3.11 is done here too: were it left until after the expiry check, a root that comes expired would make
 * it be forgotten. */
static gboolean
take_root (FloeTrust *trust, GBytes *raw, const char *path, GError **error)
{
  g_autoptr (FloeMetadata) next = floe_trust_judge (raw, path, trust->root->roles[FLOE_ROLE_ROOT], FLOE_ROLE_ROOT, error);

  if (next == NULL || !floe_metadata_verify (next, next->roles[FLOE_ROLE_ROOT], error))
    return FALSE;
  if (next->version != trust->root->version + 1)
    return floe_error_set (error, FLOE_ERROR_ROLLBACK,
                           "%s: version %" G_GINT64_FORMAT " after version %" G_GINT64_FORMAT "; each root must follow its predecessor",
                           path, next->version, trust->root->version);
  if (!floe_state_store_root (trust->state, raw, next->version, is_recovery (trust->root, next), error))
    return FALSE;
  floe_metadata_free (trust->root);
  trust->root = g_steal_pointer (&next);
  return TRUE;
}

static gboolean
update_root (FloeTrust *trust, GCancellable *cancellable, GError **error)
{
  for (int i = 0; i < MAX_ROOTS && trust->root->version < G_MAXINT64; i++) {
    g_autofree char *path = g_strdup_printf ("metadata/%" G_GINT64_FORMAT ".root.json", trust->root->version + 1);
    g_autoptr (GError) why = NULL;
    g_autoptr (GBytes) raw = floe_receive (trust->transport, path, &anything, ROOT_MAX, cancellable, &why);

    if (g_error_matches (why, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
      break;
    if (raw == NULL) {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
    if (!take_root (trust, raw, path, error))
      return FALSE;
  }
  return floe_trust_check_fresh (trust, trust->root, error);
}

/* -- 5.4: timestamp -------------------------------------------------------------------------------------------------- */

static gboolean
check_timestamp_rollback (FloeMetadata *trusted, FloeMetadata *next, GError **error)
{
  gint64 before = floe_metadata_file (trusted, "snapshot")->version, after = floe_metadata_file (next, "snapshot")->version;

  if (next->version < trusted->version)
    return floe_error_set (error, FLOE_ERROR_ROLLBACK,
                           "%s: version %" G_GINT64_FORMAT ", but version %" G_GINT64_FORMAT " was accepted before; someone serves an "
                           "old copy, or the repository was restored from a backup and has to be published again",
                           next->source, next->version, trusted->version);
  if (next->version > trusted->version && after < before)
    return floe_error_set (error, FLOE_ERROR_ROLLBACK,
                           "%s: names snapshot version %" G_GINT64_FORMAT " after version %" G_GINT64_FORMAT, next->source, after, before);
  return TRUE;
}

static gboolean
update_timestamp (FloeTrust *trust, GCancellable *cancellable, GError **error)
{
  const FloeRole *role = trust->root->roles[FLOE_ROLE_TIMESTAMP];
  g_autoptr (FloeMetadata) trusted = floe_trust_local (trust, role, FLOE_ROLE_TIMESTAMP);
  g_autoptr (GBytes) raw = floe_receive (trust->transport, "metadata/timestamp.json", &anything, TIMESTAMP_MAX, cancellable, error);
  g_autoptr (FloeMetadata) next = NULL;

  if (raw == NULL)
    return FALSE;
  next = floe_trust_judge (raw, "metadata/timestamp.json", role, FLOE_ROLE_TIMESTAMP, error);
  if (next == NULL || (trusted != NULL && !check_timestamp_rollback (trusted, next, error)))
    return FALSE;
  /* The same version again is discarded, whatever is in it: nothing has changed (5.4.3.1). */
  if (trusted != NULL && next->version == trusted->version) {
    if (!floe_trust_check_fresh (trust, trusted, error))
      return FALSE;
    trust->timestamp = g_steal_pointer (&trusted);
    return TRUE;
  }
  if (!floe_trust_check_fresh (trust, next, error) || !floe_state_store (trust->state, "timestamp", raw, error))
    return FALSE;
  trust->timestamp = g_steal_pointer (&next);
  return TRUE;
}

/* -- 5.5: snapshot --------------------------------------------------------------------------------------------------- */

static gboolean
check_snapshot_rollback (FloeMetadata *trusted, FloeMetadata *next, GError **error)
{
  GHashTableIter iter;
  gpointer role, file;

  g_hash_table_iter_init (&iter, trusted->files);
  while (g_hash_table_iter_next (&iter, &role, &file)) {
    const FloeMetaFile *before = file, *after = floe_metadata_file (next, role);

    if (after == NULL)
      return floe_error_set (error, FLOE_ERROR_ROLLBACK,
                             "%s: role %s, which version %" G_GINT64_FORMAT " listed, is gone; roles stay listed",
                             next->source, (const char *) role, trusted->version);
    if (after->version < before->version)
      return floe_error_set (error, FLOE_ERROR_ROLLBACK,
                             "%s: names role %s at version %" G_GINT64_FORMAT " after version %" G_GINT64_FORMAT
                             "; publish that role again with a higher version",
                             next->source, (const char *) role, after->version, before->version);
  }
  return TRUE;
}

static gboolean
update_snapshot (FloeTrust *trust, GCancellable *cancellable, GError **error)
{
  const FloeRole *role = trust->root->roles[FLOE_ROLE_SNAPSHOT];
  gboolean fetched;
  g_autoptr (FloeMetadata) next = floe_trust_obtain (trust, role, FLOE_ROLE_SNAPSHOT, floe_metadata_file (trust->timestamp, "snapshot"),
                                                     SNAPSHOT_MAX, &fetched, cancellable, error);
  g_autoptr (FloeMetadata) trusted = fetched ? floe_trust_local (trust, role, FLOE_ROLE_SNAPSHOT) : NULL;

  if (next == NULL || (trusted != NULL && !check_snapshot_rollback (trusted, next, error))
      || !floe_trust_check_fresh (trust, next, error))
    return FALSE;
  if (fetched && !floe_state_store (trust->state, "snapshot", next->raw, error))
    return FALSE;
  trust->snapshot = g_steal_pointer (&next);
  return TRUE;
}

/* -- 5.6: targets, as far as it needs no target ------------------------------------------------------------------------ */

static gboolean
update_targets (FloeTrust *trust, GCancellable *cancellable, GError **error)
{
  const FloeMetaFile *file = floe_metadata_file (trust->snapshot, "targets");
  g_autoptr (FloeMetadata) next = NULL;
  gboolean fetched;

  if (file == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: role targets is not listed", trust->snapshot->source);
  next = floe_trust_obtain (trust, trust->root->roles[FLOE_ROLE_TARGETS], FLOE_ROLE_TARGETS, file, FLOE_TRUST_TARGETS_MAX, &fetched,
                            cancellable, error);
  if (next == NULL || !floe_trust_check_fresh (trust, next, error)
      || (fetched && !floe_state_store (trust->state, "targets", next->raw, error)))
    return FALSE;
  trust->targets = g_steal_pointer (&next);
  return TRUE;
}

/* -- Public ---------------------------------------------------------------------------------------------------------- */

static void
forget (FloeTrust *trust)
{
  g_clear_pointer (&trust->timestamp, floe_metadata_free);
  g_clear_pointer (&trust->snapshot, floe_metadata_free);
  g_clear_pointer (&trust->targets, floe_metadata_free);
  g_hash_table_remove_all (trust->delegated);
}

gboolean
floe_trust_refresh (FloeTrust *trust, gint64 now, GCancellable *cancellable, GError **error)
{
  forget (trust);
  trust->now = now;
  trust->resumed = FALSE;
  return update_root (trust, cancellable, error) && update_timestamp (trust, cancellable, error)
         && update_snapshot (trust, cancellable, error) && update_targets (trust, cancellable, error);
}

gboolean
floe_trust_resume (FloeTrust *trust, GError **error)
{
  const FloeMetaFile *file;

  forget (trust);
  trust->resumed = TRUE;
  trust->timestamp = floe_trust_local (trust, trust->root->roles[FLOE_ROLE_TIMESTAMP], FLOE_ROLE_TIMESTAMP);
  trust->snapshot = floe_trust_local (trust, trust->root->roles[FLOE_ROLE_SNAPSHOT], FLOE_ROLE_SNAPSHOT);
  trust->targets = floe_trust_local (trust, trust->root->roles[FLOE_ROLE_TARGETS], FLOE_ROLE_TARGETS);
  file = trust->snapshot != NULL ? floe_metadata_file (trust->snapshot, "targets") : NULL;
  /* Targets may be behind the snapshot, when a refresh ended between the two: they are what was in force. Never ahead. */
  if (file != NULL && trust->targets != NULL && trust->targets->version <= file->version)
    return TRUE;
  forget (trust);
  return floe_error_set (error, FLOE_ERROR_NOT_FOUND,
                         "nothing was accepted under the keys of root version %" G_GINT64_FORMAT " yet; the repository has to be reached once",
                         trust->root->version);
}

/* Reads the state's root, NULL with *error unset when there is none, and ends what an interrupted recovery left. */
static FloeMetadata *
load_root (FloeState *state, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (GBytes) raw = floe_state_load (state, "root", &why);
  g_autoptr (FloeMetadata) root = NULL;

  if (raw == NULL && !g_error_matches (why, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&why));
    return NULL;
  }
  if (raw != NULL && (root = judge_root (raw, "trusted root.json", error)) == NULL)
    return NULL;
  if (!floe_state_settle (state, root != NULL ? root->version : 0, error))
    return NULL;
  return g_steal_pointer (&root);
}

gboolean
floe_trust_init (int state_dir, GBytes *root, GError **error)
{
  g_autoptr (FloeState) state = floe_state_open (state_dir, error);
  g_autoptr (FloeMetadata) given = state != NULL ? judge_root (root, "initial root", error) : NULL;
  g_autoptr (FloeMetadata) trusted = NULL;
  g_autoptr (GError) why = NULL;

  if (given == NULL)
    return FALSE;
  trusted = load_root (state, &why);
  if (trusted != NULL && trusted->version >= given->version)
    return TRUE;
  /* A root that no longer verifies is no root: whoever could damage it could have removed it as well. */
  if (why != NULL && (why->code == FLOE_ERROR_IO || why->code == FLOE_ERROR_NO_SPACE)) {
    g_propagate_error (error, g_steal_pointer (&why));
    return FALSE;
  }
  return floe_state_store_root (state, root, given->version, trusted != NULL && is_recovery (trusted, given), error);
}

FloeTrust *
floe_trust_open (int state_dir, FloeTrustTransport *transport, GError **error)
{
  g_autoptr (FloeTrust) trust = g_new0 (FloeTrust, 1);
  g_autoptr (GError) why = NULL;

  trust->transport = transport;
  trust->delegated = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) floe_metadata_free);
  trust->state = floe_state_open (state_dir, error);
  if (trust->state == NULL)
    return NULL;
  trust->root = load_root (trust->state, &why);
  if (trust->root != NULL)
    return g_steal_pointer (&trust);
  if (why != NULL)
    g_propagate_error (error, g_steal_pointer (&why));
  else
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no root metadata is trusted yet; initialize with the root that came with the system");
  return NULL;
}

void
floe_trust_free (FloeTrust *trust)
{
  if (trust == NULL)
    return;
  if (trust->delegated != NULL)
    forget (trust);
  g_clear_pointer (&trust->delegated, g_hash_table_unref);
  g_clear_pointer (&trust->root, floe_metadata_free);
  g_clear_pointer (&trust->state, floe_state_free);
  g_free (trust);
}

gboolean
floe_trust_role (FloeTrust *trust, const char *role, gint64 *version, gint64 *expires)
{
  FloeMetadata *const top[FLOE_N_ROLES] = { trust->root, trust->timestamp, trust->snapshot, trust->targets };
  FloeMetadata *found = g_hash_table_lookup (trust->delegated, role);

  for (size_t i = 0; i < FLOE_N_ROLES; i++)
    if (strcmp (role, floe_role_type_name (i)) == 0)
      found = top[i];
  if (found == NULL)
    return FALSE;
  *version = found->version;
  *expires = found->expires;
  return TRUE;
}
