/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-install-words.h"

#include <string.h>

/* What the screen says of disks, from a bus that may say anything. */

static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return value;
}

static void
test_disk (void)
{
  g_autoptr (GVariant) disks = parse ("[{'name': <'sda'>, 'model': <'Fast'>, 'serial': <'S1'>, 'bus': <'usb'>, 'size': <uint64 512000000000>, 'sequence': <uint64 9>,"
                                      " 'interrupted': <true>, 'problem': <''>, 'partitions': <[{'name': <'sda1'>, 'label': <'Windows'>, 'file_system': <'ntfs'>,"
                                      " 'size': <uint64 1000000000>}, {'name': <'sda2'>, 'label': <''>, 'file_system': <''>, 'size': <uint64 2000000>}]>},"
                                      " {'name': <'sdb'>, 'size': <uint64 1000000>, 'problem': <'small'>}]");
  g_autoptr (GPtrArray) words = floe_install_disk_words (disks, 2000000000);
  const FloeInstallDiskWords *disk;

  g_assert_cmpuint (words->len, ==, 2);
  disk = words->pdata[0];
  g_assert_cmpstr (disk->name, ==, "sda");
  g_assert_nonnull (strstr (disk->title, "Fast"));
  g_assert_nonnull (strstr (disk->title, "512"));
  g_assert_nonnull (strstr (disk->detail, "S1"));
  g_assert_cmpstr (disk->problem, ==, "");
  g_assert_cmpstr (disk->note, !=, "");
  g_assert_cmpuint (disk->sequence, ==, 9);
  g_assert_cmpuint (g_strv_length (disk->losses), ==, 2);
  g_assert_nonnull (strstr (disk->losses[0], "“Windows” (ntfs)"));
  disk = words->pdata[1];
  g_assert_nonnull (strstr (disk->problem, "2"));
  /* Never an empty list: it would read as if nothing were lost. */
  g_assert_cmpuint (g_strv_length (disk->losses), ==, 1);
}

static void
test_hostile (void)
{
  g_autoptr (GVariant) disks = parse ("[{'name': <'sd a'>}, {'name': <''>}, {'model': <'x'>}, {'name': <uint32 4>}, {'name': <'sd_a'>},"
                                      " {'name': <'sdc'>, 'model': <'a\\u202eb\\u001b[1m\\nc'>, 'partitions': <'none'>, 'size': <'big'>, 'problem': <'whatever'>}]");
  g_autoptr (GVariant) other = parse ("'text'");
  g_autoptr (GPtrArray) words = floe_install_disk_words (disks, 0), none = floe_install_disk_words (NULL, 0), wrong = floe_install_disk_words (other, 0);
  const FloeInstallDiskWords *disk;

  g_assert_cmpuint (none->len, ==, 0);
  g_assert_cmpuint (wrong->len, ==, 0);
  g_assert_cmpuint (words->len, ==, 1);
  disk = words->pdata[0];
  g_assert_cmpstr (disk->name, ==, "sdc");
  g_assert_null (strstr (disk->title, "\xe2\x80\xae"));
  g_assert_null (strchr (disk->title, '\n'));
  g_assert_null (strchr (disk->title, '\x1b'));
  g_assert_cmpstr (disk->problem, !=, "");
}

/* A thousand partitions are counted, not listed. */
static void
test_many (void)
{
  GString *text = g_string_new ("[{'name': <'sda'>, 'partitions': <[{'name': <'p'>}");
  g_autoptr (GVariant) disks = NULL;
  g_autoptr (GPtrArray) words = NULL;
  const FloeInstallDiskWords *disk;

  for (int i = 1; i < 1000; i++)
    g_string_append (text, ", {'name': <'p'>}");
  g_string_append (text, "]>}]");
  disks = parse (text->str);
  g_string_free (text, TRUE);
  words = floe_install_disk_words (disks, 0);
  disk = words->pdata[0];
  g_assert_cmpuint (g_strv_length (disk->losses), ==, 33);
  g_assert_nonnull (strstr (disk->losses[32], "968"));
}

static void
test_problems (void)
{
  static const char *const problems[] = { "busy", "notfound", "nospace", "unverified", "io", "", NULL };

  for (size_t i = 0; i < G_N_ELEMENTS (problems); i++) {
    g_autofree char *words = floe_install_problem_words (problems[i], "why\x1b");

    g_assert_nonnull (strstr (words, "why"));
    g_assert_null (strchr (words, '\x1b'));
  }
  g_assert_cmpstr (floe_install_step_words ("writing"), !=, floe_install_step_words ("verifying"));
  g_assert_cmpstr (floe_install_step_words (NULL), ==, floe_install_step_words ("checking"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/install-words/disk", test_disk);
  g_test_add_func ("/install-words/hostile", test_hostile);
  g_test_add_func ("/install-words/many", test_many);
  g_test_add_func ("/install-words/problems", test_problems);
  return g_test_run ();
}
