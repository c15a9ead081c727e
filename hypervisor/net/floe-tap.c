/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-tap.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* As linux/if_tun.h has it since 3.x: fail when the device is there already. */
#ifndef IFF_TUN_EXCL
#define IFF_TUN_EXCL 0x8000
#endif

int
floe_tap_create (const FloeNetIdentity *identity, GError **error)
{
  floe_autofd fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL) };

  if (fd < 0) {
    floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "/dev/net/tun: %s (CONFIG_TUN)", g_strerror (errno));
    return -1;
  }
  g_strlcpy (request.ifr_name, identity->tap, sizeof request.ifr_name);
  if (ioctl (fd, TUNSETIFF, &request) < 0) {
    if (errno == EBUSY)
      floe_error_set (error, FLOE_ERROR_BUSY, "tap %s: there is one already", identity->tap);
    else
      floe_error_set_errno (error, errno, "make tap %s (CAP_NET_ADMIN)", identity->tap);
    return -1;
  }
  return floe_fd_steal (&fd);
}

static gboolean
write_sysctl (const char *path, const char *value, GError **error)
{
  floe_autofd fd = open (path, O_WRONLY | O_CLOEXEC);

  if (fd < 0 || write (fd, value, strlen (value)) < 0)
    return floe_error_set_errno (error, errno, "set %s to %s", path, value);
  return TRUE;
}

static char
read_sysctl (const char *path)
{
  floe_autofd fd = open (path, O_RDONLY | O_CLOEXEC);
  char now = '\0';

  return fd >= 0 && read (fd, &now, 1) == 1 ? now : '\0';
}

/* Writes only what is not so already: /proc/sys may be mounted read-only by someone who has set it up. */
static gboolean
want_sysctl (const char *path, const char *value, GError **error)
{
  return read_sysctl (path) == value[0] || write_sysctl (path, value, error);
}

/* accept_ra 1 means: unless forwarding. 2 means: in any case. */
static gboolean
keep_advertisements (GError **error)
{
  g_autoptr (GDir) interfaces = g_dir_open ("/proc/sys/net/ipv6/conf", 0, NULL);
  const char *name;

  while (interfaces != NULL && (name = g_dir_read_name (interfaces)) != NULL) {
    g_autofree char *path = g_strdup_printf ("/proc/sys/net/ipv6/conf/%s/accept_ra", name);

    if (strcmp (name, "all") != 0 && floe_net_slot_of_name (name) < 0 && read_sysctl (path) == '1'
        && !write_sysctl (path, "2", error))
      return FALSE;
  }
  return TRUE;
}

gboolean
floe_tap_enable_forwarding (gboolean ipv6, GError **error)
{
  static const char six[] = "/proc/sys/net/ipv6/conf/all/forwarding";

  if (!want_sysctl ("/proc/sys/net/ipv4/ip_forward", "1", error))
    return FALSE;
  if (!ipv6)
    return TRUE;
  if (access (six, F_OK) < 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "this host has no IPv6 (CONFIG_IPV6, or ipv6.disable=1)");
  return read_sysctl (six) == '1' || (keep_advertisements (error) && write_sysctl (six, "1", error));
}

/* The stricter of all/rp_filter and the interface's own holds, so one that is strict for all cannot be undone for one. */
static gboolean
check_inner (const FloeTapRole *role, GError **error)
{
  if (!role->inner || read_sysctl ("/proc/sys/net/ipv4/conf/all/rp_filter") != '1')
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_REFUSED,
                         "net.ipv4.conf.all.rp_filter is 1: the host would drop what a filtering machine lets through; set it to 0 (each "
                         "interface has its own), or to 2");
}

/* What a host does by itself on a new link, turned off: autoconfiguration and discovery in IPv6, redirects, answering ARP
 * for its other addresses, forwarding from a link that policy gives none. */
static gboolean
set_switches (const FloeNetIdentity *identity, const FloeTapRole *role, GError **error)
{
  const struct {
    const char *path, *value;
    gboolean optional;
  } switches[] = {
    { "ipv6/conf/%s/accept_ra", "0", TRUE }, /* all of IPv6 is absent where it is off altogether */
    { "ipv6/conf/%s/autoconf", "0", TRUE },
    { "ipv6/conf/%s/accept_redirects", "0", TRUE },
    { "ipv6/conf/%s/accept_dad", "0", TRUE }, /* a guest could claim our address before we have it */
    { "ipv6/conf/%s/dad_transmits", "0", TRUE },
    { "ipv6/conf/%s/router_solicitations", "0", TRUE },
    { "ipv6/conf/%s/proxy_ndp", "0", TRUE },
    { "ipv6/conf/%s/disable_ipv6", role->ipv6 ? "0" : "1", TRUE },
    { "ipv4/conf/%s/forwarding", role->routed ? "1" : "0", FALSE },
    { "ipv4/conf/%s/rp_filter", role->inner ? "0" : "1", FALSE },
    { "ipv4/conf/%s/arp_ignore", "1", FALSE },
    { "ipv4/conf/%s/arp_announce", "2", FALSE },
    { "ipv4/conf/%s/accept_redirects", "0", FALSE },
    { "ipv4/conf/%s/send_redirects", "0", FALSE },
    { "ipv4/conf/%s/accept_source_route", "0", FALSE },
    { "ipv4/conf/%s/proxy_arp", "0", FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (switches); i++) {
    g_auto (GStrv) parts = g_strsplit (switches[i].path, "%s", 2);
    g_autofree char *path = g_strconcat ("/proc/sys/net/", parts[0], identity->tap, parts[1], NULL);

    if (switches[i].optional && access (path, F_OK) < 0)
      continue;
    if (!write_sysctl (path, switches[i].value, error))
      return FALSE;
  }
  return TRUE;
}

static struct nlmsghdr *
link_message (char *buffer, uint16_t type, int index, unsigned flags, unsigned change)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct ifinfomsg *info;

  message->nlmsg_type = type;
  info = mnl_nlmsg_put_extra_header (message, sizeof *info);
  info->ifi_family = AF_UNSPEC;
  info->ifi_index = index;
  info->ifi_flags = flags;
  info->ifi_change = change;
  return message;
}

static gboolean
add_address (FloeNetlink *netlink, const FloeNetIdentity *identity, int index, gboolean six, GError **error)
{
  g_autofree char *what = g_strdup_printf ("give tap %s the address %s", identity->tap, six ? identity->host6_text : identity->host_text);
  const void *address = six ? identity->host6 : identity->host;
  size_t size = six ? sizeof identity->host6 : sizeof identity->host;
  char buffer[256] = { 0 };
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct ifaddrmsg *info;

  message->nlmsg_type = RTM_NEWADDR;
  message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
  info = mnl_nlmsg_put_extra_header (message, sizeof *info);
  info->ifa_family = six ? AF_INET6 : AF_INET;
  info->ifa_prefixlen = six ? 64 : 30;
  info->ifa_flags = six ? IFA_F_NODAD : 0;
  info->ifa_scope = RT_SCOPE_UNIVERSE;
  info->ifa_index = (unsigned)index;
  mnl_attr_put (message, IFA_LOCAL, size, address);
  mnl_attr_put (message, IFA_ADDRESS, size, address);
  return floe_netlink_request (netlink, message, what, error);
}

static gboolean
set_addresses (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeTapRole *role, int index, GError **error)
{
  return (!role->routed || add_address (netlink, identity, index, FALSE, error))
         && (!role->ipv6 || add_address (netlink, identity, index, TRUE, error));
}

gboolean
floe_tap_change (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeTapRole *role, GError **error)
{
  int index = (int)if_nametoindex (identity->tap);

  return check_inner (role, error) && set_switches (identity, role, error) && set_addresses (netlink, identity, role, index, error);
}

gboolean
floe_tap_bring_up (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeTapRole *role, GError **error)
{
  g_autofree char *what = g_strdup_printf ("set up tap %s", identity->tap);
  int index = (int)if_nametoindex (identity->tap);
  uint8_t mac[6];
  char buffer[256] = { 0 };
  struct nlmsghdr *message;

  if (index == 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "tap %s is gone", identity->tap);
  memcpy (mac, identity->host_mac, sizeof mac);
  /* A bridge takes the lowest address among its ports' for its own: never that of a port which comes and goes. */
  if (!role->routed)
    mac[0] = 0xfe;
  message = link_message (buffer, RTM_SETLINK, index, 0, 0);
  mnl_attr_put (message, IFLA_ADDRESS, sizeof mac, mac);
  if (!check_inner (role, error) || !floe_netlink_request (netlink, message, what, error) || !set_switches (identity, role, error)
      || !set_addresses (netlink, identity, role, index, error))
    return FALSE;
  memset (buffer, 0, sizeof buffer);
  return floe_netlink_request (netlink, link_message (buffer, RTM_SETLINK, index, IFF_UP, IFF_UP), what, error);
}

gboolean
floe_tap_remove (FloeNetlink *netlink, const FloeNetIdentity *identity, GError **error)
{
  g_autofree char *what = g_strdup_printf ("remove tap %s", identity->tap);
  g_autoptr (GError) failure = NULL;
  int index = (int)if_nametoindex (identity->tap);
  char buffer[256] = { 0 };

  if (index == 0 || floe_netlink_request (netlink, link_message (buffer, RTM_DELLINK, index, 0, 0), what, &failure)
      || if_nametoindex (identity->tap) == 0)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

FloeTapState
floe_tap_state (const FloeNetIdentity *identity)
{
  floe_autofd fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = { 0 };

  g_strlcpy (request.ifr_name, identity->tap, sizeof request.ifr_name);
  if (fd < 0 || ioctl (fd, SIOCGIFFLAGS, &request) < 0)
    return FLOE_TAP_ABSENT;
  return request.ifr_flags & IFF_UP ? FLOE_TAP_UP : FLOE_TAP_DOWN;
}
