/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-metadata.h"

#include "common/floe-digest.h"
#include "common/floe-json.h"
#include "policy/trust/floe-canonical.h"

#include <string.h>

static const char *const type_names[] = { "root", "timestamp", "snapshot", "targets", NULL };

const char *
floe_role_type_name (FloeRoleType type)
{
  return type_names[type];
}

/* -- Construction ---------------------------------------------------------------------------------------------------- */

static void
signature_free (gpointer data)
{
  FloeSignature *signature = data;

  g_free (signature->keyid);
  g_free (signature->signature);
  g_free (signature);
}

static void
role_free (gpointer data)
{
  FloeRole *role = data;

  if (role == NULL)
    return;
  g_free (role->name);
  g_clear_pointer (&role->keys, g_ptr_array_unref);
  g_clear_pointer (&role->paths, g_ptr_array_unref);
  g_clear_pointer (&role->prefixes, g_ptr_array_unref);
  g_free (role);
}

void
floe_metadata_free (FloeMetadata *metadata)
{
  if (metadata == NULL)
    return;
  for (size_t i = 0; i < FLOE_N_ROLES; i++)
    role_free (metadata->roles[i]);
  g_clear_pointer (&metadata->files, g_hash_table_unref);
  g_clear_pointer (&metadata->targets, g_hash_table_unref);
  g_clear_pointer (&metadata->delegations, g_ptr_array_unref);
  g_clear_pointer (&metadata->signatures, g_ptr_array_unref);
  g_clear_pointer (&metadata->document, floe_json_free);
  g_clear_pointer (&metadata->canonical, g_bytes_unref);
  g_clear_pointer (&metadata->raw, g_bytes_unref);
  g_free (metadata->source);
  g_free (metadata);
}

/* -- Envelope -------------------------------------------------------------------------------------------------------- */

/* Any string as it is: PEM has line feeds in it, and a signature that is no hexadecimal merely does not count. */
static const char *
any_string (FloeJson *value)
{
  if (value != NULL && floe_json_is_string (value))
    return json_string_value (floe_json_raw (value));
  floe_json_refuse (value, "a string wanted");
  return "";
}

static FloeJson *
open_object (FloeJson *object)
{
  floe_json_ignore_rest (object);
  return object;
}

static void
read_signatures (FloeMetadata *metadata, FloeJson *array)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  size_t n = floe_json_length (array, FLOE_METADATA_MAX_KEYS);

  for (size_t i = 0; i < n; i++) {
    FloeJson *object = open_object (floe_json_at (array, i));
    FloeSignature *signature = g_new0 (FloeSignature, 1);

    signature->keyid = g_strdup (any_string (floe_json_member (object, "keyid")));
    signature->signature = g_strdup (any_string (floe_json_member (object, "sig")));
    g_ptr_array_add (metadata->signatures, signature);
    if (!g_hash_table_add (seen, signature->keyid))
      floe_json_refuse (object, "a second signature of key %s; each key id may sign once", signature->keyid);
  }
}

FloeMetadata *
floe_metadata_open (GBytes *raw, const char *source, GError **error)
{
  g_autoptr (FloeMetadata) metadata = g_new0 (FloeMetadata, 1);
  FloeJson *root, *body;

  metadata->source = g_strdup (source);
  metadata->raw = g_bytes_ref (raw);
  metadata->signatures = g_ptr_array_new_with_free_func (signature_free);
  metadata->document = floe_json_parse (raw, source, FLOE_METADATA_MAX_SIZE, error);
  if (metadata->document == NULL)
    return NULL;
  root = open_object (floe_json_root (metadata->document));
  read_signatures (metadata, floe_json_member (root, "signatures"));
  body = floe_json_member (root, "signed");
  if (body != NULL && !floe_json_is_object (body))
    floe_json_refuse (body, "an object wanted");
  floe_json_ignore_rest (body);
  if (!floe_json_finish (metadata->document, error))
    return NULL;
  metadata->canonical = floe_canonical_encode (floe_json_raw (body), error);
  if (metadata->canonical == NULL) {
    g_prefix_error (error, "%s: ", source);
    return NULL;
  }
  return g_steal_pointer (&metadata);
}

/* -- Signatures ------------------------------------------------------------------------------------------------------ */

static FloeKey *
find_key (const FloeRole *role, const char *keyid)
{
  for (guint i = 0; i < role->keys->len; i++)
    if (strcmp (floe_key_id (role->keys->pdata[i]), keyid) == 0)
      return role->keys->pdata[i];
  return NULL;
}

static gboolean
is_counted (GPtrArray *counted, FloeKey *key)
{
  for (guint i = 0; i < counted->len; i++)
    if (floe_key_equal (counted->pdata[i], key))
      return TRUE;
  return FALSE;
}

gboolean
floe_metadata_verify (FloeMetadata *metadata, const FloeRole *role, GError **error)
{
  g_autoptr (GPtrArray) counted = g_ptr_array_new ();
  g_autoptr (GString) wrong = g_string_new (NULL);
  gsize size;
  const void *data = g_bytes_get_data (metadata->canonical, &size);

  for (guint i = 0; i < metadata->signatures->len && counted->len < role->threshold; i++) {
    const FloeSignature *signature = metadata->signatures->pdata[i];
    FloeKey *key = find_key (role, signature->keyid);

    if (key == NULL)
      g_string_append_printf (wrong, "; key %.16s is not one of this role", signature->keyid);
    else if (!floe_key_is_usable (key))
      g_string_append_printf (wrong, "; key %.16s: %s", signature->keyid, floe_key_problem (key));
    else if (is_counted (counted, key))
      g_string_append_printf (wrong, "; key %.16s is another one again under a second id", signature->keyid);
    else if (!floe_key_verify (key, data, size, signature->signature))
      g_string_append_printf (wrong, "; the signature of key %.16s is wrong", signature->keyid);
    else
      g_ptr_array_add (counted, key);
    if (wrong->len > 400)
      g_string_truncate (wrong, 400);
  }
  if (counted->len >= role->threshold)
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_UNVERIFIED,
                         "%s: role %s: %u of the %" G_GINT64_FORMAT " signatures needed are good%s. "
                         "Ask for it to be signed by more of the role's keys",
                         metadata->source, role->name, counted->len, role->threshold, wrong->str);
}

/* -- What every role has --------------------------------------------------------------------------------------------- */

static gint64
read_expiry (FloeJson *value)
{
  const char *text = floe_json_string (value, 64);
  g_autoptr (GDateTime) time = NULL;
  unsigned field[6];
  int end = 0;

  if (strlen (text) == strlen ("2030-01-01T00:00:00Z")
      && sscanf (text, "%4u-%2u-%2uT%2u:%2u:%2uZ%n", &field[0], &field[1], &field[2], &field[3], &field[4], &field[5], &end) == 6
      && text[end] == '\0' && end == (int) strlen (text) && strpbrk (text, "+ ") == NULL)
    time = g_date_time_new_utc ((int) field[0], (int) field[1], (int) field[2], (int) field[3], (int) field[4], field[5]);
  if (time == NULL) {
    floe_json_refuse (value, "a time as 2030-01-01T00:00:00Z wanted");
    return 0;
  }
  return g_date_time_to_unix (time);
}

static gint64
read_version (FloeJson *object)
{
  return floe_json_int (floe_json_member (object, "version"), 1, G_MAXINT64);
}

static gboolean
check_spec_version (FloeMetadata *metadata, FloeJson *body, GError **error)
{
  const char *version = floe_json_string (floe_json_member (body, "spec_version"), 64);
  char *end;

  if (floe_json_failed (metadata->document) || (g_ascii_strtoull (version, &end, 10) == 1 && *end == '.'))
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s: written to TUF %s; this reads 1.x. Update Floe first",
                         metadata->source, version);
}

/* -- Keys and roles -------------------------------------------------------------------------------------------------- */

/* The "keys" object as keyid → FloeKey. */
static GHashTable *
read_keys (FloeJson *object, GError **error)
{
  g_autoptr (GHashTable) keys = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) floe_key_unref);
  g_autofree const char **ids = floe_json_keys (object, FLOE_METADATA_MAX_ROLES);

  floe_json_ignore_rest (object);
  for (size_t i = 0; ids[i] != NULL; i++) {
    g_autoptr (GError) why = NULL;
    FloeJson *value = floe_json_member (object, ids[i]);
    FloeKey *key = floe_key_parse (ids[i], floe_json_raw (value), &why);

    if (key != NULL) {
      g_hash_table_insert (keys, (gpointer) floe_key_id (key), key);
    } else if (g_error_matches (why, FLOE_ERROR, FLOE_ERROR_INVALID)) {
      floe_json_refuse (value, "%s", why->message);
    } else {
      g_propagate_error (error, g_steal_pointer (&why));
      return NULL;
    }
  }
  return g_steal_pointer (&keys);
}

/* Fills ROLE's keys and threshold. A key id without a key, or listed twice, only makes the threshold harder to reach. */
static void
read_signers (FloeRole *role, FloeJson *object, GHashTable *keys)
{
  FloeJson *ids = floe_json_member (object, "keyids");
  size_t n = floe_json_length (ids, FLOE_METADATA_MAX_KEYS);

  role->keys = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_key_unref);
  for (size_t i = 0; i < n; i++) {
    FloeKey *key = g_hash_table_lookup (keys, any_string (floe_json_at (ids, i)));

    if (key != NULL)
      g_ptr_array_add (role->keys, floe_key_ref (key));
  }
  role->threshold = floe_json_int (floe_json_member (object, "threshold"), 1, G_MAXINT32);
}

static gboolean
parse_root (FloeMetadata *metadata, FloeJson *body, GError **error)
{
  FloeJson *consistent = floe_json_optional (body, "consistent_snapshot");
  FloeJson *roles = open_object (floe_json_member (body, "roles"));
  g_autoptr (GHashTable) keys = read_keys (floe_json_member (body, "keys"), error);

  if (keys == NULL)
    return FALSE;
  metadata->consistent = consistent != NULL && floe_json_bool (consistent);
  for (size_t i = 0; i < FLOE_N_ROLES; i++) {
    metadata->roles[i] = g_new0 (FloeRole, 1);
    metadata->roles[i]->name = g_strdup (type_names[i]);
    read_signers (metadata->roles[i], open_object (floe_json_member (roles, type_names[i])), keys);
  }
  return TRUE;
}

/* -- Files that other files are told about --------------------------------------------------------------------------- */

static void
read_hashes (FloeExpected *expected, FloeJson *object)
{
  FloeJson *sha256 = floe_json_optional (object, "sha256"), *sha512 = floe_json_optional (object, "sha512");

  floe_json_ignore_rest (object);
  expected->hashed = TRUE;
  expected->has_sha256 = sha256 != NULL;
  expected->has_sha512 = sha512 != NULL;
  if (sha256 != NULL && !floe_hex_decode (any_string (sha256), expected->sha256.bytes, sizeof expected->sha256.bytes))
    floe_json_refuse (sha256, "64 lower-case hexadecimal digits wanted");
  if (sha512 != NULL && !floe_hex_decode (any_string (sha512), expected->sha512, sizeof expected->sha512))
    floe_json_refuse (sha512, "128 lower-case hexadecimal digits wanted");
}

static void
parse_files (FloeMetadata *metadata, FloeJson *body)
{
  FloeJson *meta = floe_json_member (body, "meta");
  g_autofree const char **names = floe_json_keys (meta, FLOE_METADATA_MAX_ROLES + 2);

  floe_json_ignore_rest (meta);
  metadata->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  for (size_t i = 0; names[i] != NULL; i++) {
    FloeJson *object, *length, *hashes;
    FloeMetaFile *file;

    if (!g_str_has_suffix (names[i], ".json"))
      continue;
    object = open_object (floe_json_member (meta, names[i]));
    length = floe_json_optional (object, "length");
    hashes = floe_json_optional (object, "hashes");
    file = g_new0 (FloeMetaFile, 1);
    file->version = read_version (object);
    file->expected.length = length != NULL ? floe_json_int (length, 0, G_MAXINT64) : -1;
    if (hashes != NULL)
      read_hashes (&file->expected, hashes);
    g_hash_table_insert (metadata->files, g_strndup (names[i], strlen (names[i]) - strlen (".json")), file);
  }
  if (metadata->type == FLOE_ROLE_TIMESTAMP && !g_hash_table_contains (metadata->files, "snapshot"))
    floe_json_refuse (meta, "key 'snapshot.json' is missing");
}

const FloeMetaFile *
floe_metadata_file (FloeMetadata *metadata, const char *role)
{
  return g_hash_table_lookup (metadata->files, role);
}

/* -- Targets and delegations ----------------------------------------------------------------------------------------- */

static GPtrArray *
read_strings (FloeJson *array)
{
  GPtrArray *strings = g_ptr_array_new_with_free_func (g_free);
  size_t n = floe_json_length (array, FLOE_METADATA_MAX_ROLES);

  for (size_t i = 0; i < n; i++)
    g_ptr_array_add (strings, g_strdup (any_string (floe_json_at (array, i))));
  return strings;
}

/* A delegated role by the name of a top-level one would take that one's place in the snapshot and on disk. */
static void
check_role_name (FloeJson *value, const char *name)
{
  g_autofree char *encoded = floe_percent_encode (name, "");

  if (*name == '\0' || strlen (encoded) > FLOE_METADATA_MAX_NAME)
    floe_json_refuse (value, "a role's name of 1 to %u bytes wanted", FLOE_METADATA_MAX_NAME);
  if (g_strv_contains (type_names, name))
    floe_json_refuse (value, "'%s' is a top-level role and cannot be delegated", name);
}

static FloeRole *
read_delegation (FloeJson *object, GHashTable *keys)
{
  FloeRole *role = g_new0 (FloeRole, 1);
  FloeJson *name = floe_json_member (object, "name");
  FloeJson *paths = floe_json_optional (object, "paths"), *prefixes = floe_json_optional (object, "path_hash_prefixes");

  floe_json_ignore_rest (object);
  role->name = g_strdup (any_string (name));
  if (name != NULL)
    check_role_name (name, role->name);
  read_signers (role, object, keys);
  role->terminating = floe_json_bool (floe_json_member (object, "terminating"));
  if (paths != NULL && prefixes != NULL)
    floe_json_refuse (object, "'paths' and 'path_hash_prefixes' exclude each other");
  role->paths = paths != NULL ? read_strings (paths) : NULL;
  role->prefixes = prefixes != NULL ? read_strings (prefixes) : NULL;
  return role;
}

static gboolean
read_delegations (FloeMetadata *metadata, FloeJson *object, GError **error)
{
  g_autoptr (GHashTable) keys = read_keys (floe_json_member (object, "keys"), error);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  FloeJson *roles = floe_json_member (object, "roles");
  size_t n = floe_json_length (roles, FLOE_METADATA_MAX_ROLES);

  floe_json_ignore_rest (object);
  if (keys == NULL)
    return FALSE;
  for (size_t i = 0; i < n; i++) {
    FloeJson *at = floe_json_at (roles, i);
    FloeRole *role = read_delegation (at, keys);

    g_ptr_array_add (metadata->delegations, role);
    if (!g_hash_table_add (names, role->name))
      floe_json_refuse (at, "role '%s' is delegated to twice", role->name);
  }
  return TRUE;
}

static gboolean
parse_targets (FloeMetadata *metadata, FloeJson *body, GError **error)
{
  FloeJson *targets = floe_json_member (body, "targets"), *delegations = floe_json_optional (body, "delegations");
  g_autofree const char **paths = floe_json_keys (targets, FLOE_METADATA_MAX_TARGETS);

  floe_json_ignore_rest (targets);
  metadata->targets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  metadata->delegations = g_ptr_array_new_with_free_func (role_free);
  for (size_t i = 0; paths[i] != NULL; i++) {
    FloeJson *object = open_object (floe_json_member (targets, paths[i]));
    FloeExpected *expected = g_new0 (FloeExpected, 1);

    expected->length = floe_json_int (floe_json_member (object, "length"), 0, G_MAXINT64);
    read_hashes (expected, floe_json_member (object, "hashes"));
    g_hash_table_insert (metadata->targets, g_strdup (paths[i]), expected);
  }
  return delegations == NULL || read_delegations (metadata, delegations, error);
}

/* -- The whole body -------------------------------------------------------------------------------------------------- */

static gboolean
parse_body (FloeMetadata *metadata, FloeJson *body, GError **error)
{
  FloeJson *type = floe_json_member (body, "_type");
  const char *said = any_string (type);

  if (type != NULL && strcmp (said, type_names[metadata->type]) != 0) {
    floe_json_refuse (type, "metadata of role %s wanted, not '%s'", type_names[metadata->type], said);
    return TRUE;
  }
  if (!check_spec_version (metadata, body, error))
    return FALSE;
  metadata->version = read_version (body);
  metadata->expires = read_expiry (floe_json_member (body, "expires"));
  if (metadata->type == FLOE_ROLE_ROOT)
    return parse_root (metadata, body, error);
  if (metadata->type == FLOE_ROLE_TARGETS)
    return parse_targets (metadata, body, error);
  parse_files (metadata, body);
  return TRUE;
}

gboolean
floe_metadata_parse (FloeMetadata *metadata, FloeRoleType type, GError **error)
{
  FloeJson *body = open_object (floe_json_member (floe_json_root (metadata->document), "signed"));

  metadata->type = type;
  if (!parse_body (metadata, body, error) || !floe_json_finish (metadata->document, error))
    return FALSE;
  g_clear_pointer (&metadata->document, floe_json_free);
  return TRUE;
}
