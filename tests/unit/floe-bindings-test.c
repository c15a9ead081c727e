/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-bindings.h"
#include "hypervisor/resolver/floe-dns-names.h"
#include "hypervisor/resolver/floe-resolver-events.h"
#include "hypervisor/resolver/floe-resolver-servers.h"

#include <arpa/inet.h>
#include <string.h>

static const char *const web[] = { "www.example.org", "*.example.net" };
static const char *const all[] = { "*.example.org" };
static const FloePolicyPrefix ten = { { 4, { 10 } }, 8 }, pool = { { 4, { 10, 77 } }, 16 };

static const FloePolicyNetRule rules[] = {
  { .id = "web", .names = web, .n_names = G_N_ELEMENTS (web) },
  { .id = "all", .names = all, .n_names = G_N_ELEMENTS (all) },
  { .id = "addresses" },
};

static FloePolicyNetwork
network_of (FloePolicyResolver resolver, size_t n_rules)
{
  return (FloePolicyNetwork){ .mode = FLOE_POLICY_NETWORK_NAT, .resolver = resolver, .egress = rules, .n_egress = n_rules };
}

static FloeResolverBind
wanted (const char *name, uint32_t ttl, const char *first, const char *second)
{
  FloeResolverBind bind = { .kind = FLOE_RESOLVER_MESSAGE_BIND, .id = 1, .ttl = ttl };

  g_strlcpy (bind.name, name, sizeof bind.name);
  for (const char *text = first; text != NULL; text = text == first ? second : NULL) {
    FloeDnsAddress *address = &bind.addresses[bind.n_addresses++];

    address->family = strchr (text, ':') != NULL ? 6 : 4;
    g_assert_cmpint (inet_pton (address->family == 4 ? AF_INET : AF_INET6, text, address->bytes), ==, 1);
  }
  return bind;
}

/* "RULE/TIMEOUT ..." of what is bound; keep after it. */
static char *
judge (FloeBindings *bindings, const FloeResolverBind *bind, gint64 now)
{
  g_autoptr (GArray) bound = g_array_new (FALSE, FALSE, sizeof (FloeResolverBinding));
  g_autoptr (GString) text = g_string_new (NULL);
  uint32_t keep;

  switch (floe_bindings_judge (bindings, bind, now, bound, &keep)) {
  case FLOE_BINDINGS_REFUSED:
    return g_strdup ("refused");
  case FLOE_BINDINGS_FULL:
    return g_strdup ("full");
  case FLOE_BINDINGS_OK:
    break;
  }
  for (guint i = 0; i < bound->len; i++) {
    const FloeResolverBinding *binding = &g_array_index (bound, FloeResolverBinding, i);

    g_string_append_printf (text, "%s/%u ", binding->rule, binding->timeout_s);
  }
  g_string_append_printf (text, "keep %u", keep);
  floe_bindings_remember (bindings, bind, now, keep);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
check (FloeBindings *bindings, FloeResolverBind bind, const char *expected)
{
  g_autofree char *got = judge (bindings, &bind, 0);

  g_assert_cmpstr (got, ==, expected);
}

static void
test_judge (void)
{
  g_autoptr (FloeBindings) bindings = floe_bindings_new (60);
  FloePolicyNetwork network = network_of (FLOE_POLICY_RESOLVER_RULES, G_N_ELEMENTS (rules));

  /* Before there is a network nothing is allowed. */
  check (bindings, wanted ("www.example.org", 300, "198.51.100.1", NULL), "refused");
  floe_bindings_set_network (bindings, &network);
  floe_bindings_set_inside (bindings, &pool, 1);
  check (bindings, wanted ("www.example.org", 300, "198.51.100.1", NULL), "web/305 all/305 keep 1");
  check (bindings, wanted ("a.b.example.org", 300, "198.51.100.1", "2001:db8::1"), "all/305 all/305 keep 3");
  check (bindings, wanted ("a.example.net", 0, "198.51.100.1", NULL), "web/65 keep 1");
  check (bindings, wanted ("a.example.net", UINT32_MAX, "198.51.100.1", NULL), "web/3605 keep 1");
  check (bindings, wanted ("example.org", 300, "198.51.100.1", NULL), "refused");
  check (bindings, wanted ("example.net", 300, "198.51.100.1", NULL), "refused");
  check (bindings, wanted ("aexample.org", 300, "198.51.100.1", NULL), "refused");
  check (bindings, wanted ("www.example.org.evil.com", 300, "198.51.100.1", NULL), "refused");
  check (bindings, wanted ("org", 300, "198.51.100.1", NULL), "refused");
  check (bindings, wanted ("www.example.org", 300, "10.0.0.1", "198.51.100.1"), "web/305 all/305 keep 2");
  check (bindings, wanted ("www.example.org", 300, "10.77.0.1", "::1"), "keep 0");
  network.rebind = &ten;
  network.n_rebind = 1;
  floe_bindings_set_network (bindings, &network);
  check (bindings, wanted ("www.example.org", 300, "10.0.0.1", "10.77.0.1"), "web/305 all/305 keep 1");
  network = network_of (FLOE_POLICY_RESOLVER_ANY, G_N_ELEMENTS (rules));
  floe_bindings_set_network (bindings, &network);
  check (bindings, wanted ("example.com", 300, "198.51.100.1", "10.0.0.1"), "keep 1");
}

/* The two ways of matching that enforce, and the one that explains, say the same of every name. */
static void
test_agreement (void)
{
  static const char *const names[] = { "www.example.org", "example.org", "a.example.org", "a.www.example.org", "aexample.org", "example.net",
                                       "b.example.net",   "org",         "net",           "xn--a.example.net", "www.example.com" };
  g_autoptr (FloeBindings) bindings = floe_bindings_new (60);
  FloePolicyNetwork network = network_of (FLOE_POLICY_RESOLVER_RULES, G_N_ELEMENTS (rules));
  g_autoptr (GByteArray) block = NULL;
  FloeDnsNames table;

  floe_bindings_set_network (bindings, &network);
  block = floe_bindings_names (bindings);
  g_assert_true (floe_dns_names_open (block->data, block->len, &table));
  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    FloeResolverBind bind = wanted (names[i], 300, "198.51.100.1", NULL);
    g_autofree char *verdict = judge (bindings, &bind, 0);
    gboolean explained = FALSE;
    FloeDnsNamesMatch match;
    FloeDnsName name;

    for (size_t r = 0; r < G_N_ELEMENTS (rules); r++)
      for (size_t k = 0; k < rules[r].n_names; k++)
        explained = explained || floe_policy_name_matches (rules[r].names[k], names[i]);
    g_assert_true (floe_dns_name_from_text (names[i], &name));
    match = floe_dns_names_match (&table, &name);
    g_test_message ("%s: %s, %d", names[i], verdict, match);
    g_assert_cmpint (match == FLOE_DNS_NAMES_YES, ==, explained);
    g_assert_cmpint (!g_str_equal (verdict, "refused"), ==, explained);
    if (!explained)
      g_assert_cmpint (match == FLOE_DNS_NAMES_PARENT, ==,
                       g_str_equal (names[i], "org") || g_str_equal (names[i], "net") || g_str_equal (names[i], "example.org")
                         || g_str_equal (names[i], "example.net"));
  }
  /* Any block that is not whole is none. */
  for (guint size = 0; size < block->len; size++)
    g_assert_false (floe_dns_names_open (block->data, size, &table));
}

static void
test_live (void)
{
  g_autoptr (FloeBindings) bindings = floe_bindings_new (60);
  FloePolicyNetwork network = network_of (FLOE_POLICY_RESOLVER_RULES, G_N_ELEMENTS (rules)), less = network_of (FLOE_POLICY_RESOLVER_RULES, 1);
  FloeResolverBind bind = wanted ("www.example.org", 100, "198.51.100.1", NULL);
  g_autoptr (GArray) live = NULL, later = NULL, fewer = NULL;
  g_autofree char *first = NULL;

  floe_bindings_set_network (bindings, &network);
  first = judge (bindings, &bind, 0);
  live = floe_bindings_live (bindings, &network, 5 * G_USEC_PER_SEC);
  g_assert_cmpuint (live->len, ==, 2);
  g_assert_cmpuint (g_array_index (live, FloeResolverBinding, 0).timeout_s, ==, 100);
  fewer = floe_bindings_live (bindings, &less, 0);
  g_assert_cmpuint (fewer->len, ==, 1);
  later = floe_bindings_live (bindings, &network, 105 * G_USEC_PER_SEC);
  g_assert_cmpuint (later->len, ==, 0);
  less.n_egress = 0;
  floe_bindings_set_network (bindings, &less);
  g_assert_cmpuint (floe_bindings_count (bindings), ==, 0);
}

static void
test_full (void)
{
  g_autoptr (FloeBindings) bindings = floe_bindings_new (60);
  FloePolicyNetwork network = network_of (FLOE_POLICY_RESOLVER_RULES, G_N_ELEMENTS (rules));
  g_autofree char *last = NULL, *after = NULL;
  FloeResolverBind bind;

  floe_bindings_set_network (bindings, &network);
  for (guint i = 0; i < FLOE_RESOLVER_BINDINGS_MAX; i++) {
    g_autofree char *name = g_strdup_printf ("n%u.example.org", i), *got = NULL;

    bind = wanted (name, 60, "198.51.100.1", NULL);
    got = judge (bindings, &bind, 0);
    g_assert_cmpstr (got, ==, "all/65 keep 1");
  }
  bind = wanted ("more.example.org", 60, "198.51.100.1", NULL);
  last = judge (bindings, &bind, 0);
  g_assert_cmpstr (last, ==, "full");
  after = judge (bindings, &bind, 66 * G_USEC_PER_SEC);
  g_assert_cmpstr (after, ==, "all/65 keep 1");
  g_assert_cmpuint (floe_bindings_count (bindings), ==, 1);
}

/* -- What the process says ------------------------------------------------------------------------------------------------------ */

static gboolean
parses (const void *message, size_t size)
{
  FloeResolverMessage parsed;

  return floe_resolver_message_parse (message, size, &parsed);
}

static void
test_messages (void)
{
  const FloeResolverBind good = wanted ("www.example.org", 60, "198.51.100.1", "2001:db8::1");
  const FloeResolverReport told = { .kind = FLOE_RESOLVER_MESSAGE_EVENT, .event = 1, .count = 1, .name = "a?b.example" };
  const FloeResolverLease leased = { .kind = FLOE_RESOLVER_MESSAGE_LEASE, .lease_s = 60, .address.family = 4, .server.family = 4 };
  FloeResolverBind bad;
  FloeResolverReport report;
  FloeResolverLease lease;

  g_assert_true (parses (&good, sizeof good));
  g_assert_true (parses (&told, sizeof told));
  g_assert_true (parses (&leased, sizeof leased));
  g_assert_false (parses (&good, sizeof good - 1));
  g_assert_false (parses (&good, 3));
#define BAD_BIND(change) \
  bad = good; \
  change; \
  g_assert_false (parses (&bad, sizeof bad))
  BAD_BIND (bad.kind = FLOE_RESOLVER_MESSAGE_CONFIG);
  BAD_BIND (bad.kind = 0);
  BAD_BIND (bad.n_addresses = 0);
  BAD_BIND (bad.n_addresses = FLOE_DNS_RECORDS_MAX + 1);
  BAD_BIND (bad.n_addresses = 3);
  BAD_BIND (bad.n_addresses = 1);
  BAD_BIND (bad.addresses[0].family = 5);
  BAD_BIND (bad.addresses[0].bytes[4] = 1);
  BAD_BIND (bad.addresses[9].bytes[0] = 1);
  BAD_BIND (bad.name[0] = 'W');
  BAD_BIND (bad.name[0] = '\0');
  BAD_BIND (bad.name[3] = ' ');
  BAD_BIND (bad.name[0] = '*');
  BAD_BIND (bad.name[200] = 'x');
  BAD_BIND (memset (bad.name, 'x', sizeof bad.name));
#define BAD_REPORT(change) \
  report = told; \
  change; \
  g_assert_false (parses (&report, sizeof report))
  BAD_REPORT (report.event = 5);
  BAD_REPORT (report.count = 0);
  BAD_REPORT (report.name[0] = '\n');
  BAD_REPORT (report.name[0] = (char)0x80);
  BAD_REPORT (report.address.bytes[0] = 1);
#define BAD_LEASE(change) \
  lease = leased; \
  change; \
  g_assert_false (parses (&lease, sizeof lease))
  BAD_LEASE (lease.lease_s = 0);
  BAD_LEASE (lease.address.family = 6);
  BAD_LEASE (lease.server.bytes[15] = 1);
}

static void
test_servers (void)
{
  static const struct {
    const char *text;
    size_t n;
  } cases[] = {
    { "", 0 },
    { "nameserver 198.51.100.1", 1 },
    { "# nameserver 198.51.100.1\n;nameserver 198.51.100.1\nsearch a\n\tnameserver 198.51.100.1\n", 0 },
    { "nameserver 1.1.1.1\nnameserver 2001:db8::1\nnameserver\t3.3.3.3 \nnameserver 4.4.4.4\n", 3 },
    { "nameserver 198.51.100\nnameserver 198.51.100.1x\nnameserver fe80::1%eth0\nnameserver\nnameserver198.51.100.1\n", 0 },
    { "nameserver 00000000000000000000000000000000000000000000000000000000001.1.1.1\n", 0 },
    { "options x\r\nnameserver 198.51.100.1\r\n", 0 },
  };
  FloePolicyAddress servers[3];

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpuint (floe_resolver_servers_parse (cases[i].text, strlen (cases[i].text), servers), ==, cases[i].n);
  g_assert_cmpuint (floe_resolver_servers_parse ("nameserver 1.1.1.1\0\nnameserver 2.2.2.2", 38, servers), ==, 1);
  g_assert_cmpuint (servers[0].bytes[0], ==, 2);
}

static void
count (const FloeResolverEvent *event, gpointer data)
{
  guint *counts = data;

  counts[0]++;
  counts[1] += event->count;
  counts[2] += event->left_out;
}

static void
test_events (void)
{
  guint counts[3] = { 0 }, sent = 0;
  g_autoptr (FloeResolverEvents) events = floe_resolver_events_new (count, counts);

  /* Ten names, again and again: ten events at once, and ten more with the counts after a minute. */
  for (; sent < 1000; sent++) {
    g_autofree char *name = g_strdup_printf ("n%u.example.org", sent % 10);

    floe_resolver_events_add (events, &(FloeResolverEvent){ .kind = FLOE_RESOLVER_REFUSED, .name = name, .count = 1 }, G_USEC_PER_SEC * 100);
  }
  g_assert_cmpuint (counts[0], ==, 10);
  floe_resolver_events_tick (events, G_USEC_PER_SEC * 161);
  g_assert_cmpuint (counts[0], ==, 20);
  g_assert_cmpuint (counts[1], ==, sent);
  /* Other names all the time: so many, and a number for the rest. */
  for (; sent < 2000; sent++) {
    g_autofree char *name = g_strdup_printf ("m%u.example.org", sent);

    floe_resolver_events_add (events, &(FloeResolverEvent){ .kind = FLOE_RESOLVER_REFUSED, .name = name, .count = 1 }, G_USEC_PER_SEC * 162);
  }
  g_assert_cmpuint (counts[0], ==, 10 + FLOE_RESOLVER_EVENTS_PER_MINUTE);
  floe_resolver_events_tick (events, G_USEC_PER_SEC * 300);
  floe_resolver_events_add (events, &(FloeResolverEvent){ .kind = FLOE_RESOLVER_LIMIT, .name = "", .count = 1 }, G_USEC_PER_SEC * 301);
  g_assert_cmpuint (counts[1] + counts[2], ==, sent + 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bindings/judge", test_judge);
  g_test_add_func ("/bindings/agreement", test_agreement);
  g_test_add_func ("/bindings/live", test_live);
  g_test_add_func ("/bindings/full", test_full);
  g_test_add_func ("/resolver/messages", test_messages);
  g_test_add_func ("/resolver/servers", test_servers);
  g_test_add_func ("/resolver/events", test_events);
  return g_test_run ();
}
