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

/* Writes only what is not so already: /proc/sys may be mounted read-only by someone who has set it up. */
gboolean
floe_tap_enable_forwarding (GError **error)
{
  static const char path[] = "/proc/sys/net/ipv4/ip_forward";
  floe_autofd fd = open (path, O_RDONLY | O_CLOEXEC);
  char now = '0';

  if (fd >= 0 && read (fd, &now, 1) == 1 && now == '1')
    return TRUE;
  return write_sysctl (path, "1", error);
}

/* What a host does by itself on a new link, turned off: autoconfiguration and discovery in IPv6, redirects, answering ARP
 * for its other addresses, forwarding from a link that policy gives none. */
static gboolean
set_switches (const FloeNetIdentity *identity, gboolean routed, GError **error)
{
  const struct {
    const char *path, *value;
    gboolean optional;
  } switches[] = {
    { "ipv6/conf/%s/disable_ipv6", "1", TRUE }, /* absent where IPv6 is off altogether */
    { "ipv4/conf/%s/forwarding", routed ? "1" : "0", FALSE },
    { "ipv4/conf/%s/rp_filter", "1", FALSE },
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
add_address (FloeNetlink *netlink, const FloeNetIdentity *identity, int index, GError **error)
{
  g_autofree char *what = g_strdup_printf ("give tap %s the address %s/30", identity->tap, identity->host_text);
  char buffer[256] = { 0 };
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct ifaddrmsg *info;

  message->nlmsg_type = RTM_NEWADDR;
  message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
  info = mnl_nlmsg_put_extra_header (message, sizeof *info);
  info->ifa_family = AF_INET;
  info->ifa_prefixlen = 30;
  info->ifa_scope = RT_SCOPE_UNIVERSE;
  info->ifa_index = (unsigned)index;
  mnl_attr_put (message, IFA_LOCAL, 4, identity->host);
  mnl_attr_put (message, IFA_ADDRESS, 4, identity->host);
  return floe_netlink_request (netlink, message, what, error);
}

gboolean
floe_tap_bring_up (FloeNetlink *netlink, const FloeNetIdentity *identity, gboolean routed, GError **error)
{
  g_autofree char *what = g_strdup_printf ("set up tap %s", identity->tap);
  int index = (int)if_nametoindex (identity->tap);
  char buffer[256] = { 0 };
  struct nlmsghdr *message;

  if (index == 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "tap %s is gone", identity->tap);
  message = link_message (buffer, RTM_SETLINK, index, 0, 0);
  mnl_attr_put (message, IFLA_ADDRESS, 6, identity->host_mac);
  if (!floe_netlink_request (netlink, message, what, error) || !set_switches (identity, routed, error))
    return FALSE;
  if (routed && !add_address (netlink, identity, index, error))
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
