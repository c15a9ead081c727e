/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <string.h>

/* One rule of a network, from JSON. NETWORK's mode, ipv6 and resolver are known by then: what a rule may name depends on them. */

#define WINDOWS_WRITTEN_MAX (FLOE_POLICY_WINDOWS_MAX / 2) /* each may have to be split at midnight */
#define MINUTES_A_DAY (24 * 60)
#define EVERY_DAY 0x7f

static const char *const protocol_names[] = { "tcp", "udp", "icmp", "icmp6", "any", NULL };
static const char *const day_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };

const char *
floe_policy_protocol_name (FloePolicyProtocol protocol)
{
  return protocol_names[protocol];
}

const char *
floe_policy_day_name (unsigned day)
{
  return day_names[day % 7];
}

/* -- DNS names -------------------------------------------------------------------------------------------------------- */

/* Letters, digits and hyphens (RFC 1123, 2.1), a hyphen neither first nor last; "xn--..." must decode (RFC 5890, A-label). */
static const char *
label_mistake (const char *label)
{
  size_t size = strlen (label);

  if (size == 0)
    return "an empty label: no dot at the ends, no two in a row";
  if (size > 63)
    return "a label of more than 63 bytes";
  if (label[strspn (label, G_CSET_a_2_z G_CSET_DIGITS "-")] != '\0')
    return "labels are letters, digits and hyphens, with * only as the whole first one; write other scripts as A-labels (xn--...)";
  if (label[0] == '-' || label[size - 1] == '-')
    return "a label begins or ends with a hyphen";
  if (g_str_has_prefix (label, "xn--")) {
    g_autofree char *decoded = g_hostname_to_unicode (label);

    if (decoded == NULL || strcmp (decoded, label) == 0)
      return "an xn-- label that stands for nothing";
  }
  return NULL;
}

const char *
floe_policy_dns_name_parse (const char *text, gboolean wildcard, char **name)
{
  g_autofree char *lower = g_ascii_strdown (text, -1);
  const char *base = wildcard && g_str_has_prefix (lower, "*.") ? lower + 2 : lower, *last, *mistake = NULL;
  g_auto (GStrv) labels = g_strsplit (base, ".", -1);

  if (*base == '\0')
    return "a name wanted";
  if (strlen (lower) > FLOE_POLICY_DNS_NAME_MAX)
    return "a name of more than 253 bytes";
  for (char **label = labels; *label != NULL && mistake == NULL; label++)
    mistake = label_mistake (*label);
  if (mistake != NULL)
    return mistake;
  last = labels[g_strv_length (labels) - 1];
  if (last[strspn (last, G_CSET_DIGITS)] == '\0')
    return "an address or part of one: addresses are prefixes (ADDRESS/32)";
  *name = g_steal_pointer (&lower);
  return NULL;
}

static void
parse_names (FloePolicyParser *parser, FloeJson *list, const FloePolicyNetwork *network, FloePolicyNetRule *rule)
{
  size_t n = floe_json_length (list, FLOE_POLICY_NAMES_MAX);
  const char **names = floe_policy_parser_array (parser, n, sizeof *names);

  if (list == NULL)
    return;
  if (n == 0)
    floe_json_refuse (list, "at least one name wanted: leave the key out when the rule is for addresses");
  if (network->mode == FLOE_POLICY_NETWORK_BRIDGE || network->mode == FLOE_POLICY_NETWORK_VLAN)
    floe_json_refuse (list, "names work where the endpoint is the machine's resolver (nat, filter), and not on a LAN that has its own");
  else if (network->resolver == FLOE_POLICY_RESOLVER_NONE)
    floe_json_refuse (list, "the endpoint answers no names here: set the network's dns.resolver to rules or any");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    const char *text = floe_json_string (value, 512), *why;
    g_autofree char *name = NULL;

    why = floe_policy_dns_name_parse (text, TRUE, &name);
    if (why != NULL)
      floe_json_refuse (value, "'%s': %s", text, why);
    names[i] = floe_policy_parser_keep (parser, name != NULL ? name : "");
  }
  rule->names = names;
  rule->n_names = n;
}

/* -- Addresses and ports ---------------------------------------------------------------------------------------------- */

void
floe_policy_parse_prefix (FloeJson *value, const FloePolicyNetwork *network, FloePolicyPrefix *prefix)
{
  const char *text = floe_json_string (value, 64), *why = floe_policy_prefix_parse (text, prefix);

  if (why != NULL)
    floe_json_refuse (value, "'%s': %s", text, why);
  else if (floe_policy_is_never_routed (&prefix->address, prefix->length))
    floe_json_refuse (value, "'%s' is loopback, link-local, multicast or reserved: no rule can open it", text);
  else if (prefix->address.family == 6 && !network->ipv6)
    floe_json_refuse (value, "'%s': no IPv6 passes on this network unless its ipv6 is true", text);
}

static void
parse_prefixes (FloePolicyParser *parser, FloeJson *list, const FloePolicyNetwork *network, FloePolicyNetRule *rule)
{
  size_t n = floe_json_length (list, FLOE_POLICY_PREFIXES_MAX);
  FloePolicyPrefix *prefixes = floe_policy_parser_array (parser, n, sizeof *prefixes);

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one prefix wanted (everywhere is 0.0.0.0/0, and ::/0)");
  for (size_t i = 0; i < n; i++)
    floe_policy_parse_prefix (floe_json_at (list, i), network, &prefixes[i]);
  rule->prefixes = prefixes;
  rule->n_prefixes = n;
}

static void
parse_port (FloeJson *value, FloePolicyPorts *ports)
{
  const char *text = floe_json_string (value, 11), *dash = strchr (text, '-');
  size_t size = dash != NULL ? (size_t) (dash - text) : strlen (text);
  int first = floe_policy_decimal_parse (text, size, 65535);
  int last = dash != NULL ? floe_policy_decimal_parse (dash + 1, strlen (dash + 1), 65535) : first;

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

/* -- ICMP types ------------------------------------------------------------------------------------------------------- */

/* The only ones that the kernel's connection tracking begins a flow with (nf_conntrack_proto_icmp.c and _icmpv6.c, valid_new): any other
 * type is an answer or an error, which belongs to a flow or to none. */
static const uint8_t icmp_types[] = { 8, 13, 15, 17 };
static const uint8_t icmp6_types[] = { 128, 139 };

static void
parse_icmp_type (FloeJson *value, FloePolicyNetRule *rule, uint8_t *types, size_t n)
{
  gboolean v4 = rule->protocol == FLOE_POLICY_PROTOCOL_ICMP;
  unsigned type = (unsigned) floe_json_int (value, 0, 255);

  if (memchr (v4 ? icmp_types : icmp6_types, (int) type, v4 ? sizeof icmp_types : sizeof icmp6_types) == NULL)
    floe_json_refuse (value, "type %u begins no flow: %s can", type,
                      v4 ? "8 (echo), 13 (timestamp), 15 (information) and 17 (address mask)" : "128 (echo) and 139 (node information)");
  else if (memchr (types, (int) type, n) != NULL)
    floe_json_refuse (value, "type %u stands in this list already", type);
  types[n] = (uint8_t) type;
}

static void
parse_icmp_types (FloePolicyParser *parser, FloeJson *list, FloePolicyNetRule *rule)
{
  size_t n = floe_json_length (list, G_N_ELEMENTS (icmp_types));
  uint8_t *types;

  if (list == NULL)
    return;
  if (rule->protocol != FLOE_POLICY_PROTOCOL_ICMP && rule->protocol != FLOE_POLICY_PROTOCOL_ICMP6) {
    floe_json_refuse (list, "only icmp and icmp6 have types (any allows echo requests)");
    return;
  }
  if (n == 0)
    floe_json_refuse (list, "at least one type wanted: leave the key out to allow echo requests");
  types = floe_policy_parser_array (parser, n, sizeof *types);
  for (size_t i = 0; i < n; i++)
    parse_icmp_type (floe_json_at (list, i), rule, types, i);
  rule->icmp_types = types;
  rule->n_icmp_types = n;
}

/* -- Rates, log, windows ---------------------------------------------------------------------------------------------- */

void
floe_policy_parse_rate (FloeJson *object, FloePolicyRate *rate)
{
  FloeJson *packets = floe_json_optional (object, "packets"), *bytes = floe_json_optional (object, "bytes");

  if (object == NULL)
    return;
  if (floe_json_is_object (object) && packets == NULL && bytes == NULL)
    floe_json_refuse (object, "packets or bytes wanted, a second each");
  if (packets != NULL)
    rate->packets = (uint32_t) floe_json_int (packets, 1, 10 * 1000 * 1000);
  if (bytes != NULL)
    rate->bytes = (uint64_t) floe_json_int (bytes, 1, G_GINT64_CONSTANT (100) * 1000 * 1000 * 1000);
}

static uint32_t
parse_log (FloeJson *object)
{
  FloeJson *sample = floe_json_optional (object, "sample");

  if (object == NULL)
    return 0;
  return sample != NULL ? (uint32_t) floe_json_int (sample, 1, 1000 * 1000) : 1;
}

/* "HH:MM"; 24:00 is the end of a day, and no beginning. */
gboolean
floe_policy_time_parse (const char *text, unsigned *minute)
{
  unsigned hours, minutes;

  if (strlen (text) != 5 || text[2] != ':' || !g_ascii_isdigit (text[0]) || !g_ascii_isdigit (text[1]) || !g_ascii_isdigit (text[3])
      || !g_ascii_isdigit (text[4]))
    return FALSE;
  hours = (unsigned) (text[0] - '0') * 10 + (unsigned) (text[1] - '0');
  minutes = (unsigned) (text[3] - '0') * 10 + (unsigned) (text[4] - '0');
  if (minutes > 59 || hours * 60 + minutes > MINUTES_A_DAY)
    return FALSE;
  *minute = hours * 60 + minutes;
  return TRUE;
}

static unsigned
parse_time (FloeJson *value, unsigned otherwise)
{
  const char *text = floe_json_string (value, 5);
  unsigned minute = otherwise;

  if (value != NULL && (!floe_policy_time_parse (text, &minute) || (otherwise == 0 && minute == MINUTES_A_DAY)))
    floe_json_refuse (value, "'%s': HH:MM wanted, 00:00 to %s", text, otherwise == 0 ? "23:59" : "24:00");
  return minute;
}

static uint8_t
parse_days (FloeJson *list)
{
  size_t n = floe_json_length (list, 7);
  unsigned days = 0;

  if (list == NULL)
    return EVERY_DAY;
  if (n == 0)
    floe_json_refuse (list, "at least one day wanted: leave the key out for every day");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    unsigned day = floe_json_enum (value, day_names);

    if (days & 1u << day)
      floe_json_refuse (value, "'%s' stands in this list already", day_names[day]);
    days |= 1u << day;
  }
  return (uint8_t) days;
}

/* Adds what OBJECT says to WINDOWS: one, or two where it goes on after midnight. Its days are those on which it begins. */
static size_t
parse_window (FloeJson *object, FloePolicyWindow *windows, size_t n)
{
  FloeJson *days_value = floe_json_optional (object, "days"), *from = floe_json_optional (object, "from");
  FloeJson *to = floe_json_optional (object, "to");
  uint8_t days = parse_days (days_value);
  unsigned first = parse_time (from, 0), last = parse_time (to, MINUTES_A_DAY);

  if (floe_json_is_object (object) && days_value == NULL && from == NULL && to == NULL)
    floe_json_refuse (object, "days, from or to wanted: leave the key out for a rule that always holds");
  if (first == last) {
    floe_json_refuse (object, "it ends when it begins: leave from and to out for whole days");
    return n;
  }
  if (last == 0)
    last = MINUTES_A_DAY;
  if (first < last) {
    windows[n++] = (FloePolicyWindow){ days, (uint16_t) first, (uint16_t) last };
    return n;
  }
  windows[n++] = (FloePolicyWindow){ days, (uint16_t) first, MINUTES_A_DAY };
  windows[n++] = (FloePolicyWindow){ (uint8_t) ((days << 1 | days >> 6) & EVERY_DAY), 0, (uint16_t) last };
  return n;
}

static void
parse_windows (FloePolicyParser *parser, FloeJson *list, FloePolicyNetRule *rule)
{
  size_t n = floe_json_length (list, WINDOWS_WRITTEN_MAX);
  FloePolicyWindow *windows = floe_policy_parser_array (parser, 2 * n, sizeof *windows);

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one window wanted: leave the key out for a rule that always holds");
  for (size_t i = 0; i < n; i++)
    rule->n_windows = parse_window (floe_json_at (list, i), windows, rule->n_windows);
  rule->windows = windows;
}

/* -- The rule --------------------------------------------------------------------------------------------------------- */

static FloePolicyProtocol
parse_protocol (FloeJson *value, const FloePolicyNetwork *network)
{
  FloePolicyProtocol protocol = (FloePolicyProtocol) floe_json_enum (value, protocol_names);

  if (protocol == FLOE_POLICY_PROTOCOL_ICMP6 && !network->ipv6)
    floe_json_refuse (value, "'icmp6': no IPv6 passes on this network unless its ipv6 is true");
  return protocol;
}

/* A rule that nothing can match is a mistake: it was meant to open something. */
static void
check_family (FloeJson *object, const FloePolicyNetRule *rule)
{
  uint8_t wanted = rule->protocol == FLOE_POLICY_PROTOCOL_ICMP ? 4 : 6;
  gboolean some = rule->n_prefixes == 0;

  if (rule->protocol != FLOE_POLICY_PROTOCOL_ICMP && rule->protocol != FLOE_POLICY_PROTOCOL_ICMP6)
    return;
  for (size_t i = 0; i < rule->n_prefixes; i++)
    some |= rule->prefixes[i].address.family == wanted;
  if (!some)
    floe_json_refuse (object, "%s is IPv%u's, and no prefix here is: %s is the other one", protocol_names[rule->protocol], wanted,
                      wanted == 4 ? "icmp6" : "icmp");
}

void
floe_policy_parse_net_rule (FloePolicyParser *parser, FloeJson *object, const FloePolicyNetwork *network, gboolean egress,
                            FloePolicyNetRule *rule)
{
  FloeJson *prefixes, *names;

  rule->id = floe_policy_parse_rule_id (parser, floe_json_member (object, "id"));
  rule->protocol = parse_protocol (floe_json_member (object, "protocol"), network);
  prefixes = floe_json_optional (object, egress ? "to" : "from");
  names = floe_json_optional (object, "names");
  if (names != NULL && !egress)
    floe_json_refuse (names, "names are for egress: who begins a flow to the machine is known by address only");
  else if (prefixes == NULL && names == NULL && egress)
    floe_json_refuse (object, "key 'to' or 'names' is missing");
  else if (prefixes == NULL && !egress)
    floe_json_member (object, "from");
  parse_prefixes (parser, prefixes, network, rule);
  parse_names (parser, names, network, rule);
  check_family (prefixes, rule);
  parse_ports (parser, floe_json_optional (object, "ports"), rule);
  parse_icmp_types (parser, floe_json_optional (object, "icmp_types"), rule);
  floe_policy_parse_rate (floe_json_optional (object, "rate"), &rule->rate);
  rule->log = parse_log (floe_json_optional (object, "log"));
  parse_windows (parser, floe_json_optional (object, "when"), rule);
}
