/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>

/* Large enough for an ORIG tuple: two addresses and a protocol's part. */
#define TUPLE_MAX 256

typedef struct {
  const uint8_t *address;
  GPtrArray *tuples; /* of GBytes: the payload of CTA_TUPLE_ORIG */
} Search;

static struct nlmsghdr *
build (char *buffer, unsigned type)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct nfgenmsg *header;

  message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
  header = mnl_nlmsg_put_extra_header (message, sizeof *header);
  header->nfgen_family = AF_INET;
  header->version = NFNETLINK_V0;
  return message;
}

/* Whether the tuple's source or destination is ADDRESS. */
static gboolean
tuple_has (const struct nlattr *tuple, const uint8_t *address)
{
  const struct nlattr *part, *field;

  mnl_attr_for_each_nested (part, tuple)
  {
    if (mnl_attr_get_type (part) != CTA_TUPLE_IP)
      continue;
    mnl_attr_for_each_nested (field, part)
    {
      uint16_t type = mnl_attr_get_type (field);

      if ((type == CTA_IP_V4_SRC || type == CTA_IP_V4_DST) && mnl_attr_get_payload_len (field) == 4
          && memcmp (mnl_attr_get_payload (field), address, 4) == 0)
        return TRUE;
    }
  }
  return FALSE;
}

static int
collect (const struct nlmsghdr *message, void *data)
{
  Search *search = data;
  const struct nlattr *attribute;

  mnl_attr_for_each (attribute, message, sizeof (struct nfgenmsg)) if (mnl_attr_get_type (attribute) == CTA_TUPLE_ORIG
                                                                       && mnl_attr_get_payload_len (attribute) <= TUPLE_MAX
                                                                       && tuple_has (attribute, search->address))
      g_ptr_array_add (search->tuples,
                       g_bytes_new (mnl_attr_get_payload (attribute), mnl_attr_get_payload_len (attribute)));
  return MNL_CB_OK;
}

static void
restart (void *data)
{
  g_ptr_array_set_size (((Search *)data)->tuples, 0);
}

gboolean
floe_conntrack_forget (FloeNetlink *netlink, const uint8_t address[4], GError **error)
{
  g_autoptr (GPtrArray) tuples = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  Search search = { address, tuples };
  char buffer[TUPLE_MAX + 128] = { 0 };

  if (!floe_netlink_dump (netlink, build (buffer, IPCTNL_MSG_CT_GET), collect, restart, &search,
                          "connection tracking: list (CONFIG_NF_CT_NETLINK)", error))
    return FALSE;
  for (guint i = 0; i < tuples->len; i++) {
    g_autoptr (GError) failure = NULL;
    struct nlmsghdr *message;
    gsize size;
    const void *data = g_bytes_get_data (g_ptr_array_index (tuples, i), &size);

    memset (buffer, 0, sizeof buffer);
    message = build (buffer, IPCTNL_MSG_CT_DELETE);
    mnl_attr_put (message, NLA_F_NESTED | CTA_TUPLE_ORIG, size, data);
    /* It may have ended by itself meanwhile. */
    if (floe_netlink_request (netlink, message, "connection tracking: forget a connection", &failure)
        || g_error_matches (failure, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
      continue;
    g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
  }
  return TRUE;
}
