/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/endpoint.h"

#include <string.h>

/* Every attack on metadata that we know of, mounted by an attacker who owns the repository and the network and sometimes a key.
 * Each must end in refusal with its own error, and must leave on disk what was trusted before, byte for byte: but for the files of the
 * roles before the attacked one that were honestly renewed, the first time. A second try must change nothing at all. */

#define LATER G_GINT64_CONSTANT (1900000000)      /* 2030-03: after FORGE_EXPIRY */
#define OFFICE "policy/office.json"

typedef struct {
  const char *name;
  void (*mount) (Forge *forge); /* NULL: nothing new is ever served */
  FloeError code;
  const char *message; /* a part of what is said */
  const char *renewed; /* files that may change the first time */
  const char *target;  /* asked for after the refresh; NULL: policy/office.json */
  gint64 now;          /* 0: FORGE_NOW */
  gboolean fresh;      /* the client has only the root */
} Attack;

static unsigned tried, accepted;

/* -- Helpers --------------------------------------------------------------------------------------------------------- */

static json_t *
meta_of (Forge *forge, const char *role, const char *file)
{
  return json_object_get (json_object_get (forge_body (forge, role), "meta"), file);
}

static void
set_string (Forge *forge, const char *role, const char *key, const char *value)
{
  json_object_set_new (forge_body (forge, role), key, json_string (value));
}

static void
unsign (Forge *forge, const char *role)
{
  g_ptr_array_set_size (forge_signers (forge, role), 0);
}

/* Signs ROLE with the attacker's key in place of its own. */
static void
steal (Forge *forge, const char *role)
{
  unsign (forge, role);
  g_ptr_array_add (forge_signers (forge, role), forge_key_new ("ed25519"));
}

static void
expire (Forge *forge, const char *role)
{
  set_string (forge, role, "expires", "2025-12-31T23:59:59Z");
}

/* PATH serves what PATH's file was, with one byte in the middle of it another. */
static void
alter (Forge *forge, const char *path)
{
  GBytes *file = g_hash_table_lookup (forge->files, path);
  gsize size;
  g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (file, &size), g_bytes_get_size (file));
  g_autoptr (GBytes) altered = NULL;

  copy[size / 2] ^= 1;
  altered = g_bytes_new (copy, size);
  forge_put (forge, path, altered);
}

/* -- Rollback, freeze, mix-and-match, fast-forward ------------------------------------------------------------------- */

static void
old_timestamp (Forge *forge)
{
  forge_set_version (forge, "timestamp", 4);
  forge_publish (forge, "timestamp");
}

static void
snapshot_back (Forge *forge)
{
  json_object_set_new (meta_of (forge, "timestamp", "snapshot.json"), "version", json_integer (4));
  forge_bump (forge, "timestamp");
}

static void
targets_back (Forge *forge)
{
  json_object_set_new (meta_of (forge, "snapshot", "targets.json"), "version", json_integer (4));
  forge_release (forge, NULL, NULL);
}

static void
delegated_back (Forge *forge)
{
  json_object_set_new (meta_of (forge, "snapshot", "policy.json"), "version", json_integer (4));
  forge_release (forge, NULL, NULL);
}

static void
role_dropped (Forge *forge)
{
  json_object_del (json_object_get (forge_body (forge, "snapshot"), "meta"), "images.json");
  forge_release (forge, NULL, NULL);
}

static void
targets_dropped (Forge *forge)
{
  json_object_del (json_object_get (forge_body (forge, "snapshot"), "meta"), "targets.json");
  forge_release (forge, NULL, NULL);
}

/* Serves ROLE's file as it was before this release under the name of the new one. */
static void
serve_old (Forge *forge, const char *role)
{
  g_autofree char *before = forge_path (forge, role), *after = NULL;
  g_autoptr (GBytes) old = g_bytes_ref (g_hash_table_lookup (forge->files, before));

  forge->hashes = FALSE;
  if (strcmp (role, "snapshot") == 0)
    forge_release (forge, NULL, NULL);
  else
    forge_release (forge, role, NULL);
  after = forge_path (forge, role);
  forge_put (forge, after, old);
}

static void
old_snapshot_file (Forge *forge)
{
  serve_old (forge, "snapshot");
}

static void
old_targets_file (Forge *forge)
{
  serve_old (forge, "targets");
}

static void
old_delegated_file (Forge *forge)
{
  serve_old (forge, "policy");
}

/* The same version of ROLE signed twice: two snapshots of the repository, of which the client is shown one half each. */
static void
mix (Forge *forge, const char *role)
{
  g_autoptr (GBytes) other = NULL;
  g_autofree char *path = NULL;

  if (strcmp (role, "snapshot") == 0)
    forge_release (forge, NULL, NULL);
  else
    forge_release (forge, role, NULL);
  set_string (forge, role, "x", "another release");
  other = forge_sign (forge_body (forge, role), forge_signers (forge, role));
  path = forge_path (forge, role);
  forge_put (forge, path, other);
}

static void
mix_snapshot (Forge *forge)
{
  mix (forge, "snapshot");
}

static void
mix_targets (Forge *forge)
{
  mix (forge, "targets");
}

static void
mix_delegated (Forge *forge)
{
  mix (forge, "policy");
}

static void
same_size_mix (Forge *forge)
{
  json_object_del (meta_of (forge, "timestamp", "snapshot.json"), "length");
  forge_release (forge, NULL, NULL);
  json_object_del (meta_of (forge, "timestamp", "snapshot.json"), "length");
  forge_publish (forge, "timestamp");
  set_string (forge, "snapshot", "expires", "2031-01-01T00:00:00Z");
  g_autoptr (GBytes) other = forge_sign (forge_body (forge, "snapshot"), forge_signers (forge, "snapshot"));
  g_autofree char *path = forge_path (forge, "snapshot");
  forge_put (forge, path, other);
}

static void
snapshot_ahead (Forge *forge)
{
  g_autofree char *path = NULL;

  forge->hashes = FALSE;
  forge_release (forge, NULL, NULL);
  path = forge_path (forge, "snapshot");
  forge_set_version (forge, "snapshot", G_MAXINT64 - 1);
  g_autoptr (GBytes) other = forge_sign (forge_body (forge, "snapshot"), forge_signers (forge, "snapshot"));
  forge_put (forge, path, other);
}

static void
timestamp_ahead (Forge *forge)
{
  forge_set_version (forge, "timestamp", G_MAXINT64);
  steal (forge, "timestamp");
  forge_publish (forge, "timestamp");
}

static void
withheld_timestamp (Forge *forge)
{
  g_hash_table_remove (forge->files, "metadata/timestamp.json");
}

static void
withheld_snapshot (Forge *forge)
{
  forge_release (forge, NULL, NULL);
  g_autofree char *path = forge_path (forge, "snapshot");
  g_hash_table_remove (forge->files, path);
}

/* -- Expiry ---------------------------------------------------------------------------------------------------------- */

static void
expired_root (Forge *forge)
{
  expire (forge, "root");
  forge_bump (forge, "root");
}

static void
expired_timestamp (Forge *forge)
{
  expire (forge, "timestamp");
  forge_bump (forge, "timestamp");
}

static void
expired_snapshot (Forge *forge)
{
  expire (forge, "snapshot");
  forge_release (forge, NULL, NULL);
}

static void
expired_targets (Forge *forge)
{
  expire (forge, "targets");
  forge_release (forge, "targets", NULL);
}

static void
expired_delegated (Forge *forge)
{
  expire (forge, "policy");
  forge_release (forge, "policy", NULL);
}

static void
expires_now (Forge *forge)
{
  set_string (forge, "timestamp", "expires", "2026-01-01T00:00:00Z");
  forge_bump (forge, "timestamp");
}

static void
malformed_expiry (Forge *forge)
{
  set_string (forge, "timestamp", "expires", "2030-02-30T00:00:00Z");
  forge_bump (forge, "timestamp");
}

/* -- Wrong role, thresholds, keys ------------------------------------------------------------------------------------ */

static void
snapshot_as_timestamp (Forge *forge)
{
  forge_bump (forge, "snapshot");
  g_autoptr (GBytes) file = forge_sign (forge_body (forge, "snapshot"), forge_signers (forge, "timestamp"));
  forge_put (forge, "metadata/timestamp.json", file);
}

static void
sign_as (Forge *forge, const char *role, const char *other)
{
  unsign (forge, role);
  g_ptr_array_add (forge_signers (forge, role), forge_key_ref (forge_signers (forge, other)->pdata[0]));
}

static void
timestamp_by_snapshot (Forge *forge)
{
  sign_as (forge, "timestamp", "snapshot");
  forge_bump (forge, "timestamp");
}

static void
snapshot_by_timestamp (Forge *forge)
{
  sign_as (forge, "snapshot", "timestamp");
  forge_release (forge, NULL, NULL);
}

static void
targets_by_snapshot (Forge *forge)
{
  sign_as (forge, "targets", "snapshot");
  forge_release (forge, "targets", NULL);
}

static void
policy_by_images (Forge *forge)
{
  sign_as (forge, "policy", "images");
  forge_release (forge, "policy", NULL);
}

static void
images_lists_policy (Forge *forge)
{
  forge_add_target (forge, "images", "policy/evil.json", "{}");
  forge_release (forge, "images", NULL);
}

static void
unsigned_timestamp (Forge *forge)
{
  unsign (forge, "timestamp");
  forge_bump (forge, "timestamp");
}

/* Raises ROLE's threshold to 2 of 2 in FROM, then signs with one. */
static void
one_short (Forge *forge, const char *from, const char *role)
{
  g_autoptr (ForgeKey) second = forge_key_new ("ed25519");

  forge_add_key (forge, from, role, second);
  forge_set_threshold (forge, from, role, 2);
  g_ptr_array_set_size (forge_signers (forge, role), 1);
  forge_bump (forge, from);
}

static void
short_root (Forge *forge)
{
  one_short (forge, "root", "root");
}

static void
short_timestamp (Forge *forge)
{
  one_short (forge, "root", "timestamp");
  forge_bump (forge, "timestamp");
}

static void
short_snapshot (Forge *forge)
{
  one_short (forge, "root", "snapshot");
  forge_release (forge, NULL, NULL);
}

static void
short_targets (Forge *forge)
{
  one_short (forge, "root", "targets");
  forge_release (forge, "targets", NULL);
}

static void
short_delegated (Forge *forge)
{
  one_short (forge, "targets", "policy");
  forge_release (forge, "policy", NULL);
}

static void
duplicate_signature (Forge *forge)
{
  g_ptr_array_add (forge_signers (forge, "timestamp"), forge_key_ref (forge_signers (forge, "timestamp")->pdata[0]));
  forge_bump (forge, "timestamp");
}

/* Two ids for one key: whoever may name keys must not thereby reach a threshold. */
static void
aliased_key (Forge *forge)
{
  g_autoptr (ForgeKey) alias = forge_key_alias (forge_signers (forge, "timestamp")->pdata[0]);

  forge_add_key (forge, "root", "timestamp", alias);
  forge_set_threshold (forge, "root", "timestamp", 2);
  forge_bump (forge, "root");
  forge_bump (forge, "timestamp");
}

static void
aliased_delegated_key (Forge *forge)
{
  g_autoptr (ForgeKey) alias = forge_key_alias (forge_signers (forge, "policy")->pdata[0]);

  forge_add_key (forge, "targets", "policy", alias);
  forge_set_threshold (forge, "targets", "policy", 2);
  forge_release (forge, "targets", "policy", NULL);
}

/* The key id listed twice in keyids, threshold two. */
static void
key_listed_twice (Forge *forge)
{
  json_t *roles = json_object_get (forge_body (forge, "root"), "roles");
  json_t *ids = json_object_get (json_object_get (roles, "timestamp"), "keyids");

  json_array_append (ids, json_array_get (ids, 0));
  forge_set_threshold (forge, "root", "timestamp", 2);
  forge_bump (forge, "root");
  forge_bump (forge, "timestamp");
}

/* The attacker's key under the id of the real one. */
static void
borrowed_id (Forge *forge)
{
  g_autoptr (ForgeKey) key = forge_key_new ("ed25519");
  g_autofree char *id = forge_key_id (forge_signers (forge, "timestamp")->pdata[0]);
  g_autoptr (GBytes) file = NULL;
  json_t *json;
  char *text;

  json_object_set (json_object_get (forge_body (forge, "root"), "keys"), id, forge_key_json (key));
  forge_bump (forge, "root");
  unsign (forge, "timestamp");
  g_ptr_array_add (forge_signers (forge, "timestamp"), forge_key_ref (key));
  forge_set_version (forge, "timestamp", forge_version (forge, "timestamp") + 1);
  file = forge_sign (forge_body (forge, "timestamp"), forge_signers (forge, "timestamp"));
  json = json_loadb (g_bytes_get_data (file, NULL), g_bytes_get_size (file), 0, NULL);
  json_object_set_new (json_array_get (json_object_get (json, "signatures"), 0), "keyid", json_string (id));
  text = json_dumps (json, 0);
  forge_put_text (forge, "metadata/timestamp.json", text);
  free (text);
  json_decref (json);
}

static void
short_rsa (Forge *forge)
{
  g_autoptr (ForgeKey) key = forge_key_new ("rsa1024");

  unsign (forge, "timestamp");
  forge_add_key (forge, "root", "timestamp", key);
  forge_bump (forge, "root");
  forge_bump (forge, "timestamp");
}

static void
unknown_scheme (Forge *forge)
{
  g_autoptr (ForgeKey) key = forge_key_new ("ed25519");

  json_object_set_new (forge_key_json (key), "scheme", json_string ("none"));
  unsign (forge, "timestamp");
  forge_add_key (forge, "root", "timestamp", key);
  forge_bump (forge, "root");
  forge_bump (forge, "timestamp");
}

static void
zero_threshold (Forge *forge)
{
  forge_set_threshold (forge, "root", "timestamp", 0);
  forge_bump (forge, "root");
}

static void
negative_threshold (Forge *forge)
{
  forge_set_threshold (forge, "targets", "policy", -1);
  forge_release (forge, "targets", NULL);
}

/* -- Root ------------------------------------------------------------------------------------------------------------ */

static void
root_not_by_old (Forge *forge)
{
  forge_rotate (forge, "root");
  forge_bump (forge, "root");
}

static void
root_not_by_new (Forge *forge)
{
  g_autoptr (ForgeKey) old = forge_key_ref (forge_signers (forge, "root")->pdata[0]);

  forge_rotate (forge, "root");
  unsign (forge, "root");
  g_ptr_array_add (forge_signers (forge, "root"), forge_key_ref (old));
  forge_bump (forge, "root");
}

static void
serve_root_as_next (Forge *forge, json_int_t version)
{
  forge_set_version (forge, "root", version);
  g_autoptr (GBytes) file = forge_sign (forge_body (forge, "root"), forge_signers (forge, "root"));
  forge_put (forge, "metadata/2.root.json", file);
}

static void
root_gap (Forge *forge)
{
  serve_root_as_next (forge, 3);
}

static void
root_again (Forge *forge)
{
  serve_root_as_next (forge, 1);
}

static void
root_without_role (Forge *forge)
{
  json_object_del (json_object_get (forge_body (forge, "root"), "roles"), "snapshot");
  forge_bump (forge, "root");
}

/* -- Endless, oversized, cut ----------------------------------------------------------------------------------------- */

static void
endless_root (Forge *forge)
{
  forge->endless = "metadata/2.root.json";
}

static void
endless_timestamp (Forge *forge)
{
  forge->endless = "metadata/timestamp.json";
}

static void
endless_snapshot (Forge *forge)
{
  forge_release (forge, NULL, NULL);
  forge->endless = "metadata/6.snapshot.json";
}

static void
endless_unsized_snapshot (Forge *forge)
{
  forge->hashes = FALSE;
  endless_snapshot (forge);
}

static void
endless_unsized_targets (Forge *forge)
{
  forge->hashes = FALSE;
  forge_release (forge, "targets", NULL);
  forge->endless = "metadata/6.targets.json";
}

static void
endless_unsized_delegated (Forge *forge)
{
  forge->hashes = FALSE;
  forge_release (forge, "policy", NULL);
  forge->endless = "metadata/6.policy.json";
}

static char *
office_path (void)
{
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, FORGE_OFFICE, -1);

  return g_strdup_printf ("targets/policy/%s.office.json", digest);
}

static void
endless_target (Forge *forge)
{
  g_autofree char *path = office_path ();

  forge->endless = g_intern_string (path);
}

static void
cut_target (Forge *forge)
{
  g_autofree char *path = office_path ();

  forge_put_text (forge, path, "{");
}

static void
altered_target (Forge *forge)
{
  g_autofree char *path = office_path ();

  alter (forge, path);
}

static void
missing_target (Forge *forge)
{
  g_autofree char *path = office_path ();

  g_hash_table_remove (forge->files, path);
}

/* Releases another KEY of what is said of the target. */
static void
set_office (Forge *forge, const char *key, json_t *value)
{
  json_object_set_new (json_object_get (json_object_get (forge_body (forge, "policy"), "targets"), OFFICE), key, value);
  forge_release (forge, "policy", NULL);
}

static void
huge_target (Forge *forge)
{
  set_office (forge, "length", json_integer (G_GINT64_CONSTANT (3) << 30));
}

static void
negative_target (Forge *forge)
{
  set_office (forge, "length", json_integer (-1));
}

static void
unknown_hash (Forge *forge)
{
  set_office (forge, "hashes", json_pack ("{s:s}", "md5", "00"));
}

static void
malformed_hash (Forge *forge)
{
  set_office (forge, "hashes", json_pack ("{s:s}", "sha256", "00"));
}

static void
broken_connection (Forge *forge)
{
  forge_bump (forge, "timestamp");
  forge->broken = "metadata/timestamp.json";
}

static void
altered_timestamp (Forge *forge)
{
  g_autofree char *text = NULL;

  forge_bump (forge, "timestamp");
  GBytes *file = g_hash_table_lookup (forge->files, "metadata/timestamp.json");
  text = g_strndup (g_bytes_get_data (file, NULL), g_bytes_get_size (file));
  strstr (text, FORGE_EXPIRY)[3] = '9';
  forge_put_text (forge, "metadata/timestamp.json", text);
}

/* -- Forms ----------------------------------------------------------------------------------------------------------- */

static void
not_json (Forge *forge)
{
  forge_put_text (forge, "metadata/timestamp.json", "<html>captive portal</html>");
}

static void
empty_file (Forge *forge)
{
  forge_put_text (forge, "metadata/timestamp.json", "");
}

static void
deep_json (Forge *forge)
{
  g_autofree char *text = g_strnfill (60000, '[');

  forge_put_text (forge, "metadata/timestamp.json", text);
}

static void
duplicate_member (Forge *forge)
{
  GBytes *file = g_hash_table_lookup (forge->files, "metadata/timestamp.json");
  g_autofree char *text = g_strndup (g_bytes_get_data (file, NULL), g_bytes_get_size (file) - 1);
  g_autofree char *twice = g_strconcat (text, ",\"signed\":{}}", NULL);

  forge_put_text (forge, "metadata/timestamp.json", twice);
}

static void
real_number (Forge *forge)
{
  forge_put_text (forge, "metadata/timestamp.json", "{\"signatures\":[],\"signed\":{\"version\":2.0}}");
}

static void
version_zero (Forge *forge)
{
  forge_set_version (forge, "timestamp", 0);
  forge_publish (forge, "timestamp");
}

static void
other_specification (Forge *forge)
{
  set_string (forge, "timestamp", "spec_version", "2.0.0");
  forge_bump (forge, "timestamp");
}

static void
top_level_delegated (Forge *forge)
{
  forge_delegate (forge, "targets", "timestamp", FALSE, json_pack ("{s:[s]}", "paths", "*"));
  g_ptr_array_set_size (forge_signers (forge, "timestamp"), 1);
  forge_release (forge, "targets", NULL);
}

static void
delegated_twice (Forge *forge)
{
  json_t *roles = json_object_get (json_object_get (forge_body (forge, "targets"), "delegations"), "roles");

  json_array_append (roles, json_array_get (roles, 0));
  forge_release (forge, "targets", NULL);
}

static void
both_matches (Forge *forge)
{
  json_object_set_new (forge_delegation (forge, "targets", "policy"), "path_hash_prefixes", json_pack ("[s]", "00"));
  forge_release (forge, "targets", NULL);
}

static void
escaping_target (Forge *forge)
{
  forge_add_target (forge, "targets", "../../etc/passwd", "root::0:0");
  forge_release (forge, "targets", NULL);
}

/* -- Delegations ----------------------------------------------------------------------------------------------------- */

static void
not_in_snapshot (Forge *forge)
{
  forge_delegate (forge, "targets", "extra", FALSE, json_pack ("{s:[s]}", "paths", "extra/*"));
  forge_release (forge, "targets", NULL);
}

static void
cycle (Forge *forge)
{
  forge_delegate (forge, "targets", "a", FALSE, json_pack ("{s:[s]}", "paths", "cycle/*"));
  forge_delegate (forge, "a", "b", FALSE, json_pack ("{s:[s]}", "paths", "cycle/*"));
  forge_delegate (forge, "b", "a", FALSE, json_pack ("{s:[s]}", "paths", "cycle/*"));
  forge_release (forge, "targets", "a", "b", NULL);
}

static void
deep_chain (Forge *forge)
{
  g_autofree char *from = g_strdup ("targets");

  for (int i = 0; i < 20; i++) {
    g_autofree char *name = g_strdup_printf ("deep%d", i);

    forge_delegate (forge, from, name, FALSE, json_pack ("{s:[s]}", "paths", "deep/*"));
    if (i > 0)
      forge_bump (forge, from);
    g_free (from);
    from = g_strdup (name);
  }
  forge_bump (forge, from);
  forge_release (forge, "targets", NULL);
}

static void
wide_fan (Forge *forge)
{
  for (int i = 0; i < 40; i++) {
    g_autofree char *name = g_strdup_printf ("wide%d", i);

    forge_delegate (forge, "targets", name, FALSE, json_pack ("{s:[s]}", "paths", "wide/*"));
    forge_bump (forge, name);
  }
  forge_release (forge, "targets", NULL);
}

/* A later delegation offers what a terminating one, which covers it, does not list. */
static void
after_terminating (Forge *forge)
{
  forge_delegate (forge, "targets", "evil", FALSE, json_pack ("{s:[s]}", "paths", "policy/*"));
  forge_add_target (forge, "evil", "policy/evil.json", "{}");
  forge_release (forge, "evil", "targets", NULL);
}

/* The same one level deeper: the terminating one ends the search for those that led to it, too. */
static void
after_terminating_below (Forge *forge)
{
  forge_delegate (forge, "targets", "a", FALSE, json_pack ("{s:[s]}", "paths", "t/*"));
  forge_delegate (forge, "a", "c", TRUE, json_pack ("{s:[s]}", "paths", "t/*"));
  forge_delegate (forge, "targets", "evil", FALSE, json_pack ("{s:[s]}", "paths", "t/*"));
  forge_add_target (forge, "evil", "t/x", "{}");
  forge_release (forge, "evil", "c", "a", "targets", NULL);
}

/* A delegate delegates what it was not given. */
static void
beyond_delegation (Forge *forge)
{
  forge_delegate (forge, "images", "evil", FALSE, json_pack ("{s:[s]}", "paths", "policy/*"));
  forge_add_target (forge, "evil", "policy/evil.json", "{}");
  forge_release (forge, "evil", "images", NULL);
}

static void
star_crosses (Forge *forge)
{
  forge_add_target (forge, "policy", "policy/sub/evil.json", "{}");
  forge_release (forge, "policy", NULL);
}

/* -- The table ------------------------------------------------------------------------------------------------------- */

#define TS "timestamp.json"
#define SN TS " snapshot.json"
#define TA SN " targets.json"

static const Attack attacks[] = {
  { "rollback/timestamp", old_timestamp, FLOE_ERROR_ROLLBACK, "version 4, but version 5 was accepted before", "" },
  { "rollback/snapshot version in timestamp", snapshot_back, FLOE_ERROR_ROLLBACK, "names snapshot version 4 after version 5", "" },
  { "rollback/targets version in snapshot", targets_back, FLOE_ERROR_ROLLBACK, "names role targets at version 4 after version 5", TS },
  { "rollback/delegated version in snapshot", delegated_back, FLOE_ERROR_ROLLBACK, "names role policy at version 4 after", TS },
  { "rollback/role dropped from snapshot", role_dropped, FLOE_ERROR_ROLLBACK, "role images, which version 5 listed, is gone", TS },
  { "rollback/targets dropped from snapshot", targets_dropped, FLOE_ERROR_ROLLBACK, "role targets, which version 5 listed, is gone", TS },
  { "rollback/targets never in snapshot", targets_dropped, FLOE_ERROR_INVALID, "role targets is not listed", SN, .fresh = TRUE },
  { "rollback/old snapshot under the new name", old_snapshot_file, FLOE_ERROR_ROLLBACK, "version 5, but version 6 is what was announced", TS },
  { "rollback/old targets under the new name", old_targets_file, FLOE_ERROR_ROLLBACK, "version 5, but version 6", SN },
  { "rollback/old delegated under the new name", old_delegated_file, FLOE_ERROR_ROLLBACK, "version 5, but version 6", SN },
  { "mix-and-match/snapshot", mix_snapshot, FLOE_ERROR_UNVERIFIED, "longer than", TS },
  { "mix-and-match/snapshot of the same length", same_size_mix, FLOE_ERROR_UNVERIFIED, "its SHA-256 is not the one", TS },
  { "mix-and-match/targets", mix_targets, FLOE_ERROR_UNVERIFIED, "longer than", SN },
  { "mix-and-match/delegated", mix_delegated, FLOE_ERROR_UNVERIFIED, "longer than", SN },
  { "fast-forward/snapshot ahead of timestamp", snapshot_ahead, FLOE_ERROR_UNVERIFIED, "but version 6 is what was announced", TS },
  { "fast-forward/timestamp by a stranger", timestamp_ahead, FLOE_ERROR_UNVERIFIED, "0 of the 1 signatures needed are good", "" },
  { "freeze/nothing new until all expired", NULL, FLOE_ERROR_EXPIRED, "expired on 2030-01-01T00:00:00Z", "", .now = LATER },
  { "freeze/timestamp withheld", withheld_timestamp, FLOE_ERROR_NOT_FOUND, "metadata/timestamp.json", "" },
  { "freeze/snapshot withheld", withheld_snapshot, FLOE_ERROR_NOT_FOUND, "metadata/6.snapshot.json", TS },
  { "expired/root", expired_root, FLOE_ERROR_EXPIRED, "root.json: version 2 expired on 2025-12-31T23:59:59Z", "root.json" },
  { "expired/timestamp", expired_timestamp, FLOE_ERROR_EXPIRED, "timestamp.json: version 6 expired", "" },
  { "expired/snapshot", expired_snapshot, FLOE_ERROR_EXPIRED, "6.snapshot.json: version 6 expired", TS },
  { "expired/targets", expired_targets, FLOE_ERROR_EXPIRED, "6.targets.json: version 6 expired", SN },
  { "expired/delegated", expired_delegated, FLOE_ERROR_EXPIRED, "6.policy.json: version 6 expired", SN },
  { "expired/at this very second", expires_now, FLOE_ERROR_EXPIRED, "timestamp.json: version 6 expired", "" },
  { "expired/on a day that does not exist", malformed_expiry, FLOE_ERROR_INVALID, "signed.expires: a time as", "" },
  { "wrong role/snapshot signed as timestamp", snapshot_as_timestamp, FLOE_ERROR_INVALID, "metadata of role timestamp wanted, not 'snapshot'", "" },
  { "wrong role/timestamp by snapshot's key", timestamp_by_snapshot, FLOE_ERROR_UNVERIFIED, "role timestamp: 0 of the 1", "" },
  { "wrong role/snapshot by timestamp's key", snapshot_by_timestamp, FLOE_ERROR_UNVERIFIED, "role snapshot: 0 of the 1", TS },
  { "wrong role/targets by snapshot's key", targets_by_snapshot, FLOE_ERROR_UNVERIFIED, "role targets: 0 of the 1", SN },
  { "wrong role/policy by the image team", policy_by_images, FLOE_ERROR_UNVERIFIED, "role policy: 0 of the 1", SN },
  { "wrong role/the image team lists a policy", images_lists_policy, FLOE_ERROR_NOT_FOUND, "none of the 2 roles", SN, "policy/evil.json" },
  { "threshold/unsigned", unsigned_timestamp, FLOE_ERROR_UNVERIFIED, "0 of the 1 signatures needed", "" },
  { "threshold/root one short", short_root, FLOE_ERROR_UNVERIFIED, "role root: 1 of the 2", "" },
  { "threshold/timestamp one short", short_timestamp, FLOE_ERROR_UNVERIFIED, "role timestamp: 1 of the 2", "root.json" },
  { "threshold/snapshot one short", short_snapshot, FLOE_ERROR_UNVERIFIED, "role snapshot: 1 of the 2", "root.json " TS },
  { "threshold/targets one short", short_targets, FLOE_ERROR_UNVERIFIED, "role targets: 1 of the 2", "root.json " SN },
  { "threshold/delegated one short", short_delegated, FLOE_ERROR_UNVERIFIED, "role policy: 1 of the 2", TA },
  { "threshold/the same signature twice", duplicate_signature, FLOE_ERROR_INVALID, "a second signature of key", "" },
  { "threshold/the same key under two ids", aliased_key, FLOE_ERROR_UNVERIFIED, "again under a second id", "root.json" },
  { "threshold/the same key under two ids, delegated", aliased_delegated_key, FLOE_ERROR_UNVERIFIED, "again under a second id", TA },
  { "threshold/the same id listed twice", key_listed_twice, FLOE_ERROR_UNVERIFIED, "role timestamp: 1 of the 2", "root.json" },
  { "threshold/zero", zero_threshold, FLOE_ERROR_INVALID, "threshold: 1 to", "" },
  { "threshold/negative", negative_threshold, FLOE_ERROR_INVALID, "threshold: 1 to", SN },
  { "keys/another key under a known id", borrowed_id, FLOE_ERROR_UNVERIFIED, "its id is not the digest of the key", "root.json " SN },
  { "keys/RSA of 1,024 bits", short_rsa, FLOE_ERROR_UNVERIFIED, "or one too short", "root.json " SN },
  { "keys/unknown scheme", unknown_scheme, FLOE_ERROR_UNVERIFIED, "not one that Floe knows", "root.json " SN },
  { "root/not signed by its predecessor", root_not_by_old, FLOE_ERROR_UNVERIFIED, "2.root.json: role root: 0 of the 1", "" },
  { "root/not signed by itself", root_not_by_new, FLOE_ERROR_UNVERIFIED, "2.root.json: role root: 0 of the 1", "" },
  { "root/a gap", root_gap, FLOE_ERROR_ROLLBACK, "version 3 after version 1", "" },
  { "root/the same version again", root_again, FLOE_ERROR_ROLLBACK, "version 1 after version 1", "" },
  { "root/a role without keys", root_without_role, FLOE_ERROR_INVALID, "key 'snapshot' is missing", "" },
  { "endless/root", endless_root, FLOE_ERROR_LIMIT, "more than 524288 bytes", "" },
  { "endless/timestamp", endless_timestamp, FLOE_ERROR_LIMIT, "more than 65536 bytes", "" },
  { "endless/snapshot", endless_snapshot, FLOE_ERROR_UNVERIFIED, "longer than", TS },
  { "endless/snapshot of no said length", endless_unsized_snapshot, FLOE_ERROR_LIMIT, "more than 8388608 bytes", TS },
  { "endless/targets of no said length", endless_unsized_targets, FLOE_ERROR_LIMIT, "more than 16777216 bytes", SN },
  { "endless/delegated of no said length", endless_unsized_delegated, FLOE_ERROR_LIMIT, "more than 16777216 bytes", SN },
  { "endless/target", endless_target, FLOE_ERROR_UNVERIFIED, "longer than the 27 bytes", "" },
  { "target/cut", cut_target, FLOE_ERROR_UNVERIFIED, "1 bytes, its metadata says 27", "" },
  { "target/altered after its metadata was verified", altered_target, FLOE_ERROR_UNVERIFIED, "its SHA-256 is not the one", "" },
  { "target/missing", missing_target, FLOE_ERROR_NOT_FOUND, "office.json: not in the repository", "" },
  { "target/of three gigabytes", huge_target, FLOE_ERROR_LIMIT, "3221225472 bytes, 1048576 at most", SN " policy.json" },
  { "target/of negative length", negative_target, FLOE_ERROR_INVALID, "length: 0 to", SN },
  { "target/hashed by nothing we know", unknown_hash, FLOE_ERROR_UNVERIFIED, "none of its hashes", SN " policy.json" },
  { "target/hash of one byte", malformed_hash, FLOE_ERROR_INVALID, "64 lower-case hexadecimal digits", SN },
  { "target/name that climbs out", escaping_target, FLOE_ERROR_INVALID, "not a path below the repository", TA, "../../etc/passwd" },
  { "transfer/connection cut", broken_connection, FLOE_ERROR_IO, "connection lost", "" },
  { "transfer/expiry moved", altered_timestamp, FLOE_ERROR_UNVERIFIED, "the signature of key", "" },
  { "form/captive portal", not_json, FLOE_ERROR_INVALID, "timestamp.json:1: ", "" },
  { "form/empty", empty_file, FLOE_ERROR_INVALID, "timestamp.json:1: ", "" },
  { "form/nested 60,000 deep", deep_json, FLOE_ERROR_INVALID, "maximum parsing depth", "" },
  { "form/a member twice", duplicate_member, FLOE_ERROR_INVALID, "duplicate object key", "" },
  { "form/a real number", real_number, FLOE_ERROR_INVALID, "no canonical form", "" },
  { "form/version 0", version_zero, FLOE_ERROR_INVALID, "signed.version: 1 to", "" },
  { "form/another specification", other_specification, FLOE_ERROR_UNSUPPORTED, "written to TUF 2.0.0", "" },
  { "delegation/called as a top-level role", top_level_delegated, FLOE_ERROR_INVALID, "'timestamp' is a top-level role", SN },
  { "delegation/twice to one role", delegated_twice, FLOE_ERROR_INVALID, "role 'policy' is delegated to twice", SN },
  { "delegation/by path and by hash", both_matches, FLOE_ERROR_INVALID, "exclude each other", SN },
  { "delegation/not in the snapshot", not_in_snapshot, FLOE_ERROR_NOT_FOUND, "does not list it", TA, "extra/x" },
  { "delegation/cycle", cycle, FLOE_ERROR_NOT_FOUND, "none of the 3 roles", TA " a.json b.json", "cycle/x" },
  { "delegation/too deep", deep_chain, FLOE_ERROR_LIMIT, "delegation 17 in a row, 16 at most", NULL, "deep/x" },
  { "delegation/too wide", wide_fan, FLOE_ERROR_LIMIT, "first 32 roles", NULL, "wide/x" },
  { "delegation/after a terminating one", after_terminating, FLOE_ERROR_NOT_FOUND, "none of the 2 roles", TA, "policy/evil.json" },
  { "delegation/after a terminating one below", after_terminating_below, FLOE_ERROR_NOT_FOUND, "none of the 3 roles", NULL, "t/x" },
  { "delegation/of what one was not given", beyond_delegation, FLOE_ERROR_NOT_FOUND, "none of the 2 roles", TA, "policy/evil.json" },
  { "delegation/a star that crosses a slash", star_crosses, FLOE_ERROR_NOT_FOUND, "none of the 1 roles", SN, "policy/sub/evil.json" },
};

/* The attack's outcome must be its refusal. */
static void
strike (const Attack *attack, Endpoint *endpoint)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeVerified) got = endpoint_fetch (endpoint, attack->target != NULL ? attack->target : OFFICE,
                                                 attack->now != 0 ? attack->now : FORGE_NOW, &error);

  accepted += got != NULL;
  g_assert_null (got);
  g_test_message ("%s", error->message);
  g_assert_error (error, FLOE_ERROR, (int) attack->code);
  if (strstr (error->message, attack->message) == NULL)
    g_test_fail_printf ("%s: '%s' does not say '%s'", attack->name, error->message, attack->message);
}

static void
test_attack (gconstpointer data)
{
  const Attack *attack = data;
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autofree char *before = NULL, *between = NULL, *after = NULL, *between_all = NULL;

  /* Version 5 of all, so that there is something to roll back to. */
  for (int i = 0; i < 4; i++)
    forge_release (endpoint->forge, "targets", "policy", "images", NULL);
  if (!attack->fresh) {
    g_autoptr (FloeVerified) honest = endpoint_fetch (endpoint, OFFICE, FORGE_NOW, NULL);
    g_assert_nonnull (honest);
  }
  before = endpoint_state (endpoint, attack->renewed != NULL ? attack->renewed : "");
  if (attack->mount != NULL)
    attack->mount (endpoint->forge);
  tried++;
  strike (attack, endpoint);
  between = endpoint_state (endpoint, attack->renewed != NULL ? attack->renewed : "");
  if (attack->renewed != NULL)
    g_assert_cmpstr (before, ==, between);
  between_all = endpoint_state (endpoint, "");
  endpoint->forge->served = 0;
  strike (attack, endpoint);
  after = endpoint_state (endpoint, "");
  g_assert_cmpstr (between_all, ==, after);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (attacks); i++) {
    g_autofree char *name = g_strconcat ("/attacks/", attacks[i].name, NULL);

    g_test_add_data_func (name, &attacks[i], test_attack);
  }
  status = g_test_run ();
  g_print ("figure: trust_attacks_tried = %u\nfigure: trust_attacks_accepted = %u\n", tried, accepted);
  return status;
}
