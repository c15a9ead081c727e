/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-log.h"
#include "hypervisor/net/floe-conntrack.h"
#include "hypervisor/net/floe-net-private.h"
#include "hypervisor/net/floe-net-probe.h"
#include "hypervisor/net/floe-route.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <pwd.h>
#include <string.h>

/* -- The host ------------------------------------------------------------------------------------------------------- */

static gboolean
check_rules (const FloeRuleset *ruleset, gpointer data, GError **error)
{
  return floe_rules_load (data, ruleset, FALSE, error);
}

/* An address of the host's own inside the pool would make its neighbours unreachable, or a guest's link theirs. */
static gboolean
check_pool_is_free (const FloeNetPool *pool, const char *text, GError **error)
{
  struct ifaddrs *addresses = NULL;
  gboolean free = TRUE;

  if (getifaddrs (&addresses) < 0)
    return TRUE;
  for (struct ifaddrs *at = addresses; at != NULL && free; at = at->ifa_next) {
    uint32_t address;

    if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET || floe_net_slot_of_name (at->ifa_name) >= 0)
      continue;
    address = ntohl (((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr.s_addr);
    if ((address ^ pool->base) >> (32 - pool->length) == 0)
      free = floe_error_set (error, FLOE_ERROR_INVALID,
                             "address pool %s: the host's interface %s has an address in it; configure another pool", text,
                             at->ifa_name);
  }
  freeifaddrs (addresses);
  return free;
}

/* GLib looks at /etc/localtime anew each time; the C library does so once. */
static int
zone_offset_now (void)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();

  return now == NULL ? 0 : (int)(g_date_time_get_utc_offset (now) / G_USEC_PER_SEC);
}

gboolean
floe_net_take_zone (FloeNet *net)
{
  int before = net->zone_offset;

  net->zone_offset = zone_offset_now ();
  return net->zone_offset != before;
}

FloeNet *
floe_net_new (const FloeNetConfig *config, GError **error)
{
  g_autoptr (FloeNet) net = g_new0 (FloeNet, 1);
  g_autoptr (GString) missing = g_string_new (NULL);
  const char *pool = config->pool != NULL ? config->pool : FLOE_NET_POOL_DEFAULT;

  if (!floe_net_pool_parse (pool, &net->pool, error) || !check_pool_is_free (&net->pool, pool, error))
    return NULL;
  net->pool_text = g_strdup (pool);
  net->dnsmasq = g_strdup (config->dnsmasq != NULL ? config->dnsmasq : "/usr/sbin/dnsmasq");
  net->dnsmasq_user = g_intern_string (config->dnsmasq_user != NULL   ? config->dnsmasq_user
                                       : getpwnam ("dnsmasq") != NULL ? "dnsmasq"
                                                                      : "nobody");
  net->resolver = g_strdup (config->resolver);
  net->staging = g_strdup (config->staging);
  net->resolver_uid = config->resolver_uid;
  net->zone_offset = zone_offset_now ();
  net->cards = g_ptr_array_new ();
  net->route = floe_netlink_open (NETLINK_ROUTE, error);
  if (net->route == NULL)
    return NULL;
  net->filter = floe_netlink_open (NETLINK_NETFILTER, error);
  /* No connection has that address: asked only to know that the kernel can be. */
  if (net->filter == NULL || !floe_net_probe (check_rules, net->filter, &net->lacks, missing, error)
      || !floe_conntrack_forget (net->filter, &(FloePolicyAddress){ .family = 4 }, error))
    return NULL;
  if (missing->len > 0)
    floe_debug ("the packet filter does without some features", "MISSING", missing->str);
  return g_steal_pointer (&net);
}

void
floe_net_free (FloeNet *net)
{
  if (net == NULL)
    return;
  floe_net_audit_close (net);
  floe_netlink_close (net->filter);
  floe_netlink_close (net->route);
  g_clear_pointer (&net->cards, g_ptr_array_unref);
  g_free (net->pool_text);
  g_free (net->dnsmasq);
  g_free (net->resolver);
  g_free (net->staging);
  g_free (net);
}

gboolean
floe_net_sweep (FloeNet *net, GError **error)
{
  g_autoptr (GHashTable) tables = floe_rules_tables (net->filter, error);
  GHashTableIter iter;
  gpointer name;

  if (tables == NULL)
    return FALSE;
  g_hash_table_iter_init (&iter, tables);
  while (g_hash_table_iter_next (&iter, &name, NULL)) {
    const char *table = strchr (name, ' ') + 1;
    int slot = floe_net_slot_of_name (table);

    if (slot < 0 || if_nametoindex (table) != 0)
      continue;
    floe_debug ("rules of a tap that is gone", "TAP", table);
    if (!floe_rules_remove (net->filter, table, error))
      return FALSE;
  }
  return floe_net_route_again (net, error) && floe_route_sweep (net->route, error) && floe_bridge_sweep (net->route, error);
}
