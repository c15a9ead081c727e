/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/signing/floe-repository-private.h"
#include "policy/signing/floe-roles.h"
#include "policy/signing/floe-status.h"
#include "policy/trust/floe-trust.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW G_GINT64_CONSTANT (1800000000)
#define DAY 86400

/* A repository with its keys, and the state of a client that begins with its first root. */
typedef struct {
  char *path, *repo, *keys, *client;
  FloePassphrase *passphrase;
} Place;

static void
init_with (Place *place, const char *role)
{
  g_autoptr (FloeRoleSpec) specs = floe_role_specs_new ();
  g_autoptr (GError) error = NULL;
  floe_autofd state = floe_dir_make (place->client, 0700, &error);
  g_autofree char *file = g_build_filename (place->keys, "root.json", NULL);
  g_autoptr (GBytes) root = NULL;

  if (role != NULL)
    g_assert_true (floe_role_specs_set_keys (specs, role, &error));
  g_assert_true (floe_repository_init (place->repo, place->keys, specs, FLOE_SIGNER_ED25519, place->passphrase, NOW, &error));
  g_assert_no_error (error);
  root = floe_file_read (file, 65536, &error);
  g_assert_true (floe_trust_init (state, root, &error));
  g_assert_no_error (error);
}

static void
set_up (Place *place, gconstpointer role)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *pass = NULL;

  place->path = g_dir_make_tmp ("floe-repository-XXXXXX", &error);
  g_assert_no_error (error);
  place->repo = g_build_filename (place->path, "repo", NULL);
  place->keys = g_build_filename (place->path, "keys", NULL);
  place->client = g_build_filename (place->path, "client", NULL);
  pass = g_build_filename (place->path, "pass", NULL);
  g_assert_true (g_file_set_contents (pass, "correct horse\n", -1, &error));
  place->passphrase = floe_passphrase_new (pass);
  init_with (place, role);
}

static void
tear_down (Place *place, gconstpointer data)
{
  g_autofree char *command = g_strdup_printf ("rm -rf %s", place->path);

  (void) data;
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  floe_passphrase_free (place->passphrase);
  g_free (place->path);
  g_free (place->repo);
  g_free (place->keys);
  g_free (place->client);
}

static FloeRepository *
open_it (Place *place)
{
  g_autoptr (GError) error = NULL;
  FloeRepository *repository = floe_repository_open (place->repo, place->keys, place->passphrase, &error);

  g_assert_no_error (error);
  return repository;
}

static void
set_text (FloeRepository *repository, const char *role, const char *name, const char *text)
{
  g_autoptr (GBytes) content = g_bytes_new (text, strlen (text));
  g_autoptr (GError) error = NULL;

  g_assert_true (floe_repository_set_target (repository, role, name, content, &error));
  g_assert_no_error (error);
}

static gboolean
publish (FloeRepository *repository, const char *role, gint64 now)
{
  g_autoptr (GError) error = NULL;
  gboolean in_force = FALSE;

  g_assert_true (floe_repository_publish (repository, role, now, &in_force, &error));
  g_assert_no_error (error);
  return in_force;
}

/* What a client that refreshes at NOW gets for NAME: its text and, in *ROLE, who vouches; NULL when there is none. */
static char *
client_gets (Place *place, const char *name, gint64 now, char **role, GError **error)
{
  g_autoptr (FloeTrustTransport) transport = floe_trust_transport_directory (place->repo);
  floe_autofd state = floe_dir_open (place->client, error);
  g_autoptr (FloeTrust) trust = floe_trust_open (state, transport, error);
  g_autoptr (FloeVerified) verified = NULL;
  GBytes *bytes;

  if (trust == NULL || !floe_trust_refresh (trust, now, NULL, error))
    return NULL;
  verified = floe_trust_target (trust, name, 1 << 26, NULL, error);
  if (verified == NULL)
    return NULL;
  if (role != NULL)
    *role = g_strdup (floe_verified_role (verified));
  bytes = floe_verified_bytes (verified);
  return g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

static void
expect_client (Place *place, const char *name, const char *text, const char *role)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *by = NULL, *got = client_gets (place, name, NOW + 1, &by, &error);

  if (text == NULL) {
    g_assert_null (got);
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
    return;
  }
  g_assert_no_error (error);
  g_assert_cmpstr (got, ==, text);
  g_assert_cmpstr (by, ==, role);
}

static void
test_publish (Place *place, gconstpointer data)
{
  g_autoptr (FloeRepository) repository = open_it (place);
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;
  g_autoptr (GBytes) back = NULL;
  gint64 before;

  (void) data;
  set_text (repository, "images", "images/desktop/stable.json", "one");
  set_text (repository, "images", "images/desktop/0011.caibx", "index");
  expect_client (place, "images/desktop/stable.json", NULL, NULL);
  g_assert_true (publish (repository, "images", NOW));
  expect_client (place, "images/desktop/stable.json", "one", "images");

  /* The same again is no new version of anything. */
  before = floe_envelope_version (floe_repository_force (repository, "timestamp"));
  set_text (repository, "images", "images/desktop/stable.json", "one");
  g_assert_true (publish (repository, "images", NOW));
  g_assert_cmpint (floe_envelope_version (floe_repository_force (repository, "timestamp")), ==, before);

  set_text (repository, "images", "images/desktop/stable.json", "two");
  g_assert_true (floe_repository_remove_target (repository, "images", "images/desktop/0011.caibx", &error));
  g_assert_false (floe_repository_remove_target (repository, "images", "images/desktop/0011.caibx", &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_true (publish (repository, "images", NOW));
  expect_client (place, "images/desktop/stable.json", "two", "images");
  expect_client (place, "images/desktop/0011.caibx", NULL, NULL);
  names = floe_repository_list_targets (repository, "images", &error);
  g_assert_cmpuint (g_strv_length (names), ==, 1);
  back = floe_repository_get_target (repository, "images", "images/desktop/stable.json", 16, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (back, NULL), g_bytes_get_size (back), "two", 3);
}

static void
test_large (Place *place, gconstpointer data)
{
  g_autoptr (FloeRepository) repository = open_it (place);
  g_autofree char *text = g_strnfill (5000000, 'x');
  floe_autofd fd = memfd_create ("large", MFD_CLOEXEC);
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_true (floe_write_all (fd, text, strlen (text), &error));
  /* From the beginning, wherever the descriptor stands. */
  g_assert_true (floe_repository_set_target_fd (repository, "appliance", "appliance/floe.efi", fd, &error));
  g_assert_no_error (error);
  g_assert_true (publish (repository, "appliance", NOW));
  expect_client (place, "appliance/floe.efi", text, "appliance");
}

static void
test_names (Place *place, gconstpointer data)
{
  static const struct {
    const char *role, *name;
    FloeError code;
  } cases[] = {
    { "images", "policy/office.json", FLOE_ERROR_REFUSED },
    { "images", "images/stable.json", FLOE_ERROR_REFUSED },
    { "images", "images/a/b/c", FLOE_ERROR_REFUSED },
    { "policy", "images/desktop/stable.json", FLOE_ERROR_REFUSED },
    { "policy", "policy/../images/x", FLOE_ERROR_INVALID },
    { "policy", "policy/.hidden", FLOE_ERROR_INVALID },
    { "policy", "policy//x", FLOE_ERROR_INVALID },
    { "policy", "/policy/x", FLOE_ERROR_INVALID },
    { "policy", "", FLOE_ERROR_INVALID },
    { "policy", "policy/a b", FLOE_ERROR_INVALID },
    { "targets", "policy/x", FLOE_ERROR_NOT_FOUND },
    { "timestamp", "policy/x", FLOE_ERROR_NOT_FOUND },
    { "nobody", "policy/x", FLOE_ERROR_NOT_FOUND },
  };
  g_autoptr (FloeRepository) repository = open_it (place);
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);

  (void) data;
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (floe_repository_set_target (repository, cases[i].role, cases[i].name, content, &error));
    g_assert_error (error, FLOE_ERROR, (int) cases[i].code);
  }
}

/* The image team leaves our checks out and signs a policy with its own, right key; the online key follows. Clients do not. */
static void
test_image_team_cannot_sign_policy (Place *place, gconstpointer data)
{
  g_autoptr (FloeRepository) repository = open_it (place);
  g_autoptr (GError) error = NULL;
  json_t *edit, *entry;

  (void) data;
  set_text (repository, "policy", "policy/office.json", "right");
  set_text (repository, "images", "images/desktop/stable.json", "forged");
  g_assert_true (publish (repository, "policy", NOW));
  edit = floe_repository_edit (repository, "images", &error);
  entry = json_object_get (json_object_get (edit, "targets"), "images/desktop/stable.json");
  json_object_set (json_object_get (edit, "targets"), "policy/office.json", entry);
  json_object_set (json_object_get (edit, "targets"), "policy/other.json", entry);
  g_assert_true (publish (repository, "images", NOW));
  expect_client (place, "images/desktop/stable.json", "forged", "images");
  expect_client (place, "policy/office.json", "right", "policy");
  expect_client (place, "policy/other.json", NULL, NULL);
}

/* Moves the private half of NAME out of KEYS, or back. */
static void
move_key (Place *place, const char *name, gboolean away)
{
  g_autofree char *here = g_strdup_printf ("%s/%s.key", place->keys, name);
  g_autofree char *there = g_strdup_printf ("%s/%s.away", place->path, name);

  g_assert_cmpint (g_rename (away ? here : there, away ? there : here), ==, 0);
}

static void
test_threshold (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  move_key (place, "bob", TRUE);
  {
    g_autoptr (FloeRepository) repository = open_it (place);
    g_autofree char *waiting = NULL;

    set_text (repository, "policy", "policy/office.json", "one");
    g_assert_false (publish (repository, "policy", NOW));
    waiting = floe_repository_waiting (repository, "policy");
    g_assert_nonnull (strstr (waiting, "1 of 2 needed; may sign: bob ("));
    /* Signing twice with one key is still one signature. */
    g_assert_true (floe_repository_sign_draft (repository, "policy", NOW, &error));
    g_assert_true (floe_repository_has_draft (repository, "policy"));
  }
  expect_client (place, "policy/office.json", NULL, NULL);
  move_key (place, "alice", TRUE);
  move_key (place, "bob", FALSE);
  {
    g_autoptr (FloeRepository) repository = open_it (place);
    g_autofree char *changes = floe_repository_changes (repository, "policy");

    g_assert_cmpstr (changes, ==, "  + policy/office.json\n");
    /* Bob has not signed alice's draft yet: he cannot sign it unseen along with a change of his own. */
    g_assert_null (floe_repository_edit (repository, "policy", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_BUSY);
    g_clear_error (&error);
    g_assert_true (floe_repository_sign_draft (repository, "policy", NOW, &error));
    g_assert_no_error (error);
    g_assert_false (floe_repository_has_draft (repository, "policy"));
  }
  expect_client (place, "policy/office.json", "one", "policy");
}

static void
new_key (Place *place, const char *name, GBytes **pem)
{
  g_autoptr (GError) error = NULL;
  floe_autofd keys = floe_dir_open (place->keys, &error);
  g_autofree char *file = g_strconcat (name, ".pub", NULL);

  g_assert_true (floe_signer_generate (keys, name, FLOE_SIGNER_ECDSA_P256, place->passphrase, &error));
  *pem = floe_file_read_at (keys, file, 4096, &error);
  g_assert_no_error (error);
}

/* The old online key is lost: nothing can be signed that clients with the old root accept, so root goes first. */
static void
test_lost_online_key (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) pem = NULL;

  (void) data;
  move_key (place, "online", TRUE);
  new_key (place, "online2", &pem);
  {
    g_autoptr (FloeRepository) repository = open_it (place);

    g_assert_false (floe_repository_refresh (repository, NOW, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
    g_clear_error (&error);
    g_assert_true (floe_repository_rotate (repository, "snapshot", "online", pem, "online2", NOW, &error));
    g_assert_true (floe_repository_has_draft (repository, "root")); /* the timestamp still needs the lost key */
    g_assert_true (floe_repository_rotate (repository, "timestamp", "online", pem, "online2", NOW, &error));
    g_assert_no_error (error);
    g_assert_false (floe_repository_has_draft (repository, "root"));
    set_text (repository, "policy", "policy/office.json", "after");
    g_assert_true (publish (repository, "policy", NOW));
  }
  expect_client (place, "policy/office.json", "after", "policy");
}

static void
test_keys_of_roles (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) pem = NULL;
  g_autoptr (FloeRepository) repository = NULL;

  (void) data;
  new_key (place, "second", &pem);
  repository = open_it (place);
  g_assert_false (floe_repository_set_threshold (repository, "policy", 2, NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  g_clear_pointer (&repository, floe_repository_free);
  repository = open_it (place);
  g_assert_true (floe_repository_add_key (repository, "policy", pem, "second", NOW, &error));
  g_assert_false (floe_repository_add_key (repository, "policy", pem, "again", NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_true (floe_repository_set_threshold (repository, "policy", 2, NOW, &error));
  g_assert_false (floe_repository_has_draft (repository, "targets"));
  g_assert_false (floe_repository_remove_key (repository, "policy", "policy", NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (floe_repository_remove_key (repository, "policy", "nobody", NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (floe_repository_add_key (repository, "nobody", pem, "x", NOW, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

/* Alters FILE below the repository: the first A becomes B, of the same length. */
static void
alter (Place *place, const char *file, const char *a, const char *b)
{
  g_autofree char *path = g_build_filename (place->repo, file, NULL), *text = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;
  char *at;

  g_assert_true (g_file_get_contents (path, &text, &size, &error));
  at = strstr (text, a);
  g_assert_nonnull (at);
  memcpy (at, b, strlen (b));
  g_assert_true (g_file_set_contents (path, text, (gssize) size, &error));
}

static void
test_altered (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  {
    g_autoptr (FloeRepository) repository = open_it (place);

    set_text (repository, "policy", "policy/office.json", "one");
    g_assert_true (publish (repository, "policy", NOW));
  }
  alter (place, "metadata/2.policy.json", "policy/office.json", "policy/affice.json");
  {
    g_autoptr (FloeRepository) repository = open_it (place);

    g_assert_null (floe_repository_edit (repository, "policy", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
    g_clear_error (&error);
    set_text (repository, "images", "images/a/b", "x");
    g_assert_false (floe_repository_publish (repository, "images", NOW, NULL, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
    g_clear_error (&error);
  }
  alter (place, "metadata/2.policy.json", "policy/affice.json", "policy/office.json");
  alter (place, "metadata/timestamp.json", "\"version\": ", "\"version\":9");
  g_assert_null (floe_repository_open (place->repo, place->keys, place->passphrase, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
}

static void
test_status (Place *place, gconstpointer data)
{
  g_autoptr (FloeRepository) repository = open_it (place);
  g_autofree char *fresh = floe_repository_warnings (repository, NOW, NULL);
  g_autofree char *soon = NULL, *late = NULL, *status = NULL;
  gboolean expired = TRUE;

  (void) data;
  g_assert_cmpstr (fresh, ==, "");
  soon = floe_repository_warnings (repository, NOW + 6 * DAY, &expired);
  g_assert_false (expired);
  g_assert_nonnull (strstr (soon, "warning: timestamp expires on 2027-01-22T08:00:00Z: run `floe-policy refresh`"));
  g_assert_null (strstr (soon, "policy expires"));
  late = floe_repository_warnings (repository, NOW + 400 * DAY, &expired);
  g_assert_true (expired);
  g_assert_nonnull (strstr (late, "root EXPIRED"));
  status = floe_repository_status (repository, NOW);
  g_assert_nonnull (strstr (status, "ed25519"));
  g_assert_nonnull (strstr (status, "signed by targets ("));
  g_assert_null (strstr (status, "draft of"));
}

static void
test_read_only (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeRepository) writer G_GNUC_UNUSED = open_it (place);
  g_autoptr (FloeRepository) reader = floe_repository_open (place->repo, NULL, NULL, &error);
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);

  (void) data;
  g_assert_no_error (error); /* a reader waits for no writer */
  g_assert_false (floe_repository_set_target (reader, "policy", "policy/a.json", content, &error));
  g_clear_error (&error);
  g_assert_null (floe_repository_open (place->keys, NULL, NULL, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/repository/publish", Place, NULL, set_up, test_publish, tear_down);
  g_test_add ("/repository/large", Place, NULL, set_up, test_large, tear_down);
  g_test_add ("/repository/names", Place, NULL, set_up, test_names, tear_down);
  g_test_add ("/repository/image-team-cannot-sign-policy", Place, NULL, set_up, test_image_team_cannot_sign_policy, tear_down);
  g_test_add ("/repository/threshold", Place, "policy=2:alice,bob", set_up, test_threshold, tear_down);
  g_test_add ("/repository/lost-online-key", Place, NULL, set_up, test_lost_online_key, tear_down);
  g_test_add ("/repository/keys-of-roles", Place, NULL, set_up, test_keys_of_roles, tear_down);
  g_test_add ("/repository/altered", Place, NULL, set_up, test_altered, tear_down);
  g_test_add ("/repository/status", Place, NULL, set_up, test_status, tear_down);
  g_test_add ("/repository/read-only", Place, NULL, set_up, test_read_only, tear_down);
  return g_test_run ();
}
