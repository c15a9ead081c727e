/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolve.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* A list of what is allowed: this program is ours whole, libc included in what it calls. What is not on it fails with EPERM rather than
 * with the end of the process, so that a newer libc's first try of something new falls back to what it did before.
 *
 * No socket can be made; what is written goes to hypervisord alone. A card without DNS can send nothing else at all: its packet socket
 * could otherwise forge frames. */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#define LOAD(member) BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, member))
#define ALLOW BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW_CALL(number) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), ALLOW
/* The lower half of the argument: the kernel looks at no more of a descriptor or of protection bits. */
#define ALLOW_IF(number, member, value)                                                                                        \
  BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 4), LOAD (member), BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), ALLOW, REFUSE

static bool
load (const struct sock_filter *filter, size_t n)
{
  const struct sock_fprog program = { (unsigned short)n, (struct sock_filter *)(uintptr_t)filter };

  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool
floe_resolve_confine (bool leases)
{
#define BEGIN                                                                                                                  \
  LOAD (arch), BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), LOAD (nr)
#define COMMON                                                                                                                 \
  ALLOW_CALL (SYS_epoll_wait), ALLOW_CALL (SYS_recvfrom), ALLOW_CALL (SYS_epoll_ctl), ALLOW_CALL (SYS_recvmsg),               \
    ALLOW_CALL (SYS_close), ALLOW_CALL (SYS_clock_gettime), ALLOW_CALL (SYS_getrandom), ALLOW_CALL (SYS_lseek),              \
    ALLOW_CALL (SYS_munmap), ALLOW_CALL (SYS_exit_group), ALLOW_CALL (SYS_restart_syscall),                                   \
    ALLOW_IF (SYS_write, args[0], FLOE_RESOLVER_CONTROL_FD), ALLOW_IF (SYS_mmap, args[2], PROT_READ)
  static const struct sock_filter names[] = {
    BEGIN, ALLOW_CALL (SYS_sendto), ALLOW_CALL (SYS_connect), ALLOW_CALL (SYS_accept4), COMMON, REFUSE,
  };
  static const struct sock_filter lease[] = { BEGIN, COMMON, REFUSE };

#ifdef SANITIZED
  /* Its checks need what we refuse. */
  (void)names;
  (void)lease;
  (void)load;
  return leases || true;
#else
  return leases ? load (lease, sizeof lease / sizeof *lease) : load (names, sizeof names / sizeof *names);
#endif
}
