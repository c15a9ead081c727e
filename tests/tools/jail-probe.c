/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "hypervisor/jail/floe-jail.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* `jail-probe run STAGING UID` puts this same program into a jail, where `jail-probe attack` tries what a QEMU that was
 * taken over would try. Each attempt is a line, `held NAME` or `BROKEN NAME`; the exit status is 0 when all held. */

static unsigned tried, broken;

static void
expect (const char *what, gboolean held)
{
  tried++;
  broken += !held;
  printf ("%s %s\n", held ? "held" : "BROKEN", what);
}

static void
try_open (const char *path, int flags)
{
  g_autofree char *what = g_strdup_printf ("open %s", path);
  floe_autofd fd = open (path, flags, 0600);

  expect (what, fd < 0);
  /* Outside a jail this has just made a file. */
  if (fd >= 0 && (flags & O_CREAT) != 0)
    unlink (path);
}

static void
attack_files (void)
{
  static const char *const paths[]
      = { "/etc/passwd", "/etc/shadow", "/home",        "/root",    "/proc/1/environ", "/proc/self/exe",
          "/sys/kernel", "/run",        "/var",         "/tmp",     "/dev/kmsg",       "/dev/mem",
          "/dev/sda",    "/dev/vda",    "/dev/tty",     "/dev/kvm", "/dev/net/tun",    "/dev/bus/usb",
          "/dev/fuse",   "/bin/sh",     "/usr/bin/env", "..",       "../../etc/passwd" };

  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++) {
    struct stat here, root;

    /* ".." of the root is the root: it must not be another directory. */
    if (strcmp (paths[i], "..") == 0)
      expect ("leave by ..", stat ("..", &here) == 0 && stat ("/", &root) == 0 && here.st_ino == root.st_ino);
    else
      try_open (paths[i], O_RDONLY);
  }
  try_open ("/floe-probe-new", O_WRONLY | O_CREAT | O_EXCL);
  try_open ("/usr/floe-probe-new", O_WRONLY | O_CREAT | O_EXCL);
  try_open ("/dev/floe-probe-new", O_WRONLY | O_CREAT | O_EXCL);
  try_open ("/etc/ld.so.cache", O_WRONLY);
  expect ("make a device", mknod ("/dev/floe-probe-device", S_IFCHR | 0600, 0x103) < 0);
  unlink ("/dev/floe-probe-device");
}

static void
attack_privileges (void)
{
  expect ("mount", mount ("none", "/dev", "tmpfs", 0, NULL) < 0);
  expect ("remount read-write", mount (NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) < 0);
  expect ("umount", umount2 ("/dev/null", MNT_DETACH) < 0);
  expect ("chroot", chroot ("/usr") < 0);
  expect ("setuid 0", syscall (SYS_setuid, 0) < 0);
  expect ("setgid 0", syscall (SYS_setgid, 0) < 0);
  expect ("setgroups", syscall (SYS_setgroups, 0, NULL) < 0);
  expect ("no new privileges", prctl (PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
  expect ("bounding set empty", prctl (PR_CAPBSET_READ, 0, 0, 0, 0) == 0 && prctl (PR_CAPBSET_READ, 21, 0, 0, 0) == 0);
  expect ("hostname", sethostname ("mine", 4) < 0);
  expect ("reboot", syscall (SYS_reboot, 0, 0, 0, NULL) < 0);
  expect ("load a module", syscall (SYS_init_module, NULL, 0, "") < 0);
}

static void
attack_processes (void)
{
  expect ("is process 1 of its own", getpid () == 1);
  expect ("sees no parent", getppid () == 0);
  for (pid_t pid = 2; pid < 64; pid++)
    if (kill (pid, 0) == 0)
      expect ("signal another process", FALSE);
  expect ("trace another process", ptrace (PTRACE_ATTACH, 2, NULL, NULL) < 0);
}

static void
attack_network (void)
{
  struct sockaddr_in host = { .sin_family = AF_INET, .sin_port = htons (9), .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  struct sockaddr_un_like {
    sa_family_t family;
    char path[32];
  } bus = { AF_UNIX, "\0floe-probe-abstract" };
  floe_autofd tcp = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  floe_autofd raw = socket (AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  floe_autofd local = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  expect ("raw socket", raw < 0);
  expect ("connect to the host's loopback", tcp < 0 || connect (tcp, (struct sockaddr *)&host, sizeof host) < 0);
  expect ("connect to the host's abstract socket",
          local < 0 || connect (local, (struct sockaddr *)&bus, offsetof (struct sockaddr_un_like, path) + 20) < 0);
}

/* Whatever is open beyond 0 to 2 was passed on purpose: nothing here. */
static void
attack_descriptors (void)
{
  for (int fd = 3; fd < 4096; fd++)
    if (fcntl (fd, F_GETFD) >= 0)
      expect ("an inherited descriptor", FALSE);
  expect ("no inherited descriptor", TRUE);
  expect ("core files", setrlimit (RLIMIT_CORE, &(struct rlimit){ 1, 1 }) < 0);
}

static gboolean
run_attack (int argc G_GNUC_UNUSED, char **argv G_GNUC_UNUSED, GError **error)
{
  attack_files ();
  attack_privileges ();
  attack_processes ();
  attack_network ();
  attack_descriptors ();
  printf ("figure: jail_attempts = %u\nfigure: jail_broken = %u\n", tried, broken);
  fflush (stdout);
  return broken == 0 || floe_error_set (error, FLOE_ERROR_FAILED, "%u of %u attempts succeeded", broken, tried);
}

/* Standard output of the jailed program is passed as standard error, since a jail has no other. */
static gboolean
run_run (int argc, char **argv, GError **error)
{
  g_autoptr (FloeJail) jail = NULL;
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  char *inside[] = { (char *)"/probe", (char *)"attack", NULL };
  FloeJailed jailed;
  siginfo_t info = { 0 };
  uid_t uid;

  if (argc != 3)
    return floe_error_set (error, FLOE_ERROR_INVALID, "run STAGING UID");
  uid = (uid_t)strtoul (argv[2], NULL, 10);
  jail = floe_jail_new (argv[1], uid, uid);
  if (!floe_jail_bind_program (jail, "/bin/true", error)
      || !floe_jail_bind (jail, FLOE_JAIL_PROGRAM, self, "/probe", error))
    return FALSE;
  floe_jail_set_stderr (jail, STDOUT_FILENO);
  if (!floe_jail_spawn (jail, inside, &jailed, error))
    return FALSE;
  if (waitid (P_PIDFD, (id_t)jailed.pidfd, &info, WEXITED) < 0)
    return floe_error_set_errno (error, errno, "wait");
  return info.si_status == 0 || floe_error_set (error, FLOE_ERROR_FAILED, "the probe ended with status %d", info.si_status);
}

int
main (int argc, char **argv)
{
  static const FloeCommand commands[] = {
    { "run", "STAGING UID", "try to get out of a jail", run_run },
    { "attack", "", "what runs inside", run_attack },
    { NULL },
  };

  /* In the jail standard output is /dev/null. */
  if (argc > 1 && strcmp (argv[1], "attack") == 0)
    dup2 (STDERR_FILENO, STDOUT_FILENO);
  return floe_cli_run ("jail-probe", "tries a jail's walls", commands, argc, argv);
}
