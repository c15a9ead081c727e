/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <arpa/inet.h>
#include <string.h>

/* RFC 6890 and RFC 4291. ::/96 holds unspecified, loopback and the deprecated IPv4-compatible addresses. */
const FloePolicyPrefix floe_policy_never_routed[] = {
  { { 4, { 0 } }, 8 },
  { { 4, { 127 } }, 8 },
  { { 4, { 169, 254 } }, 16 },
  { { 4, { 224 } }, 4 },
  { { 4, { 240 } }, 4 },
  { { 6, { 0 } }, 96 },
  { { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } }, 96 },
  { { 6, { 0xfe, 0x80 } }, 10 },
  { { 6, { 0xff } }, 8 },
};
const size_t floe_policy_n_never_routed = G_N_ELEMENTS (floe_policy_never_routed);

#define ICMP_ECHO_REQUEST 8    /* RFC 792 */
#define ICMP6_ECHO_REQUEST 128 /* RFC 4443 */

static const char *const protocol_names[] = { "tcp", "udp", "icmp", "icmp6", "any", NULL };
static const char *const mode_names[] = { "none", "nat", NULL };

static const FloePolicyNotYet network_not_yet[] = {
  { "vlan", "networks are none or nat" },
  { "bridge", "networks are none or nat" },
  { "rate", "nothing limits a network's rate yet" },
  { "log", "packets are counted for each rule, but not logged" },
  { "dns", "rules name addresses, not DNS names" },
  { NULL },
};

static const FloePolicyNotYet rule_not_yet[] = {
  { "names", "rules name addresses, not DNS names" },
  { "rate", "nothing limits a rule's rate yet" },
  { "log", "packets are counted for each rule, but not logged" },
  { NULL },
};

const char *
floe_policy_protocol_name (FloePolicyProtocol protocol)
{
  return protocol_names[protocol];
}

/* -- Addresses -------------------------------------------------------------------------------------------------------- */

gboolean
floe_policy_address_parse (const char *text, FloePolicyAddress *address)
{
  FloePolicyAddress parsed = { 0 };

  /* glibc's inet_pton takes four decimal numbers without leading zeros, and no zone. */
  if (inet_pton (AF_INET, text, parsed.bytes) == 1)
    parsed.family = 4;
  else if (inet_pton (AF_INET6, text, parsed.bytes) == 1)
    parsed.family = 6;
  else
    return FALSE;
  *address = parsed;
  return TRUE;
}

char *
floe_policy_address_text (const FloePolicyAddress *address)
{
  char text[INET6_ADDRSTRLEN] = "?";

  inet_ntop (address->family == 4 ? AF_INET : AF_INET6, address->bytes, text, sizeof text);
  return g_strdup (text);
}

char *
floe_policy_prefix_text (const FloePolicyPrefix *prefix)
{
  g_autofree char *address = floe_policy_address_text (&prefix->address);

  return g_strdup_printf ("%s/%u", address, prefix->length);
}

/* Whether the first LENGTH bits of A and B are the same. */
static gboolean
bits_equal (const uint8_t *a, const uint8_t *b, unsigned length)
{
  unsigned whole = length / 8, rest = length % 8;
  uint8_t mask = (uint8_t) (0xff00 >> rest);

  return memcmp (a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

gboolean
floe_policy_prefix_contains (const FloePolicyPrefix *prefix, const FloePolicyAddress *address)
{
  return prefix->address.family == address->family && bits_equal (prefix->address.bytes, address->bytes, prefix->length);
}

static gboolean
never_routed (const FloePolicyAddress *address, unsigned length)
{
  for (size_t i = 0; i < floe_policy_n_never_routed; i++)
    if (floe_policy_never_routed[i].length <= length && floe_policy_prefix_contains (&floe_policy_never_routed[i], address))
      return TRUE;
  return FALSE;
}

/* A decimal number without sign, blank or leading zero, at most MAX; -1 otherwise. */
static int
parse_decimal (const char *text, size_t size, int max)
{
  int number = 0;

  if (size == 0 || size > 5 || (size > 1 && text[0] == '0'))
    return -1;
  for (size_t i = 0; i < size; i++) {
    if (!g_ascii_isdigit (text[i]))
      return -1;
    number = number * 10 + (text[i] - '0');
  }
  return number <= max ? number : -1;
}

const char *
floe_policy_prefix_parse (const char *text, FloePolicyPrefix *prefix)
{
  static const uint8_t zero[16];
  const char *slash = strchr (text, '/');
  g_autofree char *host = NULL;
  FloePolicyPrefix parsed = { 0 };
  FloePolicyAddress after;
  int length;

  if (slash == NULL)
    return "ADDRESS/LENGTH wanted";
  host = g_strndup (text, (gsize) (slash - text));
  if (!floe_policy_address_parse (host, &parsed.address))
    return "not an IPv4 or IPv6 address";
  length = parse_decimal (slash + 1, strlen (slash + 1), parsed.address.family == 4 ? 32 : 128);
  if (length < 0)
    return parsed.address.family == 4 ? "a length of 0 to 32 wanted" : "a length of 0 to 128 wanted";
  parsed.length = (uint8_t) length;
  after = parsed.address;
  memset (after.bytes, 0, parsed.length / 8);
  if (parsed.length % 8 != 0)
    after.bytes[parsed.length / 8] &= (uint8_t) (0xff >> (parsed.length % 8));
  if (memcmp (after.bytes, zero, sizeof zero) != 0)
    return "bits are set after the prefix";
  *prefix = parsed;
  return NULL;
}

/* -- Parsing ---------------------------------------------------------------------------------------------------------- */

/* Machines get no IPv6 address, and the packet filter lets no IPv6 frame pass: a rule for one would be an empty promise. */
static void
parse_prefix (FloeJson *value, FloePolicyPrefix *prefix)
{
  const char *text = floe_json_string (value, 64), *why = floe_policy_prefix_parse (text, prefix);

  if (why != NULL)
    floe_json_refuse (value, "'%s': %s", text, why);
  else if (prefix->address.family == 6)
    floe_json_refuse (value, "'%s': not in this version: machines have IPv4 only", text);
  else if (never_routed (&prefix->address, prefix->length))
    floe_json_refuse (value, "'%s' is loopback, link-local, multicast or reserved: no rule can open it", text);
}

static FloePolicyProtocol
parse_protocol (FloeJson *value)
{
  FloePolicyProtocol protocol = (FloePolicyProtocol) floe_json_enum (value, protocol_names);

  if (protocol == FLOE_POLICY_PROTOCOL_ICMP6)
    floe_json_refuse (value, "'icmp6': not in this version: machines have IPv4 only");
  return protocol;
}

static void
parse_prefixes (FloePolicyParser *parser, FloeJson *list, FloePolicyNetRule *rule)
{
  size_t n = floe_json_length (list, FLOE_POLICY_PREFIXES_MAX);
  FloePolicyPrefix *prefixes = floe_policy_parser_array (parser, n, sizeof *prefixes);

  if (n == 0)
    floe_json_refuse (list, "at least one prefix wanted (everywhere is 0.0.0.0/0)");
  for (size_t i = 0; i < n; i++)
    parse_prefix (floe_json_at (list, i), &prefixes[i]);
  rule->prefixes = prefixes;
  rule->n_prefixes = n;
}

static void
parse_port (FloeJson *value, FloePolicyPorts *ports)
{
  const char *text = floe_json_string (value, 11), *dash = strchr (text, '-');
  size_t size = dash != NULL ? (size_t) (dash - text) : strlen (text);
  int first = parse_decimal (text, size, 65535);
  int last = dash != NULL ? parse_decimal (dash + 1, strlen (dash + 1), 65535) : first;

  if (first < 1 || last < 1) {
    floe_json_refuse (value, "'%s': PORT or FIRST-LAST wanted, 1 to 65535", text);
    return;
  }
  if (first > last)
    floe_json_refuse (value, "'%s': the first port is after the last", text);
  ports->first = (uint16_t) first;
  ports->last = (uint16_t) last;
}

static void
parse_ports (FloePolicyParser *parser, FloeJson *list, FloePolicyNetRule *rule)
{
  size_t n = floe_json_length (list, FLOE_POLICY_PORTS_MAX);
  FloePolicyPorts *ports;

  if (list == NULL)
    return;
  if (rule->protocol != FLOE_POLICY_PROTOCOL_TCP && rule->protocol != FLOE_POLICY_PROTOCOL_UDP) {
    floe_json_refuse (list, "only tcp and udp have ports");
    return;
  }
  /* An empty list would read as "no ports" and mean "all of them". */
  if (n == 0)
    floe_json_refuse (list, "at least one port wanted: leave the key out to allow all of them");
  ports = floe_policy_parser_array (parser, n, sizeof *ports);
  for (size_t i = 0; i < n; i++)
    parse_port (floe_json_at (list, i), &ports[i]);
  rule->ports = ports;
  rule->n_ports = n;
}

static const FloePolicyNetRule *
parse_rules (FloePolicyParser *parser, FloeJson *list, const char *prefix_key, size_t *n_rules)
{
  size_t n = floe_json_length (list, FLOE_POLICY_NET_RULES_MAX);
  FloePolicyNetRule *rules = floe_policy_parser_array (parser, n, sizeof *rules);

  for (size_t i = 0; i < n; i++) {
    FloeJson *object = floe_json_at (list, i);

    rules[i].id = floe_policy_parse_rule_id (parser, floe_json_member (object, "id"));
    rules[i].protocol = parse_protocol (floe_json_member (object, "protocol"));
    parse_prefixes (parser, floe_json_member (object, prefix_key), &rules[i]);
    parse_ports (parser, floe_json_optional (object, "ports"), &rules[i]);
    floe_policy_refuse_not_yet (object, rule_not_yet);
  }
  *n_rules = n;
  return rules;
}

static FloePolicyNetworkMode
parse_mode (FloeJson *value)
{
  const char *text = floe_json_is_string (value) ? floe_json_string (value, 256) : "";

  if (strcmp (text, "bridge") == 0 || strcmp (text, "vlan") == 0) {
    floe_json_refuse (value, "not in this version: networks are none or nat");
    return FLOE_POLICY_NETWORK_NONE;
  }
  return (FloePolicyNetworkMode) floe_json_enum (value, mode_names);
}

static void
parse_network (FloePolicyParser *parser, FloeJson *object, FloePolicyNetwork *network)
{
  FloeJson *egress, *ingress;

  network->mode = parse_mode (floe_json_member (object, "mode"));
  network->connections = FLOE_POLICY_CONNECTIONS_DEFAULT;
  network->isolated = TRUE;
  network->log_drops = TRUE;
  egress = floe_json_optional (object, "egress");
  ingress = floe_json_optional (object, "ingress");
  network->egress = parse_rules (parser, egress, "to", &network->n_egress);
  network->ingress = parse_rules (parser, ingress, "from", &network->n_ingress);
  if (network->mode == FLOE_POLICY_NETWORK_NONE && network->n_egress + network->n_ingress > 0)
    floe_json_refuse (network->n_egress > 0 ? egress : ingress, "a network of mode none carries no packets, so no rules");
  floe_policy_refuse_not_yet (object, network_not_yet);
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
    parse_network (parser, object, &networks[i]);
  }
  parser->content->networks = networks;
  parser->content->n_networks = n;
}

/* -- Verdict ---------------------------------------------------------------------------------------------------------- */

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
    return v4 && packet->protocol == IPPROTO_ICMP && packet->icmp_type == ICMP_ECHO_REQUEST;
  case FLOE_POLICY_PROTOCOL_ICMP6:
    return !v4 && packet->protocol == IPPROTO_ICMPV6 && packet->icmp_type == ICMP6_ECHO_REQUEST;
  case FLOE_POLICY_PROTOCOL_ANY:
    for (unsigned i = 0; i < FLOE_POLICY_PROTOCOL_ANY; i++)
      if (protocol_matches ((FloePolicyProtocol) i, packet))
        return TRUE;
    return FALSE;
  }
  return FALSE;
}

static gboolean
rule_matches (const FloePolicyNetRule *rule, const FloePolicyPacket *packet)
{
  gboolean address = FALSE, port = rule->n_ports == 0;

  for (size_t i = 0; i < rule->n_prefixes && !address; i++)
    address = floe_policy_prefix_contains (&rule->prefixes[i], &packet->remote);
  for (size_t i = 0; i < rule->n_ports && !port; i++)
    port = packet->port >= rule->ports[i].first && packet->port <= rule->ports[i].last;
  return address && port && protocol_matches (rule->protocol, packet);
}

FloePolicyPacketVerdict
floe_policy_packet_verdict (const FloePolicyNetwork *network, const FloePolicyPacket *packet)
{
  gboolean egress = packet->direction == FLOE_POLICY_EGRESS;
  const FloePolicyNetRule *rules;
  size_t n;

  if (network == NULL || network->mode == FLOE_POLICY_NETWORK_NONE)
    return (FloePolicyPacketVerdict){ FALSE, "no-network" };
  if (never_routed (&packet->remote, 128))
    return (FloePolicyPacketVerdict){ FALSE, "never-routed" };
  rules = egress ? network->egress : network->ingress;
  n = egress ? network->n_egress : network->n_ingress;
  for (size_t i = 0; i < n; i++)
    if (rule_matches (&rules[i], packet))
      return (FloePolicyPacketVerdict){ TRUE, rules[i].id };
  return (FloePolicyPacketVerdict){ FALSE, "default" };
}
