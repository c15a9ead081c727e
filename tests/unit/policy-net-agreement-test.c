/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules.h"

#include "common/floe-fd.h"
#include "policy/document/floe-policy-private.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <string.h>

/* floe_policy_packet_verdict(), which explain answers from, and the packet filter that is compiled from the same rules must say the same of
 * every packet that begins a flow. The filter is run here by a small interpreter of its rules as data; that the kernel runs
 * them alike is for tests/host/net.sh. Packets are chosen where mistakes live: at the edges of every prefix and port range. */

typedef struct {
  gboolean allow;
  const char *rule;
} Outcome;

/* -- The filter, interpreted -------------------------------------------------------------------------------------------- */

static FloeNumber
big_endian (const uint8_t *bytes, size_t size)
{
  FloeNumber number = 0;

  for (size_t i = 0; i < size; i++)
    number = number << 8 | bytes[i];
  return number;
}

static FloeNumber
remote_of (const FloePolicyPacket *packet)
{
  return big_endian (packet->remote.bytes, packet->remote.family == 4 ? 4 : 16);
}

/* The packet's value for FIELD; FALSE when it has no such field. */
static gboolean
field_of (const FloePolicyPacket *packet, FloeField field, FloeNumber *number)
{
  gboolean v4 = packet->remote.family == 4, egress = packet->direction == FLOE_POLICY_EGRESS;
  gboolean icmp = packet->protocol == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);

  *number = remote_of (packet);
  switch (field) {
  case FLOE_FIELD_IP_DESTINATION:
  case FLOE_FIELD_FLOW_TARGET4:
    return v4 && egress;
  case FLOE_FIELD_IP_SOURCE:
  case FLOE_FIELD_FLOW_SOURCE4:
    return v4 && !egress;
  case FLOE_FIELD_IP6_DESTINATION:
  case FLOE_FIELD_FLOW_TARGET6:
    return !v4 && egress;
  case FLOE_FIELD_IP6_SOURCE:
  case FLOE_FIELD_FLOW_SOURCE6:
    return !v4 && !egress;
  case FLOE_FIELD_FAMILY:
    *number = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    return TRUE;
  case FLOE_FIELD_PROTOCOL:
    *number = packet->protocol;
    return TRUE;
  case FLOE_FIELD_FLOW_PORT:
    *number = packet->port;
    return packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP;
  case FLOE_FIELD_FLOW_TYPE:
    *number = (FloeNumber)packet->icmp_type << 8;
    return icmp;
  case FLOE_FIELD_DIRECTION:
  case FLOE_FIELD_MARK:
    *number = 0;
    return TRUE;
  case FLOE_FIELD_DAY:
    *number = packet->day;
    return TRUE;
  case FLOE_FIELD_HOUR:
    *number = packet->minute * 60u;
    return TRUE;
  default:
    g_error ("the filter looks at field %d: teach this interpreter about it", (int) field);
  }
}

static const FloeElement *
set_find (const FloeTable *table, const char *name, FloeNumber number, uint8_t protocol, uint16_t port)
{
  for (guint i = 0; i < table->sets->len; i++) {
    const FloeSet *set = g_ptr_array_index (table->sets, i);

    if (strcmp (set->name, name) != 0)
      continue;
    for (guint j = 0; j < set->elements->len; j++) {
      const FloeElement *element = &g_array_index (set->elements, FloeElement, j);

      if (number >= element->first && number <= element->last && element->protocol == protocol && element->port == port)
        return element;
    }
    return NULL;
  }
  g_error ("no set %s", name);
}

/* What a rule's key finds in its set. */
static const FloeElement *
key_find (const FloeTable *table, const FloeRule *rule, const FloePolicyPacket *packet)
{
  FloeNumber numbers[FLOE_KEY_MAX] = { 0 };

  for (size_t i = 0; i < rule->n_key; i++)
    if (!field_of (packet, rule->key[i], &numbers[i]))
      return NULL;
  if (rule->n_key == 1)
    return set_find (table, rule->set, numbers[0], 0, 0);
  g_assert_cmpuint (rule->n_key, ==, 3);
  return set_find (table, rule->set, numbers[1], (uint8_t) numbers[0], (uint16_t) numbers[2]);
}

/* A packet that begins a flow is of state new, and the first connection; the other side is no machine of this host. */
static gboolean
match_holds (const FloeTable *table, const FloeMatch *match, const FloePolicyPacket *packet)
{
  size_t size = floe_field_info (match->field)->size;
  FloeNumber number, wanted;
  uint32_t words[2];

  memcpy (words, match->value, sizeof words);
  if (match->field == FLOE_FIELD_STATE)
    return (words[0] & NF_CT_STATE_BIT (IP_CT_NEW)) != 0;
  /* What begins a TCP connection has SYN. */
  if (match->field == FLOE_FIELD_TCP_FLAGS && match->op == FLOE_OP_NO_BITS)
    return FALSE;
  if (match->field == FLOE_FIELD_OUT_NAME || match->field == FLOE_FIELD_IN_NAME)
    return FALSE;
  if (!field_of (packet, match->field, &number))
    return FALSE;
  if (match->op == FLOE_OP_SET)
    return set_find (table, match->set, number, 0, 0) != NULL;
  if (match->op == FLOE_OP_RANGE)
    return number >= words[0] && number <= words[1];
  wanted = match->field == FLOE_FIELD_MARK ? words[0] : big_endian (match->value, size);
  return (number == wanted) == (match->op != FLOE_OP_DIFFERENT);
}

static const FloeChain *
find_chain (const FloeTable *table, const char *name)
{
  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    if (strcmp (chain->name, name) == 0)
      return chain;
  }
  g_error ("no chain %s", name);
}

static gboolean run_chain (const FloeTable *table, const FloeChain *chain, const FloePolicyPacket *packet, Outcome *outcome);

/* Whether the packet's fate is decided. GONE: it does not come back to this chain. */
static gboolean
run_rule (const FloeTable *table, const FloeRule *rule, const FloePolicyPacket *packet, Outcome *outcome, gboolean *gone)
{
  const FloeElement *element = NULL;
  const char *counter = rule->counter;

  *gone = FALSE;
  for (size_t i = 0; i < rule->n_matches; i++)
    if (!match_holds (table, &rule->matches[i], packet))
      return FALSE;
  if (rule->limit.over || rule->use == FLOE_USE_CONNECTIONS || rule->use == FLOE_USE_UPDATE)
    return FALSE;
  if (rule->use != FLOE_USE_NONE) {
    element = key_find (table, rule, packet);
    if (element == NULL)
      return FALSE;
  }
  if (rule->use == FLOE_USE_CHAIN)
    return run_chain (table, find_chain (table, element->name), packet, outcome);
  if (rule->use == FLOE_USE_COUNT)
    counter = element->name;
  if (rule->verdict == FLOE_VERDICT_CONTINUE)
    return FALSE;
  if (rule->verdict == FLOE_VERDICT_GOTO || rule->verdict == FLOE_VERDICT_JUMP) {
    *gone = rule->verdict == FLOE_VERDICT_GOTO;
    return run_chain (table, find_chain (table, rule->target), packet, outcome);
  }
  *outcome = (Outcome){ rule->verdict == FLOE_VERDICT_ACCEPT,
                        ((const FloeCounter *) g_hash_table_lookup (table->counter_names, counter))->id };
  return TRUE;
}

static gboolean
run_chain (const FloeTable *table, const FloeChain *chain, const FloePolicyPacket *packet, Outcome *outcome)
{
  for (guint i = 0; i < chain->rules->len; i++) {
    gboolean gone;

    if (run_rule (table, g_ptr_array_index (chain->rules, i), packet, outcome, &gone))
      return TRUE;
    if (gone)
      return FALSE;
  }
  return FALSE;
}

static Outcome
filter (const FloeTable *table, const FloePolicyPacket *packet)
{
  const char *name = packet->direction == FLOE_POLICY_EGRESS ? "from-guest" : "to-guest";
  Outcome outcome = { FALSE, NULL };

  if (!run_chain (table, find_chain (table, name), packet, &outcome))
    g_error ("chain %s has no last word", name);
  return outcome;
}

/* -- Packets at the edges ----------------------------------------------------------------------------------------------- */

static void
add_edges (GArray *numbers, FloeNumber first, FloeNumber last)
{
  const FloeNumber edges[] = { first - 1, first, last, last + 1 };

  g_array_append_vals (numbers, edges, G_N_ELEMENTS (edges));
}

static void
add_prefix_edges (GArray *addresses, const FloePolicyPrefix *prefixes, size_t n, unsigned family)
{
  unsigned bits = family == 4 ? 32 : 128;

  for (size_t i = 0; i < n; i++) {
    FloeNumber first = big_endian (prefixes[i].address.bytes, bits / 8);
    unsigned rest = bits - prefixes[i].length;

    if (prefixes[i].address.family == family)
      add_edges (addresses, first, rest == 128 ? ~(FloeNumber)0 : first | (((FloeNumber)1 << rest) - 1));
  }
}

static void
compare (const FloePolicyMachine *machine, const FloeTable *table, FloePolicyPacket *packet, size_t *allowed)
{
  FloePolicyPacketVerdict verdict = floe_policy_packet_verdict (machine->networks[0], packet);
  Outcome outcome = filter (table, packet);

  if (verdict.allow != outcome.allow || strcmp (verdict.rule, outcome.rule) != 0)
    g_error ("network %s, direction %d, protocol %u, remote %s, port %u, type %u: the policy says %s by %s, the filter %s by %s",
             machine->networks[0]->name, (int) packet->direction, packet->protocol, floe_policy_address_text (&packet->remote),
             packet->port, packet->icmp_type, verdict.allow ? "allow" : "drop", verdict.rule, outcome.allow ? "allow" : "drop",
             outcome.rule);
  *allowed += verdict.allow;
}

static void
try_address (const FloePolicyMachine *machine, const FloeTable *table, FloePolicyPacket *packet, const GArray *ports,
             size_t *allowed)
{
  static const uint8_t with_ports[] = { IPPROTO_TCP, IPPROTO_UDP };
  static const uint8_t without[] = { IPPROTO_GRE, IPPROTO_IPV6, IPPROTO_SCTP };
  static const uint8_t types[] = { 0, 3, 5, 8, 9, 13, 128, 129, 139 };

  for (size_t i = 0; i < G_N_ELEMENTS (with_ports); i++)
    for (guint j = 0; j < ports->len; j++) {
      packet->protocol = with_ports[i];
      packet->port = (uint16_t) g_array_index (ports, FloeNumber, j);
      compare (machine, table, packet, allowed);
    }
  packet->port = 0;
  for (size_t i = 0; i < G_N_ELEMENTS (without); i++) {
    packet->protocol = without[i];
    compare (machine, table, packet, allowed);
  }
  packet->protocol = packet->remote.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  for (size_t i = 0; i < G_N_ELEMENTS (types); i++) {
    packet->icmp_type = types[i];
    compare (machine, table, packet, allowed);
  }
  packet->icmp_type = 0;
}

static void
try_direction (const FloePolicyMachine *machine, const FloeTable *table, FloePolicyDirection direction,
               const FloePolicyNetRule *rules, size_t n, size_t *allowed)
{
  g_autoptr (GArray) ports = g_array_new (FALSE, FALSE, sizeof (FloeNumber));

  add_edges (ports, 1, 65535);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < rules[i].n_ports; j++)
      add_edges (ports, rules[i].ports[j].first, rules[i].ports[j].last);
  for (unsigned family = 4; family <= (machine->networks[0]->ipv6 ? 6 : 4); family += 2) {
    g_autoptr (GArray) addresses = g_array_new (FALSE, FALSE, sizeof (FloeNumber));

    add_prefix_edges (addresses, floe_policy_never_routed, floe_policy_n_never_routed, family);
    for (size_t i = 0; i < n; i++)
      add_prefix_edges (addresses, rules[i].prefixes, rules[i].n_prefixes, family);
    for (guint i = 0; i < addresses->len; i++) {
      FloeNumber address = g_array_index (addresses, FloeNumber, i);
      FloePolicyPacket packet = { .direction = direction, .remote = { .family = (uint8_t) family }, .day = 3, .minute = 700 };

      for (unsigned byte = 0; byte < (family == 4 ? 4 : 16); byte++)
        packet.remote.bytes[byte] = (uint8_t) (address >> ((family == 4 ? 24 : 120) - 8 * byte));
      try_address (machine, table, &packet, ports, allowed);
    }
  }
}

/* Returns how many of the packets were allowed. */
static size_t
try_network (const FloePolicyNetwork *network)
{
  const FloeRuleOptions options = { .connections = FLOE_CONNECTIONS_DEFAULT };
  const FloePolicyMachine machine = { .id = "m", .networks = &network, .n_networks = 1 };
  g_autoptr (FloeRuleset) ruleset = NULL;
  FloeNetIdentity identity;
  FloeNetPool pool;
  size_t allowed = 0;

  g_assert_true (floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, NULL));
  g_assert_true (floe_net_identity (&pool, 7, &identity, NULL));
  ruleset = floe_ruleset_new (&identity, network, &options);
  try_direction (&machine, ruleset->flow, FLOE_POLICY_EGRESS, network->egress, network->n_egress, &allowed);
  try_direction (&machine, ruleset->flow, FLOE_POLICY_INGRESS, network->ingress, network->n_ingress, &allowed);
  return allowed;
}

/* -- Networks ----------------------------------------------------------------------------------------------------------- */

static void
test_documents (void)
{
  static const char *const paths[] = { "docs/examples/office.json", "tests/unit/policy-corpus/good/everything.json",
                                       "tests/golden/net/many.json" };

  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autofree char *path = g_build_filename (FLOE_SOURCE_DIR, paths[i], NULL);
    g_autoptr (GBytes) text = floe_file_read (path, FLOE_POLICY_SIZE_MAX, NULL);
    g_autoptr (GError) error = NULL;
    g_autoptr (FloePolicyDocument) document = floe_policy_parse (text, path, &error);
    const FloePolicyContent *content;
    size_t allowed = 0;

    g_assert_no_error (error);
    content = floe_policy_document_content (document);
    for (size_t j = 0; j < content->n_networks; j++)
      if (content->networks[j].mode == FLOE_POLICY_NETWORK_NAT)
        allowed += try_network (&content->networks[j]);
    g_assert_cmpuint (allowed, >, 0);
  }
}

#define RULES 20 /* more than become a list */
#define PARTS 3

typedef struct {
  FloePolicyNetRule rules[2][RULES];
  FloePolicyPrefix prefixes[2][RULES][PARTS];
  FloePolicyPorts ports[2][RULES][PARTS];
  FloePolicyWindow windows[2][RULES];
  FloePolicyNetwork network;
} MadeNetwork;

/* Prefixes close together, so that they touch, nest and overlap; some of them wide enough to hold what is never routed. */
static void
make_prefix (GRand *rand, FloePolicyPrefix *prefix)
{
  unsigned length = (unsigned) (g_rand_int_range (rand, 0, 8) == 0 ? g_rand_int_range (rand, 0, 12) : g_rand_int_range (rand, 24, 33));
  gboolean v6 = g_rand_boolean (rand);
  uint32_t mask = length == 0 ? 0 : UINT32_MAX << (32 - length);
  uint32_t address = (0xc6336400u + (uint32_t) g_rand_int_range (rand, 0, 64)) & mask;

  /* The same in IPv6, at the end of an address: its first 96 bits stand still, unless the prefix is short. */
  memset (prefix, 0, sizeof *prefix);
  prefix->address.family = v6 ? 6 : 4;
  prefix->length = (uint8_t) (v6 && length >= 12 ? 96 + length : length);
  if (v6 && length >= 12) {
    prefix->address.bytes[0] = 0x20;
    prefix->address.bytes[1] = 1;
  }
  for (unsigned byte = 0; byte < 4; byte++)
    prefix->address.bytes[byte + (v6 && length >= 12 ? 12 : 0)] = (uint8_t) (address >> (24 - 8 * byte));
}

static void
make_rule (GRand *rand, MadeNetwork *made, unsigned direction, unsigned index)
{
  g_autofree char *id = g_strdup_printf ("%c%u", direction == 0 ? 'e' : 'i', index);
  static const FloePolicyProtocol protocols[] = { FLOE_POLICY_PROTOCOL_TCP, FLOE_POLICY_PROTOCOL_UDP, FLOE_POLICY_PROTOCOL_ICMP,
                                                  FLOE_POLICY_PROTOCOL_ANY, FLOE_POLICY_PROTOCOL_ICMP6 };
  FloePolicyNetRule *rule = &made->rules[direction][index];

  rule->id = g_intern_string (id);
  rule->protocol = protocols[g_rand_int_range (rand, 0, G_N_ELEMENTS (protocols))];
  rule->prefixes = made->prefixes[direction][index];
  rule->n_prefixes = (size_t) g_rand_int_range (rand, 1, PARTS + 1);
  for (size_t i = 0; i < rule->n_prefixes; i++)
    make_prefix (rand, &made->prefixes[direction][index][i]);
  rule->ports = made->ports[direction][index];
  rule->n_ports = rule->protocol <= FLOE_POLICY_PROTOCOL_UDP ? (size_t) g_rand_int_range (rand, 0, PARTS + 1) : 0;
  if (g_rand_int_range (rand, 0, 12) == 0) {
    made->windows[direction][index] = (FloePolicyWindow){ (uint8_t) g_rand_int_range (rand, 1, 128), 600, (uint16_t) g_rand_int_range (rand, 650, 750) };
    rule->windows = &made->windows[direction][index];
    rule->n_windows = 1;
  }
  for (size_t i = 0; i < rule->n_ports; i++) {
    made->ports[direction][index][i].first = (uint16_t) g_rand_int_range (rand, 1, 40);
    made->ports[direction][index][i].last = (uint16_t) (made->ports[direction][index][i].first + g_rand_int_range (rand, 0, 4));
  }
}

static void
test_made (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20070416);
  size_t allowed = 0;

  for (unsigned i = 0; i < 40; i++) {
    MadeNetwork made = { 0 };

    for (unsigned direction = 0; direction < 2; direction++)
      for (unsigned index = 0; index < RULES; index++)
        make_rule (rand, &made, direction, index);
    made.network = (FloePolicyNetwork){ .name = "made", .mode = FLOE_POLICY_NETWORK_NAT, .ipv6 = i % 2 == 0, .egress = made.rules[0], .n_egress = RULES, .ingress = made.rules[1], .n_ingress = RULES };
    allowed += try_network (&made.network);
  }
  g_assert_cmpuint (allowed, >, 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/policy/net-agreement/documents", test_documents);
  g_test_add_func ("/policy/net-agreement/made", test_made);
  return g_test_run ();
}
