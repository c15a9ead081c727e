/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-dhcp.h"

#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Why dnsmasq and not a server of our own: what parses a hostile guest's DHCP is then neither ours nor root's, and names in
 * rules (its nftset option) come from the same process later. Why not left to drop privileges by itself: it would become
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

char **
floe_dhcp_arguments (const FloeNetIdentity *identity, const FloeDhcpOptions *options)
{
  static const char *const fixed[] = {
    "--conf-file=/dev/null", /* nothing that the host's administrator wrote for another dnsmasq */
    "--keep-in-foreground",
    "--pid-file",
    "--log-facility=-",
    "--quiet-dhcp",
    "--no-hosts",
    "--except-interface=lo",
    "--bind-interfaces",
    "--leasefile-ro", /* the only lease follows from the slot; nothing to remember */
    "--dhcp-authoritative",
    "--no-ping",
    "--dhcp-lease-max=1",
    "--dhcp-ignore=tag:!known",
  };
  GPtrArray *arguments = g_ptr_array_new ();

  add (arguments, "%s", options->program);
  for (size_t i = 0; i < G_N_ELEMENTS (fixed); i++)
    add (arguments, "%s", fixed[i]);
  add (arguments, "--interface=%s", identity->tap);
  add (arguments, "--dhcp-range=%s,static,255.255.255.252,infinite", identity->guest_text);
  add (arguments, "--dhcp-host=%s,%s,infinite", identity->guest_mac_text, identity->guest_text);
  add (arguments, "--dhcp-option=option:router,%s", identity->host_text);
  if (options->resolver) {
    add (arguments, "--port=53");
    /* Answers that point inside would let a name rebind to the host's own networks. */
    add (arguments, "--stop-dns-rebind");
    add (arguments, "--no-poll");
    add (arguments, "--dhcp-option=option:dns-server,%s", identity->host_text);
  } else {
    add (arguments, "--port=0");
    add (arguments, "--no-resolv");
    /* An empty value: the option is not sent, where dnsmasq would name itself. */
    add (arguments, "--dhcp-option=option:dns-server");
  }
  g_ptr_array_add (arguments, NULL);
  return (char **)g_ptr_array_free (arguments, FALSE);
}

typedef struct {
  uid_t uid;
  gid_t gid;
  pid_t parent;
} Child;

/* Port 67, and ARP entries for guests that have no address yet, without which dnsmasq does not start. Not CAP_NET_RAW, which it
 * wants for pings that it is told not to send: it parses what hostile guests send, and who takes it over must not forge or
 * see frames beside the packet filter. */
static const uint32_t capabilities[] = { CAP_NET_BIND_SERVICE, CAP_NET_ADMIN };

/* Between fork and exec: system calls only. glibc's set*id would signal threads that the child does not have. */
static void
become_child (gpointer data)
{
  const Child *child = data;
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct sets[2] = { 0 };

  /* Also out of what it could ever regain; EINVAL ends the loop: capabilities beyond the kernel's last do not exist. */
  for (unsigned long i = 0; prctl (PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
    if (i != CAP_NET_BIND_SERVICE && i != CAP_NET_ADMIN && prctl (PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
      _exit (126);
  for (size_t i = 0; i < G_N_ELEMENTS (capabilities); i++)
    sets[0].permitted |= UINT32_C (1) << capabilities[i];
  sets[0].effective = sets[0].inheritable = sets[0].permitted;
  if (prctl (PR_SET_KEEPCAPS, 1) < 0 || syscall (SYS_setgroups, 0, NULL) < 0
      || syscall (SYS_setresgid, child->gid, child->gid, child->gid) < 0
      || syscall (SYS_setresuid, child->uid, child->uid, child->uid) < 0 || syscall (SYS_capset, &header, sets) < 0
      || prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    _exit (126);
  for (size_t i = 0; i < G_N_ELEMENTS (capabilities); i++)
    if (prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capabilities[i], 0, 0) < 0)
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
  child = (Child){ user->pw_uid, user->pw_gid, getpid () };
  if (!g_spawn_async ("/", arguments, environment, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, become_child,
                      &child, &pid, &failure)) {
    floe_error_set (error,
                    g_error_matches (failure, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT) ? FLOE_ERROR_NOT_FOUND : FLOE_ERROR_IO,
                    "DHCP server: %s", failure->message);
    return 0;
  }
  return pid;
}
