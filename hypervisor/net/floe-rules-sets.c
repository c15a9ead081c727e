/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-messages.h"
#include "hypervisor/net/floe-rules-build.h"
#include "hypervisor/net/floe-rules-netlink.h"

#include <errno.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/* Sets and their elements. */

/* A message's list of elements may have 64 KiB; one element here has less than 200 bytes. */
#define ELEMENTS_A_MESSAGE 256
#define KEY_MAX 32

/* Numbers of nft's data types (its include/datatype.h): they only tell a listing how to show a set's keys. */
#define TYPE_IPV4_ADDR 7u
#define TYPE_IPV6_ADDR 8u
#define TYPE_INET_PROTO 12u
#define TYPE_INET_SERVICE 13u
#define TYPE_ICMP6 29u
#define TYPE_IFNAME 41u
#define HOST_ENDIAN 1u /* its include/datatype.h likewise */
#define FLOW_TYPE(address) (TYPE_INET_PROTO << 12 | (address) << 6 | TYPE_INET_SERVICE)
#define HELD_TYPE(address) (FLOW_TYPE (address) << 6 | TYPE_INET_SERVICE)

static const struct {
  uint32_t type, size;
} types[] = {
  [FLOE_TYPE_IPV4] = { TYPE_IPV4_ADDR, 4 },
  [FLOE_TYPE_IPV6] = { TYPE_IPV6_ADDR, 16 },
  [FLOE_TYPE_PORT] = { TYPE_INET_SERVICE, 2 },
  [FLOE_TYPE_ICMP6] = { TYPE_ICMP6, 1 },
  [FLOE_TYPE_CARD] = { TYPE_IFNAME, IF_NAMESIZE },
  [FLOE_TYPE_FLOW4] = { FLOW_TYPE (TYPE_IPV4_ADDR), 12 },
  [FLOE_TYPE_FLOW6] = { FLOW_TYPE (TYPE_IPV6_ADDR), 24 },
  [FLOE_TYPE_HELD4] = { HELD_TYPE (TYPE_IPV4_ADDR), 16 },
  [FLOE_TYPE_HELD6] = { HELD_TYPE (TYPE_IPV6_ADDR), 28 },
};

static const uint32_t kind_flags[] = {
  [FLOE_SET_EXACT] = 0,
  [FLOE_SET_INTERVALS] = NFT_SET_INTERVAL,
  [FLOE_SET_BOUND] = NFT_SET_TIMEOUT,
  [FLOE_SET_HELD] = NFT_SET_TIMEOUT | NFT_SET_EVAL,
  [FLOE_SET_CONNECTIONS] = NFT_SET_EVAL,
};

static const uint32_t data_flags[] = {
  [FLOE_DATA_NONE] = 0,
  [FLOE_DATA_COUNTER] = NFT_SET_OBJECT,
  [FLOE_DATA_CHAIN] = NFT_SET_MAP,
};

static void
put_number (uint8_t *bytes, FloeNumber number, uint32_t size)
{
  for (uint32_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

/* The key as it lies in registers; its size. */
static uint32_t
key_of (const FloeSet *set, const FloeElement *element, FloeNumber number, uint8_t key[KEY_MAX])
{
  uint32_t size = types[set->type].size;

  memset (key, 0, KEY_MAX);
  if (set->type == FLOE_TYPE_CARD)
    g_strlcpy ((char *)key, element->name, IF_NAMESIZE);
  else if (set->type == FLOE_TYPE_FLOW4 || set->type == FLOE_TYPE_FLOW6) {
    uint32_t address = set->type == FLOE_TYPE_FLOW4 ? 4 : 16;

    key[0] = element->protocol;
    put_number (key + 4, number, address);
    put_number (key + 4 + address, element->port, 2);
  } else
    put_number (key, number, size);
  return size;
}

static void
add_element (struct nftnl_set *set, const FloeSet *from, const FloeElement *element, FloeNumber number, uint32_t flags,
             uint64_t timeout_ms)
{
  struct nftnl_set_elem *made = nftnl_set_elem_alloc ();
  uint8_t key[KEY_MAX];
  uint32_t size = key_of (from, element, number, key);

  nftnl_set_elem_set (made, NFTNL_SET_ELEM_KEY, key, size);
  if (flags != 0) {
    nftnl_set_elem_set_u32 (made, NFTNL_SET_ELEM_FLAGS, flags);
  } else if (from->data == FLOE_DATA_COUNTER) {
    nftnl_set_elem_set_str (made, NFTNL_SET_ELEM_OBJREF, element->name);
  } else if (from->data == FLOE_DATA_CHAIN) {
    nftnl_set_elem_set_u32 (made, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_JUMP);
    nftnl_set_elem_set_str (made, NFTNL_SET_ELEM_CHAIN, element->name);
  }
  if (timeout_ms != 0)
    nftnl_set_elem_set_u64 (made, NFTNL_SET_ELEM_TIMEOUT, timeout_ms);
  nftnl_set_elem_add (set, made);
}

static struct nftnl_set *
set_alloc (const FloeTable *table, const char *name)
{
  struct nftnl_set *set = nftnl_set_alloc ();

  nftnl_set_set_str (set, NFTNL_SET_TABLE, table->name);
  nftnl_set_set_str (set, NFTNL_SET_NAME, name);
  return set;
}

static void
put_elements_message (FloeBatch *batch, const FloeTable *table, const FloeSet *from, struct nftnl_set *set, uint16_t type)
{
  nftnl_set_elems_nlmsg_build_payload (floe_batch_add (batch, type, floe_family_of (table),
                                                       type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0,
                                                       "nftables: elements of set %s of %s %s", from->name,
                                                       floe_family_name (table->netdev), table->name),
                                       set);
  nftnl_set_free (set);
}

/* An interval set holds where each interval begins and, as an element of its own, where it has ended. */
static void
put_all_elements (FloeBatch *batch, const FloeTable *table, const FloeSet *from, uint32_t id)
{
  FloeNumber top = (~(FloeNumber)0) >> (128 - 8 * MIN (types[from->type].size, 16));
  gboolean intervals = from->kind == FLOE_SET_INTERVALS;

  for (guint i = 0; i < from->elements->len;) {
    struct nftnl_set *set = set_alloc (table, from->name);

    nftnl_set_set_u32 (set, NFTNL_SET_ID, id);
    nftnl_set_set_u32 (set, NFTNL_SET_FLAGS, kind_flags[from->kind] | data_flags[from->data]);
    if (i == 0 && intervals && g_array_index (from->elements, FloeElement, 0).first > 0)
      add_element (set, from, NULL, 0, NFT_SET_ELEM_INTERVAL_END, 0);
    for (guint end = MIN (i + ELEMENTS_A_MESSAGE, from->elements->len); i < end; i++) {
      const FloeElement *element = &g_array_index (from->elements, FloeElement, i);

      add_element (set, from, element, element->first, 0, 0);
      if (intervals && element->last < top)
        add_element (set, from, NULL, element->last + 1, NFT_SET_ELEM_INTERVAL_END, 0);
    }
    put_elements_message (batch, table, from, set, NFT_MSG_NEWSETELEM);
  }
}

/* What only listings look at: the comment, and that names of interfaces are no numbers of the network's. */
static void
set_notes (struct nftnl_set *set, const FloeSet *from)
{
  struct nftnl_udata_buf *data = nftnl_udata_buf_alloc (NFT_USERDATA_MAXLEN);

  if (from->type == FLOE_TYPE_CARD)
    nftnl_udata_put_u32 (data, NFTNL_UDATA_SET_KEYBYTEORDER, HOST_ENDIAN);
  if (from->comment != NULL)
    nftnl_udata_put_strz (data, NFTNL_UDATA_SET_COMMENT, from->comment);
  if (nftnl_udata_buf_len (data) > 0)
    nftnl_set_set_data (set, NFTNL_SET_USERDATA, nftnl_udata_buf_data (data), nftnl_udata_buf_len (data));
  nftnl_udata_buf_free (data);
}

void
floe_put_set (FloeBatch *batch, const FloeTable *table, const FloeSet *from, uint32_t id)
{
  struct nftnl_set *set = set_alloc (table, from->name);

  nftnl_set_set_u32 (set, NFTNL_SET_FAMILY, floe_family_of (table));
  nftnl_set_set_u32 (set, NFTNL_SET_ID, id);
  nftnl_set_set_u32 (set, NFTNL_SET_FLAGS, kind_flags[from->kind] | data_flags[from->data]);
  nftnl_set_set_u32 (set, NFTNL_SET_KEY_TYPE, types[from->type].type);
  nftnl_set_set_u32 (set, NFTNL_SET_KEY_LEN, types[from->type].size);
  if (from->data == FLOE_DATA_COUNTER)
    nftnl_set_set_u32 (set, NFTNL_SET_OBJ_TYPE, NFT_OBJECT_COUNTER);
  else if (from->data == FLOE_DATA_CHAIN)
    nftnl_set_set_u32 (set, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
  if (from->size != 0)
    nftnl_set_set_u32 (set, NFTNL_SET_DESC_SIZE, from->size);
  set_notes (set, from);
  nftnl_set_nlmsg_build_payload (floe_batch_add (batch, NFT_MSG_NEWSET, floe_family_of (table), NLM_F_CREATE,
                                                 "nftables: set %s of %s %s", from->name, floe_family_name (table->netdev),
                                                 table->name),
                                 set);
  nftnl_set_free (set);
  put_all_elements (batch, table, from, id);
}

void
floe_put_old_set (FloeBatch *batch, const FloeTable *table, const char *name)
{
  struct nftnl_set *set = set_alloc (table, name);

  nftnl_set_nlmsg_build_payload (floe_batch_add (batch, NFT_MSG_DELSET, floe_family_of (table), 0,
                                                 "nftables: old set %s of %s %s", name, floe_family_name (table->netdev),
                                                 table->name),
                                 set);
  nftnl_set_free (set);
}

void
floe_put_element (FloeBatch *batch, const FloeTable *table, const FloeSet *from, const FloeElement *element, uint16_t type,
                  uint64_t timeout_ms)
{
  struct nftnl_set *set = set_alloc (table, from->name);

  add_element (set, from, element, element->first, 0, timeout_ms);
  put_elements_message (batch, table, from, set, type);
}

void
floe_put_emptied (FloeBatch *batch, const FloeTable *table, const FloeSet *from)
{
  put_elements_message (batch, table, from, set_alloc (table, from->name), NFT_MSG_DELSETELEM);
}

static int
read_left (const struct nlmsghdr *message, void *data)
{
  struct nftnl_set *set = nftnl_set_alloc ();
  struct nftnl_set_elems_iter *iter;
  struct nftnl_set_elem *element;

  if (nftnl_set_elems_nlmsg_parse (message, set) == 0) {
    iter = nftnl_set_elems_iter_create (set);
    while ((element = nftnl_set_elems_iter_next (iter)) != NULL)
      if (nftnl_set_elem_is_set (element, NFTNL_SET_ELEM_EXPIRATION))
        *(uint64_t *)data = nftnl_set_elem_get_u64 (element, NFTNL_SET_ELEM_EXPIRATION);
    nftnl_set_elems_iter_destroy (iter);
  }
  nftnl_set_free (set);
  return MNL_CB_OK;
}

gboolean
floe_rules_element_left (FloeNetlink *netlink, const FloeTable *table, const FloeSet *from, const FloeElement *element,
                         uint64_t *left_ms, GError **error)
{
  struct nftnl_set *set = set_alloc (table, from->name);
  g_autoptr (GError) failure = NULL;
  char buffer[1024] = { 0 };
  struct nlmsghdr *message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETSETELEM, floe_family_of (table), 0, 0);

  *left_ms = 0;
  add_element (set, from, element, element->first, 0, 0);
  nftnl_set_elems_nlmsg_build_payload (message, set);
  nftnl_set_free (set);
  if (floe_netlink_query (netlink, message, read_left, left_ms, "nftables: element of a set", &failure)
      || g_error_matches (failure, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

/* -- What has been put in since --------------------------------------------------------------------------------------------- */

static void
forget_bound (void *data)
{
  g_array_set_size (data, 0);
}

static int
collect_bound (const struct nlmsghdr *message, void *data)
{
  struct nftnl_set *set = nftnl_set_alloc ();
  struct nftnl_set_elems_iter *iter;
  struct nftnl_set_elem *element;

  if (nftnl_set_elems_nlmsg_parse (message, set) == 0) {
    iter = nftnl_set_elems_iter_create (set);
    while ((element = nftnl_set_elems_iter_next (iter)) != NULL) {
      FloeRulesBound bound = { 0 };
      uint32_t size = 0;
      const void *key = nftnl_set_elem_get (element, NFTNL_SET_ELEM_KEY, &size);

      if (key == NULL || (size != 4 && size != 16) || !nftnl_set_elem_is_set (element, NFTNL_SET_ELEM_EXPIRATION))
        continue;
      bound.address.family = size == 4 ? 4 : 6;
      memcpy (bound.address.bytes, key, size);
      bound.left_ms = nftnl_set_elem_get_u64 (element, NFTNL_SET_ELEM_EXPIRATION);
      g_array_append_val ((GArray *)data, bound);
    }
    nftnl_set_elems_iter_destroy (iter);
  }
  nftnl_set_free (set);
  return MNL_CB_OK;
}

GArray *
floe_rules_bound (FloeNetlink *netlink, const FloeRuleset *ruleset, const char *rule_id, unsigned family, GError **error)
{
  g_autoptr (GArray) all = g_array_new (FALSE, TRUE, sizeof (FloeRulesBound));
  g_autofree char *name = g_strdup_printf ("rule-%s-names%u", rule_id, family);
  char buffer[1024] = { 0 };
  struct nlmsghdr *message;
  struct nftnl_set *set;

  if (floe_rules_find_set (ruleset->flow, name) == NULL)
    return g_steal_pointer (&all);
  message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETSETELEM, floe_family_of (ruleset->flow), 0, 0);
  set = set_alloc (ruleset->flow, name);
  nftnl_set_elems_nlmsg_build_payload (message, set);
  nftnl_set_free (set);
  if (!floe_netlink_dump (netlink, message, collect_bound, forget_bound, all, "nftables: addresses of names", error))
    return NULL;
  return g_steal_pointer (&all);
}
