/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/jail/floe-jail-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Theory of operation: the parent is a process of several threads, so this code may call the kernel and nothing else.
 * glibc's setuid family is not the kernel: it asks all threads it remembers to change too, and those do not exist here.
 * Hence syscall().
 *
 * Steps, each giving up more: namespaces (by clone), descriptors, root file system, limits, capabilities out of the
 * bounding set, groups, gid, uid, all capabilities, no new privileges, exec. The host's mounts are detached before a uid
 * changes, so that nothing that runs as the new user ever sees them. */

static gboolean
fail (FloeJailFailure *failure, const char *step, const char *detail)
{
  size_t at = 0;

  failure->saved_errno = errno;
  for (; *step != '\0' && at < sizeof failure->step - 2; step++)
    failure->step[at++] = *step;
  if (detail != NULL)
    failure->step[at++] = ' ';
  for (; detail != NULL && *detail != '\0' && at < sizeof failure->step - 1; detail++)
    failure->step[at++] = *detail;
  failure->step[at] = '\0';
  return FALSE;
}

/* -- Descriptors ------------------------------------------------------------------------------------------------------ */

/* Moves all out of the way first: a descriptor's number here may be another's number in the jail. */
static gboolean
place_fds (const FloeJail *jail, int *report, FloeJailFailure *failure)
{
  int moved[FLOE_JAIL_FDS];
  int null = open ("/dev/null", O_RDWR | O_CLOEXEC);

  if (null < 0)
    return fail (failure, "open", "/dev/null");
  for (int number = 0; number < FLOE_JAIL_FDS; number++) {
    int fd = jail->fds[number] >= 0 ? jail->fds[number] : number <= 2 ? null : -1;

    moved[number] = fd < 0 ? -1 : fcntl (fd, F_DUPFD_CLOEXEC, 2 * FLOE_JAIL_FDS);
    if (fd >= 0 && moved[number] < 0)
      return fail (failure, "duplicate descriptor", NULL);
  }
  *report = fcntl (*report, F_DUPFD_CLOEXEC, 2 * FLOE_JAIL_FDS);
  if (*report < 0)
    return fail (failure, "duplicate descriptor", NULL);
  for (int number = 0; number < FLOE_JAIL_FDS; number++) {
    if (moved[number] < 0)
      close (number);
    else if (dup2 (moved[number], number) < 0)
      return fail (failure, "place descriptor", NULL);
  }
  if (syscall (SYS_close_range, FLOE_JAIL_FDS, (unsigned)*report - 1, 0) < 0
      || syscall (SYS_close_range, (unsigned)*report + 1, ~0U, 0) < 0)
    return fail (failure, "close descriptors", NULL);
  return TRUE;
}

/* -- Root file system ------------------------------------------------------------------------------------------------- */

/* Makes each directory on the way to TARGET below the current directory. */
static gboolean
make_way (const char *target, FloeJailFailure *failure)
{
  char path[256];

  for (size_t i = 1; target[i] != '\0'; i++) {
    if (i >= sizeof path) {
      errno = ENAMETOOLONG;
      return fail (failure, "make directory for", target);
    }
    if (target[i] != '/')
      continue;
    memcpy (path, target + 1, i - 1);
    path[i - 1] = '\0';
    if (mkdir (path, 0755) < 0 && errno != EEXIST)
      return fail (failure, "make directory", path);
  }
  return TRUE;
}

static unsigned long
bind_flags (FloeJailKind kind)
{
  switch (kind) {
  case FLOE_JAIL_DEVICE:
    return MS_NOSUID | MS_NOEXEC;
  case FLOE_JAIL_PROGRAM:
    return MS_RDONLY | MS_NOSUID | MS_NODEV;
  case FLOE_JAIL_READ_ONLY:
  case FLOE_JAIL_LINK:
    break;
  }
  return MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
}

static gboolean
place_bind (const FloeJailBind *bind, FloeJailFailure *failure)
{
  const char *target = bind->target + 1; /* the staging directory is the current one */
  int fd;

  if (!make_way (bind->target, failure))
    return FALSE;
  if (bind->kind == FLOE_JAIL_LINK)
    return symlink (bind->source, target) == 0 || fail (failure, "make link", bind->target);
  if (bind->is_directory) {
    if (mkdir (target, 0755) < 0 && errno != EEXIST)
      return fail (failure, "make directory", bind->target);
  } else {
    fd = open (target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
      return fail (failure, "make", bind->target);
    close (fd);
  }
  if (mount (bind->source, target, NULL, MS_BIND, NULL) < 0)
    return fail (failure, "bind", bind->source);
  if (mount (NULL, target, NULL, MS_BIND | MS_REMOUNT | bind_flags (bind->kind), NULL) < 0)
    return fail (failure, "restrict", bind->source);
  return TRUE;
}

static gboolean
change_root (const FloeJail *jail, FloeJailFailure *failure)
{
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return fail (failure, "make mounts private", NULL);
  if (mount ("floe-jail", jail->staging, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k,nr_inodes=256") < 0
      || chdir (jail->staging) < 0)
    return fail (failure, "mount a root on", jail->staging);
  umask (022);
  for (guint i = 0; i < jail->binds->len; i++)
    if (!place_bind (&g_array_index (jail->binds, FloeJailBind, i), failure))
      return FALSE;
  /* The old root is stacked on the new one, and then comes off with all that is mounted on it. */
  if (syscall (SYS_pivot_root, ".", ".") < 0 || umount2 (".", MNT_DETACH) < 0 || chdir ("/") < 0)
    return fail (failure, "change root", NULL);
  if (mount (NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
    return fail (failure, "make root read-only", NULL);
  return TRUE;
}

/* -- Privileges ------------------------------------------------------------------------------------------------------- */

static gboolean
drop_privileges (const FloeJail *jail, FloeJailFailure *failure)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

  /* EINVAL ends the loop: capabilities beyond the kernel's last do not exist. */
  for (unsigned long capability = 0; prctl (PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;)
    capability++;
  if (errno != EINVAL)
    return fail (failure, "drop the bounding set", NULL);
  if (syscall (SYS_setgroups, jail->n_groups, jail->groups) < 0)
    return fail (failure, "drop groups", NULL);
  if (syscall (SYS_setresgid, jail->gid, jail->gid, jail->gid) < 0
      || syscall (SYS_setresuid, jail->uid, jail->uid, jail->uid) < 0)
    return fail (failure, "change user", NULL);
  if (syscall (SYS_capset, &header, none) < 0 || prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
    return fail (failure, "drop capabilities", NULL);
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return fail (failure, "forbid new privileges", NULL);
  return TRUE;
}

/* nbdkit asks the kernel to end it with its parent. Here the parent is hypervisord, and what it started outlives it: the
 * request is answered "done" and has no effect. Programs of other architectures, with other system calls, do not run at
 * all. */
static gboolean
outlive_parent (FloeJailFailure *failure)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, arch)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args[0])),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, PR_SET_PDEATHSIG, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  return prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 || fail (failure, "set the system call filter", NULL);
}

static gboolean
set_limits (const FloeJail *jail, FloeJailFailure *failure)
{
  for (unsigned i = 0; i < jail->n_limits; i++) {
    struct rlimit limit = { jail->limits[i], jail->limits[i] };

    if (syscall (SYS_prlimit64, 0, jail->limit_names[i], &limit, NULL) < 0)
      return fail (failure, "set a limit", NULL);
  }
  return TRUE;
}

static void
reset_signals (void)
{
  sigset_t none;

  for (int number = 1; number < NSIG; number++)
    signal (number, SIG_DFL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
}

void
floe_jail_enter (const FloeJail *jail, char *const *argv, int report, FloeJailFailure *failure)
{
  reset_signals ();
  setsid ();
  if (!place_fds (jail, &report, failure) || !change_root (jail, failure) || sethostname ("floe", 4) < 0
      || !set_limits (jail, failure) || !drop_privileges (jail, failure) || !outlive_parent (failure)) {
    (void)!write (report, failure, sizeof *failure);
    return;
  }
  execve (argv[0], argv, jail->environment);
  fail (failure, "execute", argv[0]);
  (void)!write (report, failure, sizeof *failure);
}
