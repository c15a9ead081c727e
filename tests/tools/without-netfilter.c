/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* without-netfilter PROGRAM ARGUMENTS...: runs it as on a kernel that was built without the netlink interface of the packet filter:
 * socket(AF_NETLINK, ..., NETLINK_NETFILTER) says what it says there. */

#define WORD(member) BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, member))
#define UNLESS(value, skip) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)

int
main (int argc, char **argv)
{
  struct sock_filter filter[] = {
    WORD (nr),
    UNLESS (SYS_socket, 5),
    WORD (args[0]),
    UNLESS (AF_NETLINK, 3),
    WORD (args[2]),
    UNLESS (NETLINK_NETFILTER, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

  if (argc < 2)
    return 2;
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
    perror ("without-netfilter");
    return 1;
  }
  execvp (argv[1], argv + 1);
  perror (argv[1]);
  return 127;
}
