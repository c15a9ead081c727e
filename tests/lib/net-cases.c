/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/net-cases.h"

#define SERVER4 { 4, { 192, 0, 2, 53 } }
#define NET4 { { 4, { 198, 51, 100, 0 } }, 24 }
#define NET6 { { 6, { 0x20, 1, 0x0d, 0xb8 } }, 32 }

static const FloePolicyPrefix both[] = { NET4, NET6 };
static const FloePolicyPorts web[] = { { 80, 80 }, { 443, 443 } };
static const char *const names[] = { "www.example.org", "*.example.net" };
static const uint8_t timestamp[] = { 13 };
static const FloePolicyWindow office[] = { { 0x3e, 480, 1020 }, { 0x40, 540, 720 } };
static const FloePolicyAddress server[] = { SERVER4 };

/* All that a rule can say. */
static const FloePolicyNetRule special[] = {
  { .id = "web", .protocol = FLOE_POLICY_PROTOCOL_TCP, .names = names, .n_names = 2, .ports = web, .n_ports = 2, .log = 10 },
  { .id = "office-hours", .protocol = FLOE_POLICY_PROTOCOL_ANY, .prefixes = both, .n_prefixes = 2, .windows = office, .n_windows = 2 },
  { .id = "slow", .protocol = FLOE_POLICY_PROTOCOL_UDP, .prefixes = both, .n_prefixes = 1, .rate = { 1000, 1000000 }, .log = 1 },
  { .id = "when", .protocol = FLOE_POLICY_PROTOCOL_ICMP, .prefixes = both, .n_prefixes = 1, .icmp_types = timestamp, .n_icmp_types = 1 },
};

#define MANY 24

static void
fill_many (FloePolicyNetRule *rules, FloePolicyPrefix *prefixes, FloePolicyPorts *ports)
{
  static const char *const ids[MANY] = { "r0",  "r1",  "r2",  "r3",  "r4",  "r5",  "r6",  "r7",  "r8",  "r9",  "r10", "r11",
                                         "r12", "r13", "r14", "r15", "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23" };

  for (unsigned i = 0; i < MANY; i++) {
    prefixes[i] = (FloePolicyPrefix){ { 4, { 198, 51, 100, (uint8_t) (i * 4) } }, (uint8_t) (i % 3 == 0 ? 30 : 32) };
    if (i % 5 == 4)
      prefixes[i] = (FloePolicyPrefix){ { 6, { 0x20, 1, 0x0d, 0xb8, [15] = (uint8_t) i } }, 128 };
    ports[i] = (FloePolicyPorts){ (uint16_t) (80 + i % 4), (uint16_t) (i % 7 == 0 ? 90 : 80 + i % 4) };
    rules[i] = (FloePolicyNetRule){ .id = ids[i], .protocol = i == 20 ? FLOE_POLICY_PROTOCOL_ANY : i % 2 ? FLOE_POLICY_PROTOCOL_TCP : FLOE_POLICY_PROTOCOL_UDP,
                                    .prefixes = &prefixes[i], .n_prefixes = 1, .ports = &ports[i], .n_ports = i == 20 ? 0 : 1 };
  }
}

FloeRuleset *
net_case (unsigned index, const char **name)
{
  static const char *const peers[] = { "floe4", "floe8" };
  static const FloePolicyPrefix lan6[] = { { { 6, { 0x20, 1, 0x0d, 0xb8, 0, 0x52 } }, 64 } };
  FloePolicyNetRule rules[MANY];
  FloePolicyPrefix prefixes[MANY];
  FloePolicyPorts ports[MANY];
  const struct {
    const char *name;
    FloePolicyNetwork network;
    FloeRuleOptions options;
  } cases[] = {
    { "special.nft",
      { .mode = FLOE_POLICY_NETWORK_NAT, .ipv6 = TRUE, .isolated = TRUE, .log_drops = TRUE, .connections = 100, .rate = { 5000, 10000000 },
        .egress = special, .n_egress = G_N_ELEMENTS (special) },
      { .generation = 7, .resolver = TRUE, .zone_offset = 3600 } },
    { "lacking.nft",
      { .mode = FLOE_POLICY_NETWORK_NAT, .isolated = FALSE, .log_drops = TRUE, .connections = 100, .egress = special + 3, .n_egress = 1 },
      { .lacks = FLOE_RULES_LACK_REJECT | FLOE_RULES_LACK_LOG | FLOE_RULES_LACK_SAMPLE } },
    { "maps.nft",
      { .mode = FLOE_POLICY_NETWORK_NAT, .ipv6 = TRUE, .isolated = TRUE, .connections = 100, .egress = rules, .n_egress = MANY,
        .ingress = rules, .n_ingress = 4 },
      { .generation = 2 } },
    { "lan.nft",
      { .mode = FLOE_POLICY_NETWORK_BRIDGE, .ipv6 = TRUE, .isolated = TRUE, .log_drops = TRUE, .connections = 100, .dns = server, .n_dns = 1,
        .dhcp = server, .n_dhcp = 1, .egress = special + 2, .n_egress = 1, .ingress = special + 3, .n_ingress = 1 },
      { .generation = 3, .bridge = "br0", .prefixes6 = lan6, .n_prefixes6 = 1 } },
    { "filter-client.nft",
      { .mode = FLOE_POLICY_NETWORK_FILTER, .connections = 100, .isolated = TRUE, .egress = special + 3, .n_egress = 1 },
      { .peers = peers, .n_peers = 1 } },
    { "filter-inner.nft", { .mode = FLOE_POLICY_NETWORK_FILTER, .connections = 100, .isolated = TRUE }, { .peers = peers, .n_peers = 2, .inner = TRUE } },
  };
  FloeNetIdentity identity;
  FloeNetPool pool;

  if (index >= G_N_ELEMENTS (cases))
    return NULL;
  fill_many (rules, prefixes, ports);
  g_assert_true (floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, NULL));
  g_assert_true (floe_net_identity (&pool, 0, &identity, NULL));
  *name = cases[index].name;
  return floe_ruleset_new (&identity, &cases[index].network, &cases[index].options);
}
