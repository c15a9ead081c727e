/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/document/floe-policy-private.h"

#include <netinet/in.h>
#include <string.h>

static const char policy_text[] =
  "{ \"floe\": 1, \"group\": \"g\","
  "  \"machines\": ["
  "    { \"id\": \"a\", \"image\": { \"name\": \"i\", \"channel\": \"c\" }, \"vcpus\": 1, \"memory_mib\": 512, \"disk\": \"reset\","
  "      \"networks\": [\"lan\"] },"
  "    { \"id\": \"open\", \"image\": { \"name\": \"i\", \"channel\": \"c\" }, \"vcpus\": 1, \"memory_mib\": 512, \"disk\": \"reset\","
  "      \"networks\": [\"everything\"] },"
  "    { \"id\": \"off\", \"image\": { \"name\": \"i\", \"channel\": \"c\" }, \"vcpus\": 1, \"memory_mib\": 512, \"disk\": \"reset\","
  "      \"networks\": [\"nothing\"] },"
  "    { \"id\": \"bare\", \"image\": { \"name\": \"i\", \"channel\": \"c\" }, \"vcpus\": 1, \"memory_mib\": 512, \"disk\": \"reset\" } ],"
  "  \"networks\": {"
  "    \"lan\": { \"mode\": \"nat\", \"egress\": ["
  "      { \"id\": \"web\", \"protocol\": \"tcp\", \"to\": [\"192.0.2.0/25\"], \"ports\": [\"80\", \"8000-8010\"] },"
  "      { \"id\": \"web-again\", \"protocol\": \"tcp\", \"to\": [\"192.0.2.0/24\"], \"ports\": [\"80\"] },"
  "      { \"id\": \"dns\", \"protocol\": \"udp\", \"to\": [\"192.0.2.53/32\"], \"ports\": [\"53\"] },"
  "      { \"id\": \"ping\", \"protocol\": \"icmp\", \"to\": [\"192.0.2.0/24\"] },"
  "      { \"id\": \"lab\", \"protocol\": \"any\", \"to\": [\"198.18.0.0/15\"] } ],"
  "      \"ingress\": [ { \"id\": \"help\", \"protocol\": \"tcp\", \"from\": [\"198.51.100.7/32\"], \"ports\": [\"5900\"] } ] },"
  "    \"everything\": { \"mode\": \"nat\", \"egress\": [ { \"id\": \"all\", \"protocol\": \"any\", \"to\": [\"0.0.0.0/0\"] } ],"
  "      \"ingress\": [ { \"id\": \"all-in\", \"protocol\": \"any\", \"from\": [\"0.0.0.0/0\"] } ] },"
  "    \"nothing\": { \"mode\": \"none\" } },"
  "  \"assignment\": [ { \"who\": \"*\", \"machines\": [\"a\", \"open\", \"off\", \"bare\"] } ] }";

enum { OUT = FLOE_POLICY_EGRESS, IN = FLOE_POLICY_INGRESS, TCP = IPPROTO_TCP, UDP = IPPROTO_UDP, ICMP = IPPROTO_ICMP, ICMP6 = IPPROTO_ICMPV6 };

static const struct {
  const char *machine;
  int direction, protocol;
  const char *remote;
  unsigned number; /* port or ICMP type */
  const char *wanted;
} cases[] = {
  { "a", OUT, TCP, "192.0.2.1", 80, "allow web" },
  { "a", OUT, TCP, "192.0.2.127", 80, "allow web" },
  { "a", OUT, TCP, "192.0.2.128", 80, "allow web-again" },
  { "a", OUT, TCP, "192.0.3.0", 80, "drop default" },
  { "a", OUT, TCP, "192.0.1.255", 80, "drop default" },
  { "a", OUT, TCP, "192.0.2.1", 79, "drop default" },
  { "a", OUT, TCP, "192.0.2.1", 81, "drop default" },
  { "a", OUT, TCP, "192.0.2.1", 7999, "drop default" },
  { "a", OUT, TCP, "192.0.2.1", 8000, "allow web" },
  { "a", OUT, TCP, "192.0.2.1", 8010, "allow web" },
  { "a", OUT, TCP, "192.0.2.1", 8011, "drop default" },
  { "a", OUT, TCP, "192.0.2.1", 0, "drop default" },
  { "a", OUT, UDP, "192.0.2.1", 80, "drop default" },
  { "a", OUT, UDP, "192.0.2.53", 53, "allow dns" },
  { "a", OUT, UDP, "192.0.2.54", 53, "drop default" },
  { "a", OUT, TCP, "192.0.2.53", 53, "drop default" },
  /* Echo requests, no other type: redirects, router advertisements and replies out of nowhere stay inside. */
  { "a", OUT, ICMP, "192.0.2.9", 8, "allow ping" },
  { "a", OUT, ICMP, "192.0.2.9", 0, "drop default" },
  { "a", OUT, ICMP, "192.0.2.9", 5, "drop default" },
  { "a", OUT, ICMP6, "192.0.2.9", 128, "drop default" },
  /* No IPv6 on a network that has none. */
  { "open", OUT, TCP, "2001:db8::1", 443, "drop default" },
  { "open", OUT, ICMP6, "2001:db8::1", 128, "drop default" },
  { "open", OUT, TCP, "fe80::1", 443, "drop never-routed" },
  /* "any" is what rules can name, not every IP protocol. */
  { "a", OUT, TCP, "198.19.255.255", 65535, "allow lab" },
  { "a", OUT, UDP, "198.18.0.0", 1, "allow lab" },
  { "a", OUT, ICMP, "198.18.0.0", 8, "allow lab" },
  { "a", OUT, ICMP, "198.18.0.0", 5, "drop default" },
  { "a", OUT, IPPROTO_GRE, "198.18.0.1", 0, "drop default" },
  { "a", OUT, IPPROTO_IPV6, "198.18.0.1", 0, "drop default" },
  { "a", OUT, IPPROTO_SCTP, "198.18.0.1", 80, "drop default" },
  { "a", OUT, ICMP6, "198.18.0.1", 128, "drop default" },
  { "a", OUT, TCP, "198.20.0.0", 80, "drop default" },
  /* Directions do not mix. */
  { "a", IN, TCP, "198.51.100.7", 5900, "allow help" },
  { "a", OUT, TCP, "198.51.100.7", 5900, "drop default" },
  { "a", IN, TCP, "198.51.100.8", 5900, "drop default" },
  { "a", IN, TCP, "192.0.2.1", 80, "drop default" },
  /* Everything is open, and these still are not. */
  { "open", OUT, TCP, "8.8.8.8", 443, "allow all" },
  { "open", OUT, TCP, "10.0.0.1", 443, "allow all" },
  { "open", IN, TCP, "8.8.8.8", 22, "allow all-in" },
  { "open", OUT, TCP, "169.254.169.254", 80, "drop never-routed" },
  { "open", OUT, TCP, "127.0.0.1", 80, "drop never-routed" },
  { "open", OUT, TCP, "127.255.255.255", 80, "drop never-routed" },
  { "open", OUT, TCP, "0.0.0.0", 80, "drop never-routed" },
  { "open", OUT, UDP, "224.0.0.251", 5353, "drop never-routed" },
  { "open", OUT, UDP, "239.255.255.250", 1900, "drop never-routed" },
  { "open", OUT, UDP, "255.255.255.255", 67, "drop never-routed" },
  { "open", OUT, TCP, "240.0.0.1", 80, "drop never-routed" },
  { "open", IN, TCP, "127.0.0.1", 22, "drop never-routed" },
  { "open", OUT, TCP, "126.255.255.255", 80, "allow all" },
  { "open", OUT, TCP, "128.0.0.0", 80, "allow all" },
  { "open", OUT, TCP, "223.255.255.255", 80, "allow all" },
  { "open", OUT, TCP, "169.253.255.255", 80, "allow all" },
  { "open", OUT, IPPROTO_GRE, "8.8.8.8", 0, "drop default" },
  { "off", OUT, TCP, "8.8.8.8", 443, "drop no-network" },
  { "bare", OUT, TCP, "8.8.8.8", 443, "drop no-network" },
  { "bare", IN, TCP, "8.8.8.8", 443, "drop no-network" },
};

static FloePolicyPacketVerdict
verdict_of (FloePolicyDocument *document, const char *id, const FloePolicyPacket *packet)
{
  const FloePolicyMachine *machine = floe_policy_find_machine (floe_policy_document_content (document), id);

  return floe_policy_packet_verdict (machine->n_networks > 0 ? machine->networks[0] : NULL, packet);
}

static void
test_verdicts (void)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (policy_text, strlen (policy_text));
  g_autoptr (GError) error = NULL;
  g_autoptr (FloePolicyDocument) document = floe_policy_parse (bytes, "packet.json", &error);

  g_assert_no_error (error);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    gboolean icmp = cases[i].protocol == ICMP || cases[i].protocol == ICMP6;
    FloePolicyPacket packet = { .direction = (FloePolicyDirection) cases[i].direction, .protocol = (uint8_t) cases[i].protocol };
    FloePolicyPacketVerdict verdict;
    g_autofree char *got = NULL;

    g_assert_true (floe_policy_address_parse (cases[i].remote, &packet.remote));
    packet.port = icmp ? 0 : (uint16_t) cases[i].number;
    packet.icmp_type = icmp ? (uint8_t) cases[i].number : 0;
    verdict = verdict_of (document, cases[i].machine, &packet);
    got = g_strdup_printf ("%s %s", verdict.allow ? "allow" : "drop", verdict.rule);
    if (g_strcmp0 (got, cases[i].wanted) != 0)
      g_error ("%s %s protocol %d %s %u: %s, %s wanted", cases[i].machine, cases[i].direction == OUT ? "to" : "from",
               cases[i].protocol, cases[i].remote, cases[i].number, got, cases[i].wanted);
  }
}

/* Rules for IPv6, on a network that has it. */
static void
test_ipv6 (void)
{
  static const FloePolicyPrefix half = { { 6, { 0x20, 0x01, 0x0d, 0xb8 } }, 33 }, whole = { { 6, { 0x20, 0x01, 0x0d, 0xb8 } }, 32 };
  static const FloePolicyPrefix everywhere = { { 6, { 0 } }, 0 };
  static const FloePolicyPorts http = { 80, 80 };
  static const FloePolicyNetRule some[] = {
    { .id = "web6", .protocol = FLOE_POLICY_PROTOCOL_TCP, .prefixes = &half, .n_prefixes = 1, .ports = &http, .n_ports = 1 },
    { .id = "ping6", .protocol = FLOE_POLICY_PROTOCOL_ICMP6, .prefixes = &whole, .n_prefixes = 1 },
  };
  static const FloePolicyNetRule all = {
    .id = "all", .protocol = FLOE_POLICY_PROTOCOL_ANY, .prefixes = &everywhere, .n_prefixes = 1,
  };
  static const FloePolicyNetwork networks[] = {
    { .name = "some", .mode = FLOE_POLICY_NETWORK_NAT, .ipv6 = TRUE, .egress = some, .n_egress = 2 },
    { .name = "all", .mode = FLOE_POLICY_NETWORK_NAT, .ipv6 = TRUE, .egress = &all, .n_egress = 1 },
  };
  static const struct {
    gboolean open;
    const char *remote;
    int protocol;
    unsigned number;
    const char *wanted;
  } rows[] = {
    { FALSE, "2001:db8::1", TCP, 80, "allow web6" },
    { FALSE, "2001:db8:7fff:ffff::1", TCP, 80, "allow web6" },
    { FALSE, "2001:db8:8000::1", TCP, 80, "drop default" },
    { FALSE, "2001:db8::9", ICMP6, 128, "allow ping6" },
    { FALSE, "2001:db8::9", ICMP6, 134, "drop default" },
    { FALSE, "2001:db8::9", ICMP, 8, "drop default" },
    { TRUE, "2001:db8::1", TCP, 443, "allow all" },
    { TRUE, "::", TCP, 80, "drop never-routed" },
    { TRUE, "::1", TCP, 80, "drop never-routed" },
    { TRUE, "::7f00:1", TCP, 80, "drop never-routed" },
    { TRUE, "::ffff:127.0.0.1", TCP, 80, "drop never-routed" },
    { TRUE, "::ffff:8.8.8.8", TCP, 80, "drop never-routed" },
    { TRUE, "fe80::1", TCP, 80, "drop never-routed" },
    { TRUE, "febf::1", TCP, 80, "drop never-routed" },
    { TRUE, "fec0::1", TCP, 80, "allow all" },
    { TRUE, "ff02::1", ICMP6, 128, "drop never-routed" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    FloePolicyPacket packet = { .protocol = (uint8_t) rows[i].protocol, .port = (uint16_t) rows[i].number };
    FloePolicyPacketVerdict verdict;
    g_autofree char *got = NULL;

    packet.icmp_type = (uint8_t) rows[i].number;
    g_assert_true (floe_policy_address_parse (rows[i].remote, &packet.remote));
    verdict = floe_policy_packet_verdict (&networks[rows[i].open], &packet);
    got = g_strdup_printf ("%s %s", verdict.allow ? "allow" : "drop", verdict.rule);
    if (g_strcmp0 (got, rows[i].wanted) != 0)
      g_error ("%s protocol %d number %u: %s, %s wanted", rows[i].remote, rows[i].protocol, rows[i].number, got, rows[i].wanted);
  }
}

/* -- Names, types, windows: the corpus's networks.json ------------------------------------------------------------------- */

static void
test_names (void)
{
  static const struct {
    const char *pattern, *name;
    gboolean matches;
  } rows[] = {
    { "www.example.org", "www.example.org", TRUE },
    { "www.example.org", "ww.example.org", FALSE },
    { "www.example.org", "a.www.example.org", FALSE },
    { "www.example.org", "www.example.org.evil", FALSE },
    { "*.example.org", "a.example.org", TRUE },
    { "*.example.org", "a.b.example.org", TRUE },
    { "*.example.org", "example.org", FALSE },
    { "*.example.org", ".example.org", FALSE },
    { "*.example.org", "evilexample.org", FALSE },
    { "*.example.org", "a.example.org.evil", FALSE },
    { "*.example.org", "", FALSE },
    { "*.org", "example.org", TRUE },
    { "example.org", "", FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++)
    if (floe_policy_name_matches (rows[i].pattern, rows[i].name) != rows[i].matches)
      g_error ("%s and '%s'", rows[i].pattern, rows[i].name);
}

static FloePolicyDocument *
parse_corpus (const char *name)
{
  g_autofree char *path = g_strconcat (FLOE_SOURCE_DIR "/tests/unit/policy-corpus/good/", name, NULL);
  g_autoptr (GBytes) text = floe_file_read (path, FLOE_POLICY_SIZE_MAX, NULL);
  g_autoptr (GError) error = NULL;
  FloePolicyDocument *document = floe_policy_parse (text, name, &error);

  g_assert_no_error (error);
  return document;
}

enum { SUN, MON, TUE, WED, THU, FRI, SAT };
static const struct {
  const char *network;
  int direction, protocol;
  const char *remote;
  unsigned number;
  const char *name;
  unsigned day, hour, minute;
  const char *wanted;
} conditions[] = {
  { "web", OUT, TCP, "192.0.2.1", 443, "deb.example.org", TUE, 7, 0, "allow updates" },
  { "web", OUT, TCP, "192.0.2.1", 443, NULL, TUE, 7, 0, "drop default" },
  { "web", OUT, TCP, "192.0.2.1", 444, "deb.example.org", TUE, 7, 0, "drop default" },
  { "web", OUT, UDP, "192.0.2.1", 443, "deb.example.org", TUE, 7, 0, "drop default" },
  { "web", OUT, TCP, "2001:db8::5", 80, "x.y.mirrors.example.org", TUE, 7, 0, "allow updates" },
  { "web", OUT, TCP, "192.0.2.1", 80, "mirrors.example.org", TUE, 7, 0, "drop default" },
  { "web", OUT, TCP, "127.0.0.1", 443, "deb.example.org", TUE, 7, 0, "drop never-routed" },
  { "web", OUT, TCP, "192.0.2.1", 9, "www.xn--bcher-kva.example", TUE, 7, 0, "allow a-labels" },
  { "web", OUT, TCP, "10.20.255.1", 9, NULL, TUE, 7, 0, "allow a-labels" },
  /* A name opens nothing towards the machine. */
  { "web", IN, TCP, "192.0.2.1", 443, "deb.example.org", TUE, 7, 0, "drop default" },
  /* mon to fri 08:00-18:30, sat 22:00 over midnight, sun, and 23:00-24:00, 00:00-00:01, 21:00-24:00, 12:00-24:00 each day */
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, MON, 7, 59, "drop default" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, MON, 8, 0, "allow hours" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, FRI, 11, 59, "allow hours" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, SAT, 11, 59, "drop default" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, SAT, 12, 0, "allow hours" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, SAT, 23, 59, "allow hours" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, SUN, 0, 0, "allow hours" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, SUN, 5, 0, "allow hours" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, MON, 0, 0, "allow hours" },
  { "web", OUT, UDP, "203.0.113.1", 1, NULL, MON, 0, 1, "drop default" },
  { "web", IN, TCP, "192.0.2.7", 5900, NULL, MON, 11, 59, "allow help" },
  { "web", IN, TCP, "192.0.2.7", 5900, NULL, MON, 12, 0, "drop default" },
  { "web", IN, TCP, "192.0.2.7", 5900, NULL, TUE, 11, 59, "drop default" },
  { "web", IN, TCP, "2001:db8:9::7", 5903, NULL, MON, 0, 0, "allow help" },
  { "web", IN, TCP, "2001:db8:9::8", 5903, NULL, MON, 0, 0, "drop default" },
  { "web", OUT, ICMP, "198.51.100.1", 17, NULL, TUE, 7, 0, "allow ping" },
  { "web", OUT, ICMP, "198.51.100.1", 0, NULL, TUE, 7, 0, "drop default" },
  { "web", OUT, ICMP6, "2001:db8::1", 139, NULL, TUE, 7, 0, "allow ping6" },
  { "web", OUT, ICMP6, "2001:db8::1", 129, NULL, TUE, 7, 0, "drop default" },
  { "web", OUT, ICMP6, "2001:db9::1", 128, "a.example.org", TUE, 7, 0, "allow ping6-plain" },
  { "web", OUT, ICMP6, "2001:db9::1", 139, "a.example.org", TUE, 7, 0, "drop default" },
  { "web", IN, ICMP, "192.0.2.1", 8, NULL, TUE, 7, 0, "allow ping-in" },
  { "web", IN, ICMP, "192.0.2.1", 13, NULL, TUE, 7, 0, "drop default" },
  { "intranet", OUT, UDP, "192.0.2.53", 53, NULL, TUE, 7, 0, "allow floe-dns" },
  { "intranet", OUT, TCP, "192.0.2.53", 53, NULL, TUE, 7, 0, "allow floe-dns" },
  { "intranet", OUT, TCP, "192.0.2.53", 443, NULL, TUE, 7, 0, "allow intranet-web" },
  { "intranet", OUT, UDP, "192.0.2.54", 53, NULL, TUE, 7, 0, "drop default" },
  { "intranet", IN, UDP, "192.0.2.53", 53, NULL, TUE, 7, 0, "drop default" },
  { "lan", OUT, UDP, "2001:db8::53", 53, NULL, TUE, 7, 0, "allow floe-dns" },
  /* Elsewhere it is the endpoint that asks them. */
  { "web", OUT, UDP, "10.0.0.53", 53, NULL, TUE, 7, 0, "drop default" },
  { "guarded", OUT, TCP, "8.8.8.8", 443, NULL, TUE, 7, 0, "allow guarded-all" },
  { "guarded", OUT, TCP, "2001:db8::1", 443, NULL, TUE, 7, 0, "drop default" },
  { "off", OUT, TCP, "8.8.8.8", 443, NULL, TUE, 7, 0, "drop no-network" },
};

static void
test_conditions (void)
{
  g_autoptr (FloePolicyDocument) document = parse_corpus ("networks.json");
  const FloePolicyContent *content = floe_policy_document_content (document);

  for (size_t i = 0; i < G_N_ELEMENTS (conditions); i++) {
    FloePolicyPacket packet = { .direction = (FloePolicyDirection) conditions[i].direction, .protocol = (uint8_t) conditions[i].protocol,
                                .port = (uint16_t) conditions[i].number, .icmp_type = (uint8_t) conditions[i].number, .name = conditions[i].name,
                                .day = (uint8_t) conditions[i].day, .minute = (uint16_t) (conditions[i].hour * 60 + conditions[i].minute) };
    FloePolicyPacketVerdict verdict;
    g_autofree char *got = NULL;

    g_assert_true (floe_policy_address_parse (conditions[i].remote, &packet.remote));
    verdict = floe_policy_packet_verdict (floe_policy_find_network (content, conditions[i].network), &packet);
    got = g_strdup_printf ("%s %s", verdict.allow ? "allow" : "drop", verdict.rule);
    if (g_strcmp0 (got, conditions[i].wanted) != 0)
      g_error ("row %zu, %s number %u: %s, %s wanted", i, conditions[i].remote, conditions[i].number, got, conditions[i].wanted);
  }
}

/* An address of neither family matches nothing. */
static void
test_no_family (void)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (policy_text, strlen (policy_text));
  g_autoptr (FloePolicyDocument) document = floe_policy_parse (bytes, "packet.json", NULL);
  FloePolicyPacket packet = { .protocol = IPPROTO_TCP, .port = 80 };

  g_assert_false (verdict_of (document, "open", &packet).allow);
}

static void
test_prefixes (void)
{
  static const struct {
    const char *text, *wanted; /* NULL: refused */
  } rows[] = {
    { "0.0.0.0/0", "0.0.0.0/0" },
    { "::/0", "::/0" },
    { "192.0.2.255/32", "192.0.2.255/32" },
    { "2001:DB8:0:0::/64", "2001:db8::/64" },
    { "192.0.2.254/31", "192.0.2.254/31" },
    { "192.0.2.255/31", NULL },
    { "128.0.0.0/1", "128.0.0.0/1" },
    { "64.0.0.0/1", NULL },
    { "2001:db8::1/127", NULL },
    { "2001:db8::/127", "2001:db8::/127" },
    { "192.0.2.0/00", NULL },
    { "192.0.2.0/4294967320", NULL },
    { "/24", NULL },
    { "/", NULL },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    FloePolicyPrefix prefix = { .length = 77 };
    const char *why = floe_policy_prefix_parse (rows[i].text, &prefix);
    g_autofree char *text = NULL;

    g_assert_true ((why == NULL) == (rows[i].wanted != NULL));
    if (why == NULL)
      text = floe_policy_prefix_text (&prefix);
    else
      g_assert_cmpuint (prefix.length, ==, 77);
    g_assert_cmpstr (text, ==, rows[i].wanted);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/policy/packet/verdicts", test_verdicts);
  g_test_add_func ("/policy/packet/ipv6", test_ipv6);
  g_test_add_func ("/policy/packet/names", test_names);
  g_test_add_func ("/policy/packet/conditions", test_conditions);
  g_test_add_func ("/policy/packet/no-family", test_no_family);
  g_test_add_func ("/policy/packet/prefixes", test_prefixes);
  return g_test_run ();
}
