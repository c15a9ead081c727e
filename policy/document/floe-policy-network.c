/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include "common/floe-fd.h"

#include <net/if.h>
#include <string.h>

static const char *const mode_names[] = { "none", "nat", "bridge", "vlan", "filter", NULL };
static const char *const resolver_names[] = { "none", "rules", "any", NULL };

const char *
floe_policy_network_mode_name (FloePolicyNetworkMode mode)
{
  return mode_names[mode];
}

const char *
floe_policy_resolver_name (FloePolicyResolver resolver)
{
  return resolver_names[resolver];
}

static gboolean
is_lan (const FloePolicyNetwork *network)
{
  return network->mode == FLOE_POLICY_NETWORK_BRIDGE || network->mode == FLOE_POLICY_NETWORK_VLAN;
}

/* -- Keys of some modes ----------------------------------------------------------------------------------------------- */

#define MODE(name) (1u << FLOE_POLICY_NETWORK_##name)
#define WITH_A_CARD (MODE (NAT) | MODE (BRIDGE) | MODE (VLAN) | MODE (FILTER))

static const struct {
  const char *key;
  unsigned modes; /* in which it means something */
  gboolean required;
  const char *why; /* it means nothing elsewhere */
} mode_keys[] = {
  { "interface", MODE (BRIDGE) | MODE (VLAN), TRUE, "only networks of mode bridge and vlan are on an interface of the endpoint's" },
  { "vlan", MODE (VLAN), TRUE, "only networks of mode vlan are tagged" },
  { "dhcp", MODE (BRIDGE) | MODE (VLAN), TRUE, "only networks of mode bridge and vlan have DHCP servers other than the endpoint itself" },
  { "through", MODE (FILTER), TRUE, "only networks of mode filter go through a machine" },
  { "dns", WITH_A_CARD, FALSE, "a network of mode none carries no packets" },
  { "ipv6", WITH_A_CARD, FALSE, "a network of mode none carries no packets" },
  { "connections", WITH_A_CARD, FALSE, "a network of mode none carries no packets" },
  { "isolated", WITH_A_CARD, FALSE, "a network of mode none carries no packets" },
  { "vhost", WITH_A_CARD, FALSE, "a network of mode none carries no packets" },
  { "log", WITH_A_CARD, FALSE, "a network of mode none carries no packets" },
  { "rate", WITH_A_CARD, FALSE, "a network of mode none carries no packets" },
};

static void
check_mode_keys (FloeJson *object, FloePolicyNetworkMode mode)
{
  for (size_t i = 0; i < G_N_ELEMENTS (mode_keys); i++) {
    if (mode_keys[i].modes & 1u << mode) {
      if (mode_keys[i].required)
        floe_json_member (object, mode_keys[i].key);
    } else {
      floe_json_refuse (floe_json_optional (object, mode_keys[i].key), "%s", mode_keys[i].why);
    }
  }
}

/* -- Parts of a network ----------------------------------------------------------------------------------------------- */

/* A name that the kernel takes and that nothing else takes for something: /proc/sys/net/ipv4/conf has "all" and "default" of its own. */
static const char *
parse_interface (FloePolicyParser *parser, FloeJson *value)
{
  static const char *const reserved[] = { "lo", "all", "default", NULL };
  const char *name = floe_json_string (value, 256);

  if (value == NULL)
    return NULL;
  if (strlen (name) >= IF_NAMESIZE || !g_ascii_isalnum (*name) || !floe_name_is_safe (name))
    floe_json_refuse (value, "the name of an interface wanted: 1 to %d of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
                      IF_NAMESIZE - 1);
  else if (g_strv_contains (reserved, name))
    floe_json_refuse (value, "'%s' leads to no LAN", name);
  else if (g_str_has_prefix (name, "floe"))
    floe_json_refuse (value, "'%s': interfaces that begin with floe are made and removed by Floe itself", name);
  return floe_policy_parser_keep (parser, name);
}

static const FloePolicyAddress *
parse_servers (FloePolicyParser *parser, FloeJson *list, size_t *n_servers)
{
  size_t n = floe_json_length (list, FLOE_POLICY_SERVERS_MAX);
  FloePolicyAddress *servers = floe_policy_parser_array (parser, n, sizeof *servers);

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one server wanted, or leave the key out");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    const char *text = floe_json_string (value, 64);

    if (!floe_policy_address_parse (text, &servers[i]))
      floe_json_refuse (value, "'%s': an IPv4 or IPv6 address wanted", text);
    else if (floe_policy_is_never_routed (&servers[i], 128))
      floe_json_refuse (value, "'%s' is loopback, link-local, multicast or reserved", text);
    for (size_t j = 0; j < i; j++)
      if (memcmp (&servers[i], &servers[j], sizeof *servers) == 0)
        floe_json_refuse (value, "'%s' stands in this list already", text);
  }
  *n_servers = n;
  return servers;
}

static void
refuse_ipv6 (FloeJson *list, const FloePolicyAddress *servers, size_t n, const char *why)
{
  for (size_t i = 0; i < n; i++)
    if (servers[i].family == 6)
      floe_json_refuse (floe_json_at (list, i), "%s", why);
}

static void
parse_rebind (FloePolicyParser *parser, FloeJson *list, FloePolicyNetwork *network)
{
  size_t n = floe_json_length (list, FLOE_POLICY_PREFIXES_MAX);
  FloePolicyPrefix *prefixes = floe_policy_parser_array (parser, n, sizeof *prefixes);

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one prefix wanted: leave the key out to answer no inside addresses");
  if (list != NULL && network->resolver == FLOE_POLICY_RESOLVER_NONE)
    floe_json_refuse (list, "the endpoint answers no names here (resolver is none), so it drops no answers either");
  for (size_t i = 0; i < n; i++)
    floe_policy_parse_prefix (floe_json_at (list, i), network, &prefixes[i]);
  network->rebind = prefixes;
  network->n_rebind = n;
}

static void
parse_dns (FloePolicyParser *parser, FloeJson *object, FloePolicyNetwork *network)
{
  FloeJson *resolver = floe_json_optional (object, "resolver"), *servers = floe_json_optional (object, "servers");

  if (object == NULL)
    return;
  if (resolver != NULL)
    network->resolver = (FloePolicyResolver) floe_json_enum (resolver, resolver_names);
  network->dns = parse_servers (parser, servers, &network->n_dns);
  if (is_lan (network)) {
    if (network->resolver != FLOE_POLICY_RESOLVER_NONE)
      floe_json_refuse (resolver, "on a LAN the endpoint is not the machine's resolver: name the servers that it may ask");
    if (!network->ipv6)
      refuse_ipv6 (servers, network->dns, network->n_dns, "no IPv6 passes on this network unless its ipv6 is true");
  } else if (servers != NULL && network->resolver == FLOE_POLICY_RESOLVER_NONE) {
    floe_json_refuse (servers, "nobody asks them while resolver is none: set it to rules or any");
  }
  parse_rebind (parser, floe_json_optional (object, "rebind"), network);
}

static void
parse_dhcp (FloePolicyParser *parser, FloeJson *object, FloePolicyNetwork *network)
{
  FloeJson *servers;

  if (object == NULL)
    return;
  servers = floe_json_member (object, "servers");
  network->dhcp = parse_servers (parser, servers, &network->n_dhcp);
  refuse_ipv6 (servers, network->dhcp, network->n_dhcp, "an IPv4 address wanted: leases are IPv4's");
}

static const FloePolicyNetRule *
parse_rules (FloePolicyParser *parser, FloeJson *list, const FloePolicyNetwork *network, gboolean egress, size_t *n_rules)
{
  size_t n = floe_json_length (list, FLOE_POLICY_NET_RULES_MAX);
  FloePolicyNetRule *rules = floe_policy_parser_array (parser, n, sizeof *rules);

  for (size_t i = 0; i < n; i++)
    floe_policy_parse_net_rule (parser, floe_json_at (list, i), network, egress, &rules[i]);
  *n_rules = n;
  return rules;
}

/* -- A network -------------------------------------------------------------------------------------------------------- */

static void
parse_place (FloePolicyParser *parser, FloeJson *object, FloePolicyNetwork *network)
{
  FloeJson *vlan = floe_json_optional (object, "vlan"), *connections = floe_json_optional (object, "connections");

  network->interface = parse_interface (parser, floe_json_optional (object, "interface"));
  network->vlan = vlan != NULL ? (unsigned) floe_json_int (vlan, 1, 4094) : 0;
  network->connections
    = connections != NULL ? (unsigned) floe_json_int (connections, 1, FLOE_POLICY_CONNECTIONS_MAX) : FLOE_POLICY_CONNECTIONS_DEFAULT;
  network->ipv6 = floe_policy_parse_flag (object, "ipv6", FALSE);
  network->isolated = floe_policy_parse_flag (object, "isolated", TRUE);
  network->vhost = floe_policy_parse_flag (object, "vhost", FALSE);
  network->log_drops = floe_policy_parse_flag (floe_json_optional (object, "log"), "drops", TRUE);
  floe_policy_parse_rate (floe_json_optional (object, "rate"), &network->rate);
}

static void
parse_network (FloePolicyParser *parser, FloeJson *object, FloePolicyNetwork *network)
{
  FloeJson *egress, *ingress;

  network->mode = (FloePolicyNetworkMode) floe_json_enum (floe_json_member (object, "mode"), mode_names);
  check_mode_keys (object, network->mode);
  parse_place (parser, object, network);
  parse_dns (parser, floe_json_optional (object, "dns"), network);
  parse_dhcp (parser, floe_json_optional (object, "dhcp"), network);
  egress = floe_json_optional (object, "egress");
  ingress = floe_json_optional (object, "ingress");
  network->egress = parse_rules (parser, egress, network, TRUE, &network->n_egress);
  network->ingress = parse_rules (parser, ingress, network, FALSE, &network->n_ingress);
  if (network->mode == FLOE_POLICY_NETWORK_NONE && network->n_egress + network->n_ingress > 0)
    floe_json_refuse (network->n_egress > 0 ? egress : ingress, "a network of mode none carries no packets, so no rules");
}

void
floe_policy_parse_networks (FloePolicyParser *parser, FloeJson *value)
{
  g_autofree const char **names = floe_json_keys (value, FLOE_POLICY_NETWORKS_MAX);
  size_t n = g_strv_length ((char **) names);
  FloePolicyNetwork *networks = floe_policy_parser_array (parser, n, sizeof *networks);

  for (size_t i = 0; i < n; i++) {
    FloeJson *object = floe_json_member (value, names[i]);

    if (strlen (names[i]) > FLOE_POLICY_ID_MAX || !g_ascii_isalnum (names[i][0])
        || names[i][strspn (names[i], G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-")] != '\0')
      floe_json_refuse (object, "a network's name is 1 to %d of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
                        FLOE_POLICY_ID_MAX);
    networks[i].name = floe_policy_parser_keep (parser, names[i]);
    parser->network_objects[i] = object;
    parse_network (parser, object, &networks[i]);
  }
  parser->networks = networks;
  parser->content->networks = networks;
  parser->content->n_networks = n;
}

/* -- A machine's cards ------------------------------------------------------------------------------------------------ */

/* The same LAN: whatever reaches the one reaches the other. */
static gboolean
same_lan (const FloePolicyNetwork *a, const FloePolicyNetwork *b)
{
  return is_lan (a) && is_lan (b) && g_strcmp0 (a->interface, b->interface) == 0 && a->vlan == b->vlan;
}

void
floe_policy_parse_cards (FloePolicyParser *parser, FloeJson *list, FloePolicyMachine *machine)
{
  size_t n = floe_json_length (list, FLOE_POLICY_CARDS_MAX);
  const FloePolicyNetwork **networks = floe_policy_parser_array (parser, n, sizeof *networks);
  const FloePolicyNetwork *seen[FLOE_POLICY_CARDS_MAX] = { NULL };

  machine->networks = networks;
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    const char *name = floe_json_string (value, FLOE_POLICY_ID_MAX);
    const FloePolicyNetwork *network = floe_policy_find_network (parser->content, name);

    if (network == NULL) {
      floe_json_refuse (value, "'%s' is none of this document's networks", name);
      return;
    }
    for (size_t j = 0; j < i; j++)
      if (seen[j] == network)
        floe_json_refuse (value, "'%s' is in this list twice", name);
      else if (same_lan (seen[j], network))
        floe_json_refuse (value, "'%s' and '%s' are the same LAN: two cards on one would answer for each other", name, seen[j]->name);
    seen[i] = network;
    if (network->mode != FLOE_POLICY_NETWORK_NONE)
      networks[machine->n_networks++] = network;
  }
}

/* -- Networks and machines together ----------------------------------------------------------------------------------- */

static gboolean
has_card (const FloePolicyMachine *machine, const FloePolicyNetwork *network)
{
  for (size_t i = 0; i < machine->n_networks; i++)
    if (machine->networks[i] == network)
      return TRUE;
  return FALSE;
}

/* Whether packets of MACHINE, by some card, may go through TARGET. DEPTH ends circles that do not meet it. */
static gboolean
goes_through (const FloePolicyMachine *machine, const FloePolicyMachine *target, unsigned depth)
{
  for (size_t i = 0; depth > 0 && i < machine->n_networks; i++) {
    const FloePolicyMachine *next = machine->networks[i]->through;

    if (next != NULL && next != machine && (next == target || goes_through (next, target, depth - 1)))
      return TRUE;
  }
  return FALSE;
}

/* A machine that filters needs the network as its inner side, and a card besides by which its packets leave. */
static void
check_filter (FloeJson *through, const FloePolicyNetwork *network)
{
  const FloePolicyMachine *filter = network->through;
  gboolean way_out = FALSE;

  for (size_t i = 0; i < filter->n_networks; i++)
    way_out |= filter->networks[i]->through != filter;
  if (!has_card (filter, network))
    floe_json_refuse (through, "machine '%s' has no card on network '%s': add it to the machine's networks, as its inner side", filter->id,
                      network->name);
  else if (!way_out)
    floe_json_refuse (through, "machine '%s' has no way out: give it another network besides those that go through it", filter->id);
  else if (goes_through (filter, filter, FLOE_POLICY_MACHINES_MAX))
    floe_json_refuse (through, "machine '%s' would go through itself: what it filters is on its own way out", filter->id);
}

static void
resolve_through (FloePolicyParser *parser, FloePolicyNetwork *network, FloeJson *through)
{
  const char *id = floe_json_string (through, FLOE_POLICY_ID_MAX);

  if (network->mode != FLOE_POLICY_NETWORK_FILTER || through == NULL)
    return;
  network->through = floe_policy_find_machine (parser->content, id);
  if (network->through == NULL)
    floe_json_refuse (through, "'%s' is none of this document's machines", id);
}

/* Ports of one bridge are isolated from each other only if both are. */
static void
check_same_lan (FloePolicyParser *parser, size_t i)
{
  const FloePolicyNetwork *network = &parser->networks[i];

  for (size_t j = 0; j < i; j++)
    if (same_lan (network, &parser->networks[j]) && network->isolated != parser->networks[j].isolated)
      floe_json_refuse (parser->network_objects[i], "the same LAN as network '%s', and isolated in one of the two only: machines of the one "
                        "would reach those of the other", parser->networks[j].name);
}

void
floe_policy_check_networks (FloePolicyParser *parser)
{
  size_t n = parser->content->n_networks;
  FloeJson *through[FLOE_POLICY_NETWORKS_MAX];

  for (size_t i = 0; i < n; i++) {
    through[i] = floe_json_optional (parser->network_objects[i], "through");
    resolve_through (parser, &parser->networks[i], through[i]);
  }
  for (size_t i = 0; i < n; i++) {
    if (parser->networks[i].through != NULL)
      check_filter (through[i], &parser->networks[i]);
    check_same_lan (parser, i);
  }
}
