/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/ip_icmp.h>
#include <string.h>

/* Theory of operation.
 *
 * A frame from the guest meets, in this order: the tap's ingress hook, which lets plain Ethernet II with the assigned
 * addresses through and nothing else (the type is read in the frame itself at offset 12, where a VLAN tag or an LLC length
 * shows; skb->protocol has already forgotten the tag); then the IP stack, which reassembles, tracks and routes; then either
 * the host's input (DHCP and perhaps DNS) or the forward hook, where the policy's rules stand behind connection tracking.
 * The way back is the mirror image, with the tap's egress hook last.
 *
 * Each chain ends in a rule that drops, although its policy drops too: while a transaction that makes a base chain is being
 * committed the kernel has the chain's hook in place with the policy still at accept, and only rules switch at once. For
 * the same reason an update keeps the chains and exchanges the rules in them (floe-rules-netlink.c).
 *
 * Chains of the flow table hook in for all of the host's packets; each begins by sending this tap's own to a chain that
 * decides, and lets others go by. A packet from one machine to another meets both machines' tables and needs both to agree.
 */

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
  [FLOE_FIELD_UDP_SOURCE] = { "udp sport", FLOE_BASE_TRANSPORT, 0, 2 },
  [FLOE_FIELD_UDP_DESTINATION] = { "udp dport", FLOE_BASE_TRANSPORT, 2, 2 },
  [FLOE_FIELD_TCP_DESTINATION] = { "tcp dport", FLOE_BASE_TRANSPORT, 2, 2 },
  [FLOE_FIELD_ICMP_TYPE] = { "icmp type", FLOE_BASE_TRANSPORT, 0, 1 },
  [FLOE_FIELD_FAMILY] = { "meta nfproto", FLOE_BASE_META, NFT_META_NFPROTO, 1 },
  [FLOE_FIELD_PROTOCOL] = { "meta l4proto", FLOE_BASE_META, NFT_META_L4PROTO, 1 },
  [FLOE_FIELD_IN_NAME] = { "iifname", FLOE_BASE_META, NFT_META_IIFNAME, IF_NAMESIZE },
  [FLOE_FIELD_OUT_NAME] = { "oifname", FLOE_BASE_META, NFT_META_OIFNAME, IF_NAMESIZE },
  [FLOE_FIELD_STATE] = { "ct state", FLOE_BASE_CONNTRACK, NFT_CT_STATE, 4 },
  [FLOE_FIELD_CONNECTIONS] = { "ct count over", FLOE_BASE_CONNTRACK, 0, 4 },
};

static const uint8_t broadcast_mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t broadcast_ip[4] = { 255, 255, 255, 255 };
static const uint8_t any_ip[4] = { 0, 0, 0, 0 };

const FloeFieldInfo *
floe_field_info (FloeField field)
{
  return &fields[field];
}

/* -- Building ------------------------------------------------------------------------------------------------------- */

static void
rule_free (gpointer data)
{
  FloeRule *rule = data;

  g_free (rule->counter);
  g_free (rule->comment);
  g_free (rule);
}

static void
chain_free (gpointer data)
{
  FloeChain *chain = data;

  g_ptr_array_unref (chain->rules);
  g_free (chain);
}

static void
set_free (gpointer data)
{
  FloeSet *set = data;

  g_free (set->name);
  g_array_unref (set->intervals);
  g_free (set);
}

static FloeTable *
table_new (const FloeNetIdentity *identity, gboolean netdev)
{
  FloeTable *table = g_new0 (FloeTable, 1);

  table->netdev = netdev;
  memcpy (table->name, identity->tap, sizeof table->name);
  memcpy (table->device, identity->tap, sizeof table->device);
  table->sets = g_ptr_array_new_with_free_func (set_free);
  table->chains = g_ptr_array_new_with_free_func (chain_free);
  return table;
}

static void
table_free (FloeTable *table)
{
  if (table == NULL)
    return;
  g_ptr_array_unref (table->sets);
  g_ptr_array_unref (table->chains);
  g_free (table);
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

static FloeChain *
add_chain (FloeTable *table, const char *name, FloeHook hook, gboolean policy_drop)
{
  FloeChain *chain = g_new0 (FloeChain, 1);

  chain->name = name;
  chain->hook = hook;
  chain->policy_drop = policy_drop;
  chain->rules = g_ptr_array_new_with_free_func (rule_free);
  g_ptr_array_add (table->chains, chain);
  return chain;
}

/* A rule of ours: counter and comment are its id. */
static FloeRule *
add_rule (FloeChain *chain, const char *id, FloeVerdict verdict)
{
  FloeRule *rule = g_new0 (FloeRule, 1);

  rule->verdict = verdict;
  rule->counter = g_strdup (id);
  rule->comment = g_strdup (id);
  rule->final = verdict == FLOE_VERDICT_DROP;
  g_ptr_array_add (chain->rules, rule);
  return rule;
}

static FloeMatch *
add_match (FloeRule *rule, FloeField field, FloeOp op)
{
  FloeMatch *match = &rule->matches[rule->n_matches];

  g_assert (rule->n_matches < FLOE_MATCHES_MAX);
  rule->n_matches++;
  match->field = field;
  match->op = op;
  return match;
}

static void
match_bytes (FloeRule *rule, FloeField field, const void *value)
{
  memcpy (add_match (rule, field, FLOE_OP_EQUAL)->value, value, fields[field].size);
}

/* Values that are one number: of one byte, or of two in network order. */
static void
match_number (FloeRule *rule, FloeField field, unsigned number)
{
  uint8_t bytes[2] = { (uint8_t)(number >> 8), (uint8_t)number };

  g_assert (fields[field].size <= 2);
  match_bytes (rule, field, bytes + 2 - fields[field].size);
}

static void
match_host_u32 (FloeRule *rule, FloeField field, uint32_t number)
{
  match_bytes (rule, field, &number);
}

/* Whole packets only: in a later fragment the kernel takes whatever stands there for ports (measured with 6.18). More
 * fragments, or an offset: 0x3fff. */
static void
match_whole (FloeRule *rule)
{
  FloeMatch *match = add_match (rule, FLOE_FIELD_IP_FRAGMENT, FLOE_OP_NO_BITS);

  match->value[0] = 0x3f;
  match->value[1] = 0xff;
}

static void
match_udp (FloeRule *rule, unsigned from, unsigned to)
{
  match_number (rule, FLOE_FIELD_PROTOCOL, IPPROTO_UDP);
  match_number (rule, FLOE_FIELD_UDP_SOURCE, from);
  match_number (rule, FLOE_FIELD_UDP_DESTINATION, to);
}

static void
add_drop (FloeChain *chain, const char *id, const char *comment)
{
  FloeRule *rule = add_rule (chain, id, FLOE_VERDICT_DROP);

  g_free (rule->comment);
  rule->comment = g_strdup (comment);
}

/* -- The link: frames on the tap ------------------------------------------------------------------------------------- */

/* ARP for IPv4 over Ethernet (RFC 826) between exactly these two. */
static void
match_arp (FloeRule *rule, unsigned operation, const uint8_t sender_mac[6], const uint8_t sender[4],
           const uint8_t target[4])
{
  match_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_ARP);
  match_number (rule, FLOE_FIELD_ARP_HARDWARE, ARPHRD_ETHER);
  match_number (rule, FLOE_FIELD_ARP_PROTOCOL, ETH_P_IP);
  match_number (rule, FLOE_FIELD_ARP_HARDWARE_LENGTH, 6);
  match_number (rule, FLOE_FIELD_ARP_PROTOCOL_LENGTH, 4);
  match_number (rule, FLOE_FIELD_ARP_OPERATION, operation);
  match_bytes (rule, FLOE_FIELD_ARP_SENDER_ETHER, sender_mac);
  match_bytes (rule, FLOE_FIELD_ARP_SENDER_IP, sender);
  match_bytes (rule, FLOE_FIELD_ARP_TARGET_IP, target);
}

static void
allow_arp_from_guest (FloeChain *chain, const FloeNetIdentity *identity, const uint8_t destination[6], unsigned operation)
{
  FloeRule *rule = add_rule (chain, "floe-arp", FLOE_VERDICT_ACCEPT);

  rule->final = TRUE;
  match_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, destination);
  match_arp (rule, operation, identity->guest_mac, identity->guest, identity->host);
}

/* A client that has no address yet asks from 0.0.0.0; one that renews by broadcast, from its own (RFC 2131, 4.4.5). */
static void
allow_dhcp_broadcast (FloeChain *chain, const uint8_t source[4])
{
  FloeRule *rule = add_rule (chain, "floe-dhcp", FLOE_VERDICT_ACCEPT);

  match_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, broadcast_mac);
  match_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  match_whole (rule);
  match_bytes (rule, FLOE_FIELD_IP_SOURCE, source);
  match_bytes (rule, FLOE_FIELD_IP_DESTINATION, broadcast_ip);
  match_udp (rule, 68, 67);
}

static void
fill_link_from_guest (FloeChain *chain, const FloeNetIdentity *identity)
{
  FloeRule *rule = add_rule (chain, "floe-mac-spoof", FLOE_VERDICT_DROP);

  match_bytes (rule, FLOE_FIELD_ETHER_SOURCE, identity->guest_mac);
  rule->matches[0].op = FLOE_OP_DIFFERENT;

  rule = add_rule (chain, "floe-ipv4", FLOE_VERDICT_ACCEPT);
  match_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, identity->host_mac);
  match_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  match_bytes (rule, FLOE_FIELD_IP_SOURCE, identity->guest);

  allow_arp_from_guest (chain, identity, broadcast_mac, ARPOP_REQUEST);
  allow_arp_from_guest (chain, identity, identity->host_mac, ARPOP_REQUEST);
  allow_arp_from_guest (chain, identity, identity->host_mac, ARPOP_REPLY);
  allow_dhcp_broadcast (chain, any_ip);
  allow_dhcp_broadcast (chain, identity->guest);

  rule = add_rule (chain, "floe-arp-spoof", FLOE_VERDICT_DROP);
  match_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_ARP);
  rule = add_rule (chain, "floe-address-spoof", FLOE_VERDICT_DROP);
  match_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
}

static void
fill_link_to_guest (FloeChain *chain, const FloeNetIdentity *identity)
{
  FloeRule *rule = add_rule (chain, "floe-to-guest-ipv4", FLOE_VERDICT_ACCEPT);

  match_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, identity->guest_mac);
  match_bytes (rule, FLOE_FIELD_ETHER_SOURCE, identity->host_mac);
  match_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  match_bytes (rule, FLOE_FIELD_IP_DESTINATION, identity->guest);

  for (unsigned operation = ARPOP_REQUEST; operation <= ARPOP_REPLY; operation++) {
    rule = add_rule (chain, "floe-to-guest-arp", FLOE_VERDICT_ACCEPT);
    rule->final = TRUE;
    match_bytes (rule, FLOE_FIELD_ETHER_SOURCE, identity->host_mac);
    match_arp (rule, operation, identity->host_mac, identity->host, identity->guest);
  }

  rule = add_rule (chain, "floe-to-guest-dhcp", FLOE_VERDICT_ACCEPT);
  match_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, broadcast_mac);
  match_bytes (rule, FLOE_FIELD_ETHER_SOURCE, identity->host_mac);
  match_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  match_bytes (rule, FLOE_FIELD_IP_SOURCE, identity->host);
  match_bytes (rule, FLOE_FIELD_IP_DESTINATION, broadcast_ip);
  match_udp (rule, 67, 68);
}

static FloeTable *
build_link (const FloeNetIdentity *identity, gboolean open)
{
  FloeTable *table = table_new (identity, TRUE);
  FloeChain *from = add_chain (table, "from-guest", FLOE_HOOK_INGRESS, TRUE);
  FloeChain *to = add_chain (table, "to-guest", FLOE_HOOK_EGRESS, TRUE);

  if (open) {
    fill_link_from_guest (from, identity);
    fill_link_to_guest (to, identity);
  }
  /* What no rule describes: IPv6, VLAN tags of any kind, LLC and SNAP, STP, LLDP, EAPOL, MPLS, PPPoE, MACsec, ... */
  add_drop (from, "floe-ethertype", "floe-ethertype");
  add_drop (to, "floe-to-guest-other", "floe-to-guest-other");
  return table;
}

/* -- The flow: what the policy's rules say --------------------------------------------------------------------------- */

static gint
compare_intervals (gconstpointer a, gconstpointer b)
{
  const FloeInterval *left = a, *right = b;

  return left->first < right->first ? -1 : left->first > right->first;
}

/* Sorts and joins what overlaps or touches: the kernel refuses overlapping elements. */
static void
normalize (GArray *intervals)
{
  guint kept = 0;

  g_array_sort (intervals, compare_intervals);
  for (guint i = 0; i < intervals->len; i++) {
    FloeInterval next = g_array_index (intervals, FloeInterval, i);
    FloeInterval *last = kept == 0 ? NULL : &g_array_index (intervals, FloeInterval, kept - 1);

    if (last != NULL && (last->last == UINT32_MAX || next.first <= last->last + 1))
      last->last = MAX (last->last, next.last);
    else
      g_array_index (intervals, FloeInterval, kept++) = next;
  }
  g_array_set_size (intervals, kept);
}

/* NULL when none of them is IPv4. */
static GArray *
intervals_of_prefixes (const FloePolicyPrefix *prefixes, size_t n_prefixes)
{
  g_autoptr (GArray) intervals = g_array_new (FALSE, FALSE, sizeof (FloeInterval));

  for (size_t i = 0; i < n_prefixes; i++) {
    const uint8_t *bytes = prefixes[i].address.bytes;
    FloeInterval interval;

    if (prefixes[i].address.family != 4)
      continue;
    interval.first = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    interval.last = interval.first | (uint32_t)(UINT64_C (0xffffffff) >> prefixes[i].length);
    g_array_append_val (intervals, interval);
  }
  normalize (intervals);
  return intervals->len == 0 ? NULL : g_steal_pointer (&intervals);
}

static GArray *
intervals_of_ports (const FloePolicyPorts *ports, size_t n_ports)
{
  GArray *intervals = g_array_new (FALSE, FALSE, sizeof (FloeInterval));

  for (size_t i = 0; i < n_ports; i++) {
    FloeInterval interval = { ports[i].first, ports[i].last };

    g_array_append_val (intervals, interval);
  }
  normalize (intervals);
  return intervals;
}

/* Takes INTERVALS; answers the set's name. */
static const char *
add_set (FloeTable *table, char *name, gboolean ports, GArray *intervals)
{
  FloeSet *set = g_new0 (FloeSet, 1);

  set->name = name;
  set->ports = ports;
  set->intervals = intervals;
  g_ptr_array_add (table->sets, set);
  return set->name;
}

static void
match_set (FloeRule *rule, FloeField field, const char *set)
{
  add_match (rule, field, FLOE_OP_SET)->set = set;
}

typedef struct {
  FloeTable *table;
  FloeChain *chain;
  FloeField remote; /* where the address of the other side stands */
} FlowSide;

/* One kernel rule for PROTOCOL of the policy's RULE; those of one policy rule count together. */
static void
add_policy_rule (const FlowSide *side, const FloePolicyNetRule *rule, unsigned protocol, const char *addresses,
                 const char *ports)
{
  g_autofree char *counter = g_strconcat ("rule-", rule->id, NULL);
  FloeRule *made = add_rule (side->chain, rule->id, FLOE_VERDICT_ACCEPT);

  g_free (made->counter);
  made->counter = g_steal_pointer (&counter);
  made->final = TRUE;
  match_number (made, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
  match_set (made, side->remote, addresses);
  match_number (made, FLOE_FIELD_PROTOCOL, protocol);
  if (protocol == IPPROTO_ICMP)
    match_number (made, FLOE_FIELD_ICMP_TYPE, ICMP_ECHO);
  else if (ports != NULL)
    match_set (made, protocol == IPPROTO_TCP ? FLOE_FIELD_TCP_DESTINATION : FLOE_FIELD_UDP_DESTINATION, ports);
}

static void
add_policy_rules (const FlowSide *side, const FloePolicyNetRule *rule)
{
  GArray *intervals = intervals_of_prefixes (rule->prefixes, rule->n_prefixes);
  FloePolicyProtocol protocol = rule->protocol;
  gboolean any = protocol == FLOE_POLICY_PROTOCOL_ANY;
  const char *addresses, *ports = NULL;

  if (intervals == NULL || protocol == FLOE_POLICY_PROTOCOL_ICMP6) {
    g_clear_pointer (&intervals, g_array_unref);
    return;
  }
  addresses = add_set (side->table, g_strdup_printf ("rule-%s-net", rule->id), FALSE, intervals);
  if (rule->n_ports > 0)
    ports = add_set (side->table, g_strdup_printf ("rule-%s-port", rule->id), TRUE,
                     intervals_of_ports (rule->ports, rule->n_ports));
  if (protocol == FLOE_POLICY_PROTOCOL_TCP || any)
    add_policy_rule (side, rule, IPPROTO_TCP, addresses, ports);
  if (protocol == FLOE_POLICY_PROTOCOL_UDP || any)
    add_policy_rule (side, rule, IPPROTO_UDP, addresses, ports);
  if (protocol == FLOE_POLICY_PROTOCOL_ICMP || any)
    add_policy_rule (side, rule, IPPROTO_ICMP, addresses, NULL);
}

static void
add_state (FloeChain *chain, const char *id, FloeVerdict verdict, uint32_t states)
{
  FloeRule *rule = add_rule (chain, id, verdict);

  rule->final = TRUE;
  match_host_u32 (rule, FLOE_FIELD_STATE, states);
}

/* The chain that decides one direction of forwarded packets. Ids of ours carry the direction: counters are one to a name.
 */
static void
fill_flow (const FlowSide *side, const FloePolicyNetRule *rules, size_t n_rules, const FloeRuleOptions *options,
           gboolean egress)
{
  FloeRule *rule = add_rule (side->chain, egress ? "never-routed-to" : "never-routed-from", FLOE_VERDICT_DROP);

  /* Before connection tracking is asked: no flow to these can have begun, whatever a helper would relate. */
  g_free (rule->comment);
  rule->comment = g_strdup ("never-routed");
  match_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
  match_set (rule, side->remote, "never-routed");

  add_state (side->chain, egress ? "floe-established-to" : "floe-established-from", FLOE_VERDICT_ACCEPT,
             NF_CT_STATE_BIT (IP_CT_ESTABLISHED) | NF_CT_STATE_BIT (IP_CT_RELATED));
  add_state (side->chain, egress ? "floe-invalid-to" : "floe-invalid-from", FLOE_VERDICT_DROP, NF_CT_STATE_INVALID_BIT);
  if (egress) {
    rule = add_rule (side->chain, "floe-connections", FLOE_VERDICT_DROP);
    match_host_u32 (rule, FLOE_FIELD_CONNECTIONS, options->connections != 0 ? options->connections : FLOE_CONNECTIONS_DEFAULT);
  }
  for (size_t i = 0; i < n_rules; i++)
    add_policy_rules (side, &rules[i]);
}

static void
send_to_chain (FloeChain *chain, FloeField name, const FloeNetIdentity *identity, const char *target)
{
  FloeRule *rule = add_rule (chain, NULL, FLOE_VERDICT_GOTO);

  rule->target = target;
  match_bytes (rule, name, identity->tap);
}

/* Between the guest and the host itself: DHCP; DNS if offered; ICMP errors about flows. */
static void
fill_host (FloeChain *from, FloeChain *to, const FloeNetIdentity *identity, const FloeRuleOptions *options)
{
  FloeRule *rule;

  for (unsigned i = 0; i < 2; i++) {
    rule = add_rule (from, "floe-host-dhcp", FLOE_VERDICT_ACCEPT);
    rule->final = TRUE;
    match_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
    match_bytes (rule, FLOE_FIELD_IP_DESTINATION, i == 0 ? broadcast_ip : identity->host);
    match_udp (rule, 68, 67);
  }
  for (unsigned i = 0; i < 2 && options->resolver; i++) {
    rule = add_rule (from, "floe-host-dns", FLOE_VERDICT_ACCEPT);
    rule->final = TRUE;
    match_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
    match_bytes (rule, FLOE_FIELD_IP_DESTINATION, identity->host);
    match_number (rule, FLOE_FIELD_PROTOCOL, i == 0 ? IPPROTO_UDP : IPPROTO_TCP);
    match_number (rule, i == 0 ? FLOE_FIELD_UDP_DESTINATION : FLOE_FIELD_TCP_DESTINATION, 53);
  }

  rule = add_rule (to, "floe-host-dhcp-reply", FLOE_VERDICT_ACCEPT);
  rule->final = TRUE;
  match_udp (rule, 67, 68);
  add_state (to, "floe-host-established", FLOE_VERDICT_ACCEPT,
             NF_CT_STATE_BIT (IP_CT_ESTABLISHED) | NF_CT_STATE_BIT (IP_CT_RELATED));
}

static void
add_masquerade (FloeChain *chain, const FloeNetIdentity *identity)
{
  FloeRule *rule = add_rule (chain, NULL, FLOE_VERDICT_MASQUERADE);

  match_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
  match_bytes (rule, FLOE_FIELD_IP_SOURCE, identity->guest);
  match_bytes (rule, FLOE_FIELD_OUT_NAME, identity->tap);
  rule->matches[rule->n_matches - 1].op = FLOE_OP_DIFFERENT;
}

static FloeTable *
build_flow (const FloeNetIdentity *identity, const FloePolicyNetwork *network, const FloeRuleOptions *options,
            gboolean open)
{
  FloeTable *table = table_new (identity, FALSE);
  FloeChain *forward = add_chain (table, "forward", FLOE_HOOK_FORWARD, FALSE);
  FloeChain *input = add_chain (table, "input", FLOE_HOOK_INPUT, FALSE);
  FloeChain *output = add_chain (table, "output", FLOE_HOOK_OUTPUT, FALSE);
  FloeChain *nat = add_chain (table, "nat", FLOE_HOOK_POSTROUTING, FALSE);
  FlowSide from = { table, add_chain (table, "from-guest", FLOE_HOOK_NONE, FALSE), FLOE_FIELD_IP_DESTINATION };
  FlowSide to = { table, add_chain (table, "to-guest", FLOE_HOOK_NONE, FALSE), FLOE_FIELD_IP_SOURCE };
  FloeChain *host_from = add_chain (table, "from-guest-to-host", FLOE_HOOK_NONE, FALSE);
  FloeChain *host_to = add_chain (table, "to-guest-from-host", FLOE_HOOK_NONE, FALSE);

  if (open) {
    GArray *never = intervals_of_prefixes (floe_policy_never_routed, floe_policy_n_never_routed);

    add_set (table, g_strdup ("never-routed"), FALSE, never);
    fill_flow (&from, network->egress, network->n_egress, options, TRUE);
    fill_flow (&to, network->ingress, network->n_ingress, options, FALSE);
    fill_host (host_from, host_to, identity, options);
    add_masquerade (nat, identity);
  }
  add_drop (from.chain, "default-to", "default");
  add_drop (to.chain, "default-from", "default");
  add_drop (host_from, "floe-host", "floe-host");
  add_drop (host_to, "floe-host-out", "floe-host-out");
  send_to_chain (forward, FLOE_FIELD_IN_NAME, identity, from.chain->name);
  send_to_chain (forward, FLOE_FIELD_OUT_NAME, identity, to.chain->name);
  send_to_chain (input, FLOE_FIELD_IN_NAME, identity, host_from->name);
  send_to_chain (output, FLOE_FIELD_OUT_NAME, identity, host_to->name);
  return table;
}

gboolean
floe_rules_supported (const FloePolicyNetwork *network, unsigned lacks, GError **error)
{
  (void)network;
  (void)lacks;
  (void)error;
  return TRUE;
}

FloeRuleset *
floe_ruleset_new (const FloeNetIdentity *identity, const FloePolicyNetwork *network, const FloeRuleOptions *options)
{
  FloeRuleset *ruleset = g_new0 (FloeRuleset, 1);
  gboolean open = network->mode == FLOE_POLICY_NETWORK_NAT;

  ruleset->link = build_link (identity, open);
  ruleset->flow = build_flow (identity, network, options, open);
  return ruleset;
}

/* -- Probing -------------------------------------------------------------------------------------------------------- */

static void
probe_sets (FloeTable *table, FloeRule *rule)
{
  const FloePolicyPrefix prefix = { { 4, { 192, 0, 2, 0 } }, 24 };

  match_number (rule, FLOE_FIELD_FAMILY, NFPROTO_IPV4);
  match_set (rule, FLOE_FIELD_IP_SOURCE, add_set (table, g_strdup ("probe"), FALSE, intervals_of_prefixes (&prefix, 1)));
}

FloeRuleset *
floe_ruleset_probe (size_t index, const char **feature, unsigned *lack)
{
  static const struct {
    const char *feature;
    gboolean netdev;
    FloeHook hook;
    FloeField match; /* with value 1, unless SETS */
    FloeVerdict verdict;
    gboolean sets;
  } probes[] = {
    { "netdev family, ingress hook (CONFIG_NF_TABLES_NETDEV, CONFIG_NETFILTER_INGRESS)", TRUE, FLOE_HOOK_INGRESS,
      FLOE_FIELD_PROTOCOL, FLOE_VERDICT_DROP, FALSE },
    { "netdev family, egress hook (CONFIG_NETFILTER_EGRESS)", TRUE, FLOE_HOOK_EGRESS, FLOE_FIELD_PROTOCOL,
      FLOE_VERDICT_DROP, FALSE },
    { "inet family (CONFIG_NF_TABLES_INET)", FALSE, FLOE_HOOK_FORWARD, FLOE_FIELD_FAMILY, FLOE_VERDICT_DROP, FALSE },
    { "interval sets", FALSE, FLOE_HOOK_FORWARD, FLOE_FIELD_FAMILY, FLOE_VERDICT_DROP, TRUE },
    { "connection tracking (CONFIG_NFT_CT)", FALSE, FLOE_HOOK_FORWARD, FLOE_FIELD_STATE, FLOE_VERDICT_DROP, FALSE },
    { "connection limits (CONFIG_NFT_CONNLIMIT)", FALSE, FLOE_HOOK_FORWARD, FLOE_FIELD_CONNECTIONS, FLOE_VERDICT_DROP,
      FALSE },
    { "masquerading (CONFIG_NFT_MASQ, CONFIG_NF_NAT)", FALSE, FLOE_HOOK_POSTROUTING, FLOE_FIELD_FAMILY,
      FLOE_VERDICT_MASQUERADE, FALSE },
  };
  const FloeNetIdentity identity = { .tap = "floe-probe" };
  FloeRuleset *ruleset;
  FloeTable *table;
  FloeRule *rule;

  if (index >= G_N_ELEMENTS (probes))
    return NULL;
  *feature = probes[index].feature;
  *lack = 0;
  ruleset = g_new0 (FloeRuleset, 1);
  ruleset->link = table_new (&identity, TRUE);
  ruleset->flow = table_new (&identity, FALSE);
  table = probes[index].netdev ? ruleset->link : ruleset->flow;
  /* The one device that every network namespace has. */
  g_strlcpy (table->device, "lo", sizeof table->device);
  rule = add_rule (add_chain (table, "probe", probes[index].hook, FALSE), "probe", probes[index].verdict);
  if (probes[index].sets)
    probe_sets (table, rule);
  else
    add_match (rule, probes[index].match, FLOE_OP_EQUAL)->value[0] = 1;
  return ruleset;
}
