/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  char *path;
  int dir;
} Place;

static void
set_up (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  place->path = g_dir_make_tmp ("floe-fd-XXXXXX", &error);
  g_assert_no_error (error);
  place->dir = floe_dir_open (place->path, &error);
  g_assert_no_error (error);
}

static void
tear_down (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GDir) listing = g_dir_open (place->path, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (listing)) != NULL)
    if (unlinkat (place->dir, name, 0) < 0)
      g_assert_cmpint (unlinkat (place->dir, name, AT_REMOVEDIR), ==, 0);
  close (place->dir);
  g_assert_cmpint (g_rmdir (place->path), ==, 0);
  g_free (place->path);
}

static void
test_names (void)
{
  static const char *const good[] = { "a", "a.b", "A-Z_09", "0", "caf" };
  static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "a b", "a\n", "caf\xc3\xa9", "a%2e" };
  g_autofree char *longest = g_strnfill (128, 'x'), *longer = g_strnfill (129, 'x');

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (floe_name_is_safe (good[i]));
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (floe_name_is_safe (bad[i]));
  g_assert_true (floe_name_is_safe (longest));
  g_assert_false (floe_name_is_safe (longer));
}

static void
test_replace (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) content = NULL;
  struct stat st;
  mode_t mask = umask (077);

  g_assert_true (floe_file_replace_at (place->dir, "f", "one", 3, 0644, &error));
  g_assert_true (floe_file_replace_at (place->dir, "f", "two!", 4, 0640, &error));
  umask (mask);
  g_assert_no_error (error);
  content = floe_file_read_at (place->dir, "f", 4, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (content, NULL), g_bytes_get_size (content), "two!", 4);
  /* The mode asked for, whatever the umask. */
  g_assert_cmpint (fstatat (place->dir, "f", &st, 0), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0640);
}

static void
test_replace_in_vain (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) listing = NULL;

  /* The name is taken by a directory: nothing is replaced and no temporary stays behind. */
  g_assert_cmpint (mkdirat (place->dir, "taken", 0700), ==, 0);
  g_assert_false (floe_file_replace_at (place->dir, "taken", "x", 1, 0600, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_IO);
  listing = g_dir_open (place->path, 0, NULL);
  g_assert_cmpstr (g_dir_read_name (listing), ==, "taken");
  g_assert_null (g_dir_read_name (listing));
}

static void
test_read_refuses (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  static const struct {
    const char *name;
    FloeError code;
  } cases[] = {
    { "absent", FLOE_ERROR_NOT_FOUND },
    { "link", FLOE_ERROR_IO },
    { "fifo", FLOE_ERROR_INVALID },
    { "directory", FLOE_ERROR_INVALID },
    { "large", FLOE_ERROR_LIMIT },
  };

  g_assert_true (floe_file_replace_at (place->dir, "large", "12345", 5, 0600, NULL));
  g_assert_cmpint (symlinkat ("large", place->dir, "link"), ==, 0);
  g_assert_cmpint (mkfifoat (place->dir, "fifo", 0600), ==, 0);
  g_assert_cmpint (mkdirat (place->dir, "directory", 0700), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (floe_file_read_at (place->dir, cases[i].name, 4, &error));
    g_assert_error (error, FLOE_ERROR, (int) cases[i].code);
    g_assert_nonnull (strstr (error->message, cases[i].name));
  }
}

static void
test_directories (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  floe_autofd made = floe_dir_make_at (place->dir, "d", 0700, &error);
  floe_autofd again = floe_dir_make_at (place->dir, "d", 0700, &error);

  g_assert_no_error (error);
  g_assert_cmpint (made, >=, 0);
  g_assert_cmpint (again, >=, 0);
  g_assert_true (fcntl (made, F_GETFD) & FD_CLOEXEC);
  /* A link in the directory's place is not followed. */
  g_assert_cmpint (symlinkat ("d", place->dir, "l"), ==, 0);
  g_assert_cmpint (floe_dir_make_at (place->dir, "l", 0700, &error), ==, -1);
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_IO);
}

static void
test_pread (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  char buffer[4] = "";
  floe_autofd fd = -1;

  g_assert_true (floe_file_replace_at (place->dir, "f", "abcdef", 6, 0600, NULL));
  fd = floe_file_open_at (place->dir, "f", NULL);
  g_assert_true (floe_pread_all (fd, buffer, 4, 2, &error));
  g_assert_cmpmem (buffer, 4, "cdef", 4);
  g_assert_false (floe_pread_all (fd, buffer, 4, 3, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
}

/* A reader beside a writer that is killed again and again sees the old or the new content, whole. */
static void
test_replace_killed (Place *place, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *a = g_strnfill (200000, 'a'), *b = g_strnfill (200000, 'b');

  g_assert_true (floe_file_replace_at (place->dir, "f", a, strlen (a), 0600, NULL));
  for (int round = 0; round < 40; round++) {
    g_autoptr (GBytes) content = NULL;
    const char *text;
    pid_t writer = fork ();

    if (writer == 0)
      for (;;)
        if (!floe_file_replace_at (place->dir, "f", b, strlen (b), 0600, NULL) ||
            !floe_file_replace_at (place->dir, "f", a, strlen (a), 0600, NULL))
          _exit (1);
    g_usleep ((gulong) (500 + g_random_int_range (0, 5000)));
    kill (writer, SIGKILL);
    waitpid (writer, NULL, 0);
    content = floe_file_read_at (place->dir, "f", 200000, NULL);
    g_assert_nonnull (content);
    text = g_bytes_get_data (content, NULL);
    g_assert_cmpuint (g_bytes_get_size (content), ==, 200000);
    g_assert_true (memcmp (text, a, 200000) == 0 || memcmp (text, b, 200000) == 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fd/names", test_names);
  g_test_add ("/fd/replace", Place, NULL, set_up, test_replace, tear_down);
  g_test_add ("/fd/replace-in-vain", Place, NULL, set_up, test_replace_in_vain, tear_down);
  g_test_add ("/fd/read-refuses", Place, NULL, set_up, test_read_refuses, tear_down);
  g_test_add ("/fd/directories", Place, NULL, set_up, test_directories, tear_down);
  g_test_add ("/fd/pread", Place, NULL, set_up, test_pread, tear_down);
  g_test_add ("/fd/replace-killed", Place, NULL, set_up, test_replace_killed, tear_down);
  return g_test_run ();
}
