/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/document/floe-policy.h"
#include "policy/signing/floe-roles.h"
#include "policy/trust/floe-trust.h"

#include <glib/gstdio.h>
#include <string.h>

/* A FloePolicy is made of a verified target only: so this test signs a real repository and reads it with the real client. */

#define NOW 1800000000
#define EXAMPLE FLOE_SOURCE_DIR "/docs/examples/office.json"

typedef struct {
  char *top, *repo, *keys, *state;
  FloePassphrase *passphrase;
  FloeTrustTransport *transport;
  FloeTrust *trust;
  int state_fd;
} Fixture;

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *inner = g_build_filename (path, name, NULL);

    remove_tree (inner);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static char *
make_below (const char *top, const char *name)
{
  char *path = g_build_filename (top, name, NULL);

  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  return path;
}

/* Signs CONTENT as target NAME of role policy. */
static void
publish (Fixture *fixture, const char *name, const char *content)
{
  g_autoptr (GBytes) bytes = g_bytes_new (content, strlen (content));
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeRepository) repository = floe_repository_open (fixture->repo, fixture->keys, fixture->passphrase, &error);
  gboolean in_force = FALSE;

  g_assert_no_error (error);
  g_assert_true (floe_repository_set_target (repository, "policy", name, bytes, &error));
  g_assert_true (floe_repository_publish (repository, "policy", NOW, &in_force, &error));
  g_assert_no_error (error);
  g_assert_true (in_force);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (FloeRoleSpec) specs = floe_role_specs_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) root = NULL;
  g_autofree char *secret = NULL, *root_path = NULL;

  (void) data;
  fixture->top = g_dir_make_tmp ("floe-policy-XXXXXX", &error);
  fixture->repo = make_below (fixture->top, "repo");
  fixture->keys = make_below (fixture->top, "keys");
  fixture->state = make_below (fixture->top, "state");
  secret = g_build_filename (fixture->top, "passphrase", NULL);
  g_assert_true (g_file_set_contents (secret, "correct horse\n", -1, &error));
  fixture->passphrase = floe_passphrase_new (secret);
  g_assert_true (floe_repository_init (fixture->repo, fixture->keys, specs, FLOE_SIGNER_ED25519, fixture->passphrase, NOW, &error));
  g_assert_no_error (error);
  root_path = g_build_filename (fixture->keys, "root.json", NULL);
  root = floe_file_read (root_path, 1024 * 1024, &error);
  g_assert_no_error (error);
  fixture->state_fd = floe_dir_open (fixture->state, &error);
  g_assert_true (floe_trust_init (fixture->state_fd, root, &error));
  fixture->transport = floe_trust_transport_directory (fixture->repo);
  fixture->trust = floe_trust_open (fixture->state_fd, fixture->transport, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  floe_trust_free (fixture->trust);
  floe_trust_transport_free (fixture->transport);
  floe_passphrase_free (fixture->passphrase);
  floe_fd_clear (&fixture->state_fd);
  remove_tree (fixture->top);
  g_free (fixture->top);
  g_free (fixture->repo);
  g_free (fixture->keys);
  g_free (fixture->state);
}

static FloeVerified *
verify (Fixture *fixture, const char *name)
{
  g_autoptr (GError) error = NULL;
  FloeVerified *verified = NULL;

  if (floe_trust_refresh (fixture->trust, NOW + 1, NULL, &error))
    verified = floe_trust_target (fixture->trust, name, FLOE_POLICY_SIZE_MAX, NULL, &error);
  g_assert_no_error (error);
  return verified;
}

static void
test_policy (Fixture *fixture, gconstpointer data)
{
  g_autofree char *example = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeVerified) verified = NULL;
  g_autoptr (FloePolicy) policy = NULL;
  g_autoptr (FloePolicy) kept = NULL;

  (void) data;
  g_assert_true (g_file_get_contents (EXAMPLE, &example, NULL, NULL));
  publish (fixture, "policy/office.json", example);
  verified = verify (fixture, "policy/office.json");
  policy = floe_policy_new (verified, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (floe_policy_content (policy)->group, ==, "office");
  g_assert_cmpuint (floe_policy_version (policy), ==, (guint64) floe_verified_version (verified));
  /* What was handed out lives as long as any reference, whatever becomes of the verified bytes. */
  kept = floe_policy_ref (policy);
  g_clear_pointer (&policy, floe_policy_unref);
  g_clear_pointer (&verified, floe_verified_unref);
  g_assert_nonnull (floe_policy_find_machine (floe_policy_content (kept), "internet"));
}

/* Signed rightly and still no policy: another group's document, and one that does not parse. */
static void
test_refused (Fixture *fixture, gconstpointer data)
{
  static const struct {
    const char *name, *from, *to, *message;
  } rows[] = {
    { "policy/kiosks.json", "x", "x",
      "policy/kiosks.json: its group is 'office': publish it as policy/office.json, or correct the group" },
    { "policy/office.json", "\"vcpus\": 2", "\"vcpus\": 900", "policy/office.json:10: machines[0].vcpus: 1 to 64 wanted, not 900" },
  };
  g_autofree char *example = NULL;

  (void) data;
  g_assert_true (g_file_get_contents (EXAMPLE, &example, NULL, NULL));
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_auto (GStrv) parts = g_strsplit (example, rows[i].from, -1);
    g_autofree char *text = g_strjoinv (rows[i].to, parts);
    g_autoptr (FloeVerified) verified = NULL;
    g_autoptr (GError) error = NULL;

    publish (fixture, rows[i].name, text);
    verified = verify (fixture, rows[i].name);
    g_assert_null (floe_policy_new (verified, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_cmpstr (error->message, ==, rows[i].message);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/policy/verified/policy", Fixture, NULL, set_up, test_policy, tear_down);
  g_test_add ("/policy/verified/refused", Fixture, NULL, set_up, test_refused, tear_down);
  return g_test_run ();
}
