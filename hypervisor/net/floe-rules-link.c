/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

/* The link: which frames pass the tap's own hooks. Theory of operation: floe-rules.c. */

static const uint8_t link_local[16] = { 0xfe, 0x80 };                                      /* /64 */
static const uint8_t solicited[16] = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff };      /* /104: RFC 4291, 2.7.1 */
static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 }, all_routers[16] = { 0xff, 2, [15] = 2 };
static const uint8_t all_servers[16] = { 0xff, 2, [13] = 1, [15] = 2 }; /* DHCPv6: RFC 8415, 7.1 */
static const uint8_t multicast_mac[6] = { 0x33, 0x33 };                 /* RFC 2464, 7 */

typedef struct {
  const FloeRulesInput *input;
  const FloeNetIdentity *identity;
  FloeTable *table;
  FloeChain *from, *to;
  gboolean bridged, ipv6;
  const char *guest4, *guest6; /* bridged: sets of the guest's addresses */
  const char *icmp6;           /* set of types that flows have */
} Link;

static FloeRule *
allow (Link *link, FloeChain *chain, const char *id, gboolean final)
{
  return floe_chain_add_counted (link->table, chain, NULL, id, FLOE_VERDICT_ACCEPT, final);
}

/* Whole packets only: in a later fragment the kernel takes whatever stands there for ports (measured with 6.18). More
 * fragments, or an offset: 0x3fff. */
static void
match_whole (FloeRule *rule)
{
  FloeMatch *match = floe_rule_match (rule, FLOE_FIELD_IP_FRAGMENT, FLOE_OP_NO_BITS);

  match->value[0] = 0x3f;
  match->value[1] = 0xff;
}

static void
match_guest4 (const Link *link, FloeRule *rule, FloeField field)
{
  if (link->bridged)
    floe_rule_set (rule, field, link->guest4);
  else
    floe_rule_bytes (rule, field, link->identity->guest);
}

static void
match_guest6 (const Link *link, FloeRule *rule, FloeField field)
{
  if (link->bridged)
    floe_rule_set (rule, field, link->guest6);
  else
    floe_rule_bytes (rule, field, link->identity->guest6);
}

static void
match_unicast (FloeRule *rule)
{
  floe_rule_match (rule, FLOE_FIELD_ETHER_DESTINATION, FLOE_OP_NO_BITS)->value[0] = 1;
}

/* -- ARP ------------------------------------------------------------------------------------------------------------- */

/* ARP for IPv4 over Ethernet (RFC 826). */
static void
match_arp (FloeRule *rule, unsigned operation)
{
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_ARP);
  floe_rule_number (rule, FLOE_FIELD_ARP_HARDWARE, ARPHRD_ETHER);
  floe_rule_number (rule, FLOE_FIELD_ARP_PROTOCOL, ETH_P_IP);
  floe_rule_number (rule, FLOE_FIELD_ARP_HARDWARE_LENGTH, 6);
  floe_rule_number (rule, FLOE_FIELD_ARP_PROTOCOL_LENGTH, 4);
  floe_rule_number (rule, FLOE_FIELD_ARP_OPERATION, operation);
}

static void
allow_arp_from_guest (Link *link, const uint8_t *destination, unsigned operation)
{
  FloeRule *rule = allow (link, link->from, "floe-arp", TRUE);

  if (destination != NULL)
    floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, destination);
  else
    match_unicast (rule);
  match_arp (rule, operation);
  floe_rule_bytes (rule, FLOE_FIELD_ARP_SENDER_ETHER, link->identity->guest_mac);
  match_guest4 (link, rule, FLOE_FIELD_ARP_SENDER_IP);
  if (!link->bridged)
    floe_rule_bytes (rule, FLOE_FIELD_ARP_TARGET_IP, link->identity->host);
}

/* Whether anyone else has the address that the guest was given (RFC 5227, 1.1). */
static void
allow_arp_probe (Link *link)
{
  FloeRule *rule = allow (link, link->from, "floe-arp", TRUE);

  floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, floe_broadcast_mac);
  match_arp (rule, ARPOP_REQUEST);
  floe_rule_bytes (rule, FLOE_FIELD_ARP_SENDER_ETHER, link->identity->guest_mac);
  floe_rule_bytes (rule, FLOE_FIELD_ARP_SENDER_IP, floe_any_ip);
  match_guest4 (link, rule, FLOE_FIELD_ARP_TARGET_IP);
}

static void
fill_arp (Link *link)
{
  allow_arp_from_guest (link, floe_broadcast_mac, ARPOP_REQUEST);
  allow_arp_from_guest (link, link->bridged ? NULL : link->identity->host_mac, ARPOP_REQUEST);
  allow_arp_from_guest (link, link->bridged ? NULL : link->identity->host_mac, ARPOP_REPLY);
  if (link->bridged)
    allow_arp_probe (link);
  for (unsigned operation = ARPOP_REQUEST; operation <= ARPOP_REPLY; operation++) {
    FloeRule *rule = allow (link, link->to, "floe-to-guest-arp", TRUE);

    if (!link->bridged)
      floe_rule_bytes (rule, FLOE_FIELD_ETHER_SOURCE, link->identity->host_mac);
    match_arp (rule, operation);
    if (!link->bridged) {
      floe_rule_bytes (rule, FLOE_FIELD_ARP_SENDER_ETHER, link->identity->host_mac);
      floe_rule_bytes (rule, FLOE_FIELD_ARP_SENDER_IP, link->identity->host);
    }
    match_guest4 (link, rule, FLOE_FIELD_ARP_TARGET_IP);
  }
}

/* -- DHCP ------------------------------------------------------------------------------------------------------------ */

/* A client that has no address yet asks from 0.0.0.0; one that renews by broadcast, from its own (RFC 2131, 4.4.5). */
static void
allow_dhcp_broadcast (Link *link, gboolean renewal)
{
  FloeRule *rule = allow (link, link->from, "floe-dhcp", link->bridged);

  floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, floe_broadcast_mac);
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  match_whole (rule);
  if (renewal)
    match_guest4 (link, rule, FLOE_FIELD_IP_SOURCE);
  else
    floe_rule_bytes (rule, FLOE_FIELD_IP_SOURCE, floe_any_ip);
  floe_rule_bytes (rule, FLOE_FIELD_IP_DESTINATION, floe_broadcast_ip);
  floe_rule_udp (rule, 68, 67);
}

/* The LAN's servers, named by the policy, answer this guest: to its MAC or to all, but with its MAC inside. */
static void
allow_dhcp_of_lan (Link *link)
{
  g_autoptr (GArray) servers = floe_elements_new ();
  FloeRule *rule;
  const char *set;

  for (size_t i = 0; i < link->input->network->n_dhcp; i++) {
    const FloePolicyAddress *server = &link->input->network->dhcp[i];

    if (server->family == 4)
      floe_elements_add (servers, floe_number_of (server->bytes, 4), floe_number_of (server->bytes, 4));
  }
  floe_elements_normalize (servers);
  set = floe_rules_table_add_set (link->table, g_strdup ("dhcp-servers"), FLOE_TYPE_IPV4, FLOE_SET_INTERVALS, FLOE_DATA_NONE,
                            g_array_ref (servers));
  /* Renewal goes to the server itself. */
  rule = allow (link, link->from, "floe-dhcp", TRUE);
  match_unicast (rule);
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  match_whole (rule);
  match_guest4 (link, rule, FLOE_FIELD_IP_SOURCE);
  floe_rule_set (rule, FLOE_FIELD_IP_DESTINATION, set);
  floe_rule_udp (rule, 68, 67);

  for (unsigned i = 0; i < 2; i++) {
    rule = allow (link, link->to, "floe-to-guest-dhcp", TRUE);
    floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, i == 0 ? link->identity->guest_mac : floe_broadcast_mac);
    floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
    match_whole (rule);
    floe_rule_set (rule, FLOE_FIELD_IP_SOURCE, set);
    floe_rule_udp (rule, 67, 68);
    floe_rule_bytes (rule, FLOE_FIELD_DHCP_CLIENT, link->identity->guest_mac);
  }
}

static void
fill_dhcp (Link *link)
{
  FloeRule *rule;

  allow_dhcp_broadcast (link, FALSE);
  allow_dhcp_broadcast (link, TRUE);
  if (link->bridged) {
    allow_dhcp_of_lan (link);
    return;
  }
  rule = allow (link, link->to, "floe-to-guest-dhcp", FALSE);
  floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, floe_broadcast_mac);
  floe_rule_bytes (rule, FLOE_FIELD_ETHER_SOURCE, link->identity->host_mac);
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  floe_rule_bytes (rule, FLOE_FIELD_IP_SOURCE, link->identity->host);
  floe_rule_bytes (rule, FLOE_FIELD_IP_DESTINATION, floe_broadcast_ip);
  floe_rule_udp (rule, 67, 68);
}

/* -- IPv6 ------------------------------------------------------------------------------------------------------------ */

/* Where an address may come from: neighbour discovery is spoken by link-local addresses, global ones and none at all. */
typedef enum {
  FROM_NONE,
  FROM_LOCAL,
  FROM_GLOBAL,
  N_FROM,
} From;

static void
match_from (const Link *link, FloeRule *rule, FloeField field, From from)
{
  if (from == FROM_NONE)
    floe_rule_bytes (rule, field, floe_any_ip);
  else if (from == FROM_LOCAL && !link->bridged)
    floe_rule_prefix (rule, field, link_local, 8);
  else
    match_guest6 (link, rule, field);
}

/* The guest's own addresses, as targets: nft has no way to say in its language that one of a set stands there. */
static unsigned
n_targets (const Link *link)
{
  return link->bridged ? floe_rules_find_set (link->table, link->guest6)->elements->len : 2;
}

static void
match_target (const Link *link, FloeRule *rule, unsigned index)
{
  if (link->bridged) {
    const FloeSet *own = floe_rules_find_set (link->table, link->guest6);
    uint8_t bytes[16];

    for (unsigned i = 0; i < 16; i++)
      bytes[i] = (uint8_t)(g_array_index (own->elements, FloeElement, index).first >> (120 - 8 * i));
    floe_rule_bytes (rule, FLOE_FIELD_ND_TARGET, bytes);
  } else if (index == 0)
    floe_rule_prefix (rule, FLOE_FIELD_ND_TARGET, link_local, 8);
  else
    floe_rule_bytes (rule, FLOE_FIELD_ND_TARGET, link->identity->guest6);
}

/* ICMPv6 as neighbour discovery wants it (RFC 4861): type at its fixed place, whole, not forwarded by anyone. */
static void
match_nd (FloeRule *rule, unsigned type)
{
  floe_rule_number (rule, FLOE_FIELD_IP6_NEXT, IPPROTO_ICMPV6);
  floe_rule_number (rule, FLOE_FIELD_IP6_HOPS, 255);
  floe_rule_number (rule, FLOE_FIELD_PROTOCOL, IPPROTO_ICMPV6);
  floe_rule_number (rule, FLOE_FIELD_ICMP6_TYPE, type);
  floe_rule_number (rule, FLOE_FIELD_ICMP6_CODE, 0);
}

static FloeRule *
nd_from_guest (Link *link, gboolean multicast)
{
  FloeRule *rule = allow (link, link->from, "floe-nd", TRUE);

  if (multicast)
    floe_rule_prefix (rule, FLOE_FIELD_ETHER_DESTINATION, multicast_mac, 2);
  else if (link->bridged)
    match_unicast (rule);
  else
    floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, link->identity->host_mac);
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IPV6);
  return rule;
}

/* Looks for others' addresses: on a link of its own there is only the host; on a LAN whoever is there. */
static void
allow_solicitations (Link *link, From from)
{
  for (unsigned target = 0; target < (link->bridged ? 1 : 2); target++)
    for (unsigned multicast = 0; multicast < 2; multicast++) {
      FloeRule *rule = nd_from_guest (link, multicast);

      match_from (link, rule, FLOE_FIELD_IP6_SOURCE, from);
      if (multicast)
        floe_rule_prefix (rule, FLOE_FIELD_IP6_DESTINATION, solicited, 13);
      match_nd (rule, ND_NEIGHBOR_SOLICIT);
      if (link->bridged)
        continue;
      if (target == 0)
        floe_rule_prefix (rule, FLOE_FIELD_ND_TARGET, link_local, 8);
      else
        floe_rule_bytes (rule, FLOE_FIELD_ND_TARGET, link->identity->host6);
    }
}

/* Whether anyone else has the guest's own (RFC 4862, 5.4). */
static void
allow_detection (Link *link, unsigned target)
{
  FloeRule *rule = nd_from_guest (link, TRUE);

  floe_rule_bytes (rule, FLOE_FIELD_IP6_SOURCE, floe_any_ip);
  floe_rule_prefix (rule, FLOE_FIELD_IP6_DESTINATION, solicited, 13);
  match_nd (rule, ND_NEIGHBOR_SOLICIT);
  match_target (link, rule, target);
}

static void
allow_advertisements (Link *link, From from, unsigned target)
{
  for (unsigned multicast = 0; multicast < 2; multicast++) {
    FloeRule *rule = nd_from_guest (link, multicast);

    match_from (link, rule, FLOE_FIELD_IP6_SOURCE, from);
    if (multicast)
      floe_rule_bytes (rule, FLOE_FIELD_IP6_DESTINATION, all_nodes);
    match_nd (rule, ND_NEIGHBOR_ADVERT);
    match_target (link, rule, target);
  }
}

static void
fill_nd_from_guest (Link *link)
{
  From first = link->bridged ? FROM_GLOBAL : FROM_LOCAL; /* bridged: one set has all of its addresses */

  for (From from = first; from < N_FROM; from++) {
    allow_solicitations (link, from);
    for (unsigned target = 0; target < n_targets (link); target++)
      allow_advertisements (link, from, target);
  }
  for (unsigned target = 0; target < n_targets (link); target++)
    allow_detection (link, target);
  for (unsigned i = 0; i < 2; i++) {
    FloeRule *rule = nd_from_guest (link, TRUE);

    match_from (link, rule, FLOE_FIELD_IP6_SOURCE, i == 0 ? FROM_NONE : first);
    floe_rule_bytes (rule, FLOE_FIELD_IP6_DESTINATION, all_routers);
    match_nd (rule, ND_ROUTER_SOLICIT);
  }
  if (!link->bridged) {
    FloeRule *rule = allow (link, link->from, "floe-dhcp6", FALSE);

    floe_rule_prefix (rule, FLOE_FIELD_ETHER_DESTINATION, multicast_mac, 2);
    floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IPV6);
    floe_rule_prefix (rule, FLOE_FIELD_IP6_SOURCE, link_local, 8);
    floe_rule_bytes (rule, FLOE_FIELD_IP6_DESTINATION, all_servers);
    floe_rule_number (rule, FLOE_FIELD_IP6_NEXT, IPPROTO_UDP);
    floe_rule_udp (rule, 546, 547);
  }
}

static FloeRule *
v6_to_guest (Link *link, const char *id, gboolean final, gboolean multicast)
{
  FloeRule *rule = allow (link, link->to, id, final);

  if (multicast)
    floe_rule_prefix (rule, FLOE_FIELD_ETHER_DESTINATION, multicast_mac, 2);
  else
    floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, link->identity->guest_mac);
  if (!link->bridged)
    floe_rule_bytes (rule, FLOE_FIELD_ETHER_SOURCE, link->identity->host_mac);
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IPV6);
  return rule;
}

/* Advertisements of routers come from the host, or on a LAN from its routers: hop limit 255 says that nobody has forwarded them. */
static void
fill_nd_to_guest (Link *link)
{
  static const unsigned types[] = { ND_ROUTER_ADVERT, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT };

  for (size_t i = 0; i < G_N_ELEMENTS (types); i++)
    for (unsigned multicast = 0; multicast < 2; multicast++) {
      FloeRule *rule = v6_to_guest (link, "floe-to-guest-nd", TRUE, multicast);

      if (types[i] == ND_ROUTER_ADVERT)
        floe_rule_prefix (rule, FLOE_FIELD_IP6_SOURCE, link_local, 8);
      match_nd (rule, types[i]);
    }
  if (!link->bridged) {
    FloeRule *rule = v6_to_guest (link, "floe-to-guest-dhcp6", TRUE, FALSE);

    floe_rule_prefix (rule, FLOE_FIELD_IP6_SOURCE, link_local, 8);
    floe_rule_number (rule, FLOE_FIELD_IP6_NEXT, IPPROTO_UDP);
    floe_rule_udp (rule, 547, 546);
  }
}

/* Flows: the next header stands at its fixed place, so that no extension header hides what follows. */
static void
fill_v6_flows (Link *link)
{
  static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6 };
  gboolean inner = link->input->options->inner;

  for (size_t i = 0; i < (link->ipv6 ? G_N_ELEMENTS (protocols) : 0); i++)
    for (unsigned to = 0; to < 2; to++) {
      FloeRule *rule = to ? v6_to_guest (link, "floe-to-guest-ipv6", FALSE, FALSE) : allow (link, link->from, "floe-ipv6", FALSE);

      if (!to && link->bridged)
        match_unicast (rule);
      else if (!to)
        floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, link->identity->host_mac);
      if (!to) {
        floe_rule_bytes (rule, FLOE_FIELD_ETHER_SOURCE, link->identity->guest_mac);
        floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IPV6);
      }
      if (!inner)
        match_guest6 (link, rule, to ? FLOE_FIELD_IP6_DESTINATION : FLOE_FIELD_IP6_SOURCE);
      floe_rule_number (rule, FLOE_FIELD_IP6_NEXT, protocols[i]);
      if (protocols[i] == IPPROTO_ICMPV6) {
        floe_rule_number (rule, FLOE_FIELD_PROTOCOL, IPPROTO_ICMPV6);
        floe_rule_set (rule, FLOE_FIELD_ICMP6_TYPE, link->icmp6);
      }
    }
}

/* -- The whole ------------------------------------------------------------------------------------------------------- */

static void
fill_spoofed_mac (FloeRule *rule, const void *data)
{
  const FloeNetIdentity *identity = data;

  floe_rule_bytes (rule, FLOE_FIELD_ETHER_SOURCE, identity->guest_mac);
  rule->matches[rule->n_matches - 1].op = FLOE_OP_DIFFERENT;
}

/* DATA: the host's link-local address, which is no guest's to speak for. */
static void
fill_host_source (FloeRule *rule, const void *data)
{
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IPV6);
  floe_rule_bytes (rule, FLOE_FIELD_IP6_SOURCE, data);
}

static void
fill_host_target (FloeRule *rule, const void *data)
{
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IPV6);
  match_nd (rule, ND_NEIGHBOR_ADVERT);
  floe_rule_bytes (rule, FLOE_FIELD_ND_TARGET, data);
}

static void
fill_type (FloeRule *rule, const void *data)
{
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, GPOINTER_TO_UINT (data));
}

static void
add_rate (Link *link, FloeChain *chain, const char *id)
{
  const FloePolicyRate *rate = &link->input->network->rate;

  for (unsigned bytes = 0; bytes < 2; bytes++) {
    uint64_t most = bytes ? rate->bytes : rate->packets;

    if (most != 0)
      floe_rule_limit (floe_chain_add_counted (link->table, chain, NULL, id, FLOE_VERDICT_DROP, TRUE), most, bytes, TRUE);
  }
}

static void
fill_v4_flows (Link *link)
{
  FloeRule *rule = allow (link, link->from, "floe-ipv4", FALSE);
  gboolean inner = link->input->options->inner;

  if (link->bridged)
    match_unicast (rule);
  else
    floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, link->identity->host_mac);
  floe_rule_bytes (rule, FLOE_FIELD_ETHER_SOURCE, link->identity->guest_mac);
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  if (!inner)
    match_guest4 (link, rule, FLOE_FIELD_IP_SOURCE);

  rule = allow (link, link->to, "floe-to-guest-ipv4", FALSE);
  floe_rule_bytes (rule, FLOE_FIELD_ETHER_DESTINATION, link->identity->guest_mac);
  if (!link->bridged)
    floe_rule_bytes (rule, FLOE_FIELD_ETHER_SOURCE, link->identity->host_mac);
  floe_rule_number (rule, FLOE_FIELD_ETHER_TYPE, ETH_P_IP);
  if (!inner)
    match_guest4 (link, rule, FLOE_FIELD_IP_DESTINATION);
}

/* The address below PREFIX that a MAC makes (RFC 4291, appendix A). */
static void
eui64_bytes (const uint8_t mac[6], const uint8_t prefix[8], uint8_t bytes[16])
{
  const uint8_t identifier[8] = { mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };

  memcpy (bytes, prefix, 8);
  memcpy (bytes + 8, identifier, 8);
}

static FloeNumber
eui64 (const uint8_t mac[6], const uint8_t prefix[8])
{
  uint8_t bytes[16];

  eui64_bytes (mac, prefix, bytes);
  return floe_number_of (bytes, sizeof bytes);
}

static GArray *
guest6_of (const FloeRulesInput *input)
{
  GArray *elements = floe_elements_new ();
  FloeNumber address = eui64 (input->identity->guest_mac, link_local);

  floe_elements_add (elements, address, address);
  for (size_t i = 0; i < input->options->n_prefixes6; i++) {
    address = eui64 (input->identity->guest_mac, input->options->prefixes6[i].address.bytes);
    floe_elements_add (elements, address, address);
  }
  floe_elements_normalize (elements);
  return elements;
}

static void
add_sets (Link *link)
{
  static const uint8_t types[][2] = { { ICMP6_DST_UNREACH, ICMP6_PARAM_PROB }, { ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY }, { 139, 140 } };

  if (link->bridged) {
    link->guest4
        = floe_rules_table_add_set (link->table, g_strdup ("guest4"), FLOE_TYPE_IPV4, FLOE_SET_BOUND, FLOE_DATA_NONE, NULL);
    floe_rules_table_last_set (link->table)->size = 4;
    floe_rules_table_last_set (link->table)->comment = g_strdup ("the guest's address, learnt from its lease");
  }
  if (!link->ipv6)
    return;
  if (link->bridged)
    link->guest6 = floe_rules_table_add_set (link->table, g_strdup ("guest6"), FLOE_TYPE_IPV6, FLOE_SET_INTERVALS, FLOE_DATA_NONE,
                                       guest6_of (link->input));
  link->icmp6
      = floe_rules_table_add_set (link->table, g_strdup ("icmp6-of-flows"), FLOE_TYPE_ICMP6, FLOE_SET_EXACT, FLOE_DATA_NONE, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (types); i++)
    for (unsigned type = types[i][0]; type <= types[i][1]; type++)
      floe_elements_add (floe_rules_table_last_set (link->table)->elements, type, type);
}

static void
fill (Link *link)
{
  gboolean rated = link->input->network->rate.packets != 0 || link->input->network->rate.bytes != 0;
  /* An inner card's flows have any address, the host's link-local one too unless that has been refused before. */
  gboolean late_v6 = rated || link->input->options->inner;

  add_sets (link);
  /* Nothing matches two of what is allowed, and nothing of a flow what is a spoof, so what is most of the traffic comes first. But what a
   * card over its rate sends to find the host's address is to go through all the same. */
  if (!rated)
    fill_v4_flows (link);
  if (!late_v6)
    fill_v6_flows (link);
  floe_chain_add_drop (link->input, link->table, link->from, NULL, "floe-mac-spoof", fill_spoofed_mac, link->identity);
  /* A guest's own link-local address is its to choose where the host is its one neighbour, but for the host's. */
  if (link->ipv6 && !link->bridged) {
    uint8_t host[16];

    eui64_bytes (link->identity->host_mac, link_local, host);
    floe_chain_add_drop (link->input, link->table, link->from, "floe-address-spoof", "floe-address-spoof", fill_host_source, host);
    floe_chain_add_drop (link->input, link->table, link->from, "floe-address-spoof", "floe-address-spoof", fill_host_target, host);
  }
  fill_arp (link);
  fill_dhcp (link);
  if (link->ipv6) {
    fill_nd_from_guest (link);
    fill_nd_to_guest (link);
  }
  add_rate (link, link->from, "floe-rate");
  add_rate (link, link->to, "floe-to-guest-rate");
  if (rated)
    fill_v4_flows (link);
  if (late_v6)
    fill_v6_flows (link);
  floe_chain_add_drop (link->input, link->table, link->from, NULL, "floe-arp-spoof", fill_type, GUINT_TO_POINTER (ETH_P_ARP));
  floe_chain_add_drop (link->input, link->table, link->from, "floe-address-spoof", "floe-address-spoof", fill_type,
                       GUINT_TO_POINTER (ETH_P_IP));
  if (link->ipv6)
    floe_chain_add_drop (link->input, link->table, link->from, "floe-address-spoof", "floe-address-spoof", fill_type,
                         GUINT_TO_POINTER (ETH_P_IPV6));
}

FloeTable *
floe_rules_build_link (const FloeRulesInput *input, gboolean open)
{
  FloePolicyNetworkMode mode = input->network->mode;
  Link link = { .input = input,
                .identity = input->identity,
                .table = floe_rules_table_new (input->identity->tap, TRUE),
                .bridged = mode == FLOE_POLICY_NETWORK_BRIDGE || mode == FLOE_POLICY_NETWORK_VLAN,
                .ipv6 = input->network->ipv6 };

  link.from = floe_rules_table_add_chain (link.table, "from-guest", FLOE_HOOK_INGRESS, TRUE);
  link.to = floe_rules_table_add_chain (link.table, "to-guest", FLOE_HOOK_EGRESS, TRUE);
  if (open)
    fill (&link);
  /* What no rule describes: VLAN tags of any kind, LLC and SNAP, STP, LLDP, EAPOL, MPLS, PPPoE, MACsec, ... */
  floe_chain_add_drop (input, link.table, link.from, NULL, "floe-ethertype", NULL, NULL);
  floe_chain_add_counted (link.table, link.to, NULL, "floe-to-guest-other", FLOE_VERDICT_DROP, TRUE);
  return link.table;
}
