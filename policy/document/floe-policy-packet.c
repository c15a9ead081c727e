/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <netinet/in.h>
#include <string.h>

#define ICMP_ECHO_REQUEST 8    /* RFC 792 */
#define ICMP6_ECHO_REQUEST 128 /* RFC 4443 */
#define DNS_PORT 53

gboolean
floe_policy_name_matches (const char *pattern, const char *name)
{
  size_t suffix, size;

  if (!g_str_has_prefix (pattern, "*."))
    return strcmp (pattern, name) == 0;
  pattern++;
  suffix = strlen (pattern);
  size = strlen (name);
  return size > suffix && strcmp (name + size - suffix, pattern) == 0;
}

/* -- One rule --------------------------------------------------------------------------------------------------------- */

static gboolean
type_matches (const FloePolicyNetRule *rule, uint8_t type, uint8_t echo)
{
  if (rule->n_icmp_types == 0)
    return type == echo;
  return memchr (rule->icmp_types, type, rule->n_icmp_types) != NULL;
}

/* The protocol alone; ICMP types are another question. */
static gboolean
protocol_matches (FloePolicyProtocol protocol, const FloePolicyPacket *packet)
{
  gboolean v4 = packet->remote.family == 4;

  switch (protocol) {
  case FLOE_POLICY_PROTOCOL_TCP:
    return packet->protocol == IPPROTO_TCP;
  case FLOE_POLICY_PROTOCOL_UDP:
    return packet->protocol == IPPROTO_UDP;
  case FLOE_POLICY_PROTOCOL_ICMP:
    return v4 && packet->protocol == IPPROTO_ICMP;
  case FLOE_POLICY_PROTOCOL_ICMP6:
    return !v4 && packet->protocol == IPPROTO_ICMPV6;
  case FLOE_POLICY_PROTOCOL_ANY:
    for (unsigned i = 0; i < FLOE_POLICY_PROTOCOL_ANY; i++)
      if (protocol_matches ((FloePolicyProtocol) i, packet))
        return TRUE;
    return FALSE;
  }
  return FALSE;
}

static gboolean
number_matches (const FloePolicyNetRule *rule, const FloePolicyPacket *packet)
{
  gboolean port = rule->n_ports == 0;

  if (packet->protocol == IPPROTO_ICMP)
    return type_matches (rule, packet->icmp_type, ICMP_ECHO_REQUEST);
  if (packet->protocol == IPPROTO_ICMPV6)
    return type_matches (rule, packet->icmp_type, ICMP6_ECHO_REQUEST);
  for (size_t i = 0; i < rule->n_ports && !port; i++)
    port = packet->port >= rule->ports[i].first && packet->port <= rule->ports[i].last;
  return port;
}

static gboolean
remote_matches (const FloePolicyNetRule *rule, const FloePolicyPacket *packet)
{
  for (size_t i = 0; i < rule->n_prefixes; i++)
    if (floe_policy_prefix_contains (&rule->prefixes[i], &packet->remote))
      return TRUE;
  if (packet->name == NULL || packet->direction != FLOE_POLICY_EGRESS)
    return FALSE;
  for (size_t i = 0; i < rule->n_names; i++)
    if (floe_policy_name_matches (rule->names[i], packet->name))
      return TRUE;
  return FALSE;
}

static gboolean
time_matches (const FloePolicyNetRule *rule, const FloePolicyPacket *packet)
{
  for (size_t i = 0; i < rule->n_windows; i++)
    if (rule->windows[i].days & 1u << packet->day && packet->minute >= rule->windows[i].first && packet->minute < rule->windows[i].last)
      return TRUE;
  return rule->n_windows == 0;
}

unsigned
floe_policy_packet_mismatch (const FloePolicyNetRule *rule, const FloePolicyPacket *packet)
{
  unsigned mismatch = 0;

  if (!protocol_matches (rule->protocol, packet))
    mismatch |= FLOE_POLICY_MISMATCH_PROTOCOL;
  else if (!number_matches (rule, packet))
    mismatch |= FLOE_POLICY_MISMATCH_NUMBER;
  if (!remote_matches (rule, packet))
    mismatch |= FLOE_POLICY_MISMATCH_REMOTE;
  if (!time_matches (rule, packet))
    mismatch |= FLOE_POLICY_MISMATCH_TIME;
  return mismatch;
}

/* -- The verdict ------------------------------------------------------------------------------------------------------ */

/* On a LAN the servers that the network names may be asked without a rule, as the endpoint's own resolver may elsewhere. */
static gboolean
asks_server (const FloePolicyNetwork *network, const FloePolicyPacket *packet)
{
  if ((network->mode != FLOE_POLICY_NETWORK_BRIDGE && network->mode != FLOE_POLICY_NETWORK_VLAN) || packet->port != DNS_PORT
      || packet->direction != FLOE_POLICY_EGRESS || (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP))
    return FALSE;
  for (size_t i = 0; i < network->n_dns; i++)
    if (memcmp (&network->dns[i], &packet->remote, sizeof packet->remote) == 0)
      return TRUE;
  return FALSE;
}

FloePolicyPacketVerdict
floe_policy_packet_verdict (const FloePolicyNetwork *network, const FloePolicyPacket *packet)
{
  gboolean egress = packet->direction == FLOE_POLICY_EGRESS;
  const FloePolicyNetRule *rules;
  size_t n;

  if (network == NULL || network->mode == FLOE_POLICY_NETWORK_NONE)
    return (FloePolicyPacketVerdict){ FALSE, "no-network" };
  if (floe_policy_is_never_routed (&packet->remote, 128))
    return (FloePolicyPacketVerdict){ FALSE, "never-routed" };
  if (packet->remote.family != 4 && (packet->remote.family != 6 || !network->ipv6))
    return (FloePolicyPacketVerdict){ FALSE, "default" };
  if (asks_server (network, packet))
    return (FloePolicyPacketVerdict){ TRUE, "floe-dns" };
  rules = egress ? network->egress : network->ingress;
  n = egress ? network->n_egress : network->n_ingress;
  for (size_t i = 0; i < n; i++)
    if (floe_policy_packet_mismatch (&rules[i], packet) == 0)
      return (FloePolicyPacketVerdict){ TRUE, rules[i].id };
  return (FloePolicyPacketVerdict){ FALSE, "default" };
}
