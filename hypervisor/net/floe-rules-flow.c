/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* Flows: what the policy's rules say. Theory of operation: floe-rules.c. */

/* Fewer consecutive rules than this stay a list: it reads better, and is no slower. */
#define MAPS_MIN 16
/* How long a by-name rule remembers the flows that it has allowed: as long as connection tracking remembers an idle TCP one. */
#define HELD_S (5 * 24 * 60 * 60)
#define HELD_MAX 65536
#define BOUND_MAX 16384
/* Packets of a flow that are refused before a TCP connection is reset. */
#define CUT_REFUSALS 3

typedef struct {
  const FloeRulesInput *input;
  const FloeNetIdentity *identity;
  FloeTable *table;
  FloeSide egress, ingress;
  FloeChain *from, *to, *host_from, *host_to;
  const char *never4, *never6, *connections, *peers, *guest4;
  gboolean bridged, filtered, inner;
} Flow;

static void
match_states (FloeRule *rule, uint32_t states)
{
  floe_rule_host (rule, FLOE_FIELD_STATE, states);
}

/* -- Rules as a list ------------------------------------------------------------------------------------------------- */

static void
accept_marked (FloeRule *rule, uint32_t mark)
{
  rule->marks = TRUE;
  rule->mark = mark;
}

static gboolean
has_rate (const FloePolicyNetRule *rule)
{
  return rule->rate.packets != 0 || rule->rate.bytes != 0;
}

/* Whether each packet is judged anew. */
static gboolean
is_watched (const FloePolicyNetRule *rule)
{
  return has_rate (rule) || rule->n_windows > 0;
}

static gboolean
is_static (const FloePolicyNetRule *rule)
{
  return rule->n_names == 0 && rule->log == 0 && !is_watched (rule);
}

/* What a list's rule does when it matches: accept, or go on in CHAIN. */
typedef struct {
  const FloeSide *side;
  const FloePolicyNetRule *rule;
  const FloeChain *chain;
  FloeVerdict verdict;
} Outcome;

static FloeRule *
add_outcome (const Outcome *outcome)
{
  const FloeSide *side = outcome->side;
  g_autofree char *counter = g_strconcat ("rule-", outcome->rule->id, NULL);
  FloeRule *made;

  if (outcome->chain != NULL) {
    made = floe_chain_send (side->chain, outcome->verdict, outcome->chain);
    made->comment = g_strdup (outcome->rule->id);
    return made;
  }
  made = floe_chain_add_counted (side->table, side->chain, counter, outcome->rule->id, FLOE_VERDICT_ACCEPT, TRUE);
  accept_marked (made, side->mark);
  return made;
}

/* One kernel rule for each protocol (and type of icmp): ADDRESSES is a set. */
static void
add_for_protocols (const Outcome *outcome, unsigned family, const char *addresses, const char *ports)
{
  static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 };
  g_autoptr (GArray) elements = floe_elements_new ();

  for (size_t p = 0; p < G_N_ELEMENTS (protocols); p++) {
    gboolean icmp = p >= 2;

    if ((p == 2 && family != 4) || (p == 3 && family != 6) || !floe_rules_ports (outcome->rule, protocols[p], elements))
      continue;
    for (guint i = 0; i < (icmp ? elements->len : 1); i++) {
      FloeRule *made = add_outcome (outcome);

      floe_rule_set (made, family == 4 ? outcome->side->remote4 : outcome->side->remote6, addresses);
      floe_rule_number (made, FLOE_FIELD_PROTOCOL, protocols[p]);
      if (icmp)
        floe_rule_number (made, FLOE_FIELD_FLOW_TYPE, (unsigned)g_array_index (elements, FloeElement, i).first);
      else if (ports != NULL)
        floe_rule_set (made, FLOE_FIELD_FLOW_PORT, ports);
    }
  }
}

/* Established flows that a by-name rule has allowed, whatever has become of the name's addresses since. */
static void
add_held (const Outcome *outcome, unsigned family, const char *held, const char *ports)
{
  static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
  const FloeField key[] = { FLOE_FIELD_PROTOCOL, family == 4 ? outcome->side->remote4 : outcome->side->remote6,
                            FLOE_FIELD_FLOW_PORT, FLOE_FIELD_FLOW_FROM };
  g_autoptr (GArray) elements = floe_elements_new ();

  for (size_t p = 0; p < G_N_ELEMENTS (protocols); p++) {
    FloeRule *made;

    if (!floe_rules_ports (outcome->rule, protocols[p], elements))
      continue;
    made = add_outcome (outcome);
    match_states (made, NF_CT_STATE_BIT (IP_CT_ESTABLISHED));
    floe_rule_number (made, FLOE_FIELD_PROTOCOL, protocols[p]);
    if (ports != NULL)
      floe_rule_set (made, FLOE_FIELD_FLOW_PORT, ports);
    floe_rule_key (made, FLOE_USE_LOOKUP, held, key, G_N_ELEMENTS (key));
  }
}

/* Says which names a set's elements were bound for, so that a rule whose names have changed begins anew. */
static char *
names_comment (const FloePolicyNetRule *rule)
{
  g_autoptr (GChecksum) digest = g_checksum_new (G_CHECKSUM_SHA256);

  for (size_t i = 0; i < rule->n_names; i++)
    g_checksum_update (digest, (const guchar *)rule->names[i], (gssize)strlen (rule->names[i]) + 1);
  return g_strdup_printf ("%.60s%s, digest %.16s", rule->names[0], rule->n_names > 1 ? " and others" : "",
                          g_checksum_get_string (digest));
}

static const char *
add_filling_set (const FloeSide *side, const FloePolicyNetRule *rule, const char *suffix, FloeSetType type, FloeSetKind kind,
                 unsigned size)
{
  const char *name = floe_rules_table_add_set (side->table, g_strdup_printf ("rule-%s-%s", rule->id, suffix), type, kind,
                                         FLOE_DATA_NONE, NULL);

  floe_rules_table_last_set (side->table)->size = size;
  floe_rules_table_last_set (side->table)->comment = names_comment (rule);
  return name;
}

static void
add_update (FloeChain *chain, const FloeSide *side, unsigned family, unsigned protocol, const char *held)
{
  const FloeField key[] = { FLOE_FIELD_PROTOCOL, family == 4 ? side->remote4 : side->remote6, FLOE_FIELD_FLOW_PORT,
                            FLOE_FIELD_FLOW_FROM };
  FloeRule *made = floe_chain_add (chain, FLOE_VERDICT_CONTINUE);

  floe_rule_number (made, FLOE_FIELD_PROTOCOL, protocol);
  floe_rule_key (made, FLOE_USE_UPDATE, held, key, G_N_ELEMENTS (key));
  made->number = HELD_S;
}

/* The end of CHAIN, where a packet of RULE's is: over the rate it is dropped, otherwise logged or not, and accepted. */
static void
end_special (const FloeSide *side, const FloePolicyNetRule *rule, FloeChain *chain)
{
  const FloeRulesInput *input = side->input;
  g_autofree char *counter = g_strconcat ("rule-", rule->id, NULL), *over = g_strconcat ("over-", rule->id, NULL);
  FloeRule *made;

  for (unsigned bytes = 0; bytes < 2; bytes++)
    if ((bytes ? rule->rate.bytes : rule->rate.packets) != 0)
      floe_rule_limit (floe_chain_add_counted (side->table, chain, over, rule->id, FLOE_VERDICT_DROP, TRUE),
                       bytes ? rule->rate.bytes : rule->rate.packets, bytes, TRUE);
  if (rule->log > 0 && !(input->options->lacks & (FLOE_RULES_LACK_LOG | FLOE_RULES_LACK_RATE))) {
    made = floe_chain_add (chain, FLOE_VERDICT_CONTINUE);
    match_states (made, NF_CT_STATE_BIT (IP_CT_NEW));
    made->sample = rule->log > 1 && !(input->options->lacks & FLOE_RULES_LACK_SAMPLE) ? rule->log : 0;
    floe_rule_log (made, input->identity->tap, "allow", rule->id);
  }
  made = floe_chain_add_counted (side->table, chain, counter, rule->id, FLOE_VERDICT_ACCEPT, TRUE);
  accept_marked (made, is_watched (rule) ? side->mark | FLOE_MARK_WATCHED : side->mark);
}

/* Makes the chains of a rule that is more than a match; what the list does to get there is in OUTCOME. */
static FloeChain *
add_special (const FloeSide *side, const FloePolicyNetRule *rule, Outcome *outcome)
{
  g_autofree char *name = g_strconcat ("rule-", rule->id, NULL);
  FloeChain *chain = floe_rules_table_add_chain (side->table, name, FLOE_HOOK_NONE, FALSE);

  outcome->chain = chain;
  outcome->verdict = FLOE_VERDICT_GOTO;
  if (rule->n_windows > 0) {
    g_autoptr (GArray) times = floe_rules_times (rule, side->input->options->zone_offset);
    g_autofree char *when = g_strconcat ("when-", rule->id, NULL);
    FloeChain *gate = floe_rules_table_add_chain (side->table, when, FLOE_HOOK_NONE, FALSE);

    for (guint i = 0; i < times->len; i++) {
      const FloeRulesTime *time = &g_array_index (times, FloeRulesTime, i);
      FloeRule *made = floe_chain_send (gate, FLOE_VERDICT_GOTO, chain);
      FloeMatch *match;

      floe_rule_number (made, FLOE_FIELD_DAY, time->day);
      match = floe_rule_match (made, FLOE_FIELD_HOUR, FLOE_OP_RANGE);
      memcpy (match->value, &time->first, sizeof time->first);
      memcpy (match->value + sizeof time->first, &time->last, sizeof time->last);
    }
    /* Outside of them the list goes on. */
    outcome->chain = gate;
    outcome->verdict = FLOE_VERDICT_JUMP;
  }
  return chain;
}

static void
add_names (const Outcome *outcome, FloeChain *chain, unsigned family, const char *ports)
{
  static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
  g_autoptr (GArray) elements = floe_elements_new ();
  const FloeSide *side = outcome->side;
  const FloePolicyNetRule *rule = outcome->rule;
  const char *names = add_filling_set (side, rule, family == 4 ? "names4" : "names6", family == 4 ? FLOE_TYPE_IPV4 : FLOE_TYPE_IPV6,
                                       FLOE_SET_BOUND, BOUND_MAX);
  const char *held = add_filling_set (side, rule, family == 4 ? "held4" : "held6", family == 4 ? FLOE_TYPE_HELD4 : FLOE_TYPE_HELD6,
                                      FLOE_SET_HELD, HELD_MAX);

  add_for_protocols (outcome, family, names, ports);
  add_held (outcome, family, held, ports);
  for (size_t p = 0; p < G_N_ELEMENTS (protocols); p++)
    if (floe_rules_ports (rule, protocols[p], elements))
      add_update (chain, side, family, protocols[p], held);
}

static void
add_listed (const FloeSide *side, const FloePolicyNetRule *rule)
{
  Outcome outcome = { side, rule, NULL, FLOE_VERDICT_ACCEPT };
  FloeChain *chain = is_static (rule) ? NULL : add_special (side, rule, &outcome);
  const char *ports = NULL;

  if (rule->n_ports > 0) {
    g_autoptr (GArray) elements = floe_elements_new ();

    floe_rules_ports (rule, rule->protocol == FLOE_POLICY_PROTOCOL_UDP ? IPPROTO_UDP : IPPROTO_TCP, elements);
    ports = floe_rules_table_add_set (side->table, g_strdup_printf ("rule-%s-port", rule->id), FLOE_TYPE_PORT, FLOE_SET_INTERVALS,
                                FLOE_DATA_NONE, g_array_ref (elements));
  }
  for (unsigned family = 4; family <= (side->input->network->ipv6 ? 6 : 4); family += 2) {
    GArray *elements = floe_elements_of_prefixes (rule->prefixes, rule->n_prefixes, family);

    if (elements != NULL)
      add_for_protocols (&outcome, family,
                         floe_rules_table_add_set (side->table, g_strdup_printf ("rule-%s-net%u", rule->id, family),
                                             family == 4 ? FLOE_TYPE_IPV4 : FLOE_TYPE_IPV6, FLOE_SET_INTERVALS, FLOE_DATA_NONE,
                                             elements),
                         ports);
    if (rule->n_names > 0)
      add_names (&outcome, chain, family, ports);
  }
  if (chain != NULL)
    end_special (side, rule, chain);
}

/* -- Judging --------------------------------------------------------------------------------------------------------- */

static void
fill_cut (FloeRule *rule, const void *data)
{
  (void)data;
  match_states (rule, NF_CT_STATE_BIT (IP_CT_ESTABLISHED));
}

/* What no rule allows. A flow that one had allowed, and none does now, is cut: both ends of a TCP connection hear of it. */
static void
end_judging (const Flow *flow, const FloeSide *side)
{
  gboolean egress = side == &flow->egress;
  const char *cut = egress ? "floe-cut-to" : "floe-cut-from";
  gboolean reset = !flow->bridged && !(flow->input->options->lacks & FLOE_RULES_LACK_REJECT);

  if (flow->input->log_drops) {
    FloeRule *rule = floe_chain_add (side->chain, FLOE_VERDICT_CONTINUE);

    fill_cut (rule, NULL);
    floe_rule_log (rule, flow->identity->tap, "drop", "floe-cut");
  }
  /* A packet that is on its way while rules are exchanged may meet old rules whose sets have just gone, and find itself in none of them.
   * It is lost then, which is no harm; but a connection must not be reset for it. So that needs three refusals one after the other: there
   * are not that many packets of one flow on their way at a time. */
  for (uint32_t refusals = reset ? CUT_REFUSALS : 1; refusals > 0; refusals--) {
    gboolean last = refusals == CUT_REFUSALS;
    FloeRule *rule = floe_chain_add_counted (side->table, side->chain, cut, "floe-cut", last ? FLOE_VERDICT_REJECT : FLOE_VERDICT_DROP, TRUE);

    if (refusals > 1) {
      floe_rule_number (rule, FLOE_FIELD_PROTOCOL, IPPROTO_TCP);
      floe_rule_host (rule, FLOE_FIELD_MARK, FLOE_MARK_CUT (flow->identity->slot) | (refusals - 1));
    }
    fill_cut (rule, NULL);
    accept_marked (rule, FLOE_MARK_CUT (flow->identity->slot) | MIN (refusals, CUT_REFUSALS - 1));
  }
  if (reset) {
    /* The middle of a connection that connection tracking has been made to forget: its ends are to hear of it too. */
    FloeRule *rule = floe_chain_add_counted (side->table, side->chain, cut, "floe-cut", FLOE_VERDICT_REJECT, TRUE);

    floe_rule_number (rule, FLOE_FIELD_PROTOCOL, IPPROTO_TCP);
    match_states (rule, NF_CT_STATE_BIT (IP_CT_NEW));
    floe_rule_match (rule, FLOE_FIELD_TCP_FLAGS, FLOE_OP_NO_BITS)->value[0] = TH_SYN;
  }
  floe_chain_add_drop (flow->input, side->table, side->chain, egress ? "default-to" : "default-from", "default", NULL, NULL);
}

static void
fill_side (const Flow *flow, const FloeSide *side, const FloePolicyNetRule *rules, size_t n_rules)
{
  unsigned number = 1;

  for (size_t i = 0; i < n_rules;) {
    size_t end = i;

    while (end < n_rules && is_static (&rules[end]))
      end++;
    if (end - i >= MAPS_MIN && floe_rules_compile (side, rules + i, end - i, number)) {
      number++;
      i = end;
      continue;
    }
    for (end = MAX (end, i + 1); i < end; i++)
      add_listed (side, &rules[i]);
  }
  end_judging (flow, side);
}

/* The LAN's resolvers, which the policy names. */
static void
fill_lan_resolvers (const Flow *flow)
{
  const FloePolicyNetwork *network = flow->input->network;

  for (unsigned family = 4; family <= (network->ipv6 ? 6 : 4); family += 2) {
    GArray *elements = floe_elements_new ();
    const char *set;

    for (size_t i = 0; i < network->n_dns; i++)
      if (network->dns[i].family == family)
        floe_elements_add (elements, floe_number_of (network->dns[i].bytes, family == 4 ? 4 : 16),
                           floe_number_of (network->dns[i].bytes, family == 4 ? 4 : 16));
    floe_elements_normalize (elements);
    if (elements->len == 0) {
      g_array_unref (elements);
      continue;
    }
    set = floe_rules_table_add_set (flow->table, g_strdup_printf ("dns-servers%u", family), family == 4 ? FLOE_TYPE_IPV4 : FLOE_TYPE_IPV6,
                              FLOE_SET_INTERVALS, FLOE_DATA_NONE, elements);
    for (unsigned tcp = 0; tcp < 2; tcp++) {
      FloeRule *rule
          = floe_chain_add_counted (flow->table, flow->egress.chain, NULL, "floe-dns", FLOE_VERDICT_ACCEPT, TRUE);

      floe_rule_set (rule, family == 4 ? FLOE_FIELD_FLOW_TARGET4 : FLOE_FIELD_FLOW_TARGET6, set);
      floe_rule_number (rule, FLOE_FIELD_PROTOCOL, tcp ? IPPROTO_TCP : IPPROTO_UDP);
      floe_rule_number (rule, FLOE_FIELD_FLOW_PORT, 53);
      accept_marked (rule, flow->egress.mark);
    }
  }
}

/* -- Packets that are forwarded -------------------------------------------------------------------------------------- */

typedef struct {
  FloeField field;
  FloeOp op;
  const char *value; /* set or name */
  uint8_t bytes;     /* of the name; 0: all */
  uint8_t family;    /* of the packet; 0: either */
} Test;

static void
fill_test (FloeRule *rule, const void *data)
{
  const Test *test = data;
  FloeMatch *match;

  if (test->family != 0)
    floe_rule_number (rule, FLOE_FIELD_FAMILY, test->family);
  match = floe_rule_match (rule, test->field, test->op);

  if (test->op == FLOE_OP_SET || test->op == FLOE_OP_NOT_SET)
    match->set = test->value;
  else
    g_strlcpy ((char *)match->value, test->value, IF_NAMESIZE);
  match->bytes = test->bytes;
}

/* The ways that this card's packets may not go, whatever rules say. FIELD: the other side's interface. */
static void
fill_ways (const Flow *flow, FloeChain *chain, gboolean from_guest)
{
  FloeField field = from_guest ? FLOE_FIELD_OUT_NAME : FLOE_FIELD_IN_NAME;

  if (flow->filtered) {
    const Test test = { field, FLOE_OP_NOT_SET, flow->peers, 0, 0 };

    floe_chain_add_drop (flow->input, flow->table, chain, from_guest ? "floe-filter-to" : "floe-filter-from", "floe-filter",
                         fill_test, &test);
  } else if (flow->bridged) {
    const Test test = { field, FLOE_OP_DIFFERENT, flow->input->options->bridge, 0, 0 };

    floe_chain_add_drop (flow->input, flow->table, chain, from_guest ? "floe-routed-to" : "floe-routed-from", "floe-routed",
                         fill_test, &test);
  } else if (flow->input->network->isolated) {
    const Test test = { field, FLOE_OP_EQUAL, FLOE_NET_TAP_PREFIX, sizeof FLOE_NET_TAP_PREFIX - 1, 0 };

    floe_chain_add_drop (flow->input, flow->table, chain, from_guest ? "floe-isolated-to" : "floe-isolated-from",
                         "floe-isolated", fill_test, &test);
  }
}

static void
fill_never (const Flow *flow, FloeChain *chain, gboolean from_guest)
{
  const char *name = from_guest ? "never-routed-to" : "never-routed-from";
  const Test v4 = { from_guest ? FLOE_FIELD_IP_DESTINATION : FLOE_FIELD_IP_SOURCE, FLOE_OP_SET, flow->never4, 0, NFPROTO_IPV4 };
  const Test v6 = { from_guest ? FLOE_FIELD_IP6_DESTINATION : FLOE_FIELD_IP6_SOURCE, FLOE_OP_SET, flow->never6, 0, NFPROTO_IPV6 };

  floe_chain_add_drop (flow->input, flow->table, chain, name, "never-routed", fill_test, &v4);
  if (flow->never6 != NULL)
    floe_chain_add_drop (flow->input, flow->table, chain, name, "never-routed", fill_test, &v6);
}

static FloeRule *
add_known (const Flow *flow, FloeChain *chain)
{
  return floe_chain_add_counted (flow->table, chain, NULL, "floe-established", FLOE_VERDICT_ACCEPT, TRUE);
}

/* Flows that rules of this generation have allowed, answered or not. Not what a helper of connection tracking expects of such a flow (of state
 * related): that inherits its mark unjudged. */
static void
fill_known (const Flow *flow, FloeChain *chain)
{
  FloeRule *rule = add_known (flow, chain);

  floe_rule_host (rule, FLOE_FIELD_MARK, flow->egress.mark);
  match_states (rule, NF_CT_STATE_BIT (IP_CT_ESTABLISHED) | NF_CT_STATE_BIT (IP_CT_NEW));
}

/* Errors about flows that have been judged. */
static void
fill_errors (const Flow *flow, FloeChain *chain)
{
  for (unsigned v6 = 0; v6 < (flow->input->network->ipv6 ? 2 : 1); v6++) {
    FloeRule *rule = add_known (flow, chain);

    floe_rule_number (rule, FLOE_FIELD_PROTOCOL, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    match_states (rule, NF_CT_STATE_BIT (IP_CT_RELATED));
    floe_rule_host (rule, FLOE_FIELD_MARK, flow->egress.mark);
    rule->matches[rule->n_matches - 1].op = FLOE_OP_BUT_TOP;
  }
}

static void
fill_states (FloeRule *rule, const void *data)
{
  match_states (rule, GPOINTER_TO_UINT (data));
}

static void
fill_connections (const Flow *flow, FloeChain *chain, gboolean from_guest)
{
  const FloeField key[] = { from_guest ? FLOE_FIELD_IN_NAME : FLOE_FIELD_OUT_NAME };
  const FloeRuleOptions *options = flow->input->options;
  FloeRule *rule = floe_chain_add_counted (flow->table, chain, NULL, "floe-connections", FLOE_VERDICT_DROP, TRUE);

  match_states (rule, NF_CT_STATE_BIT (IP_CT_NEW));
  floe_rule_key (rule, FLOE_USE_CONNECTIONS, flow->connections, key, 1);
  rule->number = options->connections != 0 ? options->connections : flow->input->network->connections;
}

/* Neighbour discovery, whose addresses and hop limit the link's own table has looked into. */
static void
allow_discovery (const Flow *flow, FloeChain *chain, const char *id, gboolean from_guest)
{
  const uint8_t types[] = { from_guest ? ND_ROUTER_SOLICIT : ND_ROUTER_ADVERT, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT };

  for (unsigned i = 0; i < G_N_ELEMENTS (types); i++) {
    FloeRule *rule = floe_chain_add_counted (flow->table, chain, NULL, id, FLOE_VERDICT_ACCEPT, TRUE);

    floe_rule_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV6);
    floe_rule_number (rule, FLOE_FIELD_PROTOCOL, IPPROTO_ICMPV6);
    floe_rule_number (rule, FLOE_FIELD_ICMP6_TYPE, types[i]);
  }
}

/* A LAN's DHCP crosses the bridge: asked of everyone or of a named server, answered by one. From whom answers come, the link has seen. */
static void
fill_lan_dhcp (const Flow *flow, FloeChain *chain, gboolean from_guest)
{
  const FloePolicyNetwork *network = flow->input->network;
  GArray *elements;
  FloeRule *rule;

  if (!from_guest) {
    rule = floe_chain_add_counted (flow->table, chain, NULL, "floe-lan-dhcp-reply", FLOE_VERDICT_ACCEPT, TRUE);
    floe_rule_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
    floe_rule_udp (rule, 67, 68);
    return;
  }
  elements = floe_elements_new ();
  floe_elements_add (elements, floe_number_of (floe_broadcast_ip, 4), floe_number_of (floe_broadcast_ip, 4));
  for (size_t i = 0; i < network->n_dhcp; i++)
    if (network->dhcp[i].family == 4)
      floe_elements_add (elements, floe_number_of (network->dhcp[i].bytes, 4), floe_number_of (network->dhcp[i].bytes, 4));
  floe_elements_normalize (elements);
  rule = floe_chain_add_counted (flow->table, chain, NULL, "floe-lan-dhcp", FLOE_VERDICT_ACCEPT, TRUE);
  floe_rule_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
  floe_rule_set (rule, FLOE_FIELD_IP_DESTINATION,
                 floe_rules_table_add_set (flow->table, g_strdup ("dhcp-servers"), FLOE_TYPE_IPV4, FLOE_SET_INTERVALS, FLOE_DATA_NONE, elements));
  floe_rule_udp (rule, 68, 67);
}

/* The chain that decides one direction of forwarded packets. */
static void
fill_forward (const Flow *flow, FloeChain *chain, gboolean from_guest)
{
  FloeRule *rule;

  /* A filter machine's clients go through it or nowhere, connections or not: it may be away, and the route another one. */
  if (flow->filtered) {
    fill_ways (flow, chain, from_guest);
    fill_known (flow, chain);
  }
  fill_errors (flow, chain);
  if (!flow->filtered)
    fill_ways (flow, chain, from_guest);
  if (flow->bridged)
    fill_lan_dhcp (flow, chain, from_guest);
  /* Unlike ARP it is IP, and comes by here on its way over the bridge: to groups, and from and to addresses of the link alone. */
  if (flow->bridged && flow->input->network->ipv6)
    allow_discovery (flow, chain, from_guest ? "floe-lan-nd" : "floe-lan-nd-reply", from_guest);
  fill_never (flow, chain, from_guest);
  floe_chain_add_drop (flow->input, flow->table, chain, from_guest ? "floe-invalid-to" : "floe-invalid-from", "floe-invalid",
                       fill_states, GUINT_TO_POINTER (NF_CT_STATE_INVALID_BIT | NF_CT_STATE_BIT (IP_CT_RELATED)));
  fill_connections (flow, chain, from_guest);
  rule = floe_chain_send (chain, FLOE_VERDICT_GOTO, from_guest ? flow->ingress.chain : flow->egress.chain);
  floe_rule_number (rule, FLOE_FIELD_DIRECTION, 1);
  floe_chain_send (chain, FLOE_VERDICT_GOTO, from_guest ? flow->egress.chain : flow->ingress.chain);
}

/* The filter machine's inner side: what its clients send it, and what it sends them. Its rules are theirs. */
static void
fill_inner (const Flow *flow, FloeChain *chain, gboolean from_guest)
{
  FloeRule *rule;

  fill_never (flow, chain, from_guest);
  rule = floe_chain_add_counted (flow->table, chain, from_guest ? "floe-inner-to" : "floe-inner-from", "floe-inner",
                                 FLOE_VERDICT_ACCEPT, TRUE);
  floe_rule_set (rule, from_guest ? FLOE_FIELD_OUT_NAME : FLOE_FIELD_IN_NAME, flow->peers);
  floe_chain_add_drop (flow->input, flow->table, chain, from_guest ? "default-to" : "default-from", "default", NULL, NULL);
}

/* -- Packets to and from the host itself ------------------------------------------------------------------------------- */

static FloeRule *
allow_host (const Flow *flow, FloeChain *chain, const char *id)
{
  return floe_chain_add_counted (flow->table, chain, NULL, id, FLOE_VERDICT_ACCEPT, TRUE);
}

static void
allow_dns (const Flow *flow, gboolean v6)
{
  for (unsigned tcp = 0; tcp < 2; tcp++) {
    FloeRule *rule = allow_host (flow, flow->host_from, "floe-host-dns");

    floe_rule_number (rule, FLOE_FIELD_FAMILY, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    if (v6)
      floe_rule_bytes (rule, FLOE_FIELD_IP6_DESTINATION, flow->identity->host6);
    else
      floe_rule_bytes (rule, FLOE_FIELD_IP_DESTINATION, flow->identity->host);
    floe_rule_number (rule, FLOE_FIELD_PROTOCOL, tcp ? IPPROTO_TCP : IPPROTO_UDP);
    floe_rule_number (rule, tcp ? FLOE_FIELD_TCP_DESTINATION : FLOE_FIELD_UDP_DESTINATION, 53);
  }
}

static void
fill_host6 (const Flow *flow)
{
  allow_discovery (flow, flow->host_from, "floe-host-nd", TRUE);
  allow_discovery (flow, flow->host_to, "floe-host-nd-reply", FALSE);
  for (unsigned from = 0; from < 2; from++) {
    FloeRule *rule = allow_host (flow, from ? flow->host_from : flow->host_to, from ? "floe-host-dhcp6" : "floe-host-dhcp6-reply");

    floe_rule_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV6);
    floe_rule_udp (rule, from ? 546 : 547, from ? 547 : 546);
  }
}

/* DHCP; neighbour discovery; DNS if offered; ICMP errors about flows. */
static void
fill_host (const Flow *flow)
{
  gboolean ipv6 = flow->input->network->ipv6;
  FloeRule *rule;

  for (unsigned i = 0; i < 2; i++) {
    rule = allow_host (flow, flow->host_from, "floe-host-dhcp");
    floe_rule_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
    floe_rule_bytes (rule, FLOE_FIELD_IP_DESTINATION, i == 0 ? floe_broadcast_ip : flow->identity->host);
    floe_rule_udp (rule, 68, 67);
  }
  for (unsigned v6 = 0; v6 < (ipv6 ? 2 : 1) && flow->input->options->resolver; v6++)
    allow_dns (flow, v6);
  if (ipv6)
    fill_host6 (flow);
  rule = allow_host (flow, flow->host_to, "floe-host-dhcp-reply");
  floe_rule_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
  floe_rule_udp (rule, 67, 68);
  rule = allow_host (flow, flow->host_to, "floe-host-established");
  match_states (rule, NF_CT_STATE_BIT (IP_CT_ESTABLISHED) | NF_CT_STATE_BIT (IP_CT_RELATED));
}

/* -- The whole ------------------------------------------------------------------------------------------------------- */

static void
add_masquerade (const Flow *flow, FloeChain *chain)
{
  for (unsigned v6 = 0; v6 < (flow->input->network->ipv6 ? 2 : 1); v6++) {
    FloeRule *rule = floe_chain_add (chain, FLOE_VERDICT_MASQUERADE);

    floe_rule_number (rule, FLOE_FIELD_FAMILY, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    if (v6)
      floe_rule_bytes (rule, FLOE_FIELD_IP6_SOURCE, flow->identity->guest6);
    else
      floe_rule_bytes (rule, FLOE_FIELD_IP_SOURCE, flow->identity->guest);
    floe_rule_name (rule, FLOE_FIELD_OUT_NAME, FLOE_OP_DIFFERENT, flow->identity->tap);
  }
}

static void
send_here (FloeChain *chain, FloeField field, const char *name, FloeField second, const uint8_t *mac, const FloeChain *target)
{
  FloeRule *rule = floe_chain_send (chain, FLOE_VERDICT_GOTO, target);

  floe_rule_name (rule, field, FLOE_OP_EQUAL, name);
  if (mac != NULL)
    floe_rule_bytes (rule, second, mac);
}

/* On a link of its own a card is known by its tap; on a bridge, whose port the tap is, by the guest's MAC and address. */
static void
send_to_chains (const Flow *flow, FloeChain *forward, FloeChain *input, FloeChain *output)
{
  const char *name = flow->bridged ? flow->input->options->bridge : flow->identity->tap;
  const uint8_t *mac = flow->bridged ? flow->identity->guest_mac : NULL;

  send_here (forward, FLOE_FIELD_IN_NAME, name, FLOE_FIELD_ETHER_SOURCE, mac, flow->from);
  send_here (forward, FLOE_FIELD_OUT_NAME, name, FLOE_FIELD_ETHER_DESTINATION, mac, flow->to);
  send_here (input, FLOE_FIELD_IN_NAME, name, FLOE_FIELD_ETHER_SOURCE, mac, flow->host_from);
  if (!flow->bridged) {
    send_here (output, FLOE_FIELD_OUT_NAME, name, FLOE_FIELD_OUT_NAME, NULL, flow->host_to);
    return;
  }
  /* What the host sends or routes to the guest has no Ethernet header of the LAN yet. */
  for (unsigned i = 0; i < 2; i++) {
    FloeRule *rule = floe_chain_send (i == 0 ? output : forward, FLOE_VERDICT_GOTO, i == 0 ? flow->host_to : flow->to);

    floe_rule_name (rule, FLOE_FIELD_OUT_NAME, FLOE_OP_EQUAL, name);
    floe_rule_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
    floe_rule_set (rule, FLOE_FIELD_IP_DESTINATION, flow->guest4);
  }
}

static void
add_sets (Flow *flow)
{
  const FloeRuleOptions *options = flow->input->options;
  GArray *peers;

  flow->never4 = floe_rules_table_add_set (flow->table, g_strdup ("never-routed4"), FLOE_TYPE_IPV4, FLOE_SET_INTERVALS, FLOE_DATA_NONE,
                                     floe_elements_of_prefixes (floe_policy_never_routed, floe_policy_n_never_routed, 4));
  if (flow->input->network->ipv6)
    flow->never6
        = floe_rules_table_add_set (flow->table, g_strdup ("never-routed6"), FLOE_TYPE_IPV6, FLOE_SET_INTERVALS, FLOE_DATA_NONE,
                              floe_elements_of_prefixes (floe_policy_never_routed, floe_policy_n_never_routed, 6));
  flow->connections
      = floe_rules_table_add_set (flow->table,
                            g_strdup_printf ("connections-%u", options->connections != 0 ? options->connections
                                                                                         : flow->input->network->connections),
                            FLOE_TYPE_CARD, FLOE_SET_CONNECTIONS, FLOE_DATA_NONE, NULL);
  floe_rules_table_last_set (flow->table)->size = 4;
  if (flow->bridged) {
    flow->guest4 = floe_rules_table_add_set (flow->table, g_strdup ("guest4"), FLOE_TYPE_IPV4, FLOE_SET_BOUND, FLOE_DATA_NONE, NULL);
    floe_rules_table_last_set (flow->table)->size = 4;
    floe_rules_table_last_set (flow->table)->comment = g_strdup ("the guest's address, learnt from its lease");
  }
  if (!flow->filtered && !flow->inner)
    return;
  peers = floe_elements_new ();
  for (size_t i = 0; i < options->n_peers; i++) {
    floe_elements_add (peers, 0, 0);
    g_array_index (peers, FloeElement, i).name = g_intern_string (options->peers[i]);
  }
  flow->peers = floe_rules_table_add_set (flow->table, g_strdup ("peers"), FLOE_TYPE_CARD, FLOE_SET_EXACT, FLOE_DATA_NONE, peers);
}

static void
fill (Flow *flow, FloeChain *nat)
{
  const FloePolicyNetwork *network = flow->input->network;
  g_autofree char *generation = g_strdup_printf ("generation-%u", flow->input->options->generation);

  add_sets (flow);
  if (flow->inner) {
    fill_inner (flow, flow->from, TRUE);
    fill_inner (flow, flow->to, FALSE);
  } else {
    if (flow->bridged)
      fill_lan_resolvers (flow);
    fill_side (flow, &flow->egress, network->egress, network->n_egress);
    fill_side (flow, &flow->ingress, network->ingress, network->n_ingress);
    fill_forward (flow, flow->from, TRUE);
    fill_forward (flow, flow->to, FALSE);
  }
  floe_rules_table_count (flow->table, generation, "floe-generation", TRUE, FALSE);
  ((FloeCounter *)g_ptr_array_index (flow->table->counters, flow->table->counters->len - 1))->internal = TRUE;
  if (!flow->bridged)
    fill_host (flow);
  if (network->mode == FLOE_POLICY_NETWORK_NAT)
    add_masquerade (flow, nat);
}

/* Whatever is above: the last word of every chain is no. */
static void
close_chain (FloeTable *table, FloeChain *chain, const char *name)
{
  const FloeRule *last = chain->rules->len == 0 ? NULL : g_ptr_array_index (chain->rules, chain->rules->len - 1);

  if (last == NULL || last->verdict != FLOE_VERDICT_DROP || last->n_matches > 0)
    floe_chain_add_counted (table, chain, name, "default", FLOE_VERDICT_DROP, TRUE);
}

FloeTable *
floe_rules_build_flow (const FloeRulesInput *input, gboolean open)
{
  FloePolicyNetworkMode mode = input->network->mode;
  FloeTable *table = floe_rules_table_new (input->identity->tap, FALSE);
  const uint32_t mark = FLOE_MARK_OURS | input->identity->slot << 16 | input->options->generation;
  FloeChain *forward = floe_rules_table_add_chain (table, "forward", FLOE_HOOK_FORWARD, FALSE);
  FloeChain *in = floe_rules_table_add_chain (table, "input", FLOE_HOOK_INPUT, FALSE);
  FloeChain *out = floe_rules_table_add_chain (table, "output", FLOE_HOOK_OUTPUT, FALSE);
  FloeChain *nat = floe_rules_table_add_chain (table, "nat", FLOE_HOOK_POSTROUTING, FALSE);
  FloeChain *egress = floe_rules_table_add_chain (table, "egress", FLOE_HOOK_NONE, FALSE);
  FloeChain *ingress = floe_rules_table_add_chain (table, "ingress", FLOE_HOOK_NONE, FALSE);
  Flow flow = { .input = input,
                .identity = input->identity,
                .table = table,
                .egress = { input, table, egress, "egress", FLOE_FIELD_FLOW_TARGET4, FLOE_FIELD_FLOW_TARGET6, mark },
                .ingress = { input, table, ingress, "ingress", FLOE_FIELD_FLOW_SOURCE4, FLOE_FIELD_FLOW_SOURCE6, mark },
                .from = floe_rules_table_add_chain (table, "from-guest", FLOE_HOOK_NONE, FALSE),
                .to = floe_rules_table_add_chain (table, "to-guest", FLOE_HOOK_NONE, FALSE),
                .host_from = floe_rules_table_add_chain (table, "from-guest-to-host", FLOE_HOOK_NONE, FALSE),
                .host_to = floe_rules_table_add_chain (table, "to-guest-from-host", FLOE_HOOK_NONE, FALSE),
                .bridged = mode == FLOE_POLICY_NETWORK_BRIDGE || mode == FLOE_POLICY_NETWORK_VLAN,
                .inner = mode == FLOE_POLICY_NETWORK_FILTER && input->options->inner,
                .filtered = mode == FLOE_POLICY_NETWORK_FILTER && !input->options->inner };

  if (open)
    fill (&flow, nat);
  close_chain (table, egress, "default-to");
  close_chain (table, ingress, "default-from");
  close_chain (table, flow.from, "default-to");
  close_chain (table, flow.to, "default-from");
  floe_chain_add_drop (input, table, flow.host_from, NULL, "floe-host", NULL, NULL);
  floe_chain_add_counted (table, flow.host_to, NULL, "floe-host-out", FLOE_VERDICT_DROP, TRUE);
  flow.bridged &= open;
  /* Most packets end here: the mark names the card, so whether they are this card's need not be asked first. Packets that are not would
   * go by in any case. */
  if (open && !flow.filtered && !flow.inner)
    fill_known (&flow, forward);
  send_to_chains (&flow, forward, in, out);
  return table;
}
