/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-conntrack.h"

/* Before any of linux/ (floe-rules.h). */
#include <netinet/in.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>

/* Large enough for an ORIG tuple: two addresses and a protocol's part. */
#define TUPLE_MAX 256

typedef struct {
  const FloePolicyAddress *address;
  FloeConntrackKeep keep; /* NULL: none is */
  gpointer data;
  GPtrArray *tuples; /* of GBytes: the payload of CTA_TUPLE_ORIG */
} Search;

static struct nlmsghdr *
build (char *buffer, unsigned type, uint8_t family)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct nfgenmsg *header;

  message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
  header = mnl_nlmsg_put_extra_header (message, sizeof *header);
  header->nfgen_family = family == 4 ? AF_INET : AF_INET6;
  header->version = NFNETLINK_V0;
  return message;
}

static void
take_address (FloePolicyAddress *address, const struct nlattr *field, uint8_t family)
{
  size_t size = family == 4 ? 4 : 16;

  if (mnl_attr_get_payload_len (field) != size)
    return;
  address->family = family;
  memcpy (address->bytes, mnl_attr_get_payload (field), size);
}

static void
read_addresses (const struct nlattr *part, FloeConntrackFlow *flow)
{
  const struct nlattr *field;

  mnl_attr_for_each_nested (field, part)
  {
    switch (mnl_attr_get_type (field)) {
    case CTA_IP_V4_SRC:
      take_address (&flow->source, field, 4);
      break;
    case CTA_IP_V4_DST:
      take_address (&flow->destination, field, 4);
      break;
    case CTA_IP_V6_SRC:
      take_address (&flow->source, field, 6);
      break;
    case CTA_IP_V6_DST:
      take_address (&flow->destination, field, 6);
      break;
    default:
      break;
    }
  }
}

static uint16_t
read_port (const struct nlattr *field)
{
  return mnl_attr_get_payload_len (field) == 2 ? ntohs (mnl_attr_get_u16 (field)) : 0;
}

static void
read_protocol (const struct nlattr *part, FloeConntrackFlow *flow)
{
  const struct nlattr *field;

  mnl_attr_for_each_nested (field, part)
  {
    switch (mnl_attr_get_type (field)) {
    case CTA_PROTO_NUM:
      flow->protocol = mnl_attr_get_u8 (field);
      break;
    case CTA_PROTO_SRC_PORT:
      flow->source_port = read_port (field);
      break;
    case CTA_PROTO_DST_PORT:
      flow->destination_port = read_port (field);
      break;
    case CTA_PROTO_ICMP_TYPE:
    case CTA_PROTO_ICMPV6_TYPE:
      flow->icmp_type = mnl_attr_get_u8 (field);
      break;
    default:
      break;
    }
  }
}

static void
read_tuple (const struct nlattr *tuple, FloeConntrackFlow *flow)
{
  const struct nlattr *part;

  mnl_attr_for_each_nested (part, tuple)
  {
    if (mnl_attr_get_type (part) == CTA_TUPLE_IP)
      read_addresses (part, flow);
    else if (mnl_attr_get_type (part) == CTA_TUPLE_PROTO)
      read_protocol (part, flow);
  }
}

static gboolean
same_address (const FloePolicyAddress *a, const FloePolicyAddress *b)
{
  return a->family == b->family && memcmp (a->bytes, b->bytes, a->family == 4 ? 4 : 16) == 0;
}

static int
collect (const struct nlmsghdr *message, void *data)
{
  Search *search = data;
  const struct nlattr *attribute, *tuple = NULL;
  FloeConntrackFlow flow = { 0 };

  mnl_attr_for_each (attribute, message, sizeof (struct nfgenmsg))
  {
    if (mnl_attr_get_type (attribute) == CTA_TUPLE_ORIG && mnl_attr_get_payload_len (attribute) <= TUPLE_MAX)
      tuple = attribute;
  }
  if (tuple == NULL)
    return MNL_CB_OK;
  read_tuple (tuple, &flow);
  if ((same_address (&flow.source, search->address) || same_address (&flow.destination, search->address))
      && (search->keep == NULL || !search->keep (&flow, search->data)))
    g_ptr_array_add (search->tuples, g_bytes_new (mnl_attr_get_payload (tuple), mnl_attr_get_payload_len (tuple)));
  return MNL_CB_OK;
}

static void
restart (void *data)
{
  g_ptr_array_set_size (((Search *)data)->tuples, 0);
}

gboolean
floe_conntrack_prune (FloeNetlink *netlink, const FloePolicyAddress *address, FloeConntrackKeep keep, gpointer data, GError **error)
{
  g_autoptr (GPtrArray) tuples = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  Search search = { address, keep, data, tuples };
  char buffer[TUPLE_MAX + 128] = { 0 };

  if (!floe_netlink_dump (netlink, build (buffer, IPCTNL_MSG_CT_GET, address->family), collect, restart, &search,
                          "connection tracking: list (CONFIG_NF_CT_NETLINK)", error))
    return FALSE;
  for (guint i = 0; i < tuples->len; i++) {
    g_autoptr (GError) failure = NULL;
    struct nlmsghdr *message;
    gsize size;
    const void *tuple = g_bytes_get_data (g_ptr_array_index (tuples, i), &size);

    memset (buffer, 0, sizeof buffer);
    message = build (buffer, IPCTNL_MSG_CT_DELETE, address->family);
    mnl_attr_put (message, NLA_F_NESTED | CTA_TUPLE_ORIG, size, tuple);
    /* It may have ended by itself meanwhile. */
    if (floe_netlink_request (netlink, message, "connection tracking: forget a connection", &failure)
        || g_error_matches (failure, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
      continue;
    g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
  }
  return TRUE;
}

gboolean
floe_conntrack_forget (FloeNetlink *netlink, const FloePolicyAddress *address, GError **error)
{
  return floe_conntrack_prune (netlink, address, NULL, NULL, error);
}
