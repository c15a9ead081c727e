/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-envelope.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"
#include "common/floe-json.h"
#include "policy/trust/floe-canonical.h"
#include "policy/trust/floe-key.h"

#include <string.h>

#define KEYS_MAX 1024
#define TARGETS_MAX 1000000
#define SIGNATURES_MAX 256
#define ROLES_MAX 1024
#define STRING_MAX 4096

struct _FloeEnvelope {
  json_t *signed_part;
  json_t *signatures;
};

struct _FloeAuthority {
  GPtrArray *keys; /* of FloeKey */
  guint threshold;
};

/* -- Time ----------------------------------------------------------------------------------------------------------- */

char *
floe_time_format (gint64 seconds)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (seconds);

  return time == NULL ? g_strdup ("9999-12-31T23:59:59Z") : g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ");
}

gboolean
floe_time_parse (const char *text, gint64 *seconds, GError **error)
{
  g_autoptr (GDateTime) time = NULL;

  if (strlen (text) == strlen ("2030-01-01T00:00:00Z") && text[10] == 'T' && g_str_has_suffix (text, "Z"))
    time = g_date_time_new_from_iso8601 (text, NULL);
  if (time == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "'%s': YYYY-MM-DDTHH:MM:SSZ wanted", text);
  *seconds = g_date_time_to_unix (time);
  return TRUE;
}

/* -- Form ----------------------------------------------------------------------------------------------------------- */

static gboolean
is_keyid (const char *text)
{
  FloeDigest id;

  return floe_hex_decode (text, id.bytes, sizeof id.bytes);
}

static void
check_keys (FloeJson *keys)
{
  g_autofree const char **ids = floe_json_keys (keys, KEYS_MAX);

  for (size_t i = 0; ids[i] != NULL; i++) {
    FloeJson *key = floe_json_member (keys, ids[i]);
    FloeJson *value = floe_json_member (key, "keyval");

    if (!is_keyid (ids[i]))
      floe_json_refuse (key, "the key id is not 64 hexadecimal digits");
    floe_json_string (floe_json_member (key, "keytype"), STRING_MAX);
    floe_json_string (floe_json_member (key, "scheme"), STRING_MAX);
    floe_json_raw (floe_json_member (value, "public"));
    floe_json_ignore_rest (key);
    floe_json_ignore_rest (value);
  }
}

/* One role's keyids and threshold; unknown members stay (names and lifetimes are ours: x-floe-names, x-floe-days). */
static void
check_role (FloeJson *role)
{
  FloeJson *ids = floe_json_member (role, "keyids");
  size_t count = floe_json_length (ids, KEYS_MAX);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (size_t i = 0; i < count; i++) {
    FloeJson *element = floe_json_at (ids, i);
    const char *id = floe_json_string (element, STRING_MAX);

    if (!is_keyid (id))
      floe_json_refuse (element, "a key id of 64 hexadecimal digits wanted");
    if (!g_hash_table_add (seen, (gpointer) id))
      floe_json_refuse (element, "this key is listed twice");
  }
  floe_json_int (floe_json_member (role, "threshold"), 1, KEYS_MAX);
  floe_json_int (floe_json_optional (role, "x-floe-days"), 1, 36500);
  floe_json_ignore_rest (role);
}

static void
check_root (FloeJson *root)
{
  static const char *const names[] = { "root", "timestamp", "snapshot", "targets" };
  FloeJson *roles = floe_json_member (root, "roles");

  if (!floe_json_bool (floe_json_member (root, "consistent_snapshot")))
    floe_json_refuse (root, "consistent_snapshot must be true: this repository has no other layout");
  check_keys (floe_json_member (root, "keys"));
  for (size_t i = 0; i < G_N_ELEMENTS (names); i++)
    check_role (floe_json_member (roles, names[i]));
}

static void
check_digest (FloeJson *hashes)
{
  FloeJson *sha256 = floe_json_member (hashes, "sha256");

  if (!is_keyid (floe_json_string (sha256, 64)))
    floe_json_refuse (sha256, "64 lower-case hexadecimal digits wanted");
}

static void
check_meta (FloeJson *meta)
{
  g_autofree const char **names = floe_json_keys (meta, ROLES_MAX);

  for (size_t i = 0; names[i] != NULL; i++) {
    FloeJson *file = floe_json_member (meta, names[i]);
    FloeJson *length = floe_json_optional (file, "length"), *hashes = floe_json_optional (file, "hashes");

    floe_json_int (floe_json_member (file, "version"), 1, FLOE_VERSION_MAX);
    if (length != NULL)
      floe_json_int (length, 0, FLOE_ENVELOPE_MAX);
    if (hashes != NULL)
      check_digest (hashes);
  }
}

static gboolean
is_top_level (const char *role)
{
  return strcmp (role, "root") == 0 || strcmp (role, "timestamp") == 0 || strcmp (role, "snapshot") == 0 ||
         strcmp (role, "targets") == 0;
}

static void
check_delegations (FloeJson *delegations)
{
  g_autoptr (GHashTable) seen = NULL;
  FloeJson *roles;
  size_t count;

  if (delegations == NULL)
    return;
  check_keys (floe_json_member (delegations, "keys"));
  roles = floe_json_member (delegations, "roles");
  seen = g_hash_table_new (g_str_hash, g_str_equal);
  count = floe_json_length (roles, ROLES_MAX);
  for (size_t i = 0; i < count; i++) {
    FloeJson *role = floe_json_at (roles, i);
    FloeJson *paths = floe_json_member (role, "paths");
    size_t n_paths = floe_json_length (paths, ROLES_MAX);
    const char *name = floe_json_string (floe_json_member (role, "name"), 64);

    /* A role's name becomes a file's. */
    if (!floe_name_is_safe (name) || is_top_level (name))
      floe_json_refuse (role, "'%s' is no name for a delegated role", name);
    if (!g_hash_table_add (seen, (gpointer) name))
      floe_json_refuse (role, "role '%s' is delegated twice", name);
    floe_json_bool (floe_json_member (role, "terminating"));
    for (size_t j = 0; j < n_paths; j++)
      floe_json_string (floe_json_at (paths, j), STRING_MAX);
    check_role (role);
  }
}

static void
check_targets (FloeJson *targets)
{
  FloeJson *files = floe_json_member (targets, "targets");
  g_autofree const char **names = floe_json_keys (files, TARGETS_MAX);

  for (size_t i = 0; names[i] != NULL; i++) {
    FloeJson *file = floe_json_member (files, names[i]);
    FloeJson *hashes = floe_json_member (file, "hashes");

    floe_json_int (floe_json_member (file, "length"), 0, G_MAXINT64);
    check_digest (hashes);
    floe_json_raw (floe_json_optional (file, "custom"));
  }
  check_delegations (floe_json_optional (targets, "delegations"));
}

static void
check_signed (FloeJson *body, const char *role)
{
  const char *type = floe_json_string (floe_json_member (body, "_type"), 32);
  FloeJson *spec = floe_json_member (body, "spec_version");
  FloeJson *expires = floe_json_member (body, "expires");
  gboolean top = is_top_level (role);
  g_autoptr (GError) wrong = NULL;
  gint64 ignored;

  if (strcmp (type, top ? role : "targets") != 0)
    floe_json_refuse (body, "metadata of type '%s', not of role %s", type, role);
  if (!g_str_has_prefix (floe_json_string (spec, 32), "1.0"))
    floe_json_refuse (spec, "specification 1.0.x wanted");
  floe_json_int (floe_json_member (body, "version"), 1, FLOE_VERSION_MAX);
  if (!floe_time_parse (floe_json_string (expires, 32), &ignored, &wrong))
    floe_json_refuse (expires, "%s", wrong->message);
  if (strcmp (type, "root") == 0)
    check_root (body);
  else if (strcmp (type, "targets") == 0)
    check_targets (body);
  else
    check_meta (floe_json_member (body, "meta"));
}

static void
check_signatures (FloeJson *signatures)
{
  size_t count = floe_json_length (signatures, SIGNATURES_MAX);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (size_t i = 0; i < count; i++) {
    FloeJson *signature = floe_json_at (signatures, i);
    const char *keyid = floe_json_string (floe_json_member (signature, "keyid"), STRING_MAX);

    floe_json_string (floe_json_member (signature, "sig"), STRING_MAX);
    if (!g_hash_table_add (seen, (gpointer) keyid))
      floe_json_refuse (signature, "a second signature by the same key");
  }
}

FloeEnvelope *
floe_envelope_parse (GBytes *text, const char *source, const char *role, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (text, source, FLOE_ENVELOPE_MAX, error);
  g_autoptr (FloeEnvelope) envelope = NULL;
  FloeJson *root, *body, *signatures;

  if (document == NULL)
    return NULL;
  root = floe_json_root (document);
  body = floe_json_member (root, "signed");
  signatures = floe_json_member (root, "signatures");
  check_signed (body, role);
  check_signatures (signatures);
  if (!floe_json_finish (document, error))
    return NULL;
  envelope = g_new0 (FloeEnvelope, 1);
  envelope->signed_part = json_incref (floe_json_raw (body));
  envelope->signatures = json_incref (floe_json_raw (signatures));
  return g_steal_pointer (&envelope);
}

/* -- Envelope ------------------------------------------------------------------------------------------------------- */

FloeEnvelope *
floe_envelope_new (json_t *signed_part)
{
  FloeEnvelope *envelope = g_new0 (FloeEnvelope, 1);

  envelope->signed_part = signed_part;
  envelope->signatures = json_array ();
  return envelope;
}

void
floe_envelope_free (FloeEnvelope *envelope)
{
  if (envelope == NULL)
    return;
  json_decref (envelope->signed_part);
  json_decref (envelope->signatures);
  g_free (envelope);
}

json_t *
floe_envelope_signed (const FloeEnvelope *envelope)
{
  return envelope->signed_part;
}

gint64
floe_envelope_version (const FloeEnvelope *envelope)
{
  return json_integer_value (json_object_get (envelope->signed_part, "version"));
}

gint64
floe_envelope_expires (const FloeEnvelope *envelope)
{
  const char *text = json_string_value (json_object_get (envelope->signed_part, "expires"));
  gint64 seconds = 0;

  /* Its form was checked when it was read; what was made here is right. */
  return text != NULL && floe_time_parse (text, &seconds, NULL) ? seconds : 0;
}

GBytes *
floe_envelope_bytes (const FloeEnvelope *envelope)
{
  json_t *whole = json_pack ("{s:O, s:O}", "signed", envelope->signed_part, "signatures", envelope->signatures);
  char *text = json_dumps (whole, JSON_INDENT (1) | JSON_SORT_KEYS);
  g_autoptr (GString) file = g_string_new (text);

  json_decref (whole);
  free (text);
  g_string_append_c (file, '\n');
  return g_string_free_to_bytes (g_steal_pointer (&file));
}

static void
remove_signature (FloeEnvelope *envelope, const char *keyid)
{
  for (size_t i = json_array_size (envelope->signatures); i-- > 0;) {
    json_t *signature = json_array_get (envelope->signatures, i);

    if (strcmp (json_string_value (json_object_get (signature, "keyid")), keyid) == 0)
      json_array_remove (envelope->signatures, i);
  }
}

gboolean
floe_envelope_sign (FloeEnvelope *envelope, FloeSigner *signer, FloePassphrase *passphrase, GError **error)
{
  g_autoptr (GBytes) canonical = floe_canonical_encode (envelope->signed_part, error);
  g_autofree char *signature = NULL;
  const char *keyid = floe_signer_keyid (signer);

  if (canonical == NULL)
    return FALSE;
  signature = floe_signer_sign (signer, passphrase, g_bytes_get_data (canonical, NULL), g_bytes_get_size (canonical), error);
  if (signature == NULL)
    return FALSE;
  remove_signature (envelope, keyid);
  json_array_append_new (envelope->signatures, json_pack ("{s:s, s:s}", "keyid", keyid, "sig", signature));
  return TRUE;
}

/* -- Authority ------------------------------------------------------------------------------------------------------ */

json_t *
floe_signed_keys (json_t *delegator)
{
  json_t *delegations = json_object_get (delegator, "delegations");

  return json_object_get (delegations != NULL ? delegations : delegator, "keys");
}

json_t *
floe_signed_role (json_t *delegator, const char *role)
{
  json_t *roles = json_object_get (json_object_get (delegator, "delegations"), "roles");
  json_t *entry;
  size_t i;

  if (roles == NULL)
    return json_object_get (json_object_get (delegator, "roles"), role);
  json_array_foreach (roles, i, entry)
    if (g_strcmp0 (json_string_value (json_object_get (entry, "name")), role) == 0)
      return entry;
  return NULL;
}

json_t *
floe_envelope_role (const FloeEnvelope *delegator, const char *role)
{
  return floe_signed_role (delegator->signed_part, role);
}

FloeAuthority *
floe_authority_new (const FloeEnvelope *delegator, const char *role, GError **error)
{
  g_autoptr (FloeAuthority) authority = g_new0 (FloeAuthority, 1);
  json_t *keys = floe_signed_keys (delegator->signed_part);
  json_t *entry = floe_envelope_role (delegator, role);
  json_t *id;
  size_t i;

  authority->keys = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_key_unref);
  if (entry == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "this repository has no role '%s'", role);
    return NULL;
  }
  authority->threshold = (guint) json_integer_value (json_object_get (entry, "threshold"));
  json_array_foreach (json_object_get (entry, "keyids"), i, id) {
    const json_t *key = json_object_get (keys, json_string_value (id));
    FloeKey *parsed;

    if (key == NULL)
      continue; /* counts for nothing, as the specification has it */
    parsed = floe_key_parse (json_string_value (id), key, error);
    if (parsed == NULL)
      return NULL;
    g_ptr_array_add (authority->keys, parsed);
  }
  return g_steal_pointer (&authority);
}

void
floe_authority_free (FloeAuthority *authority)
{
  if (authority == NULL)
    return;
  g_clear_pointer (&authority->keys, g_ptr_array_unref);
  g_free (authority);
}

guint
floe_authority_threshold (const FloeAuthority *authority)
{
  return authority->threshold;
}

gboolean
floe_authority_has (const FloeAuthority *authority, const char *keyid)
{
  for (guint i = 0; i < authority->keys->len; i++)
    if (strcmp (floe_key_id (g_ptr_array_index (authority->keys, i)), keyid) == 0)
      return TRUE;
  return FALSE;
}

static const char *
signature_by (const FloeEnvelope *envelope, const char *keyid)
{
  json_t *signature;
  size_t i;

  json_array_foreach (envelope->signatures, i, signature)
    if (strcmp (json_string_value (json_object_get (signature, "keyid")), keyid) == 0)
      return json_string_value (json_object_get (signature, "sig"));
  return NULL;
}

/* Whether an earlier key of the list is the same public key under another id: it must not count twice. */
static gboolean
seen_before (const FloeAuthority *authority, guint index)
{
  for (guint i = 0; i < index; i++)
    if (floe_key_equal (g_ptr_array_index (authority->keys, i), g_ptr_array_index (authority->keys, index)))
      return TRUE;
  return FALSE;
}

GPtrArray *
floe_authority_signers (const FloeAuthority *authority, const FloeEnvelope *envelope, GError **error)
{
  g_autoptr (GBytes) canonical = floe_canonical_encode (envelope->signed_part, error);
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);

  if (canonical == NULL)
    return NULL;
  for (guint i = 0; i < authority->keys->len; i++) {
    const FloeKey *key = g_ptr_array_index (authority->keys, i);
    const char *signature = signature_by (envelope, floe_key_id (key));

    if (signature != NULL && !seen_before (authority, i) &&
        floe_key_verify (key, g_bytes_get_data (canonical, NULL), g_bytes_get_size (canonical), signature))
      g_ptr_array_add (ids, g_strdup (floe_key_id (key)));
  }
  return g_steal_pointer (&ids);
}

gboolean
floe_authority_check (const FloeAuthority *authority, const FloeEnvelope *envelope, const char *what, GError **error)
{
  g_autoptr (GPtrArray) ids = floe_authority_signers (authority, envelope, error);

  if (ids == NULL)
    return FALSE;
  return ids->len >= authority->threshold ||
         floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: %u right signatures, %u needed", what, ids->len,
                         authority->threshold);
}
