/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-bridge.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BRIDGE_PREFIX "floeb"
#define VLAN_PREFIX "floev"
/* "floev4094-" leaves so many bytes of a name. */
#define TAG_MAX 5

void
floe_bridge_name (char kind, const char *interface, unsigned vlan, char name[IF_NAMESIZE])
{
  uint32_t hash = 2166136261u; /* FNV-1a */

  if (strlen (interface) <= TAG_MAX) {
    snprintf (name, IF_NAMESIZE, "floe%c%u-%.5s", kind, vlan & 0xfff, interface);
    return;
  }
  for (const char *at = interface; *at != '\0'; at++)
    hash = (hash ^ (unsigned char)*at) * 16777619u;
  snprintf (name, IF_NAMESIZE, "floe%c%u-%05x", kind, vlan & 0xfff, (hash ^ hash >> 20) & 0xfffff);
}

/* -- What the host has ------------------------------------------------------------------------------------------------ */

/* An address of the host's on INTERFACE, as text to be freed, or NULL. Link-local IPv6 addresses come by themselves and do not count. */
static char *
address_on (const char *interface)
{
  struct ifaddrs *addresses = NULL;
  char text[INET6_ADDRSTRLEN];
  char *found = NULL;

  if (getifaddrs (&addresses) < 0)
    return g_strdup ("an address that cannot be read");
  for (struct ifaddrs *at = addresses; at != NULL && found == NULL; at = at->ifa_next) {
    const struct sockaddr_in *four = (const void *)at->ifa_addr;
    const struct sockaddr_in6 *six = (const void *)at->ifa_addr;

    if (at->ifa_addr == NULL || strcmp (at->ifa_name, interface) != 0)
      continue;
    if (at->ifa_addr->sa_family == AF_INET)
      found = g_strdup (inet_ntop (AF_INET, &four->sin_addr, text, sizeof text));
    else if (at->ifa_addr->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL (&six->sin6_addr))
      found = g_strdup (inet_ntop (AF_INET6, &six->sin6_addr, text, sizeof text));
  }
  freeifaddrs (addresses);
  return found;
}

static gboolean
check_bridgeable (const GArray *links, const FloeLink *link, int ours, GError **error)
{
  const FloeLink *master = link->master == 0 ? NULL : floe_link_by_index (links, link->master);
  g_autofree char *address = NULL, *wireless = g_strdup_printf ("/sys/class/net/%s/phy80211", link->name);

  if (link->loopback || floe_net_slot_of_name (link->name) >= 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "interface %s leads nowhere outside; name a network card of the host",
                           link->name);
  if (access (wireless, F_OK) == 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED,
                           "interface %s is wireless: its access point takes frames of one address only; use mode nat", link->name);
  if (link->master != 0 && link->master != ours)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "interface %s belongs to %s already; name that in the policy, if it is a bridge",
                           link->name, master == NULL ? "another" : master->name);
  address = address_on (link->name);
  if (address != NULL)
    return floe_error_set (error, FLOE_ERROR_REFUSED,
                           "interface %s carries the host's address %s, which is not taken away: give the host a bridge over %s with that "
                           "address and name the bridge, or name an interface without addresses",
                           link->name, address, link->name);
  return TRUE;
}

static gboolean
is_on (const char *path)
{
  floe_autofd fd = open (path, O_RDONLY | O_CLOEXEC);
  char value = '0';

  return fd >= 0 && read (fd, &value, 1) == 1 && value == '1';
}

/* Without it packets would cross the bridge unseen by connection tracking and rules. */
static gboolean
ask_filter (FloeNetlink *netlink, int bridge, GError **error)
{
  if (access ("/proc/sys/net/bridge", F_OK) < 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                           "bridged packets cannot be filtered here: the kernel lacks br_netfilter (modprobe br_netfilter)");
  if (is_on ("/proc/sys/net/bridge/bridge-nf-call-iptables") && is_on ("/proc/sys/net/bridge/bridge-nf-call-ip6tables"))
    return TRUE;
  return floe_link_set_bridge_filter (netlink, bridge, TRUE, error);
}

/* -- What is made ----------------------------------------------------------------------------------------------------- */

/* A host that does not take part: it would give itself addresses by what routers of that network say. */
static gboolean
keep_out (const char *name, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
  floe_autofd fd = open (path, O_WRONLY | O_CLOEXEC);

  if (fd < 0 && errno == ENOENT)
    return TRUE;
  return (fd >= 0 && write (fd, "1", 1) == 1) || floe_error_set_errno (error, errno, "set %s", path);
}

static gboolean
refresh (FloeNetlink *netlink, GArray **links, GError **error)
{
  g_clear_pointer (links, g_array_unref);
  *links = floe_link_list (netlink, error);
  return *links != NULL;
}

/* The VLAN device NAME over BASE, made if it is not there. */
static gboolean
open_vlan (FloeNetlink *netlink, GArray **links, const FloeLink *base, unsigned vlan, char name[IF_NAMESIZE], GError **error)
{
  const FloeLink *known;
  int parent = base->index;
  g_autofree char *below = g_strdup (base->name);

  floe_bridge_name ('v', base->name, vlan, name);
  for (guint i = 0; i < (*links)->len; i++) {
    known = &g_array_index (*links, FloeLink, i);
    if (strcmp (known->kind, "vlan") == 0 && known->parent == parent && known->vlan == vlan && strcmp (known->name, name) != 0)
      return floe_error_set (error, FLOE_ERROR_REFUSED,
                             "VLAN %u of %s is the host's own interface %s; name that in the policy, in mode bridge", vlan, below,
                             known->name);
  }
  known = floe_link_by_name (*links, name);
  if (known != NULL)
    return (strcmp (known->kind, "vlan") == 0 && known->parent == parent && known->vlan == vlan)
           || floe_error_set (error, FLOE_ERROR_BUSY, "interface %s is there and something else than VLAN %u of %s", name, vlan, below);
  if (!floe_link_add_vlan (netlink, name, parent, vlan, error))
    return FALSE;
  return keep_out (name, error) && floe_link_set_up (netlink, parent, error) && refresh (netlink, links, error);
}

/* The bridge of ours over interface PORT. */
static gboolean
open_own (FloeNetlink *netlink, GArray **links, const char *interface, unsigned vlan, const char *port_name, FloeBridge *bridge,
          GError **error)
{
  const FloeLink *known, *port;

  floe_bridge_name ('b', interface, vlan, bridge->name);
  known = floe_link_by_name (*links, bridge->name);
  port = floe_link_by_name (*links, port_name);
  if (port == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "interface %s is gone", port_name);
  if (known != NULL && strcmp (known->kind, "bridge") != 0)
    return floe_error_set (error, FLOE_ERROR_BUSY, "interface %s is there and no bridge", bridge->name);
  if (!check_bridgeable (*links, port, known == NULL ? 0 : known->index, error))
    return FALSE;
  if (known == NULL && !floe_link_add_bridge (netlink, bridge->name, error))
    return FALSE;
  bridge->index = (int)if_nametoindex (bridge->name);
  bridge->ours = TRUE;
  if (!keep_out (bridge->name, error) || !ask_filter (netlink, bridge->index, error))
    return FALSE;
  if (port->master != bridge->index && !floe_link_set_master (netlink, port->index, bridge->index, error))
    return FALSE;
  return floe_link_set_up (netlink, port->index, error) && floe_link_set_up (netlink, bridge->index, error);
}

static gboolean
open_bridge (FloeNetlink *netlink, const char *interface, unsigned vlan, FloeBridge *bridge, GError **error)
{
  g_autoptr (GArray) links = floe_link_list (netlink, error);
  const FloeLink *base = links == NULL ? NULL : floe_link_by_name (links, interface);
  char port[IF_NAMESIZE];

  if (links == NULL)
    return FALSE;
  if (base == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the host has no interface %s", interface);
  if (vlan == 0 && strcmp (base->kind, "bridge") == 0) {
    g_strlcpy (bridge->name, base->name, sizeof bridge->name);
    bridge->index = base->index;
    return ask_filter (netlink, base->index, error);
  }
  if (vlan != 0 && base->loopback)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "interface %s takes no VLAN", interface);
  g_strlcpy (port, base->name, sizeof port);
  if (vlan != 0 && !open_vlan (netlink, &links, base, vlan, port, error))
    return FALSE;
  return open_own (netlink, &links, interface, vlan, port, bridge, error);
}

gboolean
floe_bridge_open (FloeNetlink *netlink, const char *interface, unsigned vlan, FloeBridge *bridge, GError **error)
{
  g_autoptr (GError) second = NULL;

  memset (bridge, 0, sizeof *bridge);
  if (open_bridge (netlink, interface, vlan, bridge, error))
    return TRUE;
  if (!floe_bridge_sweep (netlink, &second))
    floe_debug ("cleaning up after a failed bridge", "REASON", second->message);
  return FALSE;
}

gboolean
floe_bridge_add_port (FloeNetlink *netlink, const FloeBridge *bridge, const char *tap, gboolean isolated, GError **error)
{
  int index = (int)if_nametoindex (tap);

  return floe_link_set_master (netlink, index, bridge->index, error) && floe_link_set_port (netlink, index, isolated, error);
}

/* -- The end ---------------------------------------------------------------------------------------------------------- */

static gboolean
is_made_here (const FloeLink *link, const char *kind, const char *prefix)
{
  return strcmp (link->kind, kind) == 0 && g_str_has_prefix (link->name, prefix);
}

gboolean
floe_bridge_sweep (FloeNetlink *netlink, GError **error)
{
  g_autoptr (GArray) links = floe_link_list (netlink, error);
  g_autoptr (GHashTable) used = g_hash_table_new (NULL, NULL);

  if (links == NULL)
    return FALSE;
  for (guint i = 0; i < links->len; i++) {
    const FloeLink *link = &g_array_index (links, FloeLink, i);

    if (link->master != 0 && floe_net_slot_of_name (link->name) >= 0)
      g_hash_table_add (used, GINT_TO_POINTER (link->master));
  }
  /* Bridges first: each lets go of its port. */
  for (guint i = 0; i < links->len; i++) {
    const FloeLink *link = &g_array_index (links, FloeLink, i);

    if (is_made_here (link, "bridge", BRIDGE_PREFIX) && !g_hash_table_contains (used, GINT_TO_POINTER (link->index))
        && !floe_link_remove (netlink, link->name, error))
      return FALSE;
  }
  for (guint i = 0; i < links->len; i++) {
    const FloeLink *link = &g_array_index (links, FloeLink, i);

    if (is_made_here (link, "vlan", VLAN_PREFIX) && !g_hash_table_contains (used, GINT_TO_POINTER (link->master))
        && !floe_link_remove (netlink, link->name, error))
      return FALSE;
  }
  return TRUE;
}
