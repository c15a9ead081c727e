/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-netlink.h"

#include "hypervisor/net/floe-rules-build.h"
#include "hypervisor/net/floe-rules-messages.h"

#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <string.h>

#define BIND_MAX_S (7 * 24 * 60 * 60)

uint16_t
floe_family_of (const FloeTable *table)
{
  return table->netdev ? NFPROTO_NETDEV : NFPROTO_INET;
}

const char *
floe_family_name (gboolean netdev)
{
  return netdev ? "netdev" : "inet";
}

/* -- Objects -------------------------------------------------------------------------------------------------------- */

static void
put_table (FloeBatch *batch, gboolean netdev, const char *name, uint16_t type, uint16_t flags)
{
  struct nftnl_table *table = nftnl_table_alloc ();
  struct nlmsghdr *message = floe_batch_add (batch, type, netdev ? NFPROTO_NETDEV : NFPROTO_INET, flags, "nftables: table %s %s",
                                             floe_family_name (netdev), name);

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
      = floe_batch_add (batch, NFT_MSG_NEWCHAIN, floe_family_of (table), NLM_F_CREATE, "nftables: chain %s of %s %s%s",
                        from->name, floe_family_name (table->netdev), table->name, hooks[from->hook].name);

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

static void
put_old_chain (FloeBatch *batch, const FloeTable *table, const char *name)
{
  struct nftnl_chain *chain = nftnl_chain_alloc ();
  struct nlmsghdr *message = floe_batch_add (batch, NFT_MSG_DELCHAIN, floe_family_of (table), 0, "nftables: old chain %s of %s %s",
                                             name, floe_family_name (table->netdev), table->name);

  nftnl_chain_set_str (chain, NFTNL_CHAIN_TABLE, table->name);
  nftnl_chain_set_str (chain, NFTNL_CHAIN_NAME, name);
  nftnl_chain_nlmsg_build_payload (message, chain);
  nftnl_chain_free (chain);
}

/* Deletes all rules of all chains of the table. */
static void
put_flush (FloeBatch *batch, const FloeTable *table)
{
  struct nftnl_rule *rule = nftnl_rule_alloc ();
  struct nlmsghdr *message = floe_batch_add (batch, NFT_MSG_DELRULE, floe_family_of (table), 0,
                                             "nftables: old rules of %s %s", floe_family_name (table->netdev), table->name);

  nftnl_rule_set_str (rule, NFTNL_RULE_TABLE, table->name);
  nftnl_rule_nlmsg_build_payload (message, rule);
  nftnl_rule_free (rule);
}

static void
put_counter (FloeBatch *batch, const FloeTable *table, const char *name, uint16_t type)
{
  struct nftnl_obj *counter = nftnl_obj_alloc ();
  struct nlmsghdr *message
      = floe_batch_add (batch, type, floe_family_of (table), type == NFT_MSG_NEWOBJ ? NLM_F_CREATE : 0,
                        "nftables: counter %s of %s %s", name, floe_family_name (table->netdev), table->name);

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
      g_hash_table_add (data, g_strdup_printf ("%s %s", floe_family_name (family == NFPROTO_NETDEV),
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

typedef struct {
  GHashTable *names; /* sets: name to comment or NULL; chains: name to itself */
  const char *table;
} NameSearch;

static void
forget_found (void *data)
{
  g_hash_table_remove_all (((NameSearch *)data)->names);
}

static int
find_comment (const struct nftnl_udata *attribute, void *data)
{
  if (nftnl_udata_type (attribute) == NFTNL_UDATA_SET_COMMENT)
    *(char **)data = g_strndup (nftnl_udata_get (attribute), nftnl_udata_len (attribute));
  return 0;
}

static int
collect_set (const struct nlmsghdr *message, void *data)
{
  NameSearch *search = data;
  struct nftnl_set *set = nftnl_set_alloc ();

  if (nftnl_set_nlmsg_parse (message, set) == 0 && !(nftnl_set_get_u32 (set, NFTNL_SET_FLAGS) & NFT_SET_ANONYMOUS)
      && g_strcmp0 (nftnl_set_get_str (set, NFTNL_SET_TABLE), search->table) == 0) {
    uint32_t size = 0;
    const void *bytes
        = nftnl_set_is_set (set, NFTNL_SET_USERDATA) ? nftnl_set_get_data (set, NFTNL_SET_USERDATA, &size) : NULL;
    char *comment = NULL;

    if (bytes != NULL)
      nftnl_udata_parse (bytes, size, find_comment, &comment);
    g_hash_table_insert (search->names, g_strdup (nftnl_set_get_str (set, NFTNL_SET_NAME)), comment);
  }
  nftnl_set_free (set);
  return MNL_CB_OK;
}

static GHashTable *
list_sets (FloeNetlink *netlink, const FloeTable *table, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  NameSearch search = { names, table->name };
  struct nftnl_set *filter = nftnl_set_alloc ();
  char buffer[512];
  struct nlmsghdr *message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETSET, floe_family_of (table), 0, 0);

  nftnl_set_set_str (filter, NFTNL_SET_TABLE, table->name);
  nftnl_set_nlmsg_build_payload (message, filter);
  nftnl_set_free (filter);
  if (!floe_netlink_dump (netlink, message, collect_set, forget_found, &search, "nftables: list of sets", error))
    return NULL;
  return g_steal_pointer (&names);
}

static int
collect_chain (const struct nlmsghdr *message, void *data)
{
  NameSearch *search = data;
  struct nftnl_chain *chain = nftnl_chain_alloc ();

  /* Base chains are always the same ones, and stay. */
  if (nftnl_chain_nlmsg_parse (message, chain) == 0 && !nftnl_chain_is_set (chain, NFTNL_CHAIN_HOOKNUM)
      && g_strcmp0 (nftnl_chain_get_str (chain, NFTNL_CHAIN_TABLE), search->table) == 0)
    g_hash_table_insert (search->names, g_strdup (nftnl_chain_get_str (chain, NFTNL_CHAIN_NAME)), NULL);
  nftnl_chain_free (chain);
  return MNL_CB_OK;
}

static GHashTable *
list_chains (FloeNetlink *netlink, const FloeTable *table, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  NameSearch search = { names, table->name };
  char buffer[512];
  struct nlmsghdr *message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETCHAIN, floe_family_of (table), 0, 0);

  if (!floe_netlink_dump (netlink, message, collect_chain, forget_found, &search, "nftables: list of chains", error))
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
  const FloeTable asked = { .netdev = netdev };
  char buffer[512];
  struct nlmsghdr *message = nftnl_nlmsg_build_hdr (buffer, NFT_MSG_GETOBJ, floe_family_of (&asked), 0, 0);

  nftnl_obj_set_str (filter, NFTNL_OBJ_TABLE, table);
  nftnl_obj_set_u32 (filter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  nftnl_obj_nlmsg_build_payload (message, filter);
  nftnl_obj_free (filter);
  if (!floe_netlink_dump (netlink, message, collect_counter, forget_counters, &search, "nftables: counters", error))
    return NULL;
  return g_steal_pointer (&counters);
}

/* -- Transactions ---------------------------------------------------------------------------------------------------- */

/* A set that fills while it is in force stays as it is when what it is for has not changed. */
static gboolean
set_stays (const FloeSet *set, GHashTable *there)
{
  gpointer comment;

  return set->kind >= FLOE_SET_BOUND && g_hash_table_lookup_extended (there, set->name, NULL, &comment)
         && g_strcmp0 (comment, set->comment) == 0;
}

/* Old sets but for those that STAYS is to hold, then chains that nothing refers to any more, then counters. */
static gboolean
put_old (FloeBatch *batch, FloeNetlink *netlink, const FloeTable *table, GHashTable *stays, GHashTable *counted, GError **error)
{
  g_autoptr (GHashTable) sets = list_sets (netlink, table, error), chains = NULL;
  g_autoptr (GPtrArray) counters = NULL;
  GHashTableIter iter;
  gpointer name;

  if (sets == NULL)
    return FALSE;
  chains = list_chains (netlink, table, error);
  if (chains == NULL)
    return FALSE;
  counters = floe_rules_counters (netlink, table->netdev, table->name, error);
  if (counters == NULL)
    return FALSE;
  for (guint i = 0; i < table->sets->len; i++) {
    const FloeSet *set = g_ptr_array_index (table->sets, i);

    if (set_stays (set, sets))
      g_hash_table_add (stays, set->name);
  }
  g_hash_table_iter_init (&iter, sets);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (!g_hash_table_contains (stays, name))
      floe_put_old_set (batch, table, name);
  for (guint i = 0; i < table->chains->len; i++)
    g_hash_table_remove (chains, ((const FloeChain *)g_ptr_array_index (table->chains, i))->name);
  g_hash_table_iter_init (&iter, chains);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    put_old_chain (batch, table, name);
  for (guint i = 0; i < counters->len; i++) {
    const FloeRulesCounter *counter = g_ptr_array_index (counters, i);

    if (g_hash_table_contains (table->counter_names, counter->name))
      g_hash_table_add (counted, g_strdup (counter->name));
    else
      put_counter (batch, table, counter->name, NFT_MSG_DELOBJ);
  }
  return TRUE;
}

static gboolean
put_contents (FloeBatch *batch, FloeNetlink *netlink, const FloeTable *table, GHashTable *tables, GError **error)
{
  g_autofree char *name = g_strdup_printf ("%s %s", floe_family_name (table->netdev), table->name);
  g_autoptr (GHashTable) stays = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) counted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  put_table (batch, table->netdev, table->name, NFT_MSG_NEWTABLE, NLM_F_CREATE);
  for (guint i = 0; i < table->chains->len; i++)
    put_chain (batch, table, g_ptr_array_index (table->chains, i));
  put_flush (batch, table);
  if (g_hash_table_contains (tables, name) && !put_old (batch, netlink, table, stays, counted, error))
    return FALSE;
  for (guint i = 0; i < table->counters->len; i++) {
    const FloeCounter *counter = g_ptr_array_index (table->counters, i);

    if (!g_hash_table_contains (counted, counter->name))
      put_counter (batch, table, counter->name, NFT_MSG_NEWOBJ);
  }
  for (guint i = 0; i < table->sets->len; i++) {
    const FloeSet *set = g_ptr_array_index (table->sets, i);

    if (!g_hash_table_contains (stays, set->name))
      floe_put_set (batch, table, set, i + 1);
  }
  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    for (guint j = 0; j < chain->rules->len; j++)
      floe_put_rule (batch, table, chain, g_ptr_array_index (chain->rules, j));
  }
  return TRUE;
}

gboolean
floe_rules_load (FloeNetlink *netlink, const FloeRuleset *ruleset, gboolean commit, GError **error)
{
  g_autoptr (FloeBatch) batch = floe_batch_new ();
  g_autoptr (GHashTable) tables = NULL;

  if (ruleset->link->n_elements + ruleset->flow->n_elements > 4 * FLOE_RULES_ELEMENTS_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "rules of %s: %zu set elements, at most %d: name prefixes and port ranges "
                           "instead of single ones", ruleset->flow->name, ruleset->flow->n_elements, 4 * FLOE_RULES_ELEMENTS_MAX);
  tables = floe_rules_tables (netlink, error);
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
    g_autofree char *whole = g_strdup_printf ("%s %s", floe_family_name (netdev), name);

    if (!g_hash_table_contains (tables, whole))
      continue;
    put_table (batch, netdev, name, NFT_MSG_DELTABLE, 0);
    any = TRUE;
  }
  return !any || floe_batch_run (batch, netlink, TRUE, error);
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

/* -- Elements put in while rules are in force --------------------------------------------------------------------------- */

static FloeElement
element_of (const FloePolicyAddress *address)
{
  FloeNumber number = 0;

  for (unsigned i = 0; i < (address->family == 4 ? 4 : 16); i++)
    number = number << 8 | address->bytes[i];
  return (FloeElement){ .first = number, .last = number };
}

/* The kernel leaves an element that is there as it is: so it is made, which does nothing then, taken away and made again, of which
 * packets see only the end. */
static void
put_fresh (FloeBatch *batch, const FloeTable *table, const FloeSet *set, const FloeElement *element, unsigned timeout_s)
{
  uint64_t timeout_ms = timeout_s * UINT64_C (1000);

  floe_put_element (batch, table, set, element, NFT_MSG_NEWSETELEM, timeout_ms);
  floe_put_element (batch, table, set, element, NFT_MSG_DELSETELEM, 0);
  floe_put_element (batch, table, set, element, NFT_MSG_NEWSETELEM, timeout_ms);
}

static gboolean
check_timeout (unsigned timeout_s, GError **error)
{
  return (timeout_s >= 1 && timeout_s <= BIND_MAX_S)
         || floe_error_set (error, FLOE_ERROR_INVALID, "a timeout of 1 to %d seconds wanted, not %u", BIND_MAX_S, timeout_s);
}

gboolean
floe_rules_bind_all (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeRuleset *ruleset,
                     const FloeRulesBinding *bindings, size_t n_bindings, GError **error)
{
  g_autoptr (FloeBatch) batch = floe_batch_new ();
  gboolean any = FALSE;

  for (size_t i = 0; i < n_bindings; i++) {
    const FloeRulesBinding *binding = &bindings[i];
    g_autofree char *name
        = g_strdup_printf ("rule-%s-%s", binding->rule_id, binding->address.family == 4 ? "names4" : "names6");
    const FloeSet *set = floe_rules_find_set (ruleset->flow, name);
    FloeElement element = element_of (&binding->address);
    uint64_t left;

    if (!check_timeout (binding->timeout_s, error))
      return FALSE;
    if (set == NULL)
      return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: no rule '%s' has names for IPv%u addresses", identity->tap,
                             binding->rule_id, binding->address.family);
    if (!floe_rules_element_left (netlink, ruleset->flow, set, &element, &left, error))
      return FALSE;
    if (left >= binding->timeout_s * UINT64_C (1000))
      continue;
    put_fresh (batch, ruleset->flow, set, &element, binding->timeout_s);
    any = TRUE;
  }
  return !any || floe_batch_run (batch, netlink, TRUE, error);
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
  g_autoptr (FloeBatch) batch = floe_batch_new ();
  FloeElement element = element_of (guest);

  if (!check_timeout (timeout_s, error))
    return FALSE;
  for (unsigned flow = 0; flow < 2; flow++) {
    const FloeTable *table = flow ? ruleset->flow : ruleset->link;
    const FloeSet *set = floe_rules_find_set (table, "guest4");

    if (set == NULL || guest->family != 4)
      return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: this card learns no %s address", identity->tap,
                             guest->family == 4 ? "IPv4" : "IPv6");
    floe_put_emptied (batch, table, set);
    floe_put_element (batch, table, set, &element, NFT_MSG_NEWSETELEM, timeout_s * UINT64_C (1000));
  }
  return floe_batch_run (batch, netlink, TRUE, error);
}
