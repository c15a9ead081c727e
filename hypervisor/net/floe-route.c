/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-route.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define TABLE_BASE 0xf10e0000u
/* After the host's own addresses (0), before everything that the host's administrator has (32766). */
#define RULE_PRIORITY 7710
#define METRIC_THROUGH 1
#define METRIC_UNREACHABLE 1000
#define MESSAGE_MAX 256

static const unsigned char families[] = { AF_INET, AF_INET6 };

uint32_t
floe_route_table (unsigned slot)
{
  return TABLE_BASE + slot;
}

/* -- Messages --------------------------------------------------------------------------------------------------------- */

static struct nlmsghdr *
route_message (char *buffer, uint16_t type, uint16_t flags, unsigned char family, uint32_t table, uint32_t metric, unsigned char kind)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct rtmsg *route;

  message->nlmsg_type = type;
  message->nlmsg_flags = flags;
  route = mnl_nlmsg_put_extra_header (message, sizeof *route);
  route->rtm_family = family;
  route->rtm_protocol = type == RTM_DELROUTE ? RTPROT_UNSPEC : RTPROT_STATIC;
  route->rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE;
  route->rtm_type = kind;
  mnl_attr_put_u32 (message, RTA_TABLE, table);
  mnl_attr_put_u32 (message, RTA_PRIORITY, metric);
  return message;
}

static struct nlmsghdr *
rule_message (char *buffer, uint16_t type, uint16_t flags, unsigned char family, const char *tap, uint32_t table)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct fib_rule_hdr *rule;

  message->nlmsg_type = type;
  message->nlmsg_flags = flags;
  rule = mnl_nlmsg_put_extra_header (message, sizeof *rule);
  rule->family = family;
  rule->action = FR_ACT_TO_TBL;
  mnl_attr_put_strz (message, FRA_IIFNAME, tap);
  mnl_attr_put_u32 (message, FRA_TABLE, table);
  mnl_attr_put_u32 (message, FRA_PRIORITY, RULE_PRIORITY);
  return message;
}

/* TRUE also when the kernel says CODE. */
static gboolean
request_or (FloeNetlink *netlink, struct nlmsghdr *message, const char *what, FloeError code, GError **error)
{
  g_autoptr (GError) failure = NULL;

  if (floe_netlink_request (netlink, message, what, &failure) || g_error_matches (failure, FLOE_ERROR, code))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

/* -- One card --------------------------------------------------------------------------------------------------------- */

static gboolean
has_family (unsigned char family)
{
  return family == AF_INET || g_file_test ("/proc/sys/net/ipv6", G_FILE_TEST_IS_DIR);
}

gboolean
floe_route_divert (FloeNetlink *netlink, const FloeNetIdentity *client, GError **error)
{
  uint32_t table = floe_route_table (client->slot);

  for (size_t i = 0; i < G_N_ELEMENTS (families); i++) {
    char route[MESSAGE_MAX] = { 0 }, rule[MESSAGE_MAX] = { 0 };

    if (!has_family (families[i]))
      continue;
    if (!request_or (netlink,
                     route_message (route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, families[i], table, METRIC_UNREACHABLE,
                                    RTN_UNREACHABLE),
                     "a route that leads nowhere (CONFIG_IP_MULTIPLE_TABLES)", FLOE_ERROR_BUSY, error)
        || !request_or (netlink, rule_message (rule, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, families[i], client->tap, table),
                        "a routing rule for one tap (CONFIG_IP_MULTIPLE_TABLES)", FLOE_ERROR_BUSY, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
floe_route_through (FloeNetlink *netlink, const FloeNetIdentity *client, const FloeNetIdentity *inner, gboolean ipv6, GError **error)
{
  g_autofree char *what = g_strdup_printf ("route what comes from %s through %s", client->tap, inner->tap);
  uint32_t index = if_nametoindex (inner->tap);

  if (index == 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "tap %s is gone", inner->tap);
  for (size_t i = 0; i < G_N_ELEMENTS (families); i++) {
    gboolean six = families[i] == AF_INET6;
    char buffer[MESSAGE_MAX] = { 0 };
    struct nlmsghdr *message;

    if (six && !ipv6)
      continue;
    message = route_message (buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, families[i], floe_route_table (client->slot),
                             METRIC_THROUGH, RTN_UNICAST);
    mnl_attr_put (message, RTA_GATEWAY, six ? 16 : 4, six ? inner->guest6 : inner->guest);
    mnl_attr_put_u32 (message, RTA_OIF, index);
    if (!floe_netlink_request (netlink, message, what, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
remove_routes (FloeNetlink *netlink, unsigned slot, uint32_t metric, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (families); i++) {
    char buffer[MESSAGE_MAX] = { 0 };

    if (has_family (families[i])
        && !request_or (netlink, route_message (buffer, RTM_DELROUTE, 0, families[i], floe_route_table (slot), metric, RTN_UNSPEC),
                        "remove a route", FLOE_ERROR_NOT_FOUND, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
floe_route_cut (FloeNetlink *netlink, const FloeNetIdentity *client, GError **error)
{
  return remove_routes (netlink, client->slot, METRIC_THROUGH, error);
}

gboolean
floe_route_forget (FloeNetlink *netlink, unsigned slot, GError **error)
{
  g_autofree char *tap = g_strdup_printf (FLOE_NET_TAP_PREFIX "%u", slot);

  for (size_t i = 0; i < G_N_ELEMENTS (families); i++) {
    char buffer[MESSAGE_MAX] = { 0 };

    if (has_family (families[i])
        && !request_or (netlink, rule_message (buffer, RTM_DELRULE, 0, families[i], tap, floe_route_table (slot)),
                        "remove a routing rule", FLOE_ERROR_NOT_FOUND, error))
      return FALSE;
  }
  return remove_routes (netlink, slot, METRIC_THROUGH, error) && remove_routes (netlink, slot, METRIC_UNREACHABLE, error);
}

/* -- All of them ------------------------------------------------------------------------------------------------------ */

static int
collect_slot (const struct nlmsghdr *message, void *data)
{
  const struct nlattr *attribute;
  uint32_t table = 0;

  if (message->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len (message) < sizeof (struct fib_rule_hdr))
    return MNL_CB_OK;
  mnl_attr_for_each (attribute, message, sizeof (struct fib_rule_hdr))
  {
    if (mnl_attr_get_type (attribute) == FRA_TABLE && mnl_attr_get_payload_len (attribute) == sizeof table)
      table = mnl_attr_get_u32 (attribute);
  }
  if (table >= TABLE_BASE && table < TABLE_BASE + FLOE_NET_SLOTS)
    g_hash_table_add (data, GUINT_TO_POINTER (table - TABLE_BASE));
  return MNL_CB_OK;
}

static void
restart (void *data)
{
  g_hash_table_remove_all (data);
}

gboolean
floe_route_sweep (FloeNetlink *netlink, GError **error)
{
  g_autoptr (GHashTable) slots = g_hash_table_new (NULL, NULL);
  GHashTableIter iter;
  gpointer slot;

  for (size_t i = 0; i < G_N_ELEMENTS (families); i++) {
    char buffer[MESSAGE_MAX] = { 0 };
    struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
    struct fib_rule_hdr *rule;
    g_autoptr (GHashTable) found = g_hash_table_new (NULL, NULL);
    GHashTableIter each;

    if (!has_family (families[i]))
      continue;
    message->nlmsg_type = RTM_GETRULE;
    rule = mnl_nlmsg_put_extra_header (message, sizeof *rule);
    rule->family = families[i];
    if (!floe_netlink_dump (netlink, message, collect_slot, restart, found, "list routing rules (CONFIG_IP_MULTIPLE_TABLES)", error))
      return FALSE;
    g_hash_table_iter_init (&each, found);
    while (g_hash_table_iter_next (&each, &slot, NULL))
      g_hash_table_add (slots, slot);
  }
  g_hash_table_iter_init (&iter, slots);
  while (g_hash_table_iter_next (&iter, &slot, NULL)) {
    g_autofree char *tap = g_strdup_printf (FLOE_NET_TAP_PREFIX "%u", GPOINTER_TO_UINT (slot));

    if (if_nametoindex (tap) == 0 && !floe_route_forget (netlink, GPOINTER_TO_UINT (slot), error))
      return FALSE;
  }
  return TRUE;
}
