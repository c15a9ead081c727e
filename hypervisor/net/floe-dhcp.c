/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-dhcp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Why dnsmasq and not a server of our own: what parses a hostile guest's DHCP is then neither ours nor root's. Why not left to drop privileges by itself: it would become
 * another user only after it has started, and the kernel forgets at that moment that it should die with its parent. */

static void add (GPtrArray *arguments, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
add (GPtrArray *arguments, const char *format, ...)
{
  va_list values;

  va_start (values, format);
  g_ptr_array_add (arguments, g_strdup_vprintf (format, values));
  va_end (values);
}

/* The address comes by DHCPv6 only (the managed flag): one that a guest makes up itself from the prefix would not be let through. */
static void
add_six (GPtrArray *arguments, const FloeNetIdentity *identity, const FloeDhcpOptions *options)
{
  add (arguments, "--enable-ra");
  /* Not a default router: what the filtering machine has inside leads to its clients only. */
  add (arguments, "--ra-param=%s,60%s", identity->tap, options->inner ? ",0" : "");
  add (arguments, "--dhcp-range=%s,static,64,infinite", identity->guest6_text);
  if (options->resolver)
    add (arguments, "--dhcp-option=option6:dns-server,[%s]", identity->host6_text);
}

char **
floe_dhcp_arguments (const FloeNetIdentity *identity, const FloeDhcpOptions *options)
{
  static const char *const fixed[] = {
    "--conf-file=/dev/null", /* nothing that the host's administrator wrote for another dnsmasq */
    "--keep-in-foreground",
    "--pid-file",
    "--log-facility=-",
    "--quiet-dhcp",
    "--port=0",
    "--no-resolv",
    "--no-hosts",
    "--except-interface=lo",
    "--bind-interfaces",
    "--leasefile-ro", /* the only lease follows from the slot; nothing to remember */
    "--dhcp-authoritative",
    "--no-ping",
    "--dhcp-ignore=tag:!known",
  };
  GPtrArray *arguments = g_ptr_array_new ();

  add (arguments, "%s", options->program);
  for (size_t i = 0; i < G_N_ELEMENTS (fixed); i++)
    add (arguments, "%s", fixed[i]);
  add (arguments, "--interface=%s", identity->tap);
  add (arguments, "--dhcp-lease-max=%d", options->ipv6 ? 2 : 1);
  add (arguments, "--dhcp-range=%s,static,255.255.255.252,infinite", identity->guest_text);
  if (options->inner) {
    /* An empty value: the option is not sent, where dnsmasq would name itself. */
    add (arguments, "--dhcp-option=option:router");
    add (arguments, "--dhcp-option=option:classless-static-route,%s,%s", options->pool, identity->host_text);
  } else {
    add (arguments, "--dhcp-option=option:router,%s", identity->host_text);
  }
  if (options->resolver)
    add (arguments, "--dhcp-option=option:dns-server,%s", identity->host_text);
  else
    add (arguments, "--dhcp-option=option:dns-server");
  add (arguments, options->ipv6 ? "--dhcp-host=%s,%s,[%s],infinite" : "--dhcp-host=%s,%s,infinite", identity->guest_mac_text,
       identity->guest_text, identity->guest6_text);
  if (options->ipv6)
    add_six (arguments, identity, options);
  g_ptr_array_add (arguments, NULL);
  return (char **)g_ptr_array_free (arguments, FALSE);
}

#define X32_SYSCALLS 0x40000000 /* the other numbering of the same architecture */

typedef struct {
  uid_t uid;
  gid_t gid;
  pid_t parent;
  gboolean ipv6;
} Child;

/* Port 67, and ARP entries for guests that have no address yet, without which dnsmasq does not start. Not CAP_NET_RAW, which it
 * wants for pings that it is told not to send: it parses what hostile guests send, and who takes it over must not forge or
 * see frames beside the packet filter. */
#define CAPABILITIES (UINT32_C (1) << CAP_NET_BIND_SERVICE | UINT32_C (1) << CAP_NET_ADMIN)

/* With IPv6 there is no way round it: advertisements are sent and solicitations heard on a raw ICMPv6 socket, which it opens itself.
 * Of what CAP_NET_RAW allows, this leaves that one. */
static gboolean
allow_only_icmp6 (void)
{
  const unsigned type_mask = 0xf; /* without SOCK_CLOEXEC and SOCK_NONBLOCK */
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, arch)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JGE | BPF_K, X32_SYSCALLS, 12, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 11, 0), /* makes sockets too */
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 9),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args[0])),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 7, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, AF_PACKET, 7, 0),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args[1])),
    BPF_STMT (BPF_ALU | BPF_AND | BPF_K, type_mask),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SOCK_PACKET, 4, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SOCK_RAW, 0, 2),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args[2])),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
  const struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  return prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Between fork and exec: system calls only. glibc's set*id would signal threads that the child does not have. */
static void
become_child (gpointer data)
{
  const Child *child = data;
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct sets[2] = { 0 };
  const uint32_t kept = CAPABILITIES | (child->ipv6 ? UINT32_C (1) << CAP_NET_RAW : 0);

  /* Also out of what it could ever regain; EINVAL ends the loop: capabilities beyond the kernel's last do not exist. */
  for (unsigned long i = 0; prctl (PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
    if ((i >= 32 || (kept >> i & 1) == 0) && prctl (PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
      _exit (126);
  sets[0].effective = sets[0].permitted = sets[0].inheritable = kept;
  if (prctl (PR_SET_KEEPCAPS, 1) < 0 || syscall (SYS_setgroups, 0, NULL) < 0
      || syscall (SYS_setresgid, child->gid, child->gid, child->gid) < 0
      || syscall (SYS_setresuid, child->uid, child->uid, child->uid) < 0 || syscall (SYS_capset, &header, sets) < 0
      || prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || (child->ipv6 && !allow_only_icmp6 ()))
    _exit (126);
  for (unsigned long i = 0; i < 32; i++)
    if ((kept >> i & 1) != 0 && prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
      _exit (126);
  /* After the change of user, which clears it. The parent may have died before: then nobody would tell. */
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid () != child->parent)
    _exit (126);
}

pid_t
floe_dhcp_start (const FloeNetIdentity *identity, const FloeDhcpOptions *options, GError **error)
{
  g_auto (GStrv) arguments = floe_dhcp_arguments (identity, options);
  /* An empty environment but for what its library needs to say. */
  char *environment[] = { (char *)"LC_ALL=C", NULL };
  const struct passwd *user = getpwnam (options->user);
  g_autoptr (GError) failure = NULL;
  Child child;
  GPid pid;

  if (user == NULL || user->pw_uid == 0) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "DHCP server: there is no unprivileged user '%s'", options->user);
    return 0;
  }
  child = (Child){ user->pw_uid, user->pw_gid, getpid (), options->ipv6 };
  if (!g_spawn_async ("/", arguments, environment, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, become_child,
                      &child, &pid, &failure)) {
    floe_error_set (error,
                    g_error_matches (failure, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT) ? FLOE_ERROR_NOT_FOUND : FLOE_ERROR_IO,
                    "DHCP server: %s", failure->message);
    return 0;
  }
  return pid;
}
