/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A repository's first version: roles, their keys, and the four pieces of metadata that a client begins with. */
#include "policy/signing/floe-roles.h"

#include "common/floe-fd.h"
#include "policy/signing/floe-repository-private.h"
#include "policy/trust/floe-key.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DAY 86400
#define DAYS_MAX 3650

static const struct {
  const char *role, *key, *path; /* path: what targets delegates to the role, NULL for roles of root */
  guint days;
} defaults[] = {
  { "root", "root", NULL, 365 },
  { "timestamp", "online", NULL, 7 },
  { "snapshot", "online", NULL, 30 },
  { "targets", "targets", NULL, 365 },
  { "policy", "policy", "policy/*", 180 },
  { "images", "images", "images/*/*", 180 },
  { "appliance", "appliance", "appliance/*", 180 },
};

/* -- What is asked for ---------------------------------------------------------------------------------------------- */

FloeRoleSpec *
floe_role_specs_new (void)
{
  FloeRoleSpec *specs = g_new0 (FloeRoleSpec, G_N_ELEMENTS (defaults) + 1);

  for (size_t i = 0; i < G_N_ELEMENTS (defaults); i++) {
    specs[i] = (FloeRoleSpec){ defaults[i].role, 1, g_new0 (char *, 2), defaults[i].days };
    specs[i].keys[0] = g_strdup (defaults[i].key);
  }
  return specs;
}

void
floe_role_specs_free (FloeRoleSpec *specs)
{
  for (size_t i = 0; specs != NULL && specs[i].role != NULL; i++)
    g_strfreev (specs[i].keys);
  g_free (specs);
}

static FloeRoleSpec *
find_spec (FloeRoleSpec *specs, const char *text, const char **value, GError **error)
{
  for (; specs->role != NULL; specs++) {
    size_t length = strlen (specs->role);

    if (strncmp (text, specs->role, length) == 0 && text[length] == '=') {
      *value = text + length + 1;
      return specs;
    }
  }
  floe_error_set (error, FLOE_ERROR_INVALID,
                  "'%s': ROLE=... with root, timestamp, snapshot, targets, policy, images or appliance wanted", text);
  return NULL;
}

gboolean
floe_role_specs_set_keys (FloeRoleSpec *specs, const char *text, GError **error)
{
  const char *value = NULL;
  FloeRoleSpec *spec = find_spec (specs, text, &value, error);
  g_auto (GStrv) keys = NULL;
  char *end = NULL;
  guint64 threshold;

  if (spec == NULL)
    return FALSE;
  threshold = g_ascii_strtoull (value, &end, 10);
  if (end == value || *end != ':')
    return floe_error_set (error, FLOE_ERROR_INVALID, "'%s': ROLE=THRESHOLD:KEY[,KEY...] wanted", text);
  keys = g_strsplit (end + 1, ",", -1);
  if (threshold < 1 || threshold > g_strv_length (keys))
    return floe_error_set (error, FLOE_ERROR_INVALID, "'%s': a threshold of 1 to %u wanted", text, g_strv_length (keys));
  for (size_t i = 0; keys[i] != NULL; i++)
    if (!floe_name_is_safe (keys[i]) || g_strv_contains ((const char *const *) keys + i + 1, keys[i]))
      return floe_error_set (error, FLOE_ERROR_INVALID, "'%s': key name '%s' is unsafe or there twice", text, keys[i]);
  g_strfreev (spec->keys);
  spec->keys = g_steal_pointer (&keys);
  spec->threshold = (guint) threshold;
  return TRUE;
}

gboolean
floe_role_specs_set_days (FloeRoleSpec *specs, const char *text, GError **error)
{
  const char *value = NULL;
  FloeRoleSpec *spec = find_spec (specs, text, &value, error);
  guint64 days;

  if (spec == NULL)
    return FALSE;
  if (!g_ascii_string_to_unsigned (value, 10, 1, DAYS_MAX, &days, NULL))
    return floe_error_set (error, FLOE_ERROR_INVALID, "'%s': ROLE=DAYS with 1 to %d days wanted", text, DAYS_MAX);
  spec->days = (guint) days;
  return TRUE;
}

/* -- Keys ----------------------------------------------------------------------------------------------------------- */

static gboolean
make_missing_keys (int keys_dir, const FloeRoleSpec *specs, FloeSignerType type, FloePassphrase *passphrase, GError **error)
{
  for (; specs->role != NULL; specs++)
    for (size_t i = 0; specs->keys[i] != NULL; i++) {
      g_autofree char *file = g_strconcat (specs->keys[i], ".pub", NULL);

      if (faccessat (keys_dir, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        continue;
      if (!floe_signer_generate (keys_dir, specs->keys[i], type, passphrase, error))
        return FALSE;
    }
  return TRUE;
}

/* The role's entry with the keys of SPEC, whose public halves go into KEYS. */
static json_t *
make_role (int keys_dir, const FloeRoleSpec *spec, json_t *keys, GError **error)
{
  json_t *ids = json_array (), *names = json_object ();
  json_t *entry = json_pack ("{s:i, s:i, s:o, s:o}", "threshold", (int) spec->threshold, "x-floe-days", (int) spec->days,
                             "keyids", ids, "x-floe-names", names);

  for (size_t i = 0; spec->keys[i] != NULL; i++) {
    g_autofree char *file = g_strconcat (spec->keys[i], ".pub", NULL);
    g_autoptr (GBytes) pem = floe_file_read_at (keys_dir, file, 16384, error);
    json_t *key = pem == NULL ? NULL : floe_signer_public_from_pem (pem, file, error);
    g_autofree char *id = key == NULL ? NULL : floe_key_make_id (key, error);

    if (id == NULL) {
      json_decref (key);
      json_decref (entry);
      return NULL;
    }
    json_object_set_new (keys, id, key);
    json_array_append_new (ids, json_string (id));
    json_object_set_new (names, id, json_string (spec->keys[i]));
  }
  return entry;
}

/* -- Metadata ------------------------------------------------------------------------------------------------------- */

static json_t *
make_root (int keys_dir, const FloeRoleSpec *specs, gint64 now, GError **error)
{
  g_autofree char *expires = floe_time_format (now + specs[0].days * DAY);
  json_t *keys = json_object (), *roles = json_object ();
  json_t *root = json_pack ("{s:s, s:s, s:i, s:s, s:b, s:o, s:o}", "_type", "root", "spec_version", FLOE_SPEC_VERSION, "version",
                            1, "expires", expires, "consistent_snapshot", 1, "keys", keys, "roles", roles);

  for (size_t i = 0; i < G_N_ELEMENTS (defaults); i++) {
    json_t *entry;

    if (defaults[i].path != NULL)
      continue;
    entry = make_role (keys_dir, &specs[i], keys, error);
    if (entry == NULL) {
      json_decref (root);
      return NULL;
    }
    json_object_set_new (roles, specs[i].role, entry);
  }
  return root;
}

static json_t *
make_targets (int keys_dir, const FloeRoleSpec *specs, GError **error)
{
  json_t *keys = json_object (), *roles = json_array ();
  json_t *targets = json_pack ("{s:s, s:s, s:i, s:s, s:{}, s:{s:o, s:o}}", "_type", "targets", "spec_version", FLOE_SPEC_VERSION,
                               "version", 1, "expires", "1970-01-01T00:00:00Z", "targets", "delegations", "keys", keys, "roles",
                               roles);

  for (size_t i = 0; i < G_N_ELEMENTS (defaults); i++) {
    json_t *entry;

    if (defaults[i].path == NULL)
      continue;
    entry = make_role (keys_dir, &specs[i], keys, error);
    if (entry == NULL) {
      json_decref (targets);
      return NULL;
    }
    json_object_set_new (entry, "name", json_string (specs[i].role));
    json_object_set_new (entry, "paths", json_pack ("[s]", defaults[i].path));
    json_object_set_new (entry, "terminating", json_true ());
    json_array_append_new (roles, entry);
  }
  return targets;
}

/* An empty first version of each delegated role: a client that looks there finds that there is nothing, not that something is missing. */
static gboolean
stage_delegated (FloeRepository *repository, gint64 now, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (defaults); i++)
    if (defaults[i].path != NULL && (floe_repository_edit (repository, defaults[i].role, error) == NULL ||
                                     !floe_repository_stage (repository, defaults[i].role, now, error)))
      return FALSE;
  return TRUE;
}

/* Root and targets are signed and written here, snapshot and timestamp made by a commit. An interrupted init has no
 * timestamp.json, so that it is no repository yet and may begin again. */
static gboolean
write_first (FloeRepository *repository, const FloeRoleSpec *specs, gint64 now, GError **error)
{
  json_t *root = make_root (repository->keys, specs, now, error);
  json_t *targets = root == NULL ? NULL : make_targets (repository->keys, specs, error);
  g_autoptr (FloeEnvelope) envelope = root == NULL ? NULL : floe_envelope_new (root);
  g_autoptr (FloeAuthority) authority = NULL;
  g_autoptr (GBytes) text = NULL;

  if (targets == NULL)
    return FALSE;
  g_hash_table_insert (repository->edit, g_strdup ("targets"), targets);
  if (!floe_repository_add_signatures (repository, "root", envelope, NULL, error))
    return FALSE;
  authority = floe_authority_new (envelope, "root", error);
  if (authority == NULL || !floe_authority_check (authority, envelope, "root", error)) {
    g_prefix_error (error, "the private keys here do not suffice; begin with a lower threshold, raise it later: ");
    return FALSE;
  }
  text = floe_envelope_bytes (envelope);
  if (!floe_file_replace_at (repository->metadata, "1.root.json", g_bytes_get_data (text, NULL), g_bytes_get_size (text), 0644,
                             error) ||
      !floe_file_replace_at (repository->keys, "root.json", g_bytes_get_data (text, NULL), g_bytes_get_size (text), 0644, error))
    return FALSE;
  g_hash_table_insert (repository->force, g_strdup ("root"), g_steal_pointer (&envelope));
  if (!floe_repository_stage (repository, "targets", now, error) || !stage_delegated (repository, now, error) ||
      !floe_repository_commit (repository, FALSE, now, error))
    return FALSE;
  return floe_repository_force (repository, "timestamp") != NULL ||
         floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the private keys here do not suffice for targets, timestamp and snapshot; "
                                                      "begin with a lower threshold, raise it later");
}

gboolean
floe_repository_init (const char *repo_dir, const char *keys_dir, const FloeRoleSpec *specs, FloeSignerType type,
                      FloePassphrase *passphrase, gint64 now, GError **error)
{
  g_autoptr (FloeRepository) repository = floe_repository_new (repo_dir, passphrase);
  floe_autofd dir = floe_dir_make (repo_dir, 0755, error);
  floe_autofd metadata = dir < 0 ? -1 : floe_dir_make_at (dir, "metadata", 0755, error);
  floe_autofd keys = metadata < 0 ? -1 : floe_dir_make (keys_dir, 0700, error);
  gboolean ok;

  if (keys < 0)
    return FALSE;
  if (faccessat (metadata, "timestamp.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return floe_error_set (error, FLOE_ERROR_BUSY, "%s is a repository already", repo_dir);
  if (!floe_repository_open_directories (repository, keys_dir, error) ||
      !make_missing_keys (keys, specs, type, passphrase, error))
    return FALSE;
  g_clear_pointer (&repository->signers, g_ptr_array_unref);
  repository->signers = floe_signer_list (keys, error);
  ok = repository->signers != NULL && write_first (repository, specs, now, error);
  if (repository->signers != NULL)
    floe_repository_forget_keys (repository);
  return ok;
}
