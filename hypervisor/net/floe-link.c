/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGE_MAX 512

static struct nlmsghdr *
begin (char *buffer, uint16_t type, uint16_t flags, unsigned char family, int index, unsigned up)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct ifinfomsg *info;

  message->nlmsg_type = type;
  message->nlmsg_flags = flags;
  info = mnl_nlmsg_put_extra_header (message, sizeof *info);
  info->ifi_family = family;
  info->ifi_index = index;
  info->ifi_flags = info->ifi_change = up;
  return message;
}

/* -- Looking ---------------------------------------------------------------------------------------------------------- */

static void
take_text (char *target, size_t size, const struct nlattr *attribute)
{
  size_t length = MIN (mnl_attr_get_payload_len (attribute), size - 1);

  memcpy (target, mnl_attr_get_payload (attribute), length);
  target[length] = '\0';
}

static uint32_t
take_number (const struct nlattr *attribute, size_t size)
{
  uint32_t number = 0;

  if (mnl_attr_get_payload_len (attribute) >= size)
    memcpy (&number, mnl_attr_get_payload (attribute), size);
  return number;
}

static void
take_kind (FloeLink *link, const struct nlattr *kind)
{
  const struct nlattr *part, *field;

  mnl_attr_for_each_nested (part, kind)
  {
    if (mnl_attr_get_type (part) == IFLA_INFO_KIND)
      take_text (link->kind, sizeof link->kind, part);
    else if (mnl_attr_get_type (part) == IFLA_INFO_DATA && strcmp (link->kind, "vlan") == 0)
      mnl_attr_for_each_nested (field, part) if (mnl_attr_get_type (field) == IFLA_VLAN_ID) link->vlan
          = take_number (field, sizeof (uint16_t));
  }
}

static int
collect (const struct nlmsghdr *message, void *data)
{
  GArray *links = data;
  const struct ifinfomsg *info = mnl_nlmsg_get_payload (message);
  const struct nlattr *attribute;
  FloeLink link = { 0 };

  if (message->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len (message) < sizeof *info)
    return MNL_CB_OK;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
  mnl_attr_for_each (attribute, message, sizeof *info)
  {
    switch (mnl_attr_get_type (attribute)) {
    case IFLA_IFNAME:
      take_text (link.name, sizeof link.name, attribute);
      break;
    case IFLA_MASTER:
      link.master = (int)take_number (attribute, sizeof (uint32_t));
      break;
    case IFLA_LINK:
      link.parent = (int)take_number (attribute, sizeof (uint32_t));
      break;
    case IFLA_LINKINFO:
      take_kind (&link, attribute);
      break;
    default:
      break;
    }
  }
  g_array_append_val (links, link);
  return MNL_CB_OK;
}

static void
restart (void *data)
{
  g_array_set_size (data, 0);
}

GArray *
floe_link_list (FloeNetlink *netlink, GError **error)
{
  g_autoptr (GArray) links = g_array_new (FALSE, FALSE, sizeof (FloeLink));
  char buffer[MESSAGE_MAX] = { 0 };

  if (!floe_netlink_dump (netlink, begin (buffer, RTM_GETLINK, 0, AF_UNSPEC, 0, 0), collect, restart, links,
                          "list the host's interfaces", error))
    return NULL;
  return g_steal_pointer (&links);
}

const FloeLink *
floe_link_by_name (const GArray *links, const char *name)
{
  for (guint i = 0; i < links->len; i++)
    if (strcmp (g_array_index (links, FloeLink, i).name, name) == 0)
      return &g_array_index (links, FloeLink, i);
  return NULL;
}

const FloeLink *
floe_link_by_index (const GArray *links, int index)
{
  for (guint i = 0; i < links->len; i++)
    if (g_array_index (links, FloeLink, i).index == index)
      return &g_array_index (links, FloeLink, i);
  return NULL;
}

/* -- Making ----------------------------------------------------------------------------------------------------------- */

gboolean
floe_link_add_bridge (FloeNetlink *netlink, const char *name, GError **error)
{
  g_autofree char *what = g_strdup_printf ("make bridge %s (CONFIG_BRIDGE)", name);
  char buffer[MESSAGE_MAX] = { 0 };
  struct nlmsghdr *message = begin (buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, 0, 0);
  struct nlattr *info, *data;

  mnl_attr_put_strz (message, IFLA_IFNAME, name);
  info = mnl_attr_nest_start (message, IFLA_LINKINFO);
  mnl_attr_put_strz (message, IFLA_INFO_KIND, "bridge");
  data = mnl_attr_nest_start (message, IFLA_INFO_DATA);
  mnl_attr_put_u32 (message, IFLA_BR_STP_STATE, 0);
  mnl_attr_put_u32 (message, IFLA_BR_FORWARD_DELAY, 0);
  mnl_attr_nest_end (message, data);
  mnl_attr_nest_end (message, info);
  return floe_netlink_request (netlink, message, what, error);
}

gboolean
floe_link_add_vlan (FloeNetlink *netlink, const char *name, int parent, unsigned vlan, GError **error)
{
  g_autofree char *what = g_strdup_printf ("make VLAN device %s (CONFIG_VLAN_8021Q)", name);
  char buffer[MESSAGE_MAX] = { 0 };
  struct nlmsghdr *message = begin (buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, 0, 0);
  struct nlattr *info, *data;

  mnl_attr_put_strz (message, IFLA_IFNAME, name);
  mnl_attr_put_u32 (message, IFLA_LINK, (uint32_t)parent);
  info = mnl_attr_nest_start (message, IFLA_LINKINFO);
  mnl_attr_put_strz (message, IFLA_INFO_KIND, "vlan");
  data = mnl_attr_nest_start (message, IFLA_INFO_DATA);
  mnl_attr_put_u16 (message, IFLA_VLAN_ID, (uint16_t)vlan);
  mnl_attr_put_u16 (message, IFLA_VLAN_PROTOCOL, htons (ETH_P_8021Q));
  mnl_attr_nest_end (message, data);
  mnl_attr_nest_end (message, info);
  return floe_netlink_request (netlink, message, what, error);
}

gboolean
floe_link_remove (FloeNetlink *netlink, const char *name, GError **error)
{
  g_autofree char *what = g_strdup_printf ("remove interface %s", name);
  g_autoptr (GError) failure = NULL;
  int index = (int)if_nametoindex (name);
  char buffer[MESSAGE_MAX] = { 0 };

  if (index == 0 || floe_netlink_request (netlink, begin (buffer, RTM_DELLINK, 0, AF_UNSPEC, index, 0), what, &failure)
      || if_nametoindex (name) == 0)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

gboolean
floe_link_set_up (FloeNetlink *netlink, int index, GError **error)
{
  char buffer[MESSAGE_MAX] = { 0 };

  return floe_netlink_request (netlink, begin (buffer, RTM_SETLINK, 0, AF_UNSPEC, index, IFF_UP), "set an interface up", error);
}

gboolean
floe_link_set_bridge_filter (FloeNetlink *netlink, int index, gboolean on, GError **error)
{
  char buffer[MESSAGE_MAX] = { 0 };
  struct nlmsghdr *message = begin (buffer, RTM_NEWLINK, 0, AF_UNSPEC, index, 0);
  struct nlattr *info = mnl_attr_nest_start (message, IFLA_LINKINFO), *data;

  mnl_attr_put_strz (message, IFLA_INFO_KIND, "bridge");
  data = mnl_attr_nest_start (message, IFLA_INFO_DATA);
  mnl_attr_put_u8 (message, IFLA_BR_NF_CALL_IPTABLES, on);
  mnl_attr_put_u8 (message, IFLA_BR_NF_CALL_IP6TABLES, on);
  mnl_attr_nest_end (message, data);
  mnl_attr_nest_end (message, info);
  return floe_netlink_request (netlink, message, "filter what crosses a bridge (CONFIG_BRIDGE_NETFILTER)", error);
}

gboolean
floe_link_set_master (FloeNetlink *netlink, int index, int master, GError **error)
{
  char buffer[MESSAGE_MAX] = { 0 };
  struct nlmsghdr *message = begin (buffer, RTM_SETLINK, 0, AF_UNSPEC, index, 0);

  mnl_attr_put_u32 (message, IFLA_MASTER, (uint32_t)master);
  return floe_netlink_request (netlink, message, "make an interface a port of a bridge", error);
}

gboolean
floe_link_set_port (FloeNetlink *netlink, int index, gboolean isolated, GError **error)
{
  char buffer[MESSAGE_MAX] = { 0 };
  struct nlmsghdr *message = begin (buffer, RTM_SETLINK, 0, AF_BRIDGE, index, 0);
  struct nlattr *port = mnl_attr_nest_start (message, IFLA_PROTINFO | NLA_F_NESTED);

  mnl_attr_put_u8 (message, IFLA_BRPORT_ISOLATED, isolated);
  mnl_attr_put_u8 (message, IFLA_BRPORT_GUARD, 1);   /* a BPDU from a guest disables its port */
  mnl_attr_put_u8 (message, IFLA_BRPORT_PROTECT, 1); /* and makes no root of it */
  mnl_attr_put_u8 (message, IFLA_BRPORT_MODE, 0);    /* no hairpin */
  mnl_attr_nest_end (message, port);
  return floe_netlink_request (netlink, message, "isolate a port of a bridge", error);
}
