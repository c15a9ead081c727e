/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

#include <netinet/in.h>
#include <string.h>

#define CANDIDATES_MAX 8 /* rules of which it is said why they did not match */

/* -- A machine's cards ------------------------------------------------------------------------------------------------ */

static void
explain_rules (GString *text, const char *heading, const FloePolicyNetRule *rules, size_t n)
{
  g_string_append_printf (text, "  %s:\n", heading);
  for (size_t i = 0; i < n; i++) {
    g_string_append_printf (text, "    %-20s allow ", rules[i].id);
    floe_policy_rule_text (&rules[i], text);
    g_string_append_c (text, '\n');
  }
  g_string_append_printf (text, "    %-20s drop everything else\n", "default");
}

static void
append_addresses (GString *text, const FloePolicyAddress *addresses, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    g_autofree char *address = floe_policy_address_text (&addresses[i]);

    g_string_append_printf (text, "%s%s", i == 0 ? " " : ", ", address);
  }
}

static void
append_place (GString *text, const FloePolicyNetwork *network)
{
  switch (network->mode) {
  case FLOE_POLICY_NETWORK_NONE:
    break;
  case FLOE_POLICY_NETWORK_NAT:
    g_string_append (text, "nat, behind the endpoint's address");
    break;
  case FLOE_POLICY_NETWORK_BRIDGE:
    g_string_append_printf (text, "bridge, on the LAN of interface %s", network->interface);
    break;
  case FLOE_POLICY_NETWORK_VLAN:
    g_string_append_printf (text, "vlan, on VLAN %u of interface %s", network->vlan, network->interface);
    break;
  case FLOE_POLICY_NETWORK_FILTER:
    g_string_append_printf (text, "filter, everything through machine %s", network->through->id);
    break;
  }
}

static void
append_dns (GString *text, const FloePolicyNetwork *network)
{
  static const char *const answers[] = {
    [FLOE_POLICY_RESOLVER_NONE] = "the endpoint answers none",
    [FLOE_POLICY_RESOLVER_RULES] = "the endpoint answers those in the network's rules",
    [FLOE_POLICY_RESOLVER_ANY] = "the endpoint answers any",
  };
  gboolean lan = network->mode == FLOE_POLICY_NETWORK_BRIDGE || network->mode == FLOE_POLICY_NETWORK_VLAN;

  g_string_append_printf (text, "  names: %s", answers[network->resolver]);
  if (network->n_dns > 0) {
    g_string_append (text, lan ? "; it may ask" : ", asking");
    append_addresses (text, network->dns, network->n_dns);
  }
  if (network->resolver != FLOE_POLICY_RESOLVER_NONE)
    g_string_append (text, network->n_rebind == 0 ? "; none with an inside address" : "; with an inside address only those in");
  for (size_t i = 0; i < network->n_rebind; i++) {
    g_autofree char *prefix = floe_policy_prefix_text (&network->rebind[i]);

    g_string_append_printf (text, "%s%s", i == 0 ? " " : ", ", prefix);
  }
  g_string_append_c (text, '\n');
}

static void
append_limits (GString *text, const FloePolicyNetwork *network)
{
  g_string_append_printf (text, "  limits: %u connections", network->connections);
  if (network->rate.packets > 0)
    g_string_append_printf (text, ", %u packets/s each way", network->rate.packets);
  if (network->rate.bytes > 0)
    g_string_append_printf (text, ", %" G_GUINT64_FORMAT " bytes/s each way", (guint64) network->rate.bytes);
  g_string_append_printf (text, "; what is dropped is %s\n", network->log_drops ? "reported" : "counted, not reported");
  g_string_append_printf (text, "  other machines of the endpoint: %s\n", network->isolated ? "not reached" : "reached as rules allow");
}

static void
explain_card (GString *text, const FloePolicyMachine *machine, size_t index)
{
  const FloePolicyNetwork *network = machine->networks[index];

  g_string_append_printf (text, "network card %zu: %s (", index + 1, network->name);
  if (network->through == machine) {
    g_string_append (text, "filter, the inner side: what its rules allow the other machines on it comes out here, to be let on or not)\n");
    return;
  }
  append_place (text, network);
  g_string_append_printf (text, "), %s%s\n", network->ipv6 ? "IPv4 and IPv6" : "IPv4 only", network->vhost ? ", vhost" : "");
  if (network->n_dhcp > 0) {
    g_string_append (text, "  address: leased by");
    append_addresses (text, network->dhcp, network->n_dhcp);
    g_string_append_c (text, '\n');
  }
  append_dns (text, network);
  append_limits (text, network);
  explain_rules (text, "new flows to the world", network->egress, network->n_egress);
  explain_rules (text, "new flows from the world", network->ingress, network->n_ingress);
}

void
floe_policy_explain_cards (const FloePolicyMachine *machine, GString *text)
{
  if (machine->n_networks == 0)
    g_string_append (text, "network: none, it has no network card\n");
  for (size_t i = 0; i < machine->n_networks; i++)
    explain_card (text, machine, i);
}

/* -- A packet --------------------------------------------------------------------------------------------------------- */

typedef struct {
  const FloePolicyNetRule *rules;
  size_t n;
} Rules;

static Rules
rules_of (const FloePolicyNetwork *network, FloePolicyDirection direction)
{
  if (network == NULL)
    return (Rules){ NULL, 0 };
  return direction == FLOE_POLICY_EGRESS ? (Rules){ network->egress, network->n_egress } : (Rules){ network->ingress, network->n_ingress };
}

static gboolean
time_matters (Rules rules)
{
  for (size_t i = 0; i < rules.n; i++)
    if (rules.rules[i].n_windows > 0)
      return TRUE;
  return FALSE;
}

static void
append_packet (GString *text, const FloePolicyPacket *packet, Rules rules)
{
  g_autofree char *address = floe_policy_address_text (&packet->remote);
  gboolean egress = packet->direction == FLOE_POLICY_EGRESS;
  const char *direction = egress ? "to" : "from";

  if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
    g_string_append_printf (text, "%s %s %s%s port %u", packet->protocol == IPPROTO_TCP ? "tcp" : "udp", direction, address,
                            egress ? "" : " to its", packet->port);
  else if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6)
    g_string_append_printf (text, "%s type %u %s %s", packet->protocol == IPPROTO_ICMP ? "icmp" : "icmp6", packet->icmp_type,
                            direction, address);
  else
    g_string_append_printf (text, "IP protocol %u %s %s", packet->protocol, direction, address);
  if (packet->name != NULL)
    g_string_append_printf (text, " (%s)", packet->name);
  if (time_matters (rules))
    g_string_append_printf (text, " on %s %02u:%02u", floe_policy_day_name (packet->day), packet->minute / 60, packet->minute % 60);
}

/* The reason behind a drop. */
static const char *
drop_reason (const FloePolicyNetwork *network, const FloePolicyPacket *packet, const char *rule)
{
  if (strcmp (rule, "no-network") == 0)
    return "the machine has no network card";
  if (strcmp (rule, "never-routed") == 0)
    return "such addresses are opened by no rule (loopback, link-local, multicast, reserved)";
  if (packet->remote.family == 6 && !network->ipv6)
    return "no IPv6 passes on it (its ipv6 is false)";
  return "no rule allows it";
}

static void
append_mismatch (GString *text, const FloePolicyNetRule *rule, const FloePolicyPacket *packet, unsigned mismatch)
{
  static const struct {
    unsigned bit;
    const char *why;
  } reasons[] = {
    { FLOE_POLICY_MISMATCH_PROTOCOL, "another protocol" },
    { FLOE_POLICY_MISMATCH_REMOTE, "another address" },
    { FLOE_POLICY_MISMATCH_NUMBER, "another port" },
    { FLOE_POLICY_MISMATCH_TIME, "not at this time" },
  };
  gboolean icmp = packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6;
  const char *between = "";

  g_string_append_printf (text, "  %s: ", rule->id);
  for (size_t i = 0; i < G_N_ELEMENTS (reasons); i++) {
    const char *why = reasons[i].why;

    if (!(mismatch & reasons[i].bit))
      continue;
    if (reasons[i].bit == FLOE_POLICY_MISMATCH_REMOTE && rule->n_names > 0)
      why = packet->name != NULL ? "another name" : "another address, unless a name of the rule's was answered with it (--name)";
    if (reasons[i].bit == FLOE_POLICY_MISMATCH_NUMBER && icmp)
      why = "another type";
    g_string_append_printf (text, "%s%s", between, why);
    between = ", ";
  }
  g_string_append_c (text, '\n');
}

/* All rules where these are few; of many, those that fail in one thing other than the address. */
static void
append_candidates (GString *text, Rules rules, const FloePolicyPacket *packet)
{
  size_t said = 0, left = 0;

  for (size_t i = 0; i < rules.n; i++) {
    unsigned mismatch = floe_policy_packet_mismatch (&rules.rules[i], packet);

    if (rules.n > CANDIDATES_MAX && mismatch != FLOE_POLICY_MISMATCH_NUMBER && mismatch != FLOE_POLICY_MISMATCH_TIME)
      continue;
    if (said == CANDIDATES_MAX) {
      left++;
      continue;
    }
    append_mismatch (text, &rules.rules[i], packet, mismatch);
    said++;
  }
  if (left > 0)
    g_string_append_printf (text, "  and %zu more that differ in port, type or time only\n", left);
}

static void
append_rule (GString *text, const FloePolicyNetwork *network, const FloePolicyNetRule *rule, const FloePolicyPacket *packet)
{
  gboolean by_prefix = FALSE;

  g_string_append_printf (text, "  %s: ", rule->id);
  floe_policy_rule_text (rule, text);
  g_string_append (text, "\n  replies to it, and errors about it, pass as part of the same flow\n");
  for (size_t i = 0; i < rule->n_prefixes; i++)
    by_prefix |= floe_policy_prefix_contains (&rule->prefixes[i], &packet->remote);
  if (!by_prefix)
    g_string_append (text, "  only while an answer of the endpoint's resolver with that address lives\n");
  if (rule->rate.packets > 0 || rule->rate.bytes > 0)
    g_string_append (text, "  what is over the rule's rate is dropped\n");
  if (rule->n_windows > 0)
    g_string_append (text, "  at the end of its hours the flow is cut\n");
  if (network->through != NULL)
    g_string_append_printf (text, "  then machine %s judges it\n", network->through->id);
}

static void
explain_on_card (GString *text, const FloePolicyMachine *machine, const FloePolicyNetwork *network, const FloePolicyPacket *packet)
{
  FloePolicyPacketVerdict verdict = floe_policy_packet_verdict (network, packet);
  Rules rules = rules_of (network, packet->direction);

  g_string_append_printf (text, "%s: machine %s, ", verdict.allow ? "allow" : "drop", machine->id);
  append_packet (text, packet, rules);
  if (!verdict.allow) {
    g_string_append_printf (text, ", by %s%s%s: %s\n", verdict.rule, network != NULL ? " of network " : "",
                            network != NULL ? network->name : "", drop_reason (network, packet, verdict.rule));
    if (strcmp (verdict.rule, "default") == 0 && (packet->remote.family != 6 || network->ipv6))
      append_candidates (text, rules, packet);
    return;
  }
  g_string_append_printf (text, ", by rule %s of network %s\n", verdict.rule, network->name);
  if (strcmp (verdict.rule, "floe-dns") == 0)
    g_string_append (text, "  the network names it as a DNS server\n");
  for (size_t i = 0; i < rules.n; i++)
    if (rules.rules[i].id == verdict.rule)
      append_rule (text, network, &rules.rules[i], packet);
}

char *
floe_policy_explain_packet (const FloePolicyMachine *machine, const FloePolicyNetwork *network, const FloePolicyPacket *packet)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (machine->n_networks == 0)
    explain_on_card (text, machine, NULL, packet);
  for (size_t i = 0; i < machine->n_networks; i++) {
    const FloePolicyNetwork *card = machine->networks[i];

    if (network != NULL && card != network)
      continue;
    if (card->through == machine)
      g_string_append_printf (text,
                              "network %s is the inner side of machine %s: only flows of the other machines on it pass here, those that are "
                              "allowed there; ask about them\n",
                              card->name, machine->id);
    else
      explain_on_card (text, machine, card, packet);
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}
