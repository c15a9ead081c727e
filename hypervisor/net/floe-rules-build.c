/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

static const FloeFieldInfo fields[] = {
  [FLOE_FIELD_ETHER_DESTINATION] = { "ether daddr", FLOE_BASE_LINK, 0, 6 },
  [FLOE_FIELD_ETHER_SOURCE] = { "ether saddr", FLOE_BASE_LINK, 6, 6 },
  [FLOE_FIELD_ETHER_TYPE] = { "ether type", FLOE_BASE_LINK, 12, 2 },
  [FLOE_FIELD_ARP_HARDWARE] = { "arp htype", FLOE_BASE_NETWORK, 0, 2 },
  [FLOE_FIELD_ARP_PROTOCOL] = { "arp ptype", FLOE_BASE_NETWORK, 2, 2 },
  [FLOE_FIELD_ARP_HARDWARE_LENGTH] = { "arp hlen", FLOE_BASE_NETWORK, 4, 1 },
  [FLOE_FIELD_ARP_PROTOCOL_LENGTH] = { "arp plen", FLOE_BASE_NETWORK, 5, 1 },
  [FLOE_FIELD_ARP_OPERATION] = { "arp operation", FLOE_BASE_NETWORK, 6, 2 },
  [FLOE_FIELD_ARP_SENDER_ETHER] = { "arp saddr ether", FLOE_BASE_NETWORK, 8, 6 },
  [FLOE_FIELD_ARP_SENDER_IP] = { "arp saddr ip", FLOE_BASE_NETWORK, 14, 4 },
  [FLOE_FIELD_ARP_TARGET_IP] = { "arp daddr ip", FLOE_BASE_NETWORK, 24, 4 },
  [FLOE_FIELD_IP_FRAGMENT] = { "ip frag-off", FLOE_BASE_NETWORK, 6, 2 },
  [FLOE_FIELD_IP_SOURCE] = { "ip saddr", FLOE_BASE_NETWORK, 12, 4 },
  [FLOE_FIELD_IP_DESTINATION] = { "ip daddr", FLOE_BASE_NETWORK, 16, 4 },
  [FLOE_FIELD_IP6_NEXT] = { "ip6 nexthdr", FLOE_BASE_NETWORK, 6, 1 },
  [FLOE_FIELD_IP6_HOPS] = { "ip6 hoplimit", FLOE_BASE_NETWORK, 7, 1 },
  [FLOE_FIELD_IP6_SOURCE] = { "ip6 saddr", FLOE_BASE_NETWORK, 8, 16 },
  [FLOE_FIELD_IP6_DESTINATION] = { "ip6 daddr", FLOE_BASE_NETWORK, 24, 16 },
  [FLOE_FIELD_UDP_SOURCE] = { "udp sport", FLOE_BASE_TRANSPORT, 0, 2 },
  [FLOE_FIELD_UDP_DESTINATION] = { "udp dport", FLOE_BASE_TRANSPORT, 2, 2 },
  [FLOE_FIELD_TCP_DESTINATION] = { "tcp dport", FLOE_BASE_TRANSPORT, 2, 2 },
  [FLOE_FIELD_TCP_FLAGS] = { "tcp flags", FLOE_BASE_TRANSPORT, 13, 1 },
  [FLOE_FIELD_ICMP6_TYPE] = { "icmpv6 type", FLOE_BASE_TRANSPORT, 0, 1 },
  [FLOE_FIELD_ICMP6_CODE] = { "icmpv6 code", FLOE_BASE_TRANSPORT, 1, 1 },
  [FLOE_FIELD_ND_TARGET] = { "@th,64", FLOE_BASE_TRANSPORT, 8, 16 },
  [FLOE_FIELD_DHCP_CLIENT] = { "@th,288", FLOE_BASE_TRANSPORT, 36, 6 },
  [FLOE_FIELD_FAMILY] = { "meta nfproto", FLOE_BASE_META, NFT_META_NFPROTO, 1 },
  [FLOE_FIELD_PROTOCOL] = { "meta l4proto", FLOE_BASE_META, NFT_META_L4PROTO, 1 },
  [FLOE_FIELD_IN_NAME] = { "iifname", FLOE_BASE_META, NFT_META_IIFNAME, IF_NAMESIZE },
  [FLOE_FIELD_OUT_NAME] = { "oifname", FLOE_BASE_META, NFT_META_OIFNAME, IF_NAMESIZE },
  [FLOE_FIELD_DAY] = { "meta day", FLOE_BASE_META, NFT_META_TIME_DAY, 1 },
  [FLOE_FIELD_HOUR] = { "meta hour", FLOE_BASE_META, NFT_META_TIME_HOUR, 4 },
  [FLOE_FIELD_STATE] = { "ct state", FLOE_BASE_CONNTRACK, NFT_CT_STATE, 4 },
  [FLOE_FIELD_DIRECTION] = { "ct direction", FLOE_BASE_CONNTRACK, NFT_CT_DIRECTION, 1 },
  [FLOE_FIELD_MARK] = { "ct mark", FLOE_BASE_CONNTRACK, NFT_CT_MARK, 4 },
  [FLOE_FIELD_FLOW_SOURCE4] = { "ct original ip saddr", FLOE_BASE_ORIGINAL, NFT_CT_SRC_IP, 4 },
  [FLOE_FIELD_FLOW_SOURCE6] = { "ct original ip6 saddr", FLOE_BASE_ORIGINAL, NFT_CT_SRC_IP6, 16 },
  [FLOE_FIELD_FLOW_TARGET4] = { "ct reply ip saddr", FLOE_BASE_REPLY, NFT_CT_SRC_IP, 4 },
  [FLOE_FIELD_FLOW_TARGET6] = { "ct reply ip6 saddr", FLOE_BASE_REPLY, NFT_CT_SRC_IP6, 16 },
  [FLOE_FIELD_FLOW_PORT] = { "ct reply proto-src", FLOE_BASE_REPLY, NFT_CT_PROTO_SRC, 2 },
  [FLOE_FIELD_FLOW_FROM] = { "ct original proto-src", FLOE_BASE_ORIGINAL, NFT_CT_PROTO_SRC, 2 },
  [FLOE_FIELD_FLOW_TYPE] = { "ct original proto-dst", FLOE_BASE_ORIGINAL, NFT_CT_PROTO_DST, 2 },
};

const uint8_t floe_broadcast_mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
const uint8_t floe_broadcast_ip[4] = { 255, 255, 255, 255 };
const uint8_t floe_any_ip[16] = { 0 };

/* Log messages a second for one rule, and at once. */
#define LOG_RATE 20
#define LOG_BURST 50
/* Room for one packet as large as segmentation offload makes them. */
#define BYTES_BURST_MIN (128 * 1024)

const FloeFieldInfo *
floe_field_info (FloeField field)
{
  return &fields[field];
}

/* -- Tables --------------------------------------------------------------------------------------------------------- */

static void
rule_free (gpointer data)
{
  FloeRule *rule = data;

  g_free (rule->counter);
  g_free (rule->comment);
  g_free (rule->log);
  g_free (rule);
}

static void
chain_free (gpointer data)
{
  FloeChain *chain = data;

  g_ptr_array_unref (chain->rules);
  g_free (chain->name);
  g_free (chain);
}

static void
set_free (gpointer data)
{
  FloeSet *set = data;

  g_free (set->name);
  g_free (set->comment);
  g_array_unref (set->elements);
  g_free (set);
}

static void
counter_free (gpointer data)
{
  FloeCounter *counter = data;

  g_free (counter->name);
  g_free (counter->id);
  g_free (counter);
}

FloeTable *
floe_rules_table_new (const char *name, gboolean netdev)
{
  FloeTable *table = g_new0 (FloeTable, 1);

  table->netdev = netdev;
  g_strlcpy (table->name, name, sizeof table->name);
  g_strlcpy (table->device, name, sizeof table->device);
  table->counters = g_ptr_array_new_with_free_func (counter_free);
  table->counter_names = g_hash_table_new (g_str_hash, g_str_equal);
  table->sets = g_ptr_array_new_with_free_func (set_free);
  table->chains = g_ptr_array_new_with_free_func (chain_free);
  return table;
}

static void
table_free (FloeTable *table)
{
  if (table == NULL)
    return;
  g_hash_table_unref (table->counter_names);
  g_ptr_array_unref (table->counters);
  g_ptr_array_unref (table->sets);
  g_ptr_array_unref (table->chains);
  g_free (table);
}

FloeRuleset *
floe_ruleset_alloc (const char *name)
{
  FloeRuleset *ruleset = g_new0 (FloeRuleset, 1);

  ruleset->link = floe_rules_table_new (name, TRUE);
  ruleset->flow = floe_rules_table_new (name, FALSE);
  return ruleset;
}

void
floe_ruleset_free (FloeRuleset *ruleset)
{
  if (ruleset == NULL)
    return;
  table_free (ruleset->link);
  table_free (ruleset->flow);
  g_free (ruleset);
}

FloeChain *
floe_rules_table_add_chain (FloeTable *table, const char *name, FloeHook hook, gboolean policy_drop)
{
  FloeChain *chain = g_new0 (FloeChain, 1);

  chain->name = g_strdup (name);
  chain->hook = hook;
  chain->policy_drop = policy_drop;
  chain->rules = g_ptr_array_new_with_free_func (rule_free);
  g_ptr_array_add (table->chains, chain);
  return chain;
}

const char *
floe_rules_table_add_set (FloeTable *table, char *name, FloeSetType type, FloeSetKind kind, FloeSetData data, GArray *elements)
{
  FloeSet *set = g_new0 (FloeSet, 1);

  set->name = name;
  set->type = type;
  set->kind = kind;
  set->data = data;
  set->elements = elements != NULL ? elements : floe_elements_new ();
  table->n_elements += set->elements->len;
  g_ptr_array_add (table->sets, set);
  return set->name;
}

FloeSet *
floe_rules_table_last_set (FloeTable *table)
{
  return g_ptr_array_index (table->sets, table->sets->len - 1);
}

const FloeSet *
floe_rules_find_set (const FloeTable *table, const char *name)
{
  for (guint i = 0; i < table->sets->len; i++) {
    const FloeSet *set = g_ptr_array_index (table->sets, i);

    if (strcmp (set->name, name) == 0)
      return set;
  }
  return NULL;
}

const char *
floe_rules_table_count (FloeTable *table, const char *name, const char *id, gboolean allowed, gboolean final)
{
  FloeCounter *counter = g_hash_table_lookup (table->counter_names, name);

  if (counter != NULL)
    return counter->name;
  counter = g_new0 (FloeCounter, 1);
  counter->name = g_strdup (name);
  counter->id = g_strdup (id);
  counter->allowed = allowed;
  counter->final = final;
  g_ptr_array_add (table->counters, counter);
  g_hash_table_insert (table->counter_names, counter->name, counter);
  return counter->name;
}

/* -- Rules ----------------------------------------------------------------------------------------------------------- */

FloeRule *
floe_chain_add (FloeChain *chain, FloeVerdict verdict)
{
  FloeRule *rule = g_new0 (FloeRule, 1);

  rule->verdict = verdict;
  g_ptr_array_add (chain->rules, rule);
  return rule;
}

FloeRule *
floe_chain_add_counted (FloeTable *table, FloeChain *chain, const char *name, const char *id, FloeVerdict verdict,
                        gboolean final)
{
  FloeRule *rule = floe_chain_add (chain, verdict);
  gboolean refused = verdict == FLOE_VERDICT_DROP || verdict == FLOE_VERDICT_REJECT;

  rule->counter = g_strdup (floe_rules_table_count (table, name != NULL ? name : id, id, !refused, final || refused));
  rule->comment = g_strdup (id);
  return rule;
}

FloeRule *
floe_chain_send (FloeChain *chain, FloeVerdict verdict, const FloeChain *target)
{
  FloeRule *rule = floe_chain_add (chain, verdict);

  rule->target = target->name;
  return rule;
}

void
floe_chain_add_drop (const FloeRulesInput *input, FloeTable *table, FloeChain *chain, const char *name, const char *id,
                     FloeRulesFill fill, const void *data)
{
  for (unsigned logged = input->log_drops; logged < 2; logged--) {
    FloeRule *rule = logged ? floe_chain_add (chain, FLOE_VERDICT_CONTINUE)
                            : floe_chain_add_counted (table, chain, name, id, FLOE_VERDICT_DROP, TRUE);

    if (fill != NULL)
      fill (rule, data);
    if (logged)
      floe_rule_log (rule, input->identity->tap, "drop", id);
  }
}

FloeMatch *
floe_rule_match (FloeRule *rule, FloeField field, FloeOp op)
{
  FloeMatch *match = &rule->matches[rule->n_matches];

  g_assert (rule->n_matches < FLOE_MATCHES_MAX);
  rule->n_matches++;
  match->field = field;
  match->op = op;
  return match;
}

void
floe_rule_bytes (FloeRule *rule, FloeField field, const void *value)
{
  memcpy (floe_rule_match (rule, field, FLOE_OP_EQUAL)->value, value, fields[field].size);
}

void
floe_rule_prefix (FloeRule *rule, FloeField field, const void *value, uint8_t bytes)
{
  FloeMatch *match = floe_rule_match (rule, field, FLOE_OP_EQUAL);

  memcpy (match->value, value, bytes);
  match->bytes = bytes;
}

void
floe_rule_number (FloeRule *rule, FloeField field, unsigned number)
{
  uint8_t bytes[2] = { (uint8_t)(number >> 8), (uint8_t)number };

  g_assert (fields[field].size <= 2);
  floe_rule_bytes (rule, field, bytes + 2 - fields[field].size);
}

void
floe_rule_udp (FloeRule *rule, unsigned from, unsigned to)
{
  floe_rule_number (rule, FLOE_FIELD_PROTOCOL, IPPROTO_UDP);
  floe_rule_number (rule, FLOE_FIELD_UDP_SOURCE, from);
  floe_rule_number (rule, FLOE_FIELD_UDP_DESTINATION, to);
}

void
floe_rule_host (FloeRule *rule, FloeField field, uint32_t number)
{
  floe_rule_bytes (rule, field, &number);
}

void
floe_rule_name (FloeRule *rule, FloeField field, FloeOp op, const char *name)
{
  g_strlcpy ((char *)floe_rule_match (rule, field, op)->value, name, IF_NAMESIZE);
}

void
floe_rule_set (FloeRule *rule, FloeField field, const char *set)
{
  floe_rule_match (rule, field, FLOE_OP_SET)->set = set;
}

void
floe_rule_key (FloeRule *rule, FloeUse use, const char *set, const FloeField *key, size_t n_key)
{
  g_assert (n_key <= FLOE_KEY_MAX);
  rule->use = use;
  rule->set = set;
  memcpy (rule->key, key, n_key * sizeof *key);
  rule->n_key = n_key;
}

void
floe_rule_limit (FloeRule *rule, uint64_t rate, gboolean bytes, gboolean over)
{
  rule->limit.rate = rate;
  rule->limit.bytes = bytes;
  rule->limit.over = over;
  rule->limit.burst = (uint32_t)MIN (MAX (rate / 10, bytes ? BYTES_BURST_MIN : 5), UINT32_C (1) << 30);
}

void
floe_rule_log (FloeRule *rule, const char *tap, const char *verdict, const char *id)
{
  rule->log = g_strdup_printf ("%s %s %s", tap, verdict, id);
  rule->limit.rate = LOG_RATE;
  rule->limit.burst = LOG_BURST;
}

/* -- Elements --------------------------------------------------------------------------------------------------------- */

GArray *
floe_elements_new (void)
{
  return g_array_new (FALSE, FALSE, sizeof (FloeElement));
}

void
floe_elements_add (GArray *elements, FloeNumber first, FloeNumber last)
{
  FloeElement element;

  memset (&element, 0, sizeof element);
  element.first = first;
  element.last = last;
  g_array_append_val (elements, element);
}

static gint
compare_elements (gconstpointer a, gconstpointer b)
{
  const FloeElement *left = a, *right = b;

  return left->first < right->first ? -1 : left->first > right->first;
}

void
floe_elements_normalize (GArray *elements)
{
  guint kept = 0;

  g_array_sort (elements, compare_elements);
  for (guint i = 0; i < elements->len; i++) {
    FloeElement next = g_array_index (elements, FloeElement, i);
    FloeElement *last = kept == 0 ? NULL : &g_array_index (elements, FloeElement, kept - 1);

    if (last != NULL && (next.first <= last->last || next.first - 1 == last->last))
      last->last = MAX (last->last, next.last);
    else
      g_array_index (elements, FloeElement, kept++) = next;
  }
  g_array_set_size (elements, kept);
}

FloeNumber
floe_number_of (const uint8_t *bytes, size_t size)
{
  FloeNumber number = 0;

  for (size_t i = 0; i < size; i++)
    number = number << 8 | bytes[i];
  return number;
}

GArray *
floe_elements_of_prefixes (const FloePolicyPrefix *prefixes, size_t n_prefixes, unsigned family)
{
  g_autoptr (GArray) elements = floe_elements_new ();
  unsigned bits = family == 4 ? 32 : 128;

  for (size_t i = 0; i < n_prefixes; i++) {
    FloeNumber first = floe_number_of (prefixes[i].address.bytes, bits / 8);
    unsigned rest = bits - prefixes[i].length;

    if (prefixes[i].address.family == family)
      floe_elements_add (elements, first, rest == 128 ? ~(FloeNumber)0 : first | (((FloeNumber)1 << rest) - 1));
  }
  floe_elements_normalize (elements);
  return elements->len == 0 ? NULL : g_steal_pointer (&elements);
}
