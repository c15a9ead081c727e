/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-process.h"

#include "common/floe-fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 512
/* As much as an unprivileged process may make a pipe hold. */
#define WORDS_READ_MAX (1024 * 1024)
/* A killed process takes as long as the kernel needs to tear its memory down. */
#define KILL_TIMEOUT_MS 30000

struct _FloeProcess {
  pid_t pid;
  guint64 start;
  int pidfd;
  int words; /* reading end of its standard error, or -1 */
  GSource *watch;
  FloeProcessEnded ended;
  gpointer data;
};

/* Start time in clock ticks since boot; 0 when PID is nobody. */
static guint64
read_start (pid_t pid)
{
  char path[64], text[1024];
  floe_autofd fd = -1;
  ssize_t got;
  char *at;

  snprintf (path, sizeof path, "/proc/%d/stat", (int)pid);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  got = fd < 0 ? -1 : read (fd, text, sizeof text - 1);
  if (got <= 0)
    return 0;
  text[got] = '\0';
  /* The name in parentheses may hold anything, parentheses and blanks too: fields are counted after the last one. */
  at = strrchr (text, ')');
  for (int field = 2; at != NULL && field < 22; field++)
    at = strchr (at + 1, ' ');
  return at == NULL ? 0 : g_ascii_strtoull (at + 1, NULL, 10);
}

static FloeProcess *
process_new (pid_t pid, int pidfd, guint64 start, int words)
{
  FloeProcess *process = g_new0 (FloeProcess, 1);

  process->pid = pid;
  process->pidfd = pidfd;
  process->start = start;
  process->words = words;
  return process;
}

FloeProcess *
floe_process_spawn (FloeJail *jail, char *const *argv, GError **error)
{
  floe_autofd reader = -1, writer = -1;
  FloeJailed jailed;
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC | O_NONBLOCK) < 0) {
    floe_error_set_errno (error, errno, "pipe");
    return NULL;
  }
  reader = ends[0];
  writer = ends[1];
  /* Nobody reads while it runs, and the writing end does not block: a flood of messages ends at the pipe's size. */
  floe_jail_set_stderr (jail, writer);
  if (!floe_jail_spawn (jail, argv, &jailed, error))
    return NULL;
  return process_new (jailed.pid, jailed.pidfd, read_start (jailed.pid), floe_fd_steal (&reader));
}

FloeProcess *
floe_process_adopt (pid_t pid, guint64 start, GError **error)
{
  floe_autofd pidfd = (int)syscall (SYS_pidfd_open, pid, 0);

  /* The pidfd first: once it is open, the process that it names cannot become another between the look and the use. */
  if (pidfd < 0 || read_start (pid) != start) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "process %d is gone", (int)pid);
    return NULL;
  }
  /* What it says last is lost with its pipe's reader: to open that again through /proc would take CAP_SYS_PTRACE. */
  return process_new (pid, floe_fd_steal (&pidfd), start, -1);
}

void
floe_process_unwatch (FloeProcess *process)
{
  if (process->watch == NULL)
    return;
  g_source_destroy (process->watch);
  g_clear_pointer (&process->watch, g_source_unref);
}

void
floe_process_free (FloeProcess *process)
{
  if (process == NULL)
    return;
  floe_process_unwatch (process);
  floe_fd_clear (&process->pidfd);
  floe_fd_clear (&process->words);
  g_free (process);
}

static void
reap (FloeProcess *process)
{
  siginfo_t info;

  /* ECHILD for an adopted process: its parent is another. */
  (void)waitid (P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
}

static gboolean
on_ended (int fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  FloeProcess *process = data;
  FloeProcessEnded ended = process->ended;
  gpointer context = process->data;

  reap (process);
  g_clear_pointer (&process->watch, g_source_unref);
  ended (process, context);
  return G_SOURCE_REMOVE;
}

void
floe_process_watch (FloeProcess *process, FloeProcessEnded ended, gpointer data)
{
  g_assert (process->watch == NULL);
  process->ended = ended;
  process->data = data;
  process->watch = g_unix_fd_source_new (process->pidfd, G_IO_IN);
  g_source_set_callback (process->watch, G_SOURCE_FUNC (on_ended), process, NULL);
  g_source_attach (process->watch, NULL);
}

pid_t
floe_process_pid (const FloeProcess *process)
{
  return process->pid;
}

guint64
floe_process_start (const FloeProcess *process)
{
  return process->start;
}

gboolean
floe_process_wait (FloeProcess *process, int timeout_ms)
{
  struct pollfd wanted = { .fd = process->pidfd, .events = POLLIN };

  if (poll (&wanted, 1, timeout_ms) <= 0)
    return FALSE;
  reap (process);
  return TRUE;
}

void
floe_process_kill (FloeProcess *process)
{
  (void)syscall (SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
  (void)floe_process_wait (process, KILL_TIMEOUT_MS);
}

char *
floe_process_last_words (FloeProcess *process)
{
  g_autoptr (GString) all = g_string_new (NULL);
  char block[4096];
  ssize_t got;
  char *line;

  while (process->words >= 0 && all->len < WORDS_READ_MAX && (got = read (process->words, block, sizeof block)) > 0)
    g_string_append_len (all, block, got);
  floe_fd_clear (&process->words);
  g_strchomp (all->str);
  line = strrchr (all->str, '\n');
  line = line != NULL ? line + 1 : all->str;
  if (*line == '\0')
    return NULL;
  line[MIN (strlen (line), WORDS_MAX)] = '\0';
  for (char *at = line; *at != '\0'; at++)
    if (g_ascii_iscntrl (*at))
      *at = ' ';
  return g_utf8_make_valid (line, -1);
}

guint
floe_process_sweep (uid_t first, uid_t last, GHashTable *keep)
{
  DIR *proc = opendir ("/proc");
  struct dirent *entry;
  struct stat st;
  guint killed = 0;

  while (proc != NULL && (entry = readdir (proc)) != NULL) {
    pid_t pid = (pid_t)g_ascii_strtoull (entry->d_name, NULL, 10);

    if (pid <= 0 || g_hash_table_contains (keep, GINT_TO_POINTER (pid))
        || fstatat (dirfd (proc), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid < first || st.st_uid > last)
      continue;
    if (kill (pid, SIGKILL) == 0)
      killed++;
  }
  if (proc != NULL)
    closedir (proc);
  return killed;
}
