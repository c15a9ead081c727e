/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-confine.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>

/* A list of what is refused, not of what is allowed: what libcurl, the resolver and GLib call varies between the systems that we build on,
 * and an agent that dies of a new libc leaves the endpoint without its server. Syscalls by name, so that one which this libseccomp does
 * not know is passed over. */
static const char *const always[] = {
  "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd",
  "mount", "umount2", "umount", "pivot_root", "chroot", "fsopen", "fsmount", "fsconfig", "fspick", "move_mount", "open_tree", "mount_setattr",
  "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
  "keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
  "swapon", "swapoff", "acct", "quotactl", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname",
  "open_by_handle_at", "name_to_handle_at", "iopl", "ioperm", "personality", "vhangup", "syslog", "modify_ldt", "mknod", "mknodat",
  "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset", NULL,
};

static gboolean
add_rules (scmp_filter_ctx filter, const char *const *refused, GError **error)
{
  for (size_t i = 0; refused[i] != NULL; i++) {
    int number = seccomp_syscall_resolve_name (refused[i]);
    int status = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add (filter, SCMP_ACT_ERRNO (EPERM), number, 0);

    /* EDOM: not of this architecture. */
    if (status < 0 && status != -EDOM)
      return floe_error_set_errno (error, -status, "seccomp: refuse %s", refused[i]);
  }
  return TRUE;
}

gboolean
floe_confine (const char *const *more, GError **error)
{
  scmp_filter_ctx filter;
  int status;
  gboolean ok;

  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return floe_error_set_errno (error, errno, "give up new privileges");
  filter = seccomp_init (SCMP_ACT_ALLOW);
  if (filter == NULL)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for a system call filter");
  ok = add_rules (filter, always, error) && (more == NULL || add_rules (filter, more, error));
  status = ok ? seccomp_load (filter) : 0;
  seccomp_release (filter);
  if (status < 0)
    return floe_error_set_errno (error, -status, "load the system call filter");
  return ok;
}
