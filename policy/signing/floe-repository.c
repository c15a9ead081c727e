/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-repository-private.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_TRIES 100
#define LOCK_PAUSE_US 100000
#define ROOTS_MAX 100000
#define DEFAULT_DAYS 90
#define DAY 86400

/* -- Lookup --------------------------------------------------------------------------------------------------------- */

const char *
floe_role_delegator (const char *role)
{
  return strcmp (role, "root") == 0 || strcmp (role, "targets") == 0 || floe_role_is_online (role) ? "root" : "targets";
}

gboolean
floe_role_is_online (const char *role)
{
  return strcmp (role, "timestamp") == 0 || strcmp (role, "snapshot") == 0;
}

FloeEnvelope *
floe_repository_force (FloeRepository *repository, const char *role)
{
  return g_hash_table_lookup (repository->force, role);
}

FloeEnvelope *
floe_repository_newest (FloeRepository *repository, const char *role)
{
  FloeEnvelope *draft = g_hash_table_lookup (repository->draft, role);

  return draft != NULL ? draft : floe_repository_force (repository, role);
}

json_t *
floe_repository_view (FloeRepository *repository, const char *role)
{
  json_t *edit = g_hash_table_lookup (repository->edit, role);
  FloeEnvelope *newest = floe_repository_newest (repository, role);

  return edit != NULL ? edit : newest != NULL ? floe_envelope_signed (newest) : NULL;
}

char **
floe_repository_roles (FloeRepository *repository)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  json_t *targets = floe_repository_view (repository, "targets");
  json_t *role;
  size_t i;

  g_ptr_array_add (names, g_strdup ("targets"));
  json_array_foreach (json_object_get (json_object_get (targets, "delegations"), "roles"), i, role)
    g_ptr_array_add (names, g_strdup (json_string_value (json_object_get (role, "name"))));
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}

/* -- Loading -------------------------------------------------------------------------------------------------------- */

static FloeEnvelope *
read_envelope (int dir, const char *file, const char *role, GError **error)
{
  g_autoptr (GBytes) text = floe_file_read_at (dir, file, FLOE_ENVELOPE_MAX, error);

  return text == NULL ? NULL : floe_envelope_parse (text, file, role, error);
}

static FloeEnvelope *
read_version (FloeRepository *repository, const char *role, gint64 version, GError **error)
{
  g_autofree char *file = g_strdup_printf ("%" G_GINT64_FORMAT ".%s.json", version, role);
  g_autoptr (FloeEnvelope) envelope = read_envelope (repository->metadata, file, role, error);

  if (envelope == NULL)
    return NULL;
  if (floe_envelope_version (envelope) != version) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s says it is version %" G_GINT64_FORMAT, file,
                    floe_envelope_version (envelope));
    return NULL;
  }
  return g_steal_pointer (&envelope);
}

static gboolean
check_by (const FloeEnvelope *delegator, const FloeEnvelope *envelope, const char *role, GError **error)
{
  g_autoptr (FloeAuthority) authority = floe_authority_new (delegator, role, error);

  return authority != NULL && floe_authority_check (authority, envelope, role, error);
}

/* The root to begin with: KEYS/root.json, kept since init or since this machine first saw the repository. */
static FloeEnvelope *
read_anchor (FloeRepository *repository, GError **error)
{
  g_autoptr (GError) missing = NULL;
  FloeEnvelope *anchor = NULL;

  if (repository->keys >= 0) {
    anchor = read_envelope (repository->keys, "root.json", "root", &missing);
    if (anchor != NULL || !g_error_matches (missing, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
      if (anchor == NULL)
        g_propagate_error (error, g_steal_pointer (&missing));
      return anchor;
    }
  }
  return read_version (repository, "root", 1, error);
}

/* Walks N.root.json up from the anchor, each signed as the one before and itself want it. CHAIN gets all of them, oldest first. */
static gboolean
load_roots (FloeRepository *repository, GPtrArray *chain, GError **error)
{
  FloeEnvelope *root = read_anchor (repository, error);

  if (root == NULL)
    return FALSE;
  g_ptr_array_add (chain, root);
  if (!check_by (root, root, "root", error))
    return FALSE;
  while (chain->len < ROOTS_MAX) {
    g_autoptr (GError) missing = NULL;
    FloeEnvelope *next = read_version (repository, "root", floe_envelope_version (root) + 1, &missing);

    if (next == NULL) {
      if (g_error_matches (missing, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
        return TRUE;
      g_propagate_error (error, g_steal_pointer (&missing));
      return FALSE;
    }
    g_ptr_array_add (chain, next);
    if (!check_by (root, next, "root", error) || !check_by (next, next, "root", error))
      return FALSE;
    root = next;
  }
  return floe_error_set (error, FLOE_ERROR_LIMIT, "more than %d versions of root", ROOTS_MAX);
}

/* Timestamp and snapshot give nothing but version numbers here, and may still be those of the root before if power was cut in
 * between: any root of the chain vouches for that. */
static gboolean
check_online (GPtrArray *chain, const FloeEnvelope *envelope, const char *role, GError **error)
{
  for (guint i = chain->len; i-- > 1;)
    if (check_by (g_ptr_array_index (chain, i), envelope, role, NULL))
      return TRUE;
  return check_by (g_ptr_array_index (chain, 0), envelope, role, error);
}

static gint64
meta_version (const FloeEnvelope *lister, const char *role)
{
  g_autofree char *file = g_strconcat (role, ".json", NULL);
  json_t *entry = json_object_get (json_object_get (floe_envelope_signed (lister), "meta"), file);

  return json_integer_value (json_object_get (entry, "version"));
}

static gboolean
load_online (FloeRepository *repository, GPtrArray *chain, GError **error)
{
  g_autoptr (FloeEnvelope) timestamp = read_envelope (repository->metadata, "timestamp.json", "timestamp", error);
  g_autoptr (FloeEnvelope) snapshot = NULL;

  if (timestamp == NULL || !check_online (chain, timestamp, "timestamp", error))
    return FALSE;
  snapshot = read_version (repository, "snapshot", meta_version (timestamp, "snapshot"), error);
  if (snapshot == NULL || !check_online (chain, snapshot, "snapshot", error))
    return FALSE;
  g_hash_table_insert (repository->force, g_strdup ("timestamp"), g_steal_pointer (&timestamp));
  g_hash_table_insert (repository->force, g_strdup ("snapshot"), g_steal_pointer (&snapshot));
  return TRUE;
}

static gboolean
load_role (FloeRepository *repository, const char *role, GError **error)
{
  gint64 version = meta_version (floe_repository_force (repository, "snapshot"), role);
  FloeEnvelope *envelope;

  if (version == 0)
    return TRUE; /* delegated to, but nothing published yet */
  envelope = read_version (repository, role, version, error);
  if (envelope == NULL)
    return FALSE;
  g_hash_table_insert (repository->force, g_strdup (role), envelope);
  if (!check_by (floe_repository_force (repository, floe_role_delegator (role)), envelope, role, NULL))
    g_hash_table_add (repository->stale, g_strdup (role));
  return TRUE;
}

static gboolean
load_force (FloeRepository *repository, GError **error)
{
  g_autoptr (GPtrArray) chain = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_envelope_free);
  g_auto (GStrv) roles = NULL;

  if (!load_roots (repository, chain, error) || !load_online (repository, chain, error))
    return FALSE;
  g_hash_table_insert (repository->force, g_strdup ("root"), g_ptr_array_steal_index (chain, chain->len - 1));
  if (!load_role (repository, "targets", error))
    return FALSE;
  roles = floe_repository_roles (repository);
  for (size_t i = 1; roles[i] != NULL; i++)
    if (!load_role (repository, roles[i], error))
      return FALSE;
  return TRUE;
}

static gboolean
load_draft (FloeRepository *repository, const char *role, GError **error)
{
  g_autofree char *file = g_strconcat (role, ".json", NULL);
  g_autoptr (GError) missing = NULL;
  g_autoptr (FloeEnvelope) draft = NULL;
  FloeEnvelope *force = floe_repository_force (repository, role);
  gint64 wanted = force == NULL ? 1 : floe_envelope_version (force) + 1;

  if (repository->drafts < 0)
    return TRUE;
  draft = read_envelope (repository->drafts, file, role, &missing);
  if (draft == NULL) {
    if (g_error_matches (missing, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
      return TRUE;
    g_propagate_prefixed_error (error, g_steal_pointer (&missing), "drafts/");
    return FALSE;
  }
  if (floe_envelope_version (draft) < wanted)
    return !repository->writable || floe_file_remove_at (repository->drafts, file, error); /* already in force; power was cut */
  if (floe_envelope_version (draft) > wanted)
    return floe_error_set (error, FLOE_ERROR_INVALID, "drafts/%s is version %" G_GINT64_FORMAT ", the next is %" G_GINT64_FORMAT
                           ": remove it", file, floe_envelope_version (draft), wanted);
  g_hash_table_insert (repository->draft, g_strdup (role), g_steal_pointer (&draft));
  return TRUE;
}

static gboolean
load_drafts (FloeRepository *repository, GError **error)
{
  g_auto (GStrv) roles = NULL;

  if (!load_draft (repository, "root", error) || !load_draft (repository, "targets", error))
    return FALSE;
  /* The draft of targets may name roles that are not in force yet. */
  roles = floe_repository_roles (repository);
  for (size_t i = 1; roles[i] != NULL; i++)
    if (!load_draft (repository, roles[i], error))
      return FALSE;
  return TRUE;
}

/* -- Opening -------------------------------------------------------------------------------------------------------- */

static gboolean
take_lock (FloeRepository *repository, GError **error)
{
  for (int i = 0; i < LOCK_TRIES; i++) {
    if (flock (repository->lock, LOCK_EX | LOCK_NB) == 0)
      return TRUE;
    if (errno != EWOULDBLOCK && errno != EINTR)
      return floe_error_set_errno (error, errno, "lock %s", repository->path);
    g_usleep (LOCK_PAUSE_US);
  }
  return floe_error_set (error, FLOE_ERROR_BUSY, "%s: another program is writing this repository", repository->path);
}

static int
open_below (int dir, const char *name, gboolean make, GError **error)
{
  int fd;

  if (make)
    return floe_dir_make_at (dir, name, 0755, error);
  fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    floe_error_set_errno (error, errno, "open directory %s", name);
  return fd;
}

gboolean
floe_repository_open_directories (FloeRepository *repository, const char *keys_dir, GError **error)
{
  floe_autofd dir = floe_dir_open (repository->path, error);

  if (dir < 0)
    return FALSE;
  repository->writable = keys_dir != NULL;
  repository->metadata = open_below (dir, "metadata", FALSE, NULL);
  if (repository->metadata < 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: no repository here; `floe-policy init` makes one", repository->path);
  repository->lock = floe_fd_steal (&dir);
  if (keys_dir != NULL) {
    repository->keys = floe_dir_open (keys_dir, error);
    if (repository->keys < 0 || !take_lock (repository, error))
      return FALSE;
  }
  repository->targets = open_below (repository->lock, "targets", repository->writable, error);
  if (repository->targets < 0)
    return FALSE;
  /* Only signers need drafts/; a copy that is only read may come without. */
  repository->drafts = open_below (repository->lock, "drafts", repository->writable, repository->writable ? error : NULL);
  return repository->drafts >= 0 || !repository->writable;
}

/* What is trusted here follows root's rotations, so that keys given up long ago cannot fork the chain. A keys directory that
 * cannot be written (a read-only medium) keeps its older anchor, which still vouches for the same chain. */
static void
keep_anchor (FloeRepository *repository)
{
  g_autoptr (GBytes) text = floe_envelope_bytes (floe_repository_force (repository, "root"));
  g_autoptr (GBytes) kept = floe_file_read_at (repository->keys, "root.json", FLOE_ENVELOPE_MAX, NULL);
  g_autoptr (GError) error = NULL;
  gsize size;
  const void *data = g_bytes_get_data (text, &size);

  if (kept != NULL && g_bytes_equal (kept, text))
    return;
  if (!floe_file_replace_at (repository->keys, "root.json", data, size, 0644, &error))
    floe_debug ("trusted root not kept", "REASON", error->message);
}

FloeRepository *
floe_repository_new (const char *repo_dir, FloePassphrase *passphrase)
{
  FloeRepository *repository = g_new0 (FloeRepository, 1);

  repository->metadata = repository->targets = repository->drafts = repository->keys = repository->lock = -1;
  repository->path = g_strdup (repo_dir);
  repository->passphrase = passphrase;
  repository->signers = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_signer_free);
  repository->force = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) floe_envelope_free);
  repository->draft = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) floe_envelope_free);
  repository->edit = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) json_decref);
  repository->stale = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return repository;
}

FloeRepository *
floe_repository_open (const char *repo_dir, const char *keys_dir, FloePassphrase *passphrase, GError **error)
{
  g_autoptr (FloeRepository) repository = floe_repository_new (repo_dir, passphrase);

  if (!floe_repository_open_directories (repository, keys_dir, error))
    return NULL;
  if (repository->keys >= 0) {
    g_clear_pointer (&repository->signers, g_ptr_array_unref);
    repository->signers = floe_signer_list (repository->keys, error);
  }
  if (repository->signers == NULL || !load_force (repository, error) || !load_drafts (repository, error)) {
    g_prefix_error (error, "%s: ", repo_dir);
    return NULL;
  }
  if (repository->keys >= 0)
    keep_anchor (repository);
  return g_steal_pointer (&repository);
}

void
floe_repository_free (FloeRepository *repository)
{
  if (repository == NULL)
    return;
  g_clear_pointer (&repository->signers, g_ptr_array_unref);
  g_clear_pointer (&repository->force, g_hash_table_unref);
  g_clear_pointer (&repository->draft, g_hash_table_unref);
  g_clear_pointer (&repository->edit, g_hash_table_unref);
  g_clear_pointer (&repository->stale, g_hash_table_unref);
  floe_fd_clear (&repository->metadata);
  floe_fd_clear (&repository->targets);
  floe_fd_clear (&repository->drafts);
  floe_fd_clear (&repository->keys);
  floe_fd_clear (&repository->lock);
  g_free (repository->path);
  g_free (repository);
}

void
floe_repository_forget_keys (FloeRepository *repository)
{
  for (guint i = 0; i < repository->signers->len; i++)
    floe_signer_forget (g_ptr_array_index (repository->signers, i));
}

/* -- Drafts --------------------------------------------------------------------------------------------------------- */

/* Whether a private key of that id is here. */
static gboolean
is_here (FloeRepository *repository, const char *keyid)
{
  for (guint i = 0; i < repository->signers->len; i++) {
    FloeSigner *signer = g_ptr_array_index (repository->signers, i);

    if (floe_signer_can_sign (signer) && strcmp (floe_signer_keyid (signer), keyid) == 0)
      return TRUE;
  }
  return FALSE;
}

/* Whether one of the keys here has signed the draft: then its content is known to whoever holds them. */
static gboolean
signed_here (FloeRepository *repository, const char *role, const FloeEnvelope *draft)
{
  const char *delegator = floe_role_delegator (role);
  FloeEnvelope *authorities[] = { floe_repository_newest (repository, delegator),
                                  floe_repository_force (repository, delegator) };

  for (size_t i = 0; i < G_N_ELEMENTS (authorities); i++) {
    g_autoptr (FloeAuthority) authority = authorities[i] == NULL ? NULL : floe_authority_new (authorities[i], role, NULL);
    g_autoptr (GPtrArray) ids = authority == NULL ? NULL : floe_authority_signers (authority, draft, NULL);

    for (guint j = 0; ids != NULL && j < ids->len; j++)
      if (is_here (repository, g_ptr_array_index (ids, j)))
        return TRUE;
  }
  return FALSE;
}

/* An empty role of targets, for one that is delegated to and has published nothing. */
static json_t *
empty_targets (void)
{
  return json_pack ("{s:s, s:s, s:i, s:s, s:{}}", "_type", "targets", "spec_version", FLOE_SPEC_VERSION, "version", 0, "expires",
                    "1970-01-01T00:00:00Z", "targets");
}

json_t *
floe_repository_edit (FloeRepository *repository, const char *role, GError **error)
{
  json_t *edit = g_hash_table_lookup (repository->edit, role);
  FloeEnvelope *draft = g_hash_table_lookup (repository->draft, role);
  FloeEnvelope *force = floe_repository_force (repository, role);
  json_t *delegator = floe_repository_view (repository, floe_role_delegator (role));

  if (edit != NULL)
    return edit;
  if (!repository->writable || floe_role_is_online (role) || floe_signed_role (delegator, role) == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "there is no role '%s' to be signed by hand here", role);
    return NULL;
  }
  if (draft != NULL && !signed_here (repository, role, draft)) {
    floe_error_set (error, FLOE_ERROR_BUSY,
                    "a draft of %s that no key here has signed waits: look at it with `floe-policy status`, then "
                    "`floe-policy sign %s` or `floe-policy discard %s`",
                    role, role, role);
    return NULL;
  }
  if (draft == NULL && g_hash_table_contains (repository->stale, role)) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s in force is not signed by its keys: nothing is built upon it", role);
    return NULL;
  }
  edit = draft != NULL   ? json_deep_copy (floe_envelope_signed (draft))
         : force != NULL ? json_deep_copy (floe_envelope_signed (force))
                         : empty_targets ();
  json_object_set_new (edit, "version", json_integer (force == NULL ? 1 : floe_envelope_version (force) + 1));
  g_hash_table_insert (repository->edit, g_strdup (role), edit);
  return edit;
}

gboolean
floe_repository_add_signatures (FloeRepository *repository, const char *role, FloeEnvelope *envelope, guint *added,
                                GError **error)
{
  const char *delegator = floe_role_delegator (role);
  FloeEnvelope *roots[] = { floe_repository_force (repository, delegator), floe_repository_newest (repository, delegator),
                            strcmp (role, "root") == 0 ? envelope : NULL };
  g_autoptr (GPtrArray) authorities = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_authority_free);
  guint count = 0;

  for (size_t i = 0; i < G_N_ELEMENTS (roots); i++)
    if (roots[i] != NULL && floe_envelope_role (roots[i], role) != NULL) {
      FloeAuthority *authority = floe_authority_new (roots[i], role, error);

      if (authority == NULL)
        return FALSE;
      g_ptr_array_add (authorities, authority);
    }
  for (guint i = 0; i < repository->signers->len; i++) {
    FloeSigner *signer = g_ptr_array_index (repository->signers, i);
    gboolean may = FALSE;

    for (guint j = 0; j < authorities->len && !may; j++)
      may = floe_authority_has (g_ptr_array_index (authorities, j), floe_signer_keyid (signer));
    if (!may || !floe_signer_can_sign (signer))
      continue;
    if (!floe_envelope_sign (envelope, signer, repository->passphrase, error))
      return FALSE;
    count++;
  }
  if (added != NULL)
    *added = count;
  return TRUE;
}

gboolean
floe_repository_write_draft (FloeRepository *repository, const char *role, GError **error)
{
  g_autofree char *file = g_strconcat (role, ".json", NULL);
  g_autoptr (GBytes) text = floe_envelope_bytes (g_hash_table_lookup (repository->draft, role));
  gsize size;
  const void *data = g_bytes_get_data (text, &size);

  return floe_file_replace_at (repository->drafts, file, data, size, 0644, error);
}

gboolean
floe_repository_stage (FloeRepository *repository, const char *role, gint64 now, GError **error)
{
  json_t *edit = g_hash_table_lookup (repository->edit, role);
  json_t *entry = floe_signed_role (floe_repository_view (repository, floe_role_delegator (role)), role);
  gint64 days = json_integer_value (json_object_get (entry, "x-floe-days"));
  g_autofree char *expires = floe_time_format (now + (days > 0 ? days : DEFAULT_DAYS) * DAY);
  FloeEnvelope *envelope;

  if (edit == NULL)
    return TRUE;
  json_object_set_new (edit, "expires", json_string (expires));
  envelope = floe_envelope_new (json_incref (edit));
  g_hash_table_remove (repository->edit, role);
  g_hash_table_insert (repository->draft, g_strdup (role), envelope);
  return floe_repository_add_signatures (repository, role, envelope, NULL, error) &&
         floe_repository_write_draft (repository, role, error);
}

gboolean
floe_repository_discard (FloeRepository *repository, const char *role, GError **error)
{
  g_autofree char *file = g_strconcat (role, ".json", NULL);

  g_hash_table_remove (repository->edit, role);
  if (!g_hash_table_remove (repository->draft, role))
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "there is no draft of %s", role);
  return floe_file_remove_at (repository->drafts, file, error);
}

gboolean
floe_repository_publish (FloeRepository *repository, const char *role, gint64 now, gboolean *in_force, GError **error)
{
  gboolean ok = floe_repository_stage (repository, role, now, error) &&
                (!g_hash_table_contains (repository->draft, role) || floe_repository_commit (repository, FALSE, now, error));

  floe_repository_forget_keys (repository);
  if (ok && in_force != NULL)
    *in_force = !g_hash_table_contains (repository->draft, role);
  return ok;
}
