/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/trust/floe-receive.h"
#include "tests/lib/forge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const FloeExpected anything = { .length = -1 };

typedef struct {
  char *path;
  int dir;
} Place;

static void
place_clear (Place *place)
{
  g_autofree char *remove = g_strdup_printf ("rm -r '%s'", place->path);

  g_assert_cmpint (system (remove), ==, 0);
  floe_fd_clear (&place->dir);
  g_free (place->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static Place
place_new (void)
{
  Place place = { g_dir_make_tmp ("floe-place-XXXXXX", NULL), -1 };

  place.dir = floe_dir_open (place.path, NULL);
  return place;
}

static void
write_file (const Place *place, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (place->path, name, NULL), *parent = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (parent, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static char *
fetch (FloeTrustTransport *transport, const char *path, guint64 max, GError **error)
{
  g_autoptr (GBytes) bytes = floe_receive (transport, path, &anything, max, NULL, error);

  return bytes != NULL ? g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes)) : NULL;
}

static void
assert_fetch (FloeTrustTransport *transport, const char *path, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *got = fetch (transport, path, 1000, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (got, ==, expected);
}

static void
assert_refused (FloeTrustTransport *transport, const char *path, FloeError code)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *got = fetch (transport, path, 1000, &error);

  g_assert_null (got);
  g_assert_error (error, FLOE_ERROR, (int) code);
}

static void
test_directory (void)
{
  g_auto (Place) place = place_new ();
  g_autoptr (FloeTrustTransport) transport = floe_trust_transport_directory (place.path);

  write_file (&place, "metadata/2.root.json", "root");
  write_file (&place, "targets/a/b/c d.x", "deep");
  write_file (&place, "metadata/1.%2Fx.json", "slash");
  write_file (&place, "metadata/1.?.json", "question");
  assert_fetch (transport, "metadata/2.root.json", "root");
  assert_fetch (transport, "targets/a/b/c%20d.x", "deep");
  assert_fetch (transport, "metadata/1.%2Fx.json", "slash");
  assert_fetch (transport, "metadata/1.%3F.json", "question");
  assert_refused (transport, "metadata/3.root.json", FLOE_ERROR_NOT_FOUND);
  assert_refused (transport, "nothing/3.root.json", FLOE_ERROR_NOT_FOUND);
  assert_refused (transport, "targets/a", FLOE_ERROR_INVALID);
  assert_refused (transport, "../x", FLOE_ERROR_INVALID);
  assert_refused (transport, "metadata/.hidden", FLOE_ERROR_INVALID);
  assert_refused (transport, "metadata//x", FLOE_ERROR_INVALID);
  assert_refused (transport, "", FLOE_ERROR_INVALID);
  assert_refused (transport, "metadata/%2E%2E", FLOE_ERROR_NOT_FOUND);
  assert_refused (transport, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33",
                  FLOE_ERROR_INVALID);
}

static void
test_no_directory (void)
{
  g_autoptr (FloeTrustTransport) transport = floe_trust_transport_directory ("/nonexistent/spool");

  assert_refused (transport, "metadata/2.root.json", FLOE_ERROR_NOT_FOUND);
}

static void
test_links (void)
{
  g_auto (Place) place = place_new (), outside = place_new ();
  g_autoptr (FloeTrustTransport) transport = floe_trust_transport_directory (place.path);
  g_autofree char *link = g_build_filename (place.path, "targets", NULL), *file = g_build_filename (place.path, "metadata", "x", NULL);

  write_file (&outside, "x", "outside");
  write_file (&place, "metadata/y", "inside");
  g_assert_cmpint (symlink (outside.path, link), ==, 0);
  g_assert_cmpint (symlink ("y", file), ==, 0);
  assert_refused (transport, "targets/x", FLOE_ERROR_IO);
  assert_refused (transport, "metadata/x", FLOE_ERROR_IO);
}

static gboolean
take_none (const void *data, size_t size, gpointer context, GError **error)
{
  (void) data, (void) size, (void) context;
  return floe_error_set (error, FLOE_ERROR_REFUSED, "no");
}

static gboolean
take_all (const void *data, size_t size, gpointer context, GError **error)
{
  (void) data, (void) error;
  *(size_t *) context += size;
  return TRUE;
}

static void
test_limits (void)
{
  g_auto (Place) place = place_new ();
  g_autoptr (FloeTrustTransport) transport = floe_trust_transport_directory (place.path);
  g_autofree char *large = g_strnfill (200000, 'x');
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  size_t size = 0;

  write_file (&place, "targets/x", large);
  g_assert_false (floe_trust_transport_fetch (transport, "targets/x", 199999, take_all, &size, NULL, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_assert_cmpuint (size, <, 200000);
  g_clear_error (&error);
  size = 0;
  g_assert_true (floe_trust_transport_fetch (transport, "targets/x", 200000, take_all, &size, NULL, &error));
  g_assert_cmpuint (size, ==, 200000);
  g_assert_false (floe_trust_transport_fetch (transport, "targets/x", 200000, take_none, NULL, NULL, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_REFUSED);
  g_clear_error (&error);
  g_cancellable_cancel (cancellable);
  g_assert_false (floe_trust_transport_fetch (transport, "targets/x", 200000, take_all, &size, cancellable, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_CANCELLED);
}

/* What the tee wrote is a repository: of unusual names too. */
static void
test_tee (void)
{
  g_auto (Place) spool = place_new ();
  g_autoptr (Forge) forge = forge_new ();
  g_autoptr (FloeTrustTransport) tee = floe_trust_transport_tee (&forge->transport, spool.dir);
  g_autoptr (FloeTrustTransport) reader = floe_trust_transport_directory (spool.path);
  static const char *const paths[] = { "metadata/1.%2E%2E%2Fx.json", "metadata/1.a%20b.json", "targets/a/b/HASH.c%3F", "targets/%2Ehidden" };

  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++) {
    forge_put_text (forge, paths[i], paths[i]);
    assert_refused (reader, paths[i], FLOE_ERROR_NOT_FOUND);
    assert_fetch (tee, paths[i], paths[i]);
    assert_fetch (reader, paths[i], paths[i]);
    forge_put_text (forge, paths[i], "newer");
    assert_fetch (tee, paths[i], "newer");
    assert_fetch (reader, paths[i], "newer");
  }
  assert_refused (tee, "metadata/none", FLOE_ERROR_NOT_FOUND);
  assert_refused (tee, "../none", FLOE_ERROR_INVALID);
  /* What breaks off on the way leaves what was there. */
  forge_put_text (forge, "metadata/1.a%20b.json", "a text that is longer than a piece is, by a few words at least");
  forge->broken = "metadata/1.a%20b.json";
  assert_refused (tee, "metadata/1.a%20b.json", FLOE_ERROR_IO);
  assert_fetch (reader, "metadata/1.a%20b.json", "newer");
}

static void
test_tee_not_writable (void)
{
  g_auto (Place) spool = place_new ();
  g_autoptr (Forge) forge = forge_new ();
  g_autoptr (FloeTrustTransport) tee = floe_trust_transport_tee (&forge->transport, spool.dir);

  write_file (&spool, "metadata", "a file where a directory is needed");
  forge_put_text (forge, "metadata/1.root.json", "short");
  assert_refused (tee, "metadata/1.root.json", FLOE_ERROR_IO);
}

static void
test_expected (void)
{
  g_autoptr (GBytes) content = g_bytes_new_static ("abc", 3), empty = g_bytes_new_static ("", 0);
  FloeExpected expected = { .length = 3, .hashed = TRUE, .has_sha256 = TRUE };
  FloeExpected none = { .length = 0 };

  floe_digest_of ("abc", 3, &expected.sha256);
  g_assert_true (floe_expected_check (&expected, content, "x", NULL));
  g_assert_false (floe_expected_check (&expected, empty, "x", NULL));
  g_assert_true (floe_expected_check (&none, empty, "x", NULL));
  g_assert_false (floe_expected_check (&none, content, "x", NULL));
  expected.sha256.bytes[31] ^= 1;
  g_assert_false (floe_expected_check (&expected, content, "x", NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/transport/directory", test_directory);
  g_test_add_func ("/transport/no-directory", test_no_directory);
  g_test_add_func ("/transport/links", test_links);
  g_test_add_func ("/transport/limits", test_limits);
  g_test_add_func ("/transport/tee", test_tee);
  g_test_add_func ("/transport/tee-not-writable", test_tee_not_writable);
  g_test_add_func ("/transport/expected", test_expected);
  return g_test_run ();
}
