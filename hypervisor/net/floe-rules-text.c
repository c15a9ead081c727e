/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/icmp6.h>
#include <string.h>

/* The rules in nft's language. Matches are written out with every dependency (`ether type ip ip saddr …`), as the netlink
 * rendering sends them; nft itself leaves out on listing what it can infer. Times of day are UTC, as TZ=UTC nft reads them. */

static const struct {
  const char *type, *name, *priority;
} hooks[] = {
  [FLOE_HOOK_INGRESS] = { "filter", "ingress", "filter" }, [FLOE_HOOK_EGRESS] = { "filter", "egress", "filter" },
  [FLOE_HOOK_FORWARD] = { "filter", "forward", "filter" }, [FLOE_HOOK_INPUT] = { "filter", "input", "filter" },
  [FLOE_HOOK_OUTPUT] = { "filter", "output", "filter" },   [FLOE_HOOK_POSTROUTING] = { "nat", "postrouting", "srcnat" },
};

static const char *const set_types[] = {
  [FLOE_TYPE_IPV4] = "ipv4_addr",
  [FLOE_TYPE_IPV6] = "ipv6_addr",
  [FLOE_TYPE_PORT] = "inet_service",
  [FLOE_TYPE_ICMP6] = "icmpv6_type",
  [FLOE_TYPE_CARD] = "ifname",
  [FLOE_TYPE_FLOW4] = "inet_proto . ipv4_addr . inet_service",
  [FLOE_TYPE_FLOW6] = "inet_proto . ipv6_addr . inet_service",
  [FLOE_TYPE_HELD4] = "inet_proto . ipv4_addr . inet_service . inet_service",
  [FLOE_TYPE_HELD6] = "inet_proto . ipv6_addr . inet_service . inet_service",
};

static const char *const set_flags[] = {
  [FLOE_SET_EXACT] = "",
  [FLOE_SET_INTERVALS] = "\t\tflags interval\n",
  [FLOE_SET_BOUND] = "\t\tflags timeout\n",
  [FLOE_SET_HELD] = "\t\tflags dynamic,timeout\n",
  [FLOE_SET_CONNECTIONS] = "\t\tflags dynamic\n",
};

/* -- Values ----------------------------------------------------------------------------------------------------------- */

static void
append_mac (GString *text, const uint8_t bytes[6])
{
  g_string_append_printf (text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                          bytes[5]);
}

static void
append_address (GString *text, FloeNumber number, gboolean v6)
{
  uint8_t bytes[16];
  char buffer[INET6_ADDRSTRLEN];

  for (unsigned i = 0; i < (v6 ? 16 : 4); i++)
    bytes[i] = (uint8_t)(number >> ((v6 ? 120 : 24) - 8 * i));
  g_string_append (text, inet_ntop (v6 ? AF_INET6 : AF_INET, bytes, buffer, sizeof buffer));
}

static void
append_address_bytes (GString *text, const uint8_t *bytes, gboolean v6)
{
  char buffer[INET6_ADDRSTRLEN];

  g_string_append (text, inet_ntop (v6 ? AF_INET6 : AF_INET, bytes, buffer, sizeof buffer));
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

static const char *
protocol_name (unsigned number)
{
  return number == IPPROTO_TCP      ? "tcp"
         : number == IPPROTO_UDP    ? "udp"
         : number == IPPROTO_ICMP   ? "icmp"
         : number == IPPROTO_ICMPV6 ? "ipv6-icmp"
                                    : "0";
}

/* Names where nft has one, so that a listing and this say the same. */
static void
append_number (GString *text, FloeField field, unsigned number)
{
  static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
  const char *name = NULL;

  switch (field) {
  case FLOE_FIELD_ETHER_TYPE:
  case FLOE_FIELD_ARP_PROTOCOL:
    name = number == ETH_P_ARP ? "arp" : number == ETH_P_IPV6 ? "ip6" : "ip";
    break;
  case FLOE_FIELD_FAMILY:
    name = number == NFPROTO_IPV4 ? "ipv4" : "ipv6";
    break;
  case FLOE_FIELD_PROTOCOL:
  case FLOE_FIELD_IP6_NEXT:
    name = protocol_name (number);
    break;
  case FLOE_FIELD_ICMP6_TYPE:
    name = number == ND_ROUTER_SOLICIT     ? "nd-router-solicit"
           : number == ND_ROUTER_ADVERT    ? "nd-router-advert"
           : number == ND_NEIGHBOR_SOLICIT ? "nd-neighbor-solicit"
                                           : "nd-neighbor-advert";
    break;
  case FLOE_FIELD_ARP_OPERATION:
    name = number == 1 ? "request" : "reply";
    break;
  case FLOE_FIELD_DIRECTION:
    name = number == 0 ? "original" : "reply";
    break;
  case FLOE_FIELD_DAY:
    g_string_append_printf (text, "\"%s\"", days[number % G_N_ELEMENTS (days)]);
    return;
  default:
    g_string_append_printf (text, "%u", number);
    return;
  }
  g_string_append (text, name);
}

static gboolean
is_raw (FloeField field)
{
  return field == FLOE_FIELD_ND_TARGET || field == FLOE_FIELD_DHCP_CLIENT;
}

static void
append_value (GString *text, const FloeMatch *match)
{
  const FloeFieldInfo *info = floe_field_info (match->field);
  unsigned bytes = match->bytes != 0 ? match->bytes : info->size;
  uint32_t word;

  memcpy (&word, match->value, sizeof word);
  if (is_raw (match->field)) {
    g_string_append (text, "0x");
    for (unsigned i = 0; i < bytes; i++)
      g_string_append_printf (text, "%02x", match->value[i]);
  } else if (match->field == FLOE_FIELD_IN_NAME || match->field == FLOE_FIELD_OUT_NAME)
    g_string_append_printf (text, "\"%s%s\"", (const char *)match->value, match->bytes != 0 ? "*" : "");
  else if (info->size == 16) {
    append_address_bytes (text, match->value, TRUE);
    if (match->bytes != 0)
      g_string_append_printf (text, "/%u", match->bytes * 8);
  } else if (info->size == 6)
    append_mac (text, match->value);
  else if (match->field == FLOE_FIELD_STATE)
    append_states (text, word);
  else if (match->field == FLOE_FIELD_MARK)
    g_string_append_printf (text, "0x%08x", word);
  else if (info->size == 4)
    append_address_bytes (text, match->value, FALSE);
  else
    append_number (text, match->field, number_of (match->value, info->size));
}

/* -- Rules ------------------------------------------------------------------------------------------------------------ */

static void
append_hour (GString *text, uint32_t seconds)
{
  g_string_append_printf (text, "\"%02u:%02u", seconds / 3600, seconds / 60 % 60);
  if (seconds % 60 != 0)
    g_string_append_printf (text, ":%02u", seconds % 60);
  g_string_append_c (text, '"');
}

/* Bits of a value, or its first bytes where nft has no other way to say it. */
static gboolean
append_masked (GString *text, const FloeMatch *match)
{
  const FloeFieldInfo *info = floe_field_info (match->field);

  if (info->size == 6 && !is_raw (match->field) && (match->op == FLOE_OP_NO_BITS || match->bytes != 0)) {
    const uint8_t zero[6] = { 0 };
    uint8_t mask[6] = { 0 };

    memset (mask, 0xff, match->bytes);
    g_string_append (text, "& ");
    append_mac (text, match->op == FLOE_OP_NO_BITS ? match->value : mask);
    g_string_append (text, " == ");
    append_mac (text, match->op == FLOE_OP_NO_BITS ? zero : match->value);
    g_string_append_c (text, ' ');
    return TRUE;
  }
  if (match->op == FLOE_OP_NO_BITS) {
    g_string_append_printf (text, "& 0x%x == 0 ", number_of (match->value, info->size));
    return TRUE;
  }
  return FALSE;
}

static void
append_match (GString *text, const FloeMatch *match)
{
  const FloeFieldInfo *info = floe_field_info (match->field);
  uint32_t words[2];

  g_string_append (text, info->text);
  if (is_raw (match->field))
    g_string_append_printf (text, ",%u", (match->bytes != 0 ? match->bytes : info->size) * 8);
  g_string_append_c (text, ' ');
  if (append_masked (text, match))
    return;
  memcpy (words, match->value, sizeof words);
  switch (match->op) {
  case FLOE_OP_SET:
    g_string_append_printf (text, "@%s ", match->set);
    return;
  case FLOE_OP_NOT_SET:
    g_string_append_printf (text, "!= @%s ", match->set);
    return;
  case FLOE_OP_RANGE:
    append_hour (text, words[0]);
    g_string_append_c (text, '-');
    append_hour (text, words[1]);
    g_string_append_c (text, ' ');
    return;
  case FLOE_OP_BUT_TOP:
    g_string_append (text, "& 0x7fffffff == ");
    break;
  case FLOE_OP_DIFFERENT:
    g_string_append (text, "!= ");
    break;
  case FLOE_OP_EQUAL:
  case FLOE_OP_NO_BITS:
    break;
  }
  append_value (text, match);
  g_string_append_c (text, ' ');
}

static void
append_key (GString *text, const FloeRule *rule)
{
  for (size_t i = 0; i < rule->n_key; i++)
    g_string_append_printf (text, "%s%s ", i == 0 ? "" : ". ", floe_field_info (rule->key[i])->text);
}

static void
append_use (GString *text, const FloeRule *rule)
{
  switch (rule->use) {
  case FLOE_USE_NONE:
    return;
  case FLOE_USE_LOOKUP:
    append_key (text, rule);
    g_string_append_printf (text, "@%s ", rule->set);
    return;
  case FLOE_USE_COUNT:
    g_string_append (text, "counter name ");
    append_key (text, rule);
    g_string_append_printf (text, "map @%s ", rule->set);
    return;
  case FLOE_USE_CHAIN:
    append_key (text, rule);
    g_string_append_printf (text, "vmap @%s ", rule->set);
    return;
  case FLOE_USE_UPDATE:
    g_string_append_printf (text, "update @%s { ", rule->set);
    append_key (text, rule);
    g_string_append_printf (text, "timeout %us } ", rule->number);
    return;
  case FLOE_USE_CONNECTIONS:
    g_string_append_printf (text, "add @%s { ", rule->set);
    append_key (text, rule);
    g_string_append_printf (text, "ct count over %u } ", rule->number);
    return;
  }
}

static void
append_verdict (GString *text, const FloeRule *rule)
{
  switch (rule->verdict) {
  case FLOE_VERDICT_CONTINUE:
    return;
  case FLOE_VERDICT_ACCEPT:
    g_string_append (text, "accept ");
    return;
  case FLOE_VERDICT_DROP:
    g_string_append (text, "drop ");
    return;
  case FLOE_VERDICT_REJECT:
    g_string_append (text, "reject with tcp reset ");
    return;
  case FLOE_VERDICT_GOTO:
    g_string_append_printf (text, "goto %s ", rule->target);
    return;
  case FLOE_VERDICT_JUMP:
    g_string_append_printf (text, "jump %s ", rule->target);
    return;
  case FLOE_VERDICT_MASQUERADE:
    g_string_append (text, "masquerade ");
    return;
  }
}

static void
append_rule (GString *text, const FloeRule *rule)
{
  g_string_append (text, "\t\t");
  for (size_t i = 0; i < rule->n_matches; i++)
    append_match (text, &rule->matches[i]);
  if (rule->sample != 0)
    g_string_append_printf (text, "numgen random mod %u 0 ", rule->sample);
  if (rule->limit.rate != 0)
    g_string_append_printf (text, "limit rate %s%" G_GUINT64_FORMAT "%s/second burst %u %s ", rule->limit.over ? "over " : "",
                            rule->limit.rate, rule->limit.bytes ? " bytes" : "", rule->limit.burst,
                            rule->limit.bytes ? "bytes" : "packets");
  append_use (text, rule);
  if (rule->log != NULL)
    g_string_append_printf (text, "log prefix \"%s\" group %d snaplen %d ", rule->log, FLOE_RULES_LOG_GROUP, FLOE_RULES_LOG_BYTES);
  if (rule->counter != NULL)
    g_string_append_printf (text, "counter name \"%s\" ", rule->counter);
  if (rule->marks)
    g_string_append_printf (text, "ct mark set 0x%08x ", rule->mark);
  append_verdict (text, rule);
  if (rule->comment != NULL)
    g_string_append_printf (text, "comment \"%s\"", rule->comment);
  else
    g_string_truncate (text, text->len - 1);
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

/* -- Sets ------------------------------------------------------------------------------------------------------------- */

static void
append_range (GString *text, const FloeElement *element, unsigned bits)
{
  FloeNumber span = element->last - element->first;
  gboolean v6 = bits == 128;
  unsigned length = bits;

  append_address (text, element->first, v6);
  if (span == 0)
    return;
  /* A prefix: a power of two of addresses that starts at a multiple of itself. */
  if ((span & (span + 1)) == 0 && (element->first & span) == 0) {
    for (; span != 0; span >>= 1)
      length--;
    g_string_append_printf (text, "/%u", length);
  } else {
    g_string_append_c (text, '-');
    append_address (text, element->last, v6);
  }
}

static void
append_element (GString *text, const FloeSet *set, const FloeElement *element)
{
  switch (set->type) {
  case FLOE_TYPE_IPV4:
  case FLOE_TYPE_IPV6:
    append_range (text, element, set->type == FLOE_TYPE_IPV4 ? 32 : 128);
    break;
  case FLOE_TYPE_PORT:
  case FLOE_TYPE_ICMP6:
    g_string_append_printf (text, "%u", (unsigned)element->first);
    if (element->first != element->last)
      g_string_append_printf (text, "-%u", (unsigned)element->last);
    break;
  case FLOE_TYPE_CARD:
    g_string_append_printf (text, "\"%s\"", element->name);
    break;
  case FLOE_TYPE_FLOW4:
  case FLOE_TYPE_FLOW6:
  case FLOE_TYPE_HELD4:
  case FLOE_TYPE_HELD6:
    g_string_append_printf (text, "%s . ", protocol_name (element->protocol));
    append_address (text, element->first, set->type == FLOE_TYPE_FLOW6);
    g_string_append_printf (text, " . %u", element->port);
    break;
  }
  if (set->data == FLOE_DATA_COUNTER)
    g_string_append_printf (text, " : \"%s\"", element->name);
  else if (set->data == FLOE_DATA_CHAIN)
    g_string_append_printf (text, " : jump %s", element->name);
}

static void
append_set (GString *text, const FloeSet *set)
{
  g_string_append_printf (text, "\n\t%s %s {\n\t\ttype %s%s\n", set->data == FLOE_DATA_NONE ? "set" : "map", set->name,
                          set_types[set->type],
                          set->data == FLOE_DATA_COUNTER ? " : counter"
                          : set->data == FLOE_DATA_CHAIN ? " : verdict"
                                                         : "");
  if (set->size != 0)
    g_string_append_printf (text, "\t\tsize %u\n", set->size);
  g_string_append (text, set_flags[set->kind]);
  if (set->comment != NULL)
    g_string_append_printf (text, "\t\tcomment \"%s\"\n", set->comment);
  if (set->elements->len > 0) {
    g_string_append (text, "\t\telements = { ");
    for (guint i = 0; i < set->elements->len; i++) {
      g_string_append (text, i == 0 ? "" : ", ");
      append_element (text, set, &g_array_index (set->elements, FloeElement, i));
    }
    g_string_append (text, " }\n");
  }
  g_string_append (text, "\t}\n");
}

static void
append_table (GString *text, const FloeTable *table)
{
  g_string_append_printf (text, "table %s %s {\n", table->netdev ? "netdev" : "inet", table->name);
  for (guint i = 0; i < table->counters->len; i++)
    g_string_append_printf (text, "\tcounter %s {\n\t}\n", ((const FloeCounter *)g_ptr_array_index (table->counters, i))->name);
  for (guint i = 0; i < table->sets->len; i++)
    append_set (text, g_ptr_array_index (table->sets, i));
  for (guint i = 0; i < table->chains->len; i++)
    append_chain (text, table, g_ptr_array_index (table->chains, i));
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
