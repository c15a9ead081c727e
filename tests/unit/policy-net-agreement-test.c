/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules.h"

#include "common/floe-fd.h"

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

static uint32_t
host_order (const uint8_t *bytes, size_t size)
{
  uint32_t number = 0;

  for (size_t i = 0; i < size; i++)
    number = number << 8 | bytes[i];
  return number;
}

/* The packet's value for FIELD; FALSE when it has no such field. */
static gboolean
field_of (const FloePolicyPacket *packet, FloeField field, uint32_t *number)
{
  gboolean v4 = packet->remote.family == 4, egress = packet->direction == FLOE_POLICY_EGRESS;

  switch (field) {
  case FLOE_FIELD_FAMILY:
    *number = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    return TRUE;
  case FLOE_FIELD_PROTOCOL:
    *number = packet->protocol;
    return TRUE;
  case FLOE_FIELD_IP_DESTINATION:
    *number = host_order (packet->remote.bytes, 4);
    return v4 && egress;
  case FLOE_FIELD_IP_SOURCE:
    *number = host_order (packet->remote.bytes, 4);
    return v4 && !egress;
  case FLOE_FIELD_TCP_DESTINATION:
    *number = packet->port;
    return packet->protocol == IPPROTO_TCP;
  case FLOE_FIELD_UDP_DESTINATION:
    *number = packet->port;
    return packet->protocol == IPPROTO_UDP;
  case FLOE_FIELD_ICMP_TYPE:
    *number = packet->icmp_type;
    return packet->protocol == IPPROTO_ICMP;
  default:
    g_error ("the filter looks at field %d: teach this interpreter about it", (int) field);
  }
}

static gboolean
set_holds (const FloeTable *table, const char *name, uint32_t number)
{
  for (guint i = 0; i < table->sets->len; i++) {
    const FloeSet *set = g_ptr_array_index (table->sets, i);

    if (strcmp (set->name, name) != 0)
      continue;
    for (guint j = 0; j < set->intervals->len; j++) {
      const FloeInterval *interval = &g_array_index (set->intervals, FloeInterval, j);

      if (number >= interval->first && number <= interval->last)
        return TRUE;
    }
    return FALSE;
  }
  g_error ("no set %s", name);
}

/* A packet that begins a flow is of state new, and the first connection. */
static gboolean
match_holds (const FloeTable *table, const FloeMatch *match, const FloePolicyPacket *packet)
{
  size_t size = floe_field_info (match->field)->size;
  uint32_t number, wanted;

  if (match->field == FLOE_FIELD_CONNECTIONS)
    return FALSE;
  if (match->field == FLOE_FIELD_STATE) {
    memcpy (&wanted, match->value, sizeof wanted);
    return (wanted & NF_CT_STATE_BIT (IP_CT_NEW)) != 0;
  }
  if (!field_of (packet, match->field, &number))
    return FALSE;
  if (match->op == FLOE_OP_SET)
    return set_holds (table, match->set, number);
  wanted = host_order (match->value, size);
  return (number == wanted) == (match->op == FLOE_OP_EQUAL);
}

static gboolean
rule_holds (const FloeTable *table, const FloeRule *rule, const FloePolicyPacket *packet)
{
  for (size_t i = 0; i < rule->n_matches; i++)
    if (!match_holds (table, &rule->matches[i], packet))
      return FALSE;
  return TRUE;
}

static Outcome
filter (const FloeTable *table, const FloePolicyPacket *packet)
{
  const char *name = packet->direction == FLOE_POLICY_EGRESS ? "from-guest" : "to-guest";

  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    if (strcmp (chain->name, name) != 0)
      continue;
    for (guint j = 0; j < chain->rules->len; j++) {
      const FloeRule *rule = g_ptr_array_index (chain->rules, j);

      g_assert_true (rule->verdict == FLOE_VERDICT_ACCEPT || rule->verdict == FLOE_VERDICT_DROP);
      if (rule_holds (table, rule, packet))
        return (Outcome){ rule->verdict == FLOE_VERDICT_ACCEPT, rule->comment };
    }
  }
  g_error ("chain %s is missing or has no last word", name);
}

/* -- Packets at the edges ----------------------------------------------------------------------------------------------- */

static void
add_edges (GArray *numbers, uint32_t first, uint32_t last)
{
  const uint32_t edges[] = { first - 1, first, last, last + 1 };

  g_array_append_vals (numbers, edges, G_N_ELEMENTS (edges));
}

static void
add_prefix_edges (GArray *addresses, const FloePolicyPrefix *prefixes, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    uint32_t first = host_order (prefixes[i].address.bytes, 4);

    if (prefixes[i].address.family == 4)
      add_edges (addresses, first, first | (uint32_t) (UINT64_C (0xffffffff) >> prefixes[i].length));
  }
}

static void
compare (const FloePolicyMachine *machine, const FloeTable *table, FloePolicyPacket *packet, size_t *allowed)
{
  FloePolicyPacketVerdict verdict = floe_policy_packet_verdict (machine->networks[0], packet);
  Outcome outcome = filter (table, packet);

  if (verdict.allow != outcome.allow || strcmp (verdict.rule, outcome.rule) != 0)
    g_error ("network %s, direction %d, protocol %u, remote %08x, port %u, type %u: the policy says %s by %s, the filter %s by %s",
             machine->networks[0]->name, (int) packet->direction, packet->protocol, host_order (packet->remote.bytes, 4),
             packet->port, packet->icmp_type, verdict.allow ? "allow" : "drop", verdict.rule, outcome.allow ? "allow" : "drop",
             outcome.rule);
  *allowed += verdict.allow;
}

static void
try_address (const FloePolicyMachine *machine, const FloeTable *table, FloePolicyPacket *packet, const GArray *ports,
             size_t *allowed)
{
  static const uint8_t with_ports[] = { IPPROTO_TCP, IPPROTO_UDP };
  static const uint8_t without[] = { IPPROTO_GRE, IPPROTO_IPV6, IPPROTO_SCTP, IPPROTO_ICMPV6 };
  static const uint8_t types[] = { 0, 3, 5, 8, 9, 13, 128 };

  for (size_t i = 0; i < G_N_ELEMENTS (with_ports); i++)
    for (guint j = 0; j < ports->len; j++) {
      packet->protocol = with_ports[i];
      packet->port = (uint16_t) g_array_index (ports, uint32_t, j);
      compare (machine, table, packet, allowed);
    }
  packet->port = 0;
  for (size_t i = 0; i < G_N_ELEMENTS (without); i++) {
    packet->protocol = without[i];
    compare (machine, table, packet, allowed);
  }
  packet->protocol = IPPROTO_ICMP;
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
  g_autoptr (GArray) addresses = g_array_new (FALSE, FALSE, sizeof (uint32_t));
  g_autoptr (GArray) ports = g_array_new (FALSE, FALSE, sizeof (uint32_t));

  add_prefix_edges (addresses, floe_policy_never_routed, floe_policy_n_never_routed);
  add_edges (ports, 1, 65535);
  for (size_t i = 0; i < n; i++) {
    add_prefix_edges (addresses, rules[i].prefixes, rules[i].n_prefixes);
    for (size_t j = 0; j < rules[i].n_ports; j++)
      add_edges (ports, rules[i].ports[j].first, rules[i].ports[j].last);
  }
  for (guint i = 0; i < addresses->len; i++) {
    uint32_t address = g_array_index (addresses, uint32_t, i);
    FloePolicyPacket packet = { .direction = direction, .remote = { .family = 4 } };

    for (unsigned byte = 0; byte < 4; byte++)
      packet.remote.bytes[byte] = (uint8_t) (address >> (24 - 8 * byte));
    try_address (machine, table, &packet, ports, allowed);
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

#define RULES 6
#define PARTS 3

typedef struct {
  FloePolicyNetRule rules[2][RULES];
  FloePolicyPrefix prefixes[2][RULES][PARTS];
  FloePolicyPorts ports[2][RULES][PARTS];
  FloePolicyNetwork network;
} MadeNetwork;

/* Prefixes close together, so that they touch, nest and overlap; some of them wide enough to hold what is never routed. */
static void
make_prefix (GRand *rand, FloePolicyPrefix *prefix)
{
  unsigned length = (unsigned) (g_rand_int_range (rand, 0, 8) == 0 ? g_rand_int_range (rand, 0, 12) : g_rand_int_range (rand, 24, 33));
  uint32_t mask = length == 0 ? 0 : UINT32_MAX << (32 - length);
  uint32_t address = (0xc6336400u + (uint32_t) g_rand_int_range (rand, 0, 512)) & mask;

  memset (prefix, 0, sizeof *prefix);
  prefix->address.family = 4;
  prefix->length = (uint8_t) length;
  for (unsigned byte = 0; byte < 4; byte++)
    prefix->address.bytes[byte] = (uint8_t) (address >> (24 - 8 * byte));
}

static void
make_rule (GRand *rand, MadeNetwork *made, unsigned direction, unsigned index)
{
  static const char *const ids[2][RULES] = { { "e0", "e1", "e2", "e3", "e4", "e5" }, { "i0", "i1", "i2", "i3", "i4", "i5" } };
  static const FloePolicyProtocol protocols[] = { FLOE_POLICY_PROTOCOL_TCP, FLOE_POLICY_PROTOCOL_UDP, FLOE_POLICY_PROTOCOL_ICMP,
                                                  FLOE_POLICY_PROTOCOL_ANY };
  FloePolicyNetRule *rule = &made->rules[direction][index];

  rule->id = ids[direction][index];
  rule->protocol = protocols[g_rand_int_range (rand, 0, G_N_ELEMENTS (protocols))];
  rule->prefixes = made->prefixes[direction][index];
  rule->n_prefixes = (size_t) g_rand_int_range (rand, 1, PARTS + 1);
  for (size_t i = 0; i < rule->n_prefixes; i++)
    make_prefix (rand, &made->prefixes[direction][index][i]);
  rule->ports = made->ports[direction][index];
  rule->n_ports = rule->protocol <= FLOE_POLICY_PROTOCOL_UDP ? (size_t) g_rand_int_range (rand, 0, PARTS + 1) : 0;
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

  for (unsigned i = 0; i < 60; i++) {
    MadeNetwork made = { 0 };

    for (unsigned direction = 0; direction < 2; direction++)
      for (unsigned index = 0; index < RULES; index++)
        make_rule (rand, &made, direction, index);
    made.network = (FloePolicyNetwork){ .name = "made", .mode = FLOE_POLICY_NETWORK_NAT, .egress = made.rules[0], .n_egress = RULES, .ingress = made.rules[1], .n_ingress = RULES };
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
