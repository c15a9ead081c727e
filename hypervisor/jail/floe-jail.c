/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/jail/floe-jail-internal.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Building a root takes milliseconds; a host that hangs in a mount must not hang us for ever. */
#define SPAWN_TIMEOUT_MS 20000

static void
bind_clear (gpointer data)
{
  FloeJailBind *bind = data;

  g_free (bind->source);
  g_free (bind->target);
}

FloeJail *
floe_jail_new (const char *staging, uid_t uid, gid_t gid)
{
  FloeJail *jail = g_new0 (FloeJail, 1);

  g_assert (uid != 0 && gid != 0);
  jail->staging = g_strdup (staging);
  jail->uid = uid;
  jail->gid = gid;
  jail->binds = g_array_new (FALSE, TRUE, sizeof (FloeJailBind));
  g_array_set_clear_func (jail->binds, bind_clear);
  for (int number = 0; number < FLOE_JAIL_FDS; number++)
    jail->fds[number] = -1;
  jail->environment = g_new0 (char *, 1);
  floe_jail_set_limit (jail, RLIMIT_CORE, 0);
  return jail;
}

void
floe_jail_free (FloeJail *jail)
{
  if (jail == NULL)
    return;
  g_free (jail->staging);
  g_array_unref (jail->binds);
  g_strfreev (jail->environment);
  g_free (jail);
}

gboolean
floe_jail_bind (FloeJail *jail, FloeJailKind kind, const char *source, const char *target, GError **error)
{
  FloeJailBind bind = { .kind = kind };
  struct stat st;

  g_assert (target[0] == '/' && strstr (target, "..") == NULL);
  if (kind != FLOE_JAIL_LINK) {
    if (stat (source, &st) < 0)
      return floe_error_set_errno (error, errno, "%s", source);
    bind.is_directory = S_ISDIR (st.st_mode);
  }
  bind.source = g_strdup (source);
  bind.target = g_strdup (target);
  g_array_append_val (jail->binds, bind);
  return TRUE;
}

gboolean
floe_jail_bind_program (FloeJail *jail, const char *program, GError **error)
{
  static const char libraries[] = "/usr/lib/x86_64-linux-gnu";

  return floe_jail_bind (jail, FLOE_JAIL_PROGRAM, libraries, libraries, error)
         && floe_jail_bind (jail, FLOE_JAIL_LINK, "usr/lib", "/lib", error)
         && floe_jail_bind (jail, FLOE_JAIL_PROGRAM, "/lib64", "/lib64", error)
         && floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, "/etc/ld.so.cache", "/etc/ld.so.cache", error)
         && floe_jail_bind (jail, FLOE_JAIL_DEVICE, "/dev/null", "/dev/null", error)
         && floe_jail_bind (jail, FLOE_JAIL_DEVICE, "/dev/urandom", "/dev/urandom", error)
         && floe_jail_bind (jail, FLOE_JAIL_PROGRAM, program, program, error);
}

void
floe_jail_pass (FloeJail *jail, int fd, int number)
{
  g_assert (number > STDERR_FILENO && number < FLOE_JAIL_FDS);
  jail->fds[number] = fd;
}

void
floe_jail_set_stderr (FloeJail *jail, int fd)
{
  jail->fds[STDERR_FILENO] = fd;
}

void
floe_jail_set_environment (FloeJail *jail, const char *const *environment)
{
  g_strfreev (jail->environment);
  jail->environment = g_strdupv ((char **)environment);
}

void
floe_jail_set_group (FloeJail *jail, gid_t group)
{
  jail->groups[0] = group;
  jail->n_groups = 1;
}

void
floe_jail_set_limit (FloeJail *jail, int resource, rlim_t value)
{
  g_assert (jail->n_limits < FLOE_JAIL_LIMITS);
  jail->limit_names[jail->n_limits] = resource;
  jail->limits[jail->n_limits++] = value;
}

/* Reads the child's report: nothing when exec closed the pipe. */
static gboolean
await_exec (int report, GError **error)
{
  FloeJailFailure failure = { 0 };
  struct pollfd wanted = { .fd = report, .events = POLLIN };
  ssize_t got;

  if (poll (&wanted, 1, SPAWN_TIMEOUT_MS) <= 0)
    return floe_error_set (error, FLOE_ERROR_CANCELLED, "jail: not ready within %d s", SPAWN_TIMEOUT_MS / 1000);
  got = read (report, &failure, sizeof failure);
  if (got == 0)
    return TRUE;
  if (got != sizeof failure)
    return floe_error_set (error, FLOE_ERROR_FAILED, "jail: the child ended unexpectedly");
  failure.step[sizeof failure.step - 1] = '\0';
  return floe_error_set_errno (error, failure.saved_errno, "jail: %s", failure.step);
}

/* clone() and not clone3(): a service manager's filter of namespaces reads flags in registers, not behind a pointer, and so
 * refuses all of clone3(). Without a stack of its own the child goes on here, as after fork(). */
static pid_t
clone_child (int *pidfd)
{
  const unsigned long flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS | SIGCHLD;

  return (pid_t)syscall (SYS_clone, flags, NULL, pidfd, NULL, 0);
}

gboolean
floe_jail_spawn (FloeJail *jail, char *const *argv, FloeJailed *jailed, GError **error)
{
  floe_autofd reader = -1, writer = -1, pidfd = -1;
  int report[2], saved_errno;
  sigset_t all, before;
  pid_t pid;

  if (pipe2 (report, O_CLOEXEC) < 0)
    return floe_error_set_errno (error, errno, "pipe");
  reader = report[0];
  writer = report[1];
  /* No handler of ours may run in the child before it has none. */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  pid = clone_child (&pidfd);
  saved_errno = errno;
  if (pid == 0) {
    FloeJailFailure failure = { 0 };

    floe_jail_enter (jail, argv, writer, &failure);
    _exit (127);
  }
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  if (pid < 0) {
    pidfd = -1;
    return floe_error_set_errno (error, saved_errno, "jail: namespaces");
  }
  floe_fd_clear (&writer);
  if (!await_exec (reader, error)) {
    kill (pid, SIGKILL);
    waitpid (pid, NULL, 0);
    return FALSE;
  }
  jailed->pid = pid;
  jailed->pidfd = floe_fd_steal (&pidfd);
  return TRUE;
}
