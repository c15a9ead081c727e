/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-process.h"

#include "common/floe-fd.h"
#include "hypervisor/machine/floe-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A QEMU that its guest has taken over, found again by another life of hypervisord: what it can do to who looks after it. */

#define UID 1999990001 /* nobody's */

/* A child with FD as its standard error and, if UID is not 0, that user, hidden from /proc's owner as any process may hide itself. */
static pid_t
start_child (int fd, uid_t uid)
{
  int ready[2];
  char byte;
  pid_t pid;

  g_assert_cmpint (pipe (ready), ==, 0);
  pid = fork ();
  if (pid == 0) {
    if (fd >= 0)
      dup2 (fd, STDERR_FILENO);
    if (uid != 0 && (syscall (SYS_setresuid, uid, uid, uid) < 0 || prctl (PR_SET_DUMPABLE, 0) < 0))
      _exit (1);
    close (ready[0]);
    (void)!write (ready[1], "", 1);
    for (;;)
      pause ();
  }
  close (ready[1]);
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  close (ready[0]);
  return pid;
}

static guint64
start_of (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int)pid);
  g_autofree char *text = NULL;
  g_auto (GStrv) fields = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  fields = g_strsplit (strrchr (text, ')') + 2, " ", -1);
  return g_ascii_strtoull (fields[22 - 3], NULL, 10);
}

static char *
words_of_adopted (int fd)
{
  g_autoptr (GError) error = NULL;
  pid_t pid = start_child (fd, 0);
  g_autoptr (FloeProcess) process = floe_process_adopt (pid, start_of (pid), &error);
  char *words;

  g_assert_no_error (error);
  floe_process_kill (process);
  /* Endless input must not become endless memory: this ends the test, if it does not end by itself. */
  alarm (20);
  words = floe_process_last_words (process);
  alarm (0);
  return words;
}

/* A process whose parent is gone may have put anything in the place of its standard error: none of it is read, not even the
 * pipe that we gave it, for which we would have to be able to enter any process. */
static void
test_words (void)
{
  g_autofree char *file = NULL;
  floe_autofd secret = g_file_open_tmp ("floe-process-XXXXXX", &file, NULL);
  floe_autofd endless = open ("/dev/zero", O_RDONLY | O_CLOEXEC);
  int ends[2];

  g_unlink (file);
  g_assert_cmpint (write (secret, "of another file\n", 16), ==, 16);
  g_assert_null (words_of_adopted (secret));
  g_assert_null (words_of_adopted (endless));
  g_assert_cmpint (pipe2 (ends, O_NONBLOCK), ==, 0);
  g_assert_cmpint (write (ends[1], "first\nlast\n", 11), ==, 11);
  g_assert_null (words_of_adopted (ends[1]));
  close (ends[0]);
  close (ends[1]);
}

/* A process of a machine's user is found whoever /proc says owns its directory. */
static void
test_sweep_hidden (void)
{
  g_autoptr (GHashTable) keep = g_hash_table_new (NULL, NULL);
  pid_t hidden, kept;
  int status;

  if (geteuid () != 0) {
    g_test_skip ("root is needed to start processes of other users");
    return;
  }
  hidden = start_child (-1, UID);
  kept = start_child (-1, UID + 1);
  g_hash_table_add (keep, GINT_TO_POINTER (kept));
  g_assert_cmpuint (floe_process_sweep (UID, UID + 1, keep), ==, 1);
  g_assert_cmpint (waitpid (hidden, &status, 0), ==, hidden);
  g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
  g_assert_cmpint (waitpid (kept, &status, WNOHANG), ==, 0);
  kill (kept, SIGKILL);
  waitpid (kept, NULL, 0);
}

/* A QEMU that has made its listening queue small and takes no one out of it: who connects is told so at once. */
static void
test_connect_full (void)
{
  g_autofree char *path = g_dir_make_tmp ("floe-process-XXXXXX", NULL);
  floe_autofd dir = floe_dir_open (path, NULL);
  floe_autofd listener = floe_socket_listen_at (dir, "qmp", geteuid (), NULL);
  g_autoptr (GError) error = NULL;
  int fds[8];
  guint n = 0;

  g_assert_cmpint (syscall (SYS_listen, listener, 0), ==, 0);
  alarm (20);
  while (n < G_N_ELEMENTS (fds) && (fds[n] = floe_socket_connect_at (dir, "qmp", &error)) >= 0)
    n++;
  alarm (0);
  g_assert_cmpuint (n, <, G_N_ELEMENTS (fds));
  g_assert_nonnull (error);
  while (n > 0)
    close (fds[--n]);
  unlinkat (dir, "qmp", 0);
  g_rmdir (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/process/words", test_words);
  g_test_add_func ("/process/sweep-hidden", test_sweep_hidden);
  g_test_add_func ("/process/connect-full", test_connect_full);
  return g_test_run ();
}
