/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/endpoint.h"

#include "common/floe-fd.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the client must accept, and in which order it asks. What it must refuse is in floe-trust-attacks-test.c. */

#define OFFICE "policy/office.json"
#define LATER G_GINT64_CONSTANT (1900000000)

static void
must_fetch (Endpoint *endpoint, const char *target)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeVerified) verified = endpoint_fetch (endpoint, target, FORGE_NOW, &error);

  g_assert_no_error (error);
  g_assert_nonnull (verified);
}

static void
must_refresh (Endpoint *endpoint)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (endpoint_refresh (endpoint, FORGE_NOW, &error));
  g_assert_no_error (error);
}

static void
assert_requests (Forge *forge, const char *expected)
{
  g_autofree char *got = NULL;

  g_ptr_array_add (forge->requests, NULL);
  got = g_strjoinv (" ", (char **) forge->requests->pdata);
  g_assert_cmpstr (got, ==, expected);
  g_ptr_array_set_size (forge->requests, 0);
}

static void
test_verified (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeVerified) verified = NULL, other = NULL;

  forge_release (endpoint->forge, "policy", NULL);
  verified = endpoint_fetch (endpoint, OFFICE, FORGE_NOW, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (floe_verified_bytes (verified), NULL), g_bytes_get_size (floe_verified_bytes (verified)),
                   FORGE_OFFICE, strlen (FORGE_OFFICE));
  g_assert_cmpstr (floe_verified_name (verified), ==, OFFICE);
  g_assert_cmpstr (floe_verified_role (verified), ==, "policy");
  g_assert_cmpint (floe_verified_version (verified), ==, 2);
  other = floe_verified_ref (verified);
  g_assert_true (other == verified);
}

static void
test_requests (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();

  must_refresh (endpoint);
  assert_requests (endpoint->forge, "metadata/2.root.json metadata/timestamp.json metadata/1.snapshot.json metadata/1.targets.json");
  must_refresh (endpoint);
  assert_requests (endpoint->forge, "metadata/2.root.json metadata/timestamp.json");
  forge_release (endpoint->forge, NULL, NULL);
  must_refresh (endpoint);
  assert_requests (endpoint->forge, "metadata/2.root.json metadata/timestamp.json metadata/2.snapshot.json");
}

static void
test_same_timestamp_version (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new_current ();
  g_autofree char *before = endpoint_state (endpoint, ""), *after = NULL;

  json_object_set_new (forge_body (endpoint->forge, "timestamp"), "x", json_string ("changed without a new version"));
  forge_publish (endpoint->forge, "timestamp");
  must_refresh (endpoint);
  after = endpoint_state (endpoint, "");
  g_assert_cmpstr (before, ==, after);
}

static void
test_not_consistent (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;

  json_object_set_new (forge_body (forge, "root"), "consistent_snapshot", json_false ());
  forge_bump (forge, "root");
  forge_release (forge, "policy", "targets", NULL);
  must_fetch (endpoint, OFFICE);
  assert_requests (forge, "metadata/2.root.json metadata/3.root.json metadata/timestamp.json metadata/snapshot.json "
                          "metadata/targets.json metadata/policy.json targets/policy/office.json");
}

static void
test_without_hashes (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();

  endpoint->forge->hashes = FALSE;
  forge_release (endpoint->forge, "policy", "images", "targets", NULL);
  must_fetch (endpoint, OFFICE);
}

static void
test_sha512 (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA512, "x", -1);
  g_autofree char *path = g_strdup_printf ("targets/%s.x", digest);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeVerified) altered = NULL;

  forge_put_text (endpoint->forge, path, "x");
  json_object_set_new (json_object_get (forge_body (endpoint->forge, "targets"), "targets"), "x",
                       json_pack ("{s:i,s:{s:s,s:s}}", "length", 1, "hashes", "sha512", digest, "unknown", "1"));
  forge_release (endpoint->forge, "targets", NULL);
  must_fetch (endpoint, "x");
  forge_put_text (endpoint->forge, path, "y");
  altered = endpoint_fetch (endpoint, "x", FORGE_NOW, &error);
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
  g_assert_nonnull (strstr (error->message, "SHA-512"));
}

static void
test_unknown_fields (void)
{
  static const char *const roles[] = { "root", "timestamp", "snapshot", "targets", "policy" };
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;

  for (size_t i = 0; i < G_N_ELEMENTS (roles); i++)
    json_object_set_new (forge_body (forge, roles[i]), "x-new", json_pack ("{s:[n,b,i,s]}", "a", 1, 7, "é\"\\"));
  json_object_set_new (forge_delegation (forge, "targets", "policy"), "x-new", json_true ());
  forge_bump (forge, "root");
  forge_release (forge, "policy", "targets", NULL);
  must_fetch (endpoint, OFFICE);
}

/* -- Keys and roots -------------------------------------------------------------------------------------------------- */

static void
test_root_chain (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new_current ();
  Forge *forge = endpoint->forge;

  for (int i = 0; i < 12; i++) {
    g_autoptr (ForgeKey) old = forge_key_ref (forge_signers (forge, "root")->pdata[0]);

    forge_rotate (forge, "root");
    g_ptr_array_add (forge_signers (forge, "root"), forge_key_ref (old));
    forge_bump (forge, "root");
  }
  must_refresh (endpoint);
  g_assert_cmpint (endpoint_version (endpoint, "root"), ==, 13);
  /* The last root's own key signs alone from now on. */
  g_ptr_array_set_size (forge_signers (forge, "root"), 1);
  forge_bump (forge, "root");
  must_refresh (endpoint);
  g_assert_cmpint (endpoint_version (endpoint, "root"), ==, 14);
}

static void
test_key_types (void)
{
  static const char *const types[] = { "ecdsa", "rsa2048", "ed25519" };
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;

  for (size_t i = 0; i < G_N_ELEMENTS (types); i++) {
    g_autoptr (ForgeKey) key = forge_key_new (types[i]);

    forge_add_key (forge, "root", "timestamp", key);
  }
  forge_set_threshold (forge, "root", "timestamp", 4);
  forge_bump (forge, "root");
  forge_bump (forge, "timestamp");
  must_refresh (endpoint);
}

/* A signature too many that is wrong does not spoil those that are right. */
static void
test_wrong_signature_beside (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autofree char *text = NULL, *all = NULL;
  GBytes *file;

  g_ptr_array_add (forge_signers (forge, "timestamp"), forge_key_new ("ed25519"));
  forge_bump (forge, "timestamp");
  file = g_hash_table_lookup (forge->files, "metadata/timestamp.json");
  text = g_strndup (g_bytes_get_data (file, NULL), g_bytes_get_size (file));
  all = g_strdup_printf ("{\"signatures\":[{\"keyid\":\"none\",\"sig\":\"\"},%s", strstr (text, "{\"keyid\""));
  forge_put_text (forge, "metadata/timestamp.json", all);
  must_refresh (endpoint);
}

static void
test_recovery_timestamp (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new_current ();
  Forge *forge = endpoint->forge;

  forge_set_version (forge, "timestamp", 1000);
  forge_publish (forge, "timestamp");
  must_refresh (endpoint);
  forge_rotate (forge, "timestamp");
  forge_bump (forge, "root");
  forge_set_version (forge, "timestamp", 2);
  forge_publish (forge, "timestamp");
  must_refresh (endpoint);
  g_assert_cmpint (endpoint_version (endpoint, "timestamp"), ==, 2);
}

static void
test_recovery_snapshot (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new_current ();
  Forge *forge = endpoint->forge;

  forge_set_version (forge, "targets", 1000);
  forge_publish (forge, "targets");
  forge_set_version (forge, "snapshot", 1000);
  forge_publish (forge, "snapshot");
  forge_bump (forge, "timestamp");
  must_refresh (endpoint);
  forge_rotate (forge, "snapshot");
  forge_rotate (forge, "timestamp");
  forge_bump (forge, "root");
  forge_set_version (forge, "targets", 2);
  forge_publish (forge, "targets");
  forge_set_version (forge, "snapshot", 2);
  forge_publish (forge, "snapshot");
  forge_bump (forge, "timestamp");
  must_fetch (endpoint, OFFICE);
  g_assert_cmpint (endpoint_version (endpoint, "snapshot"), ==, 2);
  g_assert_cmpint (endpoint_version (endpoint, "targets"), ==, 2);
}

/* One of two keys is taken away, the other keeps signing: the old file still verifies, yet must be forgotten. And the root that
 * says so comes expired, so that the refresh that reads it fails: it must not be forgotten to forget. */
static void
test_recovery_remembered (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autoptr (ForgeKey) lost = forge_key_new ("ed25519");
  g_autoptr (GError) error = NULL;
  json_t *roles = json_object_get (forge_body (forge, "root"), "roles");

  forge_add_key (forge, "root", "timestamp", lost);
  forge_bump (forge, "root");
  forge_set_version (forge, "timestamp", 1000);
  forge_publish (forge, "timestamp");
  must_refresh (endpoint);
  json_array_remove (json_object_get (json_object_get (roles, "timestamp"), "keyids"), 1);
  g_ptr_array_set_size (forge_signers (forge, "timestamp"), 1);
  json_object_set_new (forge_body (forge, "root"), "expires", json_string ("2020-01-01T00:00:00Z"));
  forge_bump (forge, "root");
  g_assert_false (endpoint_refresh (endpoint, FORGE_NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_EXPIRED);
  json_object_set_new (forge_body (forge, "root"), "expires", json_string (FORGE_EXPIRY));
  forge_bump (forge, "root");
  forge_set_version (forge, "timestamp", 2);
  forge_publish (forge, "timestamp");
  must_refresh (endpoint);
  g_assert_cmpint (endpoint_version (endpoint, "timestamp"), ==, 2);
}

/* A key added is no recovery: what was seen stays seen. */
static void
test_key_added (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autoptr (ForgeKey) more = forge_key_new ("ed25519");
  g_autoptr (GError) error = NULL;

  forge_set_version (forge, "timestamp", 1000);
  forge_publish (forge, "timestamp");
  must_refresh (endpoint);
  forge_add_key (forge, "root", "timestamp", more);
  forge_bump (forge, "root");
  forge_set_version (forge, "timestamp", 999);
  forge_publish (forge, "timestamp");
  g_assert_false (endpoint_refresh (endpoint, FORGE_NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_ROLLBACK);
}

/* -- Delegations ----------------------------------------------------------------------------------------------------- */

static void
test_order (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autoptr (FloeVerified) verified = NULL;

  forge_delegate (forge, "targets", "a", FALSE, json_pack ("{s:[s]}", "paths", "t/*"));
  forge_delegate (forge, "targets", "b", FALSE, json_pack ("{s:[s,s]}", "paths", "u/*", "t/?"));
  forge_delegate (forge, "a", "c", FALSE, json_pack ("{s:[s]}", "paths", "t/*"));
  forge_delegate (forge, "a", "d", FALSE, json_pack ("{s:[s]}", "paths", "*/*"));
  forge_delegate (forge, "a", "e", FALSE, json_pack ("{s:[s]}", "paths", "other/*"));
  forge_add_target (forge, "b", "t/x", "from b");
  forge_release (forge, "a", "b", "c", "d", "e", "targets", NULL);
  verified = endpoint_fetch (endpoint, "t/x", FORGE_NOW, NULL);
  g_assert_nonnull (verified);
  g_assert_cmpstr (floe_verified_role (verified), ==, "b");
  g_ptr_array_set_size (forge->requests, forge->requests->len - 1);
  assert_requests (forge, "metadata/2.root.json metadata/timestamp.json metadata/2.snapshot.json metadata/2.targets.json "
                          "metadata/2.a.json metadata/2.c.json metadata/2.d.json metadata/2.b.json");
}

static void
test_hashed_bins (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;

  forge_release (forge, NULL, NULL);
  for (int i = 0; i < 16; i++) {
    g_autofree char *name = g_strdup_printf ("bin%x", i), *prefix = g_strdup_printf ("%x", i);

    forge_delegate (forge, "targets", name, TRUE, json_pack ("{s:[s]}", "path_hash_prefixes", prefix));
  }
  for (int i = 0; i < 64; i++) {
    g_autofree char *target = g_strdup_printf ("files/%d", i);
    g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, target, -1);
    g_autofree char *name = g_strdup_printf ("bin%c", *digest);

    forge_add_target (forge, name, target, target);
  }
  for (int i = 0; i < 16; i++) {
    g_autofree char *name = g_strdup_printf ("bin%x", i);

    forge_bump (forge, name);
  }
  forge_release (forge, "targets", NULL);
  for (int i = 0; i < 64; i++) {
    g_autofree char *target = g_strdup_printf ("files/%d", i);

    must_fetch (endpoint, target);
  }
}

static void
test_unusual_names (void)
{
  static const char *const names[] = { "?", "#", "/x", "../x", "..", ".root.json.01234567", "a b", "é", "%2e", "root.json" };
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autoptr (GDir) dir = NULL;
  guint files = 0;

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    forge_delegate (forge, "targets", names[i], FALSE, json_pack ("{s:[s]}", "paths", "t/*"));
    forge_bump (forge, names[i]);
  }
  forge_add_target (forge, "root.json", "t/a b?é%", "last");
  forge_release (forge, "root.json", "targets", NULL);
  must_fetch (endpoint, "t/a b?é%");
  must_fetch (endpoint, "t/a b?é%");
  dir = g_dir_open (endpoint->path, 0, NULL);
  for (const char *name; (name = g_dir_read_name (dir)) != NULL; files++)
    g_assert_true (g_str_has_suffix (name, ".json") && *name != '.');
  g_assert_cmpuint (files, ==, 4 + G_N_ELEMENTS (names));
}

/* A role that two delegators name is verified by the keys of the one that led to it, also when it is known already. */
static void
test_diamond (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autoptr (FloeTrust) trust = NULL;
  g_autoptr (FloeVerified) a = NULL, b = NULL;
  g_autoptr (GError) error = NULL;

  forge_delegate (forge, "targets", "pa", FALSE, json_pack ("{s:[s]}", "paths", "a/*"));
  forge_delegate (forge, "targets", "pb", FALSE, json_pack ("{s:[s]}", "paths", "b/*"));
  forge_delegate (forge, "pa", "release", FALSE, json_pack ("{s:[s]}", "paths", "a/*"));
  forge_delegate (forge, "pb", "release", FALSE, json_pack ("{s:[s]}", "paths", "b/*"));
  g_ptr_array_remove_index (forge_signers (forge, "release"), 1);
  forge_add_target (forge, "release", "a/x", "good");
  forge_add_target (forge, "release", "b/x", "evil");
  forge_release (forge, "release", "pa", "pb", "targets", NULL);
  trust = floe_trust_open (endpoint->state, &forge->transport, NULL);
  g_assert_true (floe_trust_refresh (trust, FORGE_NOW, NULL, NULL));
  a = floe_trust_target (trust, "a/x", 100, NULL, &error);
  g_assert_no_error (error);
  b = floe_trust_target (trust, "b/x", 100, NULL, &error);
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
}

/* -- Offline --------------------------------------------------------------------------------------------------------- */

static void
test_resume (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autoptr (FloeTrust) trust = floe_trust_open (endpoint->state, &forge->transport, NULL);
  g_autoptr (FloeVerified) early = NULL, late = NULL, adopted = NULL, wrong = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) content = g_bytes_new_static (FORGE_OFFICE, strlen (FORGE_OFFICE)), other = g_bytes_new_static ("{}", 2);
  gint64 version, expires;

  early = floe_trust_target (trust, OFFICE, 100, NULL, &error);
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_false (floe_trust_resume (trust, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_clear_pointer (&trust, floe_trust_free);
  must_fetch (endpoint, OFFICE);

  trust = floe_trust_open (endpoint->state, &forge->transport, NULL);
  g_assert_false (floe_trust_refresh (trust, LATER, NULL, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_EXPIRED);
  g_clear_error (&error);
  g_assert_true (floe_trust_resume (trust, &error));
  g_ptr_array_set_size (forge->requests, 0);
  late = floe_trust_target (trust, OFFICE, 100, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (late);
  g_assert_cmpuint (forge->requests->len, ==, 1);
  adopted = floe_trust_adopt (trust, OFFICE, content, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (adopted);
  wrong = floe_trust_adopt (trust, OFFICE, other, NULL, &error);
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
  g_assert_true (floe_trust_role (trust, "policy", &version, &expires));
  g_assert_cmpint (version, ==, 1);
  g_assert_cmpint (expires, ==, 1893456000);
  g_assert_true (floe_trust_role (trust, "root", &version, &expires));
  g_assert_false (floe_trust_role (trust, "images", &version, &expires));
}

/* A release that arrived in part: what was in force before stays usable offline. */
static void
test_resume_behind (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new_current ();
  Forge *forge = endpoint->forge;
  g_autoptr (FloeTrust) trust = NULL;
  g_autoptr (FloeVerified) verified = NULL;
  g_autoptr (GError) error = NULL;

  forge_release (forge, "policy", "targets", NULL);
  forge->broken = "metadata/2.targets.json";
  trust = floe_trust_open (endpoint->state, &forge->transport, NULL);
  g_assert_false (floe_trust_refresh (trust, FORGE_NOW, NULL, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_IO);
  g_clear_error (&error);
  g_assert_true (floe_trust_resume (trust, &error));
  g_assert_no_error (error);
  verified = floe_trust_target (trust, OFFICE, 100, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (floe_verified_version (verified), ==, 1);
}

/* A role that was never needed online is fetched, strictly, when it is needed offline. */
static void
test_resume_fetches (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autoptr (FloeTrust) trust = NULL;
  g_autoptr (FloeVerified) verified = NULL;
  g_autoptr (GError) error = NULL;

  must_refresh (endpoint);
  trust = floe_trust_open (endpoint->state, &endpoint->forge->transport, NULL);
  g_assert_true (floe_trust_resume (trust, &error));
  verified = floe_trust_target (trust, OFFICE, 100, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (verified);
}

/* -- The state directory --------------------------------------------------------------------------------------------- */

static void
test_locked (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autoptr (FloeTrust) first = floe_trust_open (endpoint->state, &endpoint->forge->transport, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (first);
  g_assert_null (floe_trust_open (endpoint->state, &endpoint->forge->transport, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_BUSY);
}

static void
write_state (Endpoint *endpoint, const char *name, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (floe_file_replace_at (endpoint->state, name, text, strlen (text), 0644, &error));
}

static void
test_init (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new_current ();
  Forge *forge = endpoint->forge;
  g_autoptr (GBytes) first = g_bytes_ref (g_hash_table_lookup (forge->files, "metadata/1.root.json"));
  g_autoptr (GBytes) junk = g_bytes_new_static ("{}", 2);
  g_autoptr (GError) error = NULL;

  g_assert_false (floe_trust_init (endpoint->state, junk, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  forge_bump (forge, "root");
  must_refresh (endpoint);
  g_assert_true (floe_trust_init (endpoint->state, first, &error));
  g_assert_cmpint (endpoint_version (endpoint, "root"), ==, 2);
  /* A newer one, with another timestamp key, as a new system image brings it. */
  forge_rotate (forge, "timestamp");
  forge_bump (forge, "root");
  g_assert_true (floe_trust_init (endpoint->state, g_hash_table_lookup (forge->files, "metadata/3.root.json"), &error));
  g_assert_cmpint (endpoint_version (endpoint, "root"), ==, 3);
  g_assert_cmpint (endpoint_version (endpoint, "timestamp"), ==, 0);
  /* Damage: refused when opened, repaired by the system's root. */
  write_state (endpoint, "root.json", "{\"signatures\":[]}");
  g_assert_null (floe_trust_open (endpoint->state, &forge->transport, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_true (floe_trust_init (endpoint->state, first, &error));
  g_assert_no_error (error);
  forge_bump (forge, "timestamp");
  must_refresh (endpoint);
  g_assert_cmpint (endpoint_version (endpoint, "root"), ==, 3);
}

static void
test_unsigned_init (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autoptr (GBytes) bare = forge_sign (forge_body (endpoint->forge, "root"), NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (floe_trust_init (endpoint->state, bare, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
  g_clear_error (&error);
  g_assert_true (floe_file_remove_at (endpoint->state, "root.json", &error));
  g_assert_null (floe_trust_open (endpoint->state, &endpoint->forge->transport, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

/* Local files that say nothing, or too much, are fetched again. */
static void
test_damaged_locals (void)
{
  static const char *const names[] = { "timestamp.json", "snapshot.json", "targets.json", "policy.json" };
  g_autoptr (Endpoint) endpoint = endpoint_new_current ();

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    write_state (endpoint, names[i], "{\"signed\":");
    write_state (endpoint, ".root.json.0123abcd", "left by a killed process");
    must_fetch (endpoint, OFFICE);
  }
  g_assert_cmpint (endpoint_version (endpoint, ".root.json.0123abcd"), ==, 0);
}

static void
test_state_not_writable (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autofree char *blocked = g_build_filename (endpoint->path, "snapshot.json", NULL);
  g_autoptr (GError) error = NULL;

  /* A directory in the file's place cannot be replaced by a file. */
  g_assert_cmpint (mkdir (blocked, 0755), ==, 0);
  g_assert_false (endpoint_refresh (endpoint, FORGE_NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_IO);
  g_assert_cmpint (rmdir (blocked), ==, 0);
  must_refresh (endpoint);
}

/* A clock that is wrong beyond any calendar is still only a time that things have expired by. */
static void
test_absurd_time (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (endpoint_refresh (endpoint, G_MAXINT64, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_EXPIRED);
}

/* States that cannot be: a file for a directory, directories for files. */
static void
test_impossible_state (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autofree char *root = g_build_filename (endpoint->path, "root.json", NULL), *intent = g_build_filename (endpoint->path, ".recover", NULL);
  g_autoptr (GBytes) first = g_bytes_ref (g_hash_table_lookup (endpoint->forge->files, "metadata/1.root.json"));
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (mkdir (intent, 0755), ==, 0);
  g_assert_null (floe_trust_open (endpoint->state, &endpoint->forge->transport, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_cmpint (rmdir (intent), ==, 0);
  g_assert_cmpint (unlink (root), ==, 0);
  g_assert_cmpint (mkdir (root, 0755), ==, 0);
  g_assert_null (floe_trust_open (endpoint->state, &endpoint->forge->transport, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (floe_trust_init (endpoint->state, first, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_cmpint (rmdir (root), ==, 0);
  g_assert_cmpint (symlink ("elsewhere", root), ==, 0);
  g_assert_false (floe_trust_init (endpoint->state, first, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_IO);
  g_clear_error (&error);
  g_assert_false (floe_trust_init (-1, first, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_null (floe_trust_open (-1, &endpoint->forge->transport, &error));
  g_assert_nonnull (error);
}

static void
test_cancelled (void)
{
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  g_autoptr (FloeTrust) trust = floe_trust_open (endpoint->state, &endpoint->forge->transport, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_false (floe_trust_refresh (trust, FORGE_NOW, cancellable, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_CANCELLED);
  floe_verified_unref (NULL);
  floe_trust_free (NULL);
  floe_trust_transport_free (NULL);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*run) (void);
  } tests[] = {
    { "verified", test_verified }, { "requests", test_requests }, { "same-timestamp-version", test_same_timestamp_version },
    { "not-consistent", test_not_consistent }, { "without-hashes", test_without_hashes }, { "sha512", test_sha512 },
    { "unknown-fields", test_unknown_fields }, { "root-chain", test_root_chain }, { "key-types", test_key_types },
    { "wrong-signature-beside", test_wrong_signature_beside }, { "recovery/timestamp", test_recovery_timestamp },
    { "recovery/snapshot", test_recovery_snapshot }, { "recovery/remembered", test_recovery_remembered },
    { "recovery/key-added", test_key_added }, { "order", test_order }, { "hashed-bins", test_hashed_bins },
    { "unusual-names", test_unusual_names }, { "diamond", test_diamond }, { "resume", test_resume },
    { "resume/behind", test_resume_behind }, { "resume/fetches", test_resume_fetches }, { "state/locked", test_locked },
    { "state/init", test_init }, { "state/unsigned-init", test_unsigned_init }, { "state/damaged", test_damaged_locals },
    { "state/not-writable", test_state_not_writable }, { "cancelled", test_cancelled },
    { "absurd-time", test_absurd_time }, { "state/impossible", test_impossible_state },
  };

  g_test_init (&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *name = g_strconcat ("/trust/", tests[i].name, NULL);

    g_test_add_func (name, tests[i].run);
  }
  return g_test_run ();
}
