/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-netlink.h"

#include <arpa/inet.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <string.h>

/* Numbers of nft's data types (its include/datatype.h): they only tell a listing how to show a set's keys. */
#define TYPE_IPV4_ADDR 7
#define TYPE_INET_SERVICE 13

static uint16_t
family_of (gboolean netdev)
{
  return netdev ? NFPROTO_NETDEV : NFPROTO_INET;
}

static const char *
family_name (gboolean netdev)
{
  return netdev ? "netdev" : "inet";
}

/* -- Expressions ---------------------------------------------------------------------------------------------------- */

static struct nftnl_expr *
add_expression (struct nftnl_rule *rule, const char *name)
{
  struct nftnl_expr *expression = nftnl_expr_alloc (name);

  if (expression == NULL)
    g_error ("libnftnl has no expression '%s'", name);
  nftnl_rule_add_expr (rule, expression);
  return expression;
}

static void
add_meta (struct nftnl_rule *rule, uint32_t key)
{
  struct nftnl_expr *meta = add_expression (rule, "meta");

  nftnl_expr_set_u32 (meta, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32 (meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void
add_compare (struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t size)
{
  struct nftnl_expr *compare = add_expression (rule, "cmp");

  nftnl_expr_set_u32 (compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32 (compare, NFTNL_EXPR_CMP_OP, op);
  nftnl_expr_set (compare, NFTNL_EXPR_CMP_DATA, data, size);
}

static void
add_payload (struct nftnl_rule *rule, const FloeFieldInfo *info)
{
  static const uint32_t bases[] = { [FLOE_BASE_LINK] = NFT_PAYLOAD_LL_HEADER,
                                    [FLOE_BASE_NETWORK] = NFT_PAYLOAD_NETWORK_HEADER,
                                    [FLOE_BASE_TRANSPORT] = NFT_PAYLOAD_TRANSPORT_HEADER };
  struct nftnl_expr *payload = add_expression (rule, "payload");

  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_BASE, bases[info->base]);
  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_OFFSET, info->offset);
  nftnl_expr_set_u32 (payload, NFTNL_EXPR_PAYLOAD_LEN, info->size);
}

/* The register's bits under MASK, SIZE bytes (4 at most), compared with zero. */
static void
add_masked (struct nftnl_rule *rule, uint32_t op, const uint8_t *mask, uint32_t size)
{
  const uint32_t zero = 0;
  struct nftnl_expr *bitwise = add_expression (rule, "bitwise");

  nftnl_expr_set_u32 (bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32 (bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32 (bitwise, NFTNL_EXPR_BITWISE_LEN, size);
  nftnl_expr_set (bitwise, NFTNL_EXPR_BITWISE_MASK, mask, size);
  nftnl_expr_set (bitwise, NFTNL_EXPR_BITWISE_XOR, &zero, size);
  add_compare (rule, op, &zero, size);
}

/* Any of the state's bits. */
static void
add_state (struct nftnl_rule *rule, const FloeMatch *match)
{
  struct nftnl_expr *state = add_expression (rule, "ct");

  nftnl_expr_set_u32 (state, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
  nftnl_expr_set_u32 (state, NFTNL_EXPR_CT_DREG, NFT_REG_1);
  add_masked (rule, NFT_CMP_NEQ, match->value, sizeof (uint32_t));
}

static void
add_connections (struct nftnl_rule *rule, const FloeMatch *match)
{
  struct nftnl_expr *limit = add_expression (rule, "connlimit");
  uint32_t count;

  memcpy (&count, match->value, sizeof count);
  nftnl_expr_set_u32 (limit, NFTNL_EXPR_CONNLIMIT_COUNT, count);
  nftnl_expr_set_u32 (limit, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
}

/* Compares what was loaded into the register. */
static void
add_operation (struct nftnl_rule *rule, const FloeMatch *match, uint8_t size)
{
  struct nftnl_expr *lookup;

  switch (match->op) {
  case FLOE_OP_EQUAL:
    add_compare (rule, NFT_CMP_EQ, match->value, size);
    break;
  case FLOE_OP_DIFFERENT:
    add_compare (rule, NFT_CMP_NEQ, match->value, size);
    break;
  case FLOE_OP_NO_BITS:
    add_masked (rule, NFT_CMP_EQ, match->value, size);
    break;
  case FLOE_OP_SET:
    lookup = add_expression (rule, "lookup");
    nftnl_expr_set_u32 (lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str (lookup, NFTNL_EXPR_LOOKUP_SET, match->set);
    break;
  }
}

static void
add_match (struct nftnl_rule *rule, const FloeMatch *match, gboolean *is_ethernet)
{
  const FloeFieldInfo *info = floe_field_info (match->field);
  const uint16_t ether = ARPHRD_ETHER;

  if (match->field == FLOE_FIELD_STATE) {
    add_state (rule, match);
  } else if (match->field == FLOE_FIELD_CONNECTIONS) {
    add_connections (rule, match);
  } else if (info->base == FLOE_BASE_META) {
    add_meta (rule, info->offset);
    add_operation (rule, match, info->size);
  } else {
    /* The dependency that nft would add: without it a listing shows raw offsets. */
    if (info->base == FLOE_BASE_LINK && !*is_ethernet) {
      add_meta (rule, NFT_META_IIFTYPE);
      add_compare (rule, NFT_CMP_EQ, &ether, sizeof ether);
      *is_ethernet = TRUE;
    }
    add_payload (rule, info);
    add_operation (rule, match, info->size);
  }
}

static void
add_verdict (struct nftnl_rule *rule, const FloeRule *from)
{
  static const uint32_t verdicts[]
      = { [FLOE_VERDICT_ACCEPT] = NF_ACCEPT, [FLOE_VERDICT_DROP] = NF_DROP, [FLOE_VERDICT_GOTO] = (uint32_t)NFT_GOTO };
  struct nftnl_expr *immediate;

  if (from->verdict == FLOE_VERDICT_MASQUERADE) {
    add_expression (rule, "masq");
    return;
  }
  immediate = add_expression (rule, "immediate");
  nftnl_expr_set_u32 (immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32 (immediate, NFTNL_EXPR_IMM_VERDICT, verdicts[from->verdict]);
  if (from->verdict == FLOE_VERDICT_GOTO)
    nftnl_expr_set_str (immediate, NFTNL_EXPR_IMM_CHAIN, from->target);
}

/* -- Objects -------------------------------------------------------------------------------------------------------- */

static void
put_table (FloeBatch *batch, gboolean netdev, const char *name, uint16_t type, uint16_t flags)
{
  struct nftnl_table *table = nftnl_table_alloc ();
  struct nlmsghdr *message
      = floe_batch_add (batch, type, family_of (netdev), flags, "nftables: table %s %s", family_name (netdev), name);

  nftnl_table_set_str (table, NFTNL_TABLE_NAME, name);
  nftnl_table_nlmsg_build_payload (message, table);
  nftnl_table_free (table);
}

static void
put_chain (FloeBatch *batch, const FloeTable *table, const FloeChain *from)
{
  static const struct {
    const char *type, *name;
    uint32_t hook, priority;
  } hooks[] = {
    [FLOE_HOOK_INGRESS] = { "filter", " (hook ingress, CONFIG_NETFILTER_INGRESS)", NF_NETDEV_INGRESS, 0 },
    [FLOE_HOOK_EGRESS] = { "filter", " (hook egress, CONFIG_NETFILTER_EGRESS)", NF_NETDEV_EGRESS, 0 },
    [FLOE_HOOK_FORWARD] = { "filter", "", NF_INET_FORWARD, NF_IP_PRI_FILTER },
    [FLOE_HOOK_INPUT] = { "filter", "", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER },
    [FLOE_HOOK_OUTPUT] = { "filter", "", NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER },
    [FLOE_HOOK_POSTROUTING] = { "nat", " (type nat, CONFIG_NFT_NAT)", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC },
    [FLOE_HOOK_NONE] = { NULL, "", 0, 0 },
  };
  struct nftnl_chain *chain = nftnl_chain_alloc ();
  struct nlmsghdr *message
      = floe_batch_add (batch, NFT_MSG_NEWCHAIN, family_of (table->netdev), NLM_F_CREATE, "nftables: chain %s of %s %s%s",
                        from->name, family_name (table->netdev), table->name, hooks[from->hook].name);

  nftnl_chain_set_str (chain, NFTNL_CHAIN_TABLE, table->name);
  nftnl_chain_set_str (chain, NFTNL_CHAIN_NAME, from->name);
  if (from->hook != FLOE_HOOK_NONE) {
    nftnl_chain_set_str (chain, NFTNL_CHAIN_TYPE, hooks[from->hook].type);
    nftnl_chain_set_u32 (chain, NFTNL_CHAIN_HOOKNUM, hooks[from->hook].hook);
    nftnl_chain_set_u32 (chain, NFTNL_CHAIN_PRIO, hooks[from->hook].priority);
    nftnl_chain_set_u32 (chain, NFTNL_CHAIN_POLICY, from->policy_drop ? NF_DROP : NF_ACCEPT);
  }
  if (table->netdev)
    nftnl_chain_set_str (chain, NFTNL_CHAIN_DEV, table->device);
  nftnl_chain_nlmsg_build_payload (message, chain);
  nftnl_chain_free (chain);
}

/* Deletes all rules of all chains of the table. */
static void
put_flush (FloeBatch *batch, const FloeTable *table)
{
  struct nftnl_rule *rule = nftnl_rule_alloc ();
  struct nlmsghdr *message = floe_batch_add (batch, NFT_MSG_DELRULE, family_of (table->netdev), 0,
                                             "nftables: old rules of %s %s", family_name (table->netdev), table->name);

  nftnl_rule_set_str (rule, NFTNL_RULE_TABLE, table->name);
  nftnl_rule_nlmsg_build_payload (message, rule);
  nftnl_rule_free (rule);
}

static void
put_rule (FloeBatch *batch, const FloeTable *table, const FloeChain *chain, const FloeRule *from)
{
  struct nftnl_rule *rule = nftnl_rule_alloc ();
  struct nlmsghdr *message
      = floe_batch_add (batch, NFT_MSG_NEWRULE, family_of (table->netdev), NLM_F_CREATE | NLM_F_APPEND,
                        "nftables: rule %s in chain %s of %s %s", from->comment != NULL ? from->comment : "", chain->name,
                        family_name (table->netdev), table->name);
  gboolean is_ethernet = FALSE;

  nftnl_rule_set_str (rule, NFTNL_RULE_TABLE, table->name);
  nftnl_rule_set_str (rule, NFTNL_RULE_CHAIN, chain->name);
  for (size_t i = 0; i < from->n_matches; i++)
    add_match (rule, &from->matches[i], &is_ethernet);
  if (from->counter != NULL) {
    struct nftnl_expr *reference = add_expression (rule, "objref");

    nftnl_expr_set_u32 (reference, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
    nftnl_expr_set_str (reference, NFTNL_EXPR_OBJREF_IMM_NAME, from->counter);
  }
  add_verdict (rule, from);
  if (from->comment != NULL) {
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc (NFT_USERDATA_MAXLEN);

    nftnl_udata_put_strz (data, NFTNL_UDATA_RULE_COMMENT, from->comment);
    nftnl_rule_set_data (rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data (data), nftnl_udata_buf_len (data));
    nftnl_udata_buf_free (data);
  }
  nftnl_rule_nlmsg_build_payload (message, rule);
  nftnl_rule_free (rule);
}

static void
put_counter (FloeBatch *batch, const FloeTable *table, const char *name, uint16_t type)
{
  struct nftnl_obj *counter = nftnl_obj_alloc ();
  struct nlmsghdr *message
      = floe_batch_add (batch, type, family_of (table->netdev), type == NFT_MSG_NEWOBJ ? NLM_F_CREATE : 0,
                        "nftables: counter %s of %s %s", name, family_name (table->netdev), table->name);

  nftnl_obj_set_str (counter, NFTNL_OBJ_TABLE, table->name);
  nftnl_obj_set_str (counter, NFTNL_OBJ_NAME, name);
  nftnl_obj_set_u32 (counter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  if (type == NFT_MSG_NEWOBJ) {
    /* libnftnl leaves out the object's body, which the kernel insists on, unless a value is set. */
    nftnl_obj_set_u64 (counter, NFTNL_OBJ_CTR_PKTS, 0);
    nftnl_obj_set_u64 (counter, NFTNL_OBJ_CTR_BYTES, 0);
  }
  nftnl_obj_nlmsg_build_payload (message, counter);
  nftnl_obj_free (counter);
}

static void
add_element (struct nftnl_set *set, gboolean ports, uint32_t key, uint32_t flags)
{
  struct nftnl_set_elem *element = nftnl_set_elem_alloc ();
  uint32_t address = htonl (key);
  uint16_t port = htons ((uint16_t)key);

  if (ports)
    nftnl_set_elem_set (element, NFTNL_SET_ELEM_KEY, &port, sizeof port);
  else
    nftnl_set_elem_set (element, NFTNL_SET_ELEM_KEY, &address, sizeof address);
  if (flags != 0)
    nftnl_set_elem_set_u32 (element, NFTNL_SET_ELEM_FLAGS, flags);
  nftnl_set_elem_add (set, element);
}

/* An interval set holds where each interval begins and, as an element of its own, where it has ended. */
static void
put_set (FloeBatch *batch, const FloeTable *table, const FloeSet *from, uint32_t id)
{
  uint32_t top = from->ports ? UINT16_MAX : UINT32_MAX;
  struct nftnl_set *set = nftnl_set_alloc ();

  nftnl_set_set_str (set, NFTNL_SET_TABLE, table->name);
  nftnl_set_set_str (set, NFTNL_SET_NAME, from->name);
  nftnl_set_set_u32 (set, NFTNL_SET_FAMILY, family_of (table->netdev));
  nftnl_set_set_u32 (set, NFTNL_SET_ID, id);
  nftnl_set_set_u32 (set, NFTNL_SET_FLAGS, NFT_SET_INTERVAL);
  nftnl_set_set_u32 (set, NFTNL_SET_KEY_TYPE, from->ports ? TYPE_INET_SERVICE : TYPE_IPV4_ADDR);
  nftnl_set_set_u32 (set, NFTNL_SET_KEY_LEN, from->ports ? sizeof (uint16_t) : sizeof (uint32_t));
  nftnl_set_nlmsg_build_payload (floe_batch_add (batch, NFT_MSG_NEWSET, family_of (table->netdev), NLM_F_CREATE,
                                                 "nftables: set %s of %s %s", from->name, family_name (table->netdev),
                                                 table->name),
                                 set);

  if (g_array_index (from->intervals, FloeInterval, 0).first > 0)
    add_element (set, from->ports, 0, NFT_SET_ELEM_INTERVAL_END);
  for (guint i = 0; i < from->intervals->len; i++) {
    const FloeInterval *interval = &g_array_index (from->intervals, FloeInterval, i);

    add_element (set, from->ports, interval->first, 0);
    if (interval->last < top)
      add_element (set, from->ports, interval->last + 1, NFT_SET_ELEM_INTERVAL_END);
  }
  nftnl_set_elems_nlmsg_build_payload (floe_batch_add (batch, NFT_MSG_NEWSETELEM, family_of (table->netdev), NLM_F_CREATE,
                                                       "nftables: elements of set %s of %s %s", from->name,
                                                       family_name (table->netdev), table->name),
                                       set);
  nftnl_set_free (set);
}

static void
put_old_set (FloeBatch *batch, const FloeTable *table, const char *name)
{
  struct nftnl_set *set = nftnl_set_alloc ();

  nftnl_set_set_str (set, NFTNL_SET_TABLE, table->name);
  nftnl_set_set_str (set, NFTNL_SET_NAME, name);
  nftnl_set_nlmsg_build_payload (floe_batch_add (batch, NFT_MSG_DELSET, family_of (table->netdev), 0,
                                                 "nftables: old set %s of %s %s", name, family_name (table->netdev),
                                                 table->name),
                                 set);
  nftnl_set_free (set);
}

/* -- What is there ----------------------------------------------------------------------------------------------------- */

static void
forget_names (void *data)
{
  g_hash_table_remove_all (data);
}

static int
collect_table (const struct nlmsghdr *message, void *data)
{
  struct nftnl_table *table = nftnl_table_alloc ();

  if (nftnl_table_nlmsg_parse (message, table) == 0) {
    uint32_t family = nftnl_table_get_u32 (table, NFTNL_TABLE_FAMILY);

    if (family == NFPROTO_NETDEV || family == NFPROTO_INET)
      g_hash_table_add (data, g_strdup_printf ("%s %s", family_name (family == NFPROTO_NETDEV),
                                               nftnl_table_get_str (table, NFTNL_TABLE_NAME)));
  }
  nftnl_table_free (table);
  return MNL_CB_OK;
}

GHashTable *
floe_rules_tables (FloeNetlink *netlink, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  char buffer[256];
  struct nlmsghdr *message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETTABLE, NFPROTO_UNSPEC, 0, 0);

  if (!floe_netlink_dump (netlink, message, collect_table, forget_names, names, "nftables: list of tables", error))
    return NULL;
  return g_steal_pointer (&names);
}

static int
collect_set (const struct nlmsghdr *message, void *data)
{
  struct nftnl_set *set = nftnl_set_alloc ();

  if (nftnl_set_nlmsg_parse (message, set) == 0 && !(nftnl_set_get_u32 (set, NFTNL_SET_FLAGS) & NFT_SET_ANONYMOUS))
    g_hash_table_add (data, g_strdup (nftnl_set_get_str (set, NFTNL_SET_NAME)));
  nftnl_set_free (set);
  return MNL_CB_OK;
}

static GHashTable *
list_sets (FloeNetlink *netlink, const FloeTable *table, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  struct nftnl_set *filter = nftnl_set_alloc ();
  char buffer[512];
  struct nlmsghdr *message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETSET, family_of (table->netdev), 0, 0);

  nftnl_set_set_str (filter, NFTNL_SET_TABLE, table->name);
  nftnl_set_nlmsg_build_payload (message, filter);
  nftnl_set_free (filter);
  if (!floe_netlink_dump (netlink, message, collect_set, forget_names, names, "nftables: list of sets", error))
    return NULL;
  return g_steal_pointer (&names);
}

typedef struct {
  GPtrArray *counters;
  const char *table;
} CounterSearch;

static void
counter_free (gpointer data)
{
  FloeRulesCounter *counter = data;

  g_free (counter->name);
  g_free (counter);
}

static void
forget_counters (void *data)
{
  g_ptr_array_set_size (((CounterSearch *)data)->counters, 0);
}

static int
collect_counter (const struct nlmsghdr *message, void *data)
{
  CounterSearch *search = data;
  struct nftnl_obj *object = nftnl_obj_alloc ();

  if (nftnl_obj_nlmsg_parse (message, object) == 0 && nftnl_obj_get_u32 (object, NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER
      && g_strcmp0 (nftnl_obj_get_str (object, NFTNL_OBJ_TABLE), search->table) == 0) {
    FloeRulesCounter *counter = g_new0 (FloeRulesCounter, 1);

    counter->name = g_strdup (nftnl_obj_get_str (object, NFTNL_OBJ_NAME));
    counter->packets = nftnl_obj_get_u64 (object, NFTNL_OBJ_CTR_PKTS);
    counter->bytes = nftnl_obj_get_u64 (object, NFTNL_OBJ_CTR_BYTES);
    g_ptr_array_add (search->counters, counter);
  }
  nftnl_obj_free (object);
  return MNL_CB_OK;
}

GPtrArray *
floe_rules_counters (FloeNetlink *netlink, gboolean netdev, const char *table, GError **error)
{
  g_autoptr (GPtrArray) counters = g_ptr_array_new_with_free_func (counter_free);
  CounterSearch search = { counters, table };
  struct nftnl_obj *filter = nftnl_obj_alloc ();
  char buffer[512];
  struct nlmsghdr *message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETOBJ, family_of (netdev), 0, 0);

  nftnl_obj_set_str (filter, NFTNL_OBJ_TABLE, table);
  nftnl_obj_set_u32 (filter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  nftnl_obj_nlmsg_build_payload (message, filter);
  nftnl_obj_free (filter);
  if (!floe_netlink_dump (netlink, message, collect_counter, forget_counters, &search, "nftables: counters", error))
    return NULL;
  return g_steal_pointer (&counters);
}

/* -- Transactions ---------------------------------------------------------------------------------------------------- */

/* Names in the order of rules, each once. */
static GPtrArray *
counter_names (const FloeTable *table)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *names = g_ptr_array_new ();

  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    for (guint j = 0; j < chain->rules->len; j++) {
      FloeRule *rule = g_ptr_array_index (chain->rules, j);

      if (rule->counter != NULL && g_hash_table_add (seen, rule->counter))
        g_ptr_array_add (names, rule->counter);
    }
  }
  return names;
}

/* Old sets go; of the old counters those that NAMES does not have. KEPT gets the names of those that stay. */
static gboolean
put_old (FloeBatch *batch, FloeNetlink *netlink, const FloeTable *table, GPtrArray *names, GHashTable *kept, GError **error)
{
  g_autoptr (GHashTable) sets = list_sets (netlink, table, error);
  g_autoptr (GPtrArray) counters = NULL;
  GHashTableIter iter;
  gpointer name;

  if (sets == NULL)
    return FALSE;
  counters = floe_rules_counters (netlink, table->netdev, table->name, error);
  if (counters == NULL)
    return FALSE;
  g_hash_table_iter_init (&iter, sets);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    put_old_set (batch, table, name);
  for (guint i = 0; i < counters->len; i++) {
    const FloeRulesCounter *counter = g_ptr_array_index (counters, i);

    if (g_ptr_array_find_with_equal_func (names, counter->name, g_str_equal, NULL))
      g_hash_table_add (kept, g_strdup (counter->name));
    else
      put_counter (batch, table, counter->name, NFT_MSG_DELOBJ);
  }
  return TRUE;
}

/* Messages that turn whatever sets and counters are there into those of TABLE: counters that stay are not touched. */
static gboolean
put_exchange (FloeBatch *batch, FloeNetlink *netlink, const FloeTable *table, gboolean exists, GError **error)
{
  g_autoptr (GPtrArray) names = counter_names (table);
  g_autoptr (GHashTable) kept = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (exists && !put_old (batch, netlink, table, names, kept, error))
    return FALSE;
  for (guint i = 0; i < names->len; i++)
    if (!g_hash_table_contains (kept, g_ptr_array_index (names, i)))
      put_counter (batch, table, g_ptr_array_index (names, i), NFT_MSG_NEWOBJ);
  return TRUE;
}

static gboolean
put_contents (FloeBatch *batch, FloeNetlink *netlink, const FloeTable *table, GHashTable *tables, GError **error)
{
  g_autofree char *name = g_strdup_printf ("%s %s", family_name (table->netdev), table->name);

  put_table (batch, table->netdev, table->name, NFT_MSG_NEWTABLE, NLM_F_CREATE);
  for (guint i = 0; i < table->chains->len; i++)
    put_chain (batch, table, g_ptr_array_index (table->chains, i));
  put_flush (batch, table);
  if (!put_exchange (batch, netlink, table, g_hash_table_contains (tables, name), error))
    return FALSE;
  for (guint i = 0; i < table->sets->len; i++)
    put_set (batch, table, g_ptr_array_index (table->sets, i), i + 1);
  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    for (guint j = 0; j < chain->rules->len; j++)
      put_rule (batch, table, chain, g_ptr_array_index (chain->rules, j));
  }
  return TRUE;
}

gboolean
floe_rules_load (FloeNetlink *netlink, const FloeRuleset *ruleset, gboolean commit, GError **error)
{
  g_autoptr (FloeBatch) batch = floe_batch_new ();
  g_autoptr (GHashTable) tables = floe_rules_tables (netlink, error);

  if (tables == NULL || !put_contents (batch, netlink, ruleset->link, tables, error)
      || !put_contents (batch, netlink, ruleset->flow, tables, error))
    return FALSE;
  return floe_batch_run (batch, netlink, commit, error);
}

gboolean
floe_rules_remove (FloeNetlink *netlink, const char *name, GError **error)
{
  g_autoptr (FloeBatch) batch = floe_batch_new ();
  g_autoptr (GHashTable) tables = floe_rules_tables (netlink, error);
  gboolean any = FALSE;

  if (tables == NULL)
    return FALSE;
  for (unsigned netdev = 0; netdev < 2; netdev++) {
    g_autofree char *whole = g_strdup_printf ("%s %s", family_name (netdev), name);

    if (!g_hash_table_contains (tables, whole))
      continue;
    put_table (batch, netdev, name, NFT_MSG_DELTABLE, 0);
    any = TRUE;
  }
  return !any || floe_batch_run (batch, netlink, TRUE, error);
}

gboolean
floe_rules_bind_all (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeRuleset *ruleset,
                     const FloeRulesBinding *bindings, size_t n_bindings, GError **error)
{
  (void)netlink;
  (void)identity;
  (void)ruleset;
  (void)bindings;
  return n_bindings == 0 || floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "rules by name: not in this version");
}

gboolean
floe_rules_bind (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeRuleset *ruleset, const char *rule_id,
                 const FloePolicyAddress *address, unsigned timeout_s, GError **error)
{
  const FloeRulesBinding binding = { rule_id, *address, timeout_s };

  return floe_rules_bind_all (netlink, identity, ruleset, &binding, 1, error);
}

gboolean
floe_rules_pin (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeRuleset *ruleset,
                const FloePolicyAddress *guest, unsigned timeout_s, GError **error)
{
  (void)netlink;
  (void)identity;
  (void)ruleset;
  (void)guest;
  (void)timeout_s;
  return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "networks of mode bridge or vlan: not in this version");
}

gboolean
floe_rules_generation (FloeNetlink *netlink, const FloeNetIdentity *identity, uint16_t *generation, GError **error)
{
  g_autoptr (GPtrArray) counters = floe_rules_counters (netlink, FALSE, identity->tap, error);
  guint64 number = 0;

  if (counters == NULL)
    return FALSE;
  for (guint i = 0; i < counters->len; i++) {
    const FloeRulesCounter *counter = g_ptr_array_index (counters, i);

    if (g_str_has_prefix (counter->name, "generation-"))
      g_ascii_string_to_unsigned (counter->name + strlen ("generation-"), 10, 0, UINT16_MAX, &number, NULL);
  }
  *generation = (uint16_t)number;
  return TRUE;
}
