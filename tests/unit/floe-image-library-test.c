/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-image-library.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What hypervisord's copies of images are when versions come and go. How they are taken is floe-loader-test's. */

static void
add (const char *path, const char *file)
{
  g_autofree char *whole = g_build_filename (path, file, NULL), *directory = g_path_get_dirname (whole);

  g_assert_cmpint (g_mkdir_with_parents (directory, 0755), ==, 0);
  g_assert_true (g_file_set_contents (whole, "x", 1, NULL));
}

static gboolean
has (const char *path, const char *file)
{
  g_autofree char *whole = g_build_filename (path, file, NULL);

  return g_file_test (whole, G_FILE_TEST_EXISTS);
}

static void
prune (const char *path, GHashTable **unneeded, const char *in_use)
{
  const char *labels[] = { in_use, NULL };
  g_autoptr (GError) error = NULL;

  g_assert_true (floe_library_prune (path, labels, unneeded, &error));
  g_assert_no_error (error);
}

static void
test_prune (void)
{
  static const char *const old[] = { "tiny/aa.json", "tiny/aa.caibx", "tiny/aa.table", "tiny/bb.table", "gone/cc.json", "gone/cc.caibx", "gone/cc.table" };
  static const char *const stay[] = { "tiny/dd.json", "tiny/dd.caibx", "tiny/dd.table", "tiny/aa.other", "tiny/.hidden.json", "outside/aa.json" };
  g_autofree char *top = g_dir_make_tmp ("floe-library-XXXXXX", NULL), *path = g_build_filename (top, "images", NULL), *command = g_strdup_printf ("rm -r '%s'", top);
  g_autofree char *outside = g_build_filename (top, "outside", NULL), *link = g_build_filename (path, "linked", NULL);
  g_autoptr (GHashTable) unneeded = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  prune (path, &unneeded, "tiny/dd"); /* nothing is there yet */
  for (size_t i = 0; i < G_N_ELEMENTS (old); i++)
    add (path, old[i]);
  for (size_t i = 0; i + 1 < G_N_ELEMENTS (stay); i++)
    add (path, stay[i]);
  add (top, "outside/aa.json");
  g_assert_cmpint (symlink (outside, link), ==, 0);
  prune (path, &unneeded, "tiny/dd");
  for (size_t i = 0; i < G_N_ELEMENTS (old); i++)
    g_assert_true (has (path, old[i]));
  /* A machine was begun on it meanwhile. */
  prune (path, &unneeded, "tiny/aa");
  g_assert_true (has (path, "tiny/aa.json") && has (path, "tiny/aa.table"));
  g_assert_false (has (path, "tiny/bb.table") || has (path, "gone/cc.json"));
  prune (path, &unneeded, "tiny/dd");
  g_assert_true (has (path, "tiny/aa.json"));
  prune (path, &unneeded, "tiny/dd");
  for (size_t i = 0; i < G_N_ELEMENTS (old); i++)
    g_assert_false (has (path, old[i]));
  for (size_t i = 0; i + 1 < G_N_ELEMENTS (stay); i++)
    g_assert_true (has (path, stay[i]));
  g_assert_true (has (top, "outside/aa.json"));
  g_assert_cmpint (system (command), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image-library/prune", test_prune);
  return g_test_run ();
}
