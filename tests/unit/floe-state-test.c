/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-state.h"

#include "common/floe-fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The process dies at each system call of a change in turn. Either it is merely killed and the kernel keeps what it did; or the
 * power fails, and what the file system had not been made to keep is lost: files have no content that was not synced, and names are
 * what they were at the directory's last sync. This program's own write(), fsync(), renameat() and unlinkat() stand
 * before the C library's and do both. */

typedef enum { DIES_KILLED, DIES_POWER } Death;

#define DEAD 99
#define MAX_PENDING 8

static unsigned die_at; /* 0: never; otherwise this many calls from now */
static Death death;

/* A name changed and not synced yet; what it held before (NULL: nothing). */
static struct {
  int dir;
  char name[64];
  char *before;
} pending[MAX_PENDING];
static unsigned n_pending;
static int unsynced = -1; /* the file written to and not synced */

static char *
content_at (int dir, const char *name)
{
  g_autoptr (GBytes) bytes = floe_file_read_at (dir, name, 4096, NULL);

  return bytes != NULL ? g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes)) : NULL;
}

static void
lose_unsynced (void)
{
  if (unsynced >= 0 && syscall (SYS_ftruncate, unsynced, 0) < 0)
    abort ();
  while (n_pending-- > 0) {
    const char *name = pending[n_pending].name, *before = pending[n_pending].before;
    int fd;

    syscall (SYS_unlinkat, pending[n_pending].dir, name, 0);
    if (before == NULL)
      continue;
    fd = openat (pending[n_pending].dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (syscall (SYS_write, fd, before, strlen (before)) < 0)
      abort ();
    close (fd);
  }
}

static void
count_down (void)
{
  if (die_at == 0 || --die_at > 0)
    return;
  if (death == DIES_POWER)
    lose_unsynced ();
  _exit (DEAD);
}

static void
remember (int dir, const char *name)
{
  if (die_at == 0)
    return;
  g_assert_cmpuint (n_pending, <, MAX_PENDING);
  pending[n_pending].dir = dir;
  g_strlcpy (pending[n_pending].name, name, sizeof pending[0].name);
  pending[n_pending].before = content_at (dir, name);
  n_pending++;
}

ssize_t
write (int fd, const void *data, size_t size)
{
  if (die_at > 0) {
    count_down ();
    unsynced = fd;
  }
  return syscall (SYS_write, fd, data, size);
}

int
fsync (int fd)
{
  struct stat st;

  count_down ();
  if (fstat (fd, &st) == 0 && S_ISDIR (st.st_mode))
    n_pending = 0;
  else
    unsynced = -1;
  return (int) syscall (SYS_fsync, fd);
}

int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
  count_down ();
  remember (to_dir, to);
  return (int) syscall (SYS_renameat, from_dir, from, to_dir, to);
}

int
unlinkat (int dir, const char *name, int flags)
{
  count_down ();
  remember (dir, name);
  return (int) syscall (SYS_unlinkat, dir, name, flags);
}

/* -- What is done and what must hold --------------------------------------------------------------------------------- */

static void
put (FloeState *state, const char *role, const char *text)
{
  g_autoptr (GBytes) content = g_bytes_new (text, strlen (text));

  g_assert_true (floe_state_store (state, role, content, NULL));
}

static char *
get (FloeState *state, const char *role)
{
  g_autoptr (GBytes) content = floe_state_load (state, role, NULL);

  return content != NULL ? g_strndup (g_bytes_get_data (content, NULL), g_bytes_get_size (content)) : NULL;
}

static gint64
root_version (FloeState *state)
{
  g_autofree char *root = get (state, "root");

  return g_strcmp0 (root, "root 1") == 0 ? 1 : g_strcmp0 (root, "root 2") == 0 ? 2 : 0;
}

/* From version 1 of everything to a root that takes a key away, and then to a new timestamp. */
static void
change (int dir)
{
  g_autoptr (FloeState) state = floe_state_open (dir, NULL);
  g_autoptr (GBytes) root = g_bytes_new_static ("root 2", 6);

  g_assert_true (floe_state_settle (state, root_version (state), NULL));
  g_assert_true (floe_state_store_root (state, root, 2, TRUE, NULL));
  put (state, "timestamp", "timestamp 2");
}

static void
settle (int dir)
{
  g_autoptr (FloeState) state = floe_state_open (dir, NULL);

  g_assert_true (floe_state_settle (state, root_version (state), NULL));
}

/* Runs STEP in a process that dies at system call AT. FALSE when it ended before. */
static gboolean
run_dying (void (*step) (int), int dir, unsigned at, Death how)
{
  pid_t child = fork ();
  int status;

  if (child == 0) {
    death = how;
    die_at = at;
    step (dir);
    die_at = 0;
    _exit (0);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status) && (WEXITSTATUS (status) == 0 || WEXITSTATUS (status) == DEAD));
  return WEXITSTATUS (status) == DEAD;
}

static void
begin (int dir)
{
  g_autoptr (FloeState) state = NULL;

  g_assert_true (floe_file_remove_at (dir, "timestamp.json", NULL));
  state = floe_state_open (dir, NULL);
  put (state, "root", "root 1");
  put (state, "timestamp", "timestamp 1");
  put (state, "snapshot", "snapshot 1");
}

/* The old world or the new one: never a root that is neither, never what a taken key signed under the new root. */
static void
check (int dir)
{
  g_autofree char *timestamp = NULL, *snapshot = NULL;
  g_autoptr (FloeState) state = NULL;

  settle (dir);
  state = floe_state_open (dir, NULL);
  timestamp = get (state, "timestamp");
  snapshot = get (state, "snapshot");
  if (root_version (state) == 1) {
    g_assert_cmpstr (timestamp, ==, "timestamp 1");
    g_assert_cmpstr (snapshot, ==, "snapshot 1");
  } else {
    g_assert_cmpint (root_version (state), ==, 2);
    g_assert_true (timestamp == NULL || strcmp (timestamp, "timestamp 2") == 0);
    g_assert_null (snapshot);
  }
}

static void
check_tidy (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  for (const char *name; (name = g_dir_read_name (dir)) != NULL;)
    if (*name == '.')
      g_test_fail_printf ("%s is left", name);
}

static void
test_deaths (gconstpointer data)
{
  Death how = (Death) GPOINTER_TO_INT (data);
  g_autofree char *path = g_dir_make_tmp ("floe-state-XXXXXX", NULL), *remove = g_strdup_printf ("rm -r %s", path);
  floe_autofd dir = floe_dir_open (path, NULL);
  unsigned deaths = 0;
  gboolean died = TRUE;

  for (unsigned at = 1; died; at++) {
    /* A second death while the first is being mended, at each of its calls, then none. */
    for (unsigned again = 1;; again++) {
      gboolean died_again;

      begin (dir);
      died = run_dying (change, dir, at, how);
      died_again = run_dying (settle, dir, again, how);
      deaths += died + died_again;
      check (dir);
      if (!died_again)
        break;
    }
  }
  check_tidy (path);
  g_assert_cmpuint (deaths, >, 30);
  g_print ("figure: trust_%s_points = %u\n", how == DIES_POWER ? "power_cut" : "death", deaths);
  g_assert_cmpint (system (remove), ==, 0);
}

static void
test_broken_intent (void)
{
  g_autofree char *path = g_dir_make_tmp ("floe-state-XXXXXX", NULL), *intent = g_build_filename (path, ".recover", NULL);
  g_autofree char *remove = g_strdup_printf ("rm -r %s", path);
  floe_autofd dir = floe_dir_open (path, NULL);
  g_autoptr (FloeState) state = floe_state_open (dir, NULL);
  g_autoptr (GError) error = NULL;

  /* Something that is no file: said, not passed over. */
  g_assert_cmpint (mkdir (intent, 0755), ==, 0);
  g_assert_false (floe_state_settle (state, 1, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  floe_state_free (NULL);
  g_assert_cmpint (system (remove), ==, 0);
}

/* A disk that refuses at each of a root's four steps: said each time, and whatever happened, mended when it works again. */
static void
test_refusals (void)
{
  static const char *const blocked[] = { ".recover", "root.json", "timestamp.json", "snapshot.json" };
  g_autoptr (GBytes) root = g_bytes_new_static ("root 2", 6);

  for (size_t i = 0; i < G_N_ELEMENTS (blocked); i++) {
    g_autofree char *path = g_dir_make_tmp ("floe-state-XXXXXX", NULL), *name = g_build_filename (path, blocked[i], NULL);
    g_autofree char *remove = g_strdup_printf ("rm -r %s", path);
    floe_autofd dir = floe_dir_open (path, NULL);
    g_autoptr (FloeState) state = floe_state_open (dir, NULL);
    g_autoptr (GError) error = NULL;

    /* A directory in a file's place can be neither replaced nor unlinked. */
    g_assert_cmpint (mkdir (name, 0755), ==, 0);
    g_assert_false (floe_state_store_root (state, root, 2, TRUE, &error));
    g_assert_nonnull (error);
    g_assert_cmpint (rmdir (name), ==, 0);
    g_assert_true (floe_state_settle (state, root_version (state), NULL));
    g_assert_true (floe_state_store_root (state, root, 2, TRUE, NULL));
    g_assert_cmpint (root_version (state), ==, 2);
    g_assert_cmpint (system (remove), ==, 0);
  }
}

static void
test_no_directory (void)
{
  floe_autofd file = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;

  g_assert_null (floe_state_open (file, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_IO);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/state/killed", GINT_TO_POINTER (DIES_KILLED), test_deaths);
  g_test_add_data_func ("/state/power", GINT_TO_POINTER (DIES_POWER), test_deaths);
  g_test_add_func ("/state/broken-intent", test_broken_intent);
  g_test_add_func ("/state/refusals", test_refusals);
  g_test_add_func ("/state/no-directory", test_no_directory);
  return g_test_run ();
}
