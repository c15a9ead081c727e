/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/ip_icmp.h>
#include <string.h>

/* The rules in nft's language. Matches are written out with every dependency (`ether type ip ip saddr …`), as the netlink
 * rendering sends them; nft itself leaves out on listing what it can infer. */

static const struct {
  const char *type, *name, *priority;
} hooks[] = {
  [FLOE_HOOK_INGRESS] = { "filter", "ingress", "filter" }, [FLOE_HOOK_EGRESS] = { "filter", "egress", "filter" },
  [FLOE_HOOK_FORWARD] = { "filter", "forward", "filter" }, [FLOE_HOOK_INPUT] = { "filter", "input", "filter" },
  [FLOE_HOOK_OUTPUT] = { "filter", "output", "filter" },   [FLOE_HOOK_POSTROUTING] = { "nat", "postrouting", "srcnat" },
};

static void
append_mac (GString *text, const uint8_t bytes[6])
{
  g_string_append_printf (text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                          bytes[5]);
}

static void
append_address (GString *text, uint32_t host_order)
{
  uint32_t address = htonl (host_order);
  char buffer[INET_ADDRSTRLEN];

  g_string_append (text, inet_ntop (AF_INET, &address, buffer, sizeof buffer));
}

static unsigned
number_of (const uint8_t *bytes, size_t size)
{
  return size == 1 ? bytes[0] : (unsigned)bytes[0] << 8 | bytes[1];
}

static void
append_states (GString *text, uint32_t states)
{
  static const struct {
    uint32_t bit;
    const char *name;
  } names[] = {
    { NF_CT_STATE_INVALID_BIT, "invalid" },
    { NF_CT_STATE_BIT (IP_CT_ESTABLISHED), "established" },
    { NF_CT_STATE_BIT (IP_CT_RELATED), "related" },
    { NF_CT_STATE_BIT (IP_CT_NEW), "new" },
  };
  const char *separator = "";

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++)
    if (states & names[i].bit) {
      g_string_append_printf (text, "%s%s", separator, names[i].name);
      separator = ",";
    }
}

/* Names where nft has one, so that a listing and this say the same. */
static void
append_number (GString *text, FloeField field, unsigned number)
{
  static const char *const protocols[] = { [1] = "icmp", [6] = "tcp", [17] = "udp" };

  switch (field) {
  case FLOE_FIELD_ETHER_TYPE:
  case FLOE_FIELD_ARP_PROTOCOL:
    g_string_append (text, number == ETH_P_ARP ? "arp" : "ip");
    break;
  case FLOE_FIELD_FAMILY:
    g_string_append (text, number == NFPROTO_IPV4 ? "ipv4" : "ipv6");
    break;
  case FLOE_FIELD_PROTOCOL:
    g_string_append (text, protocols[number]);
    break;
  case FLOE_FIELD_ICMP_TYPE:
    g_string_append (text, number == ICMP_ECHO ? "echo-request" : "echo-reply");
    break;
  case FLOE_FIELD_ARP_OPERATION:
    g_string_append (text, number == 1 ? "request" : "reply");
    break;
  default:
    g_string_append_printf (text, "%u", number);
  }
}

static void
append_value (GString *text, const FloeMatch *match, const uint8_t *value)
{
  const FloeFieldInfo *info = floe_field_info (match->field);
  uint32_t word;

  memcpy (&word, value, sizeof word);
  if (info->size == IF_NAMESIZE)
    g_string_append_printf (text, "\"%s\"", (const char *)value);
  else if (info->size == 6)
    append_mac (text, value);
  else if (match->field == FLOE_FIELD_STATE)
    append_states (text, word);
  else if (info->base == FLOE_BASE_CONNTRACK)
    g_string_append_printf (text, "%u", word);
  else if (info->size == 4)
    append_address (text, ntohl (word));
  else
    append_number (text, match->field, number_of (value, info->size));
}

static void
append_match (GString *text, const FloeMatch *match)
{
  g_string_append_printf (text, "%s ", floe_field_info (match->field)->text);
  if (match->op == FLOE_OP_SET) {
    g_string_append_printf (text, "@%s ", match->set);
    return;
  }
  if (match->op == FLOE_OP_NO_BITS) {
    g_string_append_printf (text, "& 0x%x == 0 ", number_of (match->value, floe_field_info (match->field)->size));
    return;
  }
  if (match->op == FLOE_OP_DIFFERENT)
    g_string_append (text, "!= ");
  append_value (text, match, match->value);
  g_string_append_c (text, ' ');
}

static void
append_rule (GString *text, const FloeRule *rule)
{
  g_string_append (text, "\t\t");
  for (size_t i = 0; i < rule->n_matches; i++)
    append_match (text, &rule->matches[i]);
  if (rule->counter != NULL)
    g_string_append_printf (text, "counter name \"%s\" ", rule->counter);
  switch (rule->verdict) {
  case FLOE_VERDICT_ACCEPT:
    g_string_append (text, "accept");
    break;
  case FLOE_VERDICT_DROP:
    g_string_append (text, "drop");
    break;
  case FLOE_VERDICT_GOTO:
    g_string_append_printf (text, "goto %s", rule->target);
    break;
  case FLOE_VERDICT_MASQUERADE:
    g_string_append (text, "masquerade");
    break;
  }
  if (rule->comment != NULL)
    g_string_append_printf (text, " comment \"%s\"", rule->comment);
  g_string_append_c (text, '\n');
}

static void
append_chain (GString *text, const FloeTable *table, const FloeChain *chain)
{
  g_string_append_printf (text, "\n\tchain %s {\n", chain->name);
  if (chain->hook != FLOE_HOOK_NONE) {
    g_string_append_printf (text, "\t\ttype %s hook %s ", hooks[chain->hook].type, hooks[chain->hook].name);
    if (table->netdev)
      g_string_append_printf (text, "device \"%s\" ", table->device);
    g_string_append_printf (text, "priority %s; policy %s;\n", hooks[chain->hook].priority,
                            chain->policy_drop ? "drop" : "accept");
  }
  for (guint i = 0; i < chain->rules->len; i++)
    append_rule (text, g_ptr_array_index (chain->rules, i));
  g_string_append (text, "\t}\n");
}

static void
append_interval (GString *text, const FloeSet *set, const FloeInterval *interval)
{
  uint32_t span = interval->last - interval->first;

  if (set->ports) {
    g_string_append_printf (text, interval->first == interval->last ? "%u" : "%u-%u", interval->first, interval->last);
    return;
  }
  append_address (text, interval->first);
  if (span == 0)
    return;
  /* A prefix: a power of two of addresses that starts at a multiple of itself. */
  if ((span & (span + 1)) == 0 && (interval->first & span) == 0) {
    g_string_append_printf (text, "/%d", __builtin_clz (span));
  } else {
    g_string_append_c (text, '-');
    append_address (text, interval->last);
  }
}

static void
append_set (GString *text, const FloeSet *set)
{
  g_string_append_printf (text, "\n\tset %s {\n\t\ttype %s\n\t\tflags interval\n\t\telements = { ", set->name,
                          set->ports ? "inet_service" : "ipv4_addr");
  for (guint i = 0; i < set->intervals->len; i++) {
    g_string_append (text, i == 0 ? "" : ", ");
    append_interval (text, set, &g_array_index (set->intervals, FloeInterval, i));
  }
  g_string_append (text, " }\n\t}\n");
}

static void
append_counters (GString *text, const FloeTable *table)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    for (guint j = 0; j < chain->rules->len; j++) {
      const FloeRule *rule = g_ptr_array_index (chain->rules, j);

      if (rule->counter != NULL && g_hash_table_add (seen, rule->counter))
        g_string_append_printf (text, "\tcounter %s {\n\t}\n", rule->counter);
    }
  }
}

static void
append_table (GString *text, const FloeTable *table)
{
  g_string_append_printf (text, "table %s %s {\n", table->netdev ? "netdev" : "inet", table->name);
  append_counters (text, table);
  for (guint i = 0; i < table->sets->len; i++)
    append_set (text, g_ptr_array_index (table->sets, i));
  /* nft wants a chain to be known before a rule jumps to it; chains that only others reach come first therefore. */
  for (guint pass = 0; pass < 2; pass++)
    for (guint i = 0; i < table->chains->len; i++) {
      const FloeChain *chain = g_ptr_array_index (table->chains, i);

      if ((chain->hook == FLOE_HOOK_NONE) == (pass == 0))
        append_chain (text, table, chain);
    }
  g_string_append (text, "}\n");
}

char *
floe_ruleset_to_text (const FloeRuleset *ruleset)
{
  GString *text = g_string_new (NULL);

  append_table (text, ruleset->link);
  append_table (text, ruleset->flow);
  return g_string_free (text, FALSE);
}
