/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"
#include "hypervisor/net/floe-rules.h"
#include "tests/lib/net-cases.h"

#include <string.h>

/* Rules as text against tests/golden/net/NAME.nft; FLOE_UPDATE_GOLDEN in the environment writes them anew. */

static void
check_golden (const char *name, const char *text)
{
  g_autofree char *path = g_strdup_printf (FLOE_SOURCE_DIR "/tests/golden/net/%s", name);
  g_autofree char *wanted = NULL;
  g_autoptr (GError) error = NULL;

  if (g_getenv ("FLOE_UPDATE_GOLDEN") != NULL)
    g_file_set_contents (path, text, -1, NULL);
  g_file_get_contents (path, &wanted, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, wanted);
}

static FloePolicyDocument *
policy_of (const char *name)
{
  g_autofree char *path = g_strdup_printf (FLOE_SOURCE_DIR "/%s", name);
  g_autofree char *content = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  FloePolicyDocument *document;
  gsize size;

  g_file_get_contents (path, &content, &size, &error);
  g_assert_no_error (error);
  bytes = g_bytes_new (content, size);
  document = floe_policy_parse (bytes, name, &error);
  g_assert_no_error (error);
  return document;
}

static char *
text_of (unsigned slot, const FloePolicyNetwork *network, gboolean resolver)
{
  const FloeRuleOptions options = { .resolver = resolver, .connections = FLOE_CONNECTIONS_DEFAULT };
  g_autoptr (FloeRuleset) ruleset = NULL;
  g_autoptr (GError) error = NULL;
  FloeNetIdentity identity;
  FloeNetPool pool;

  g_assert_true (floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, &error));
  g_assert_true (floe_net_identity (&pool, slot, &identity, &error));
  ruleset = floe_ruleset_new (&identity, network, &options);
  return floe_ruleset_to_text (ruleset);
}

static void
test_golden (void)
{
  g_autoptr (FloePolicyDocument) office = policy_of ("docs/examples/office.json");
  g_autoptr (FloePolicyDocument) many = policy_of ("tests/golden/net/many.json");
  const FloePolicyContent *content = floe_policy_document_content (office);
  const FloePolicyNetwork none = { .name = "none", .mode = FLOE_POLICY_NETWORK_NONE };
  g_autofree char *intranet = text_of (0, floe_policy_find_network (content, "intranet"), FALSE);
  g_autofree char *web = text_of (1, floe_policy_find_network (content, "web"), TRUE);
  g_autofree char *closed = text_of (16383, &none, FALSE);
  g_autofree char *mixed = text_of (259, floe_policy_find_network (floe_policy_document_content (many), "mixed"), FALSE);

  check_golden ("intranet.nft", intranet);
  check_golden ("web-resolver.nft", web);
  check_golden ("none.nft", closed);
  check_golden ("mixed.nft", mixed);
}

/* Every kind of card and rule; tests/host/net-render.sh loads them, as text and over netlink. */
static void
test_cases (void)
{
  for (unsigned i = 0;; i++) {
    const char *name;
    g_autoptr (FloeRuleset) ruleset = net_case (i, &name);
    g_autofree char *text = NULL;

    if (ruleset == NULL)
      break;
    text = floe_ruleset_to_text (ruleset);
    check_golden (name, text);
  }
}

/* A time window cut where the kernel's day ends, joined where its parts touch. */
static void
test_times (void)
{
  static const FloePolicyWindow windows[] = { { 1, 0, 120 }, { 1, 120, 180 }, { 0x40, 1380, 1440 } };
  const FloePolicyNetRule rule = { .id = "r", .windows = windows, .n_windows = 3 };
  const struct {
    int zone;
    size_t n;
    FloeRulesTime times[3];
  } cases[] = { { 0, 2, { { 0, 0, 10799 }, { 6, 82800, 86399 } } },
                { 3600, 3, { { 0, 0, 7199 }, { 6, 79200, 86399 } } },
                { -7200, 2, { { 0, 3600, 17999 } } } };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GArray) times = floe_rules_times (&rule, cases[i].zone);
    const FloeRulesTime *first = &g_array_index (times, FloeRulesTime, 0);

    g_assert_cmpuint (first->day, ==, cases[i].times[0].day);
    g_assert_cmpuint (first->first, ==, cases[i].times[0].first);
    g_assert_cmpuint (first->last, ==, cases[i].times[0].last);
  }
}

static void
test_supported (void)
{
  const FloePolicyNetRule rules[] = { { .id = "plain" }, { .id = "slow", .rate = { 1, 0 } }, { .id = "told", .log = 1 } };
  const FloePolicyWindow window = { 1, 0, 60 };
  const FloePolicyNetRule timed = { .id = "timed", .windows = &window, .n_windows = 1 };
  const struct {
    const FloePolicyNetRule *rule;
    unsigned lacks;
    const char *named;
  } cases[] = { { &rules[0], G_MAXUINT, NULL },
                { &rules[1], FLOE_RULES_LACK_RATE, "slow" },
                { &rules[1], FLOE_RULES_LACK_LOG, NULL },
                { &rules[2], FLOE_RULES_LACK_LOG, "told" },
                { &rules[2], FLOE_RULES_LACK_SAMPLE, NULL },
                { &timed, FLOE_RULES_LACK_TIME, "timed" } };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    const FloePolicyNetwork network = { .name = "n", .mode = FLOE_POLICY_NETWORK_NAT, .egress = cases[i].rule, .n_egress = 1 };
    g_autoptr (GError) error = NULL;

    g_assert_cmpint (floe_rules_supported (&network, cases[i].lacks, &error), ==, cases[i].named == NULL);
    if (cases[i].named != NULL)
      g_assert_nonnull (strstr (error->message, cases[i].named));
  }
}

static void
test_pure (void)
{
  g_autoptr (FloePolicyDocument) office = policy_of ("docs/examples/office.json");
  const FloePolicyNetwork *network = floe_policy_find_network (floe_policy_document_content (office), "web");
  g_autofree char *first = text_of (3, network, FALSE), *second = text_of (3, network, FALSE);

  g_assert_cmpstr (first, ==, second);
}

/* Every chain ends in a rule that drops, or in one that sends all of this tap's packets to such a chain. */
static void
test_closed (void)
{
  g_autoptr (FloePolicyDocument) office = policy_of ("docs/examples/office.json");
  const FloeRuleOptions options = { .connections = 10 };
  g_autoptr (FloeRuleset) ruleset = NULL;
  FloeNetIdentity identity;
  FloeNetPool pool;

  g_assert_true (floe_net_pool_parse ("192.168.64.0/24", &pool, NULL));
  g_assert_true (floe_net_identity (&pool, 63, &identity, NULL));
  ruleset = floe_ruleset_new (&identity, floe_policy_find_network (floe_policy_document_content (office), "web"), &options);
  for (unsigned t = 0; t < 2; t++) {
    const FloeTable *table = t == 0 ? ruleset->link : ruleset->flow;

    for (guint i = 0; i < table->chains->len; i++) {
      const FloeChain *chain = g_ptr_array_index (table->chains, i);
      const FloeRule *last = g_ptr_array_index (chain->rules, chain->rules->len - 1);

      if (table->netdev)
        g_assert_true (chain->policy_drop);
      if (table->netdev || chain->hook == FLOE_HOOK_NONE) {
        g_assert_cmpint (last->verdict, ==, FLOE_VERDICT_DROP);
        g_assert_cmpuint (last->n_matches, ==, 0);
      }
    }
  }
}

static void
test_identity (void)
{
  g_autoptr (GError) error = NULL;
  FloeNetIdentity identity;
  FloeNetPool pool;

  g_assert_true (floe_net_pool_parse ("172.16.4.0/22", &pool, &error));
  g_assert_true (floe_net_identity (&pool, 255, &identity, &error));
  g_assert_cmpstr (identity.tap, ==, "floe255");
  g_assert_cmpstr (identity.guest_mac_text, ==, "02:f1:0e:00:00:ff");
  g_assert_cmpstr (identity.host_text, ==, "172.16.7.253");
  g_assert_cmpstr (identity.guest_text, ==, "172.16.7.254");
  g_assert_false (floe_net_identity (&pool, 256, &identity, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_assert_cmpint (floe_net_slot_of_name ("floe255"), ==, 255);
  g_assert_cmpint (floe_net_slot_of_name ("floe0"), ==, 0);
  g_assert_cmpint (floe_net_slot_of_name ("floe"), ==, -1);
  g_assert_cmpint (floe_net_slot_of_name ("floe01"), ==, -1);
  g_assert_cmpint (floe_net_slot_of_name ("floe+1"), ==, -1);
  g_assert_cmpint (floe_net_slot_of_name ("floe16384"), ==, -1);
  g_assert_cmpint (floe_net_slot_of_name ("xfloe1"), ==, -1);
}

static void
test_bad_pools (void)
{
  static const char *const bad[] = { "",           "10.0.0.0",     "10.0.0.0/31", "10.0.0.0/7",   "10.0.0.1/24",
                                     "8.8.8.0/24", "10.0.0.0/ 24", "fd00::/16",   "10.0.0.0/24x", "172.0.0.0/8" };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    FloeNetPool pool;

    g_assert_false (floe_net_pool_parse (bad[i], &pool, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net-rules/golden", test_golden);
  g_test_add_func ("/net-rules/cases", test_cases);
  g_test_add_func ("/net-rules/times", test_times);
  g_test_add_func ("/net-rules/supported", test_supported);
  g_test_add_func ("/net-rules/pure", test_pure);
  g_test_add_func ("/net-rules/closed", test_closed);
  g_test_add_func ("/net-rules/identity", test_identity);
  g_test_add_func ("/net-rules/bad-pools", test_bad_pools);
  return g_test_run ();
}
