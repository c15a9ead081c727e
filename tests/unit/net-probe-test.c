/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-probe.h"

#include <errno.h>
#include <string.h>

/* Kernels that each lack one thing that cards need, by what is in the rules that they are asked to check. */

enum { INGRESS, EGRESS, INET, INTERVALS, TRACKING, LIMITS, MASQUERADING, RESETS, SAMPLES, N_FEATURES };

static const char *const words[] = {
  [INGRESS] = "CONFIG_NETFILTER_INGRESS",
  [EGRESS] = "CONFIG_NETFILTER_EGRESS",
  [INET] = "CONFIG_NF_TABLES_INET",
  [INTERVALS] = "interval sets",
  [TRACKING] = "CONFIG_NFT_CT",
  [LIMITS] = "CONFIG_NFT_CONNLIMIT",
  [MASQUERADING] = "CONFIG_NFT_MASQ",
  [RESETS] = "CONFIG_NFT_REJECT_INET",
  [SAMPLES] = "CONFIG_NFT_NUMGEN",
};

static gboolean
rule_uses (const FloeRule *rule, int feature)
{
  gboolean uses = (feature == MASQUERADING && rule->verdict == FLOE_VERDICT_MASQUERADE)
                  || (feature == LIMITS && rule->use == FLOE_USE_CONNECTIONS) || (feature == RESETS && rule->verdict == FLOE_VERDICT_REJECT)
                  || (feature == SAMPLES && rule->sample != 0);

  for (size_t i = 0; i < rule->n_matches; i++)
    uses |= feature == TRACKING && rule->matches[i].field == FLOE_FIELD_STATE;
  return uses;
}

static gboolean
table_uses (const FloeTable *table, gboolean netdev, int feature)
{
  gboolean uses = FALSE;

  for (guint i = 0; i < table->sets->len; i++)
    uses |= feature == INTERVALS && ((const FloeSet *)g_ptr_array_index (table->sets, i))->kind == FLOE_SET_INTERVALS;
  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    uses |= (feature == INGRESS && chain->hook == FLOE_HOOK_INGRESS) || (feature == EGRESS && chain->hook == FLOE_HOOK_EGRESS)
            || (feature == INET && !netdev);
    for (guint j = 0; j < chain->rules->len; j++)
      uses |= rule_uses (g_ptr_array_index (chain->rules, j), feature);
  }
  return uses;
}

/* DATA: bits of the features that this kernel has not. */
static gboolean
kernel_check (const FloeRuleset *ruleset, gpointer data, GError **error)
{
  const guint *lacks = data;

  for (int i = 0; i < N_FEATURES; i++)
    if ((*lacks & 1u << i) != 0 && (table_uses (ruleset->link, TRUE, i) || table_uses (ruleset->flow, FALSE, i)))
      return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s", g_strerror (EOPNOTSUPP));
  return TRUE;
}

static void
test_whole (void)
{
  g_autoptr (GError) error = NULL;
  guint lacks = 0, without = 0;

  g_assert_true (floe_net_probe (kernel_check, &lacks, &without, NULL, &error));
  g_assert_no_error (error);
}

static void
check_named (guint lacks, guint named)
{
  guint without = 0;
  g_autoptr (GError) error = NULL;

  g_assert_false (floe_net_probe (kernel_check, &lacks, &without, NULL, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNSUPPORTED);
  for (int i = 0; i < N_FEATURES; i++)
    if ((strstr (error->message, words[i]) != NULL) != ((named & 1u << i) != 0))
      g_error ("kernel without %x: '%s' is %snamed: %s", lacks, words[i], named & 1u << i ? "not " : "", error->message);
  g_assert_nonnull (strstr (error->message, g_strerror (EOPNOTSUPP)));
}

static void
test_each (void)
{
  for (int i = 0; i <= MASQUERADING; i++) {
    /* What is only there in the inet family is missing with it. */
    guint named = i == INET ? 1u << INET | 1u << INTERVALS | 1u << TRACKING | 1u << LIMITS | 1u << MASQUERADING : 1u << i;

    check_named (1u << i, named);
  }
  check_named (1u << EGRESS | 1u << LIMITS, 1u << EGRESS | 1u << LIMITS);
}

/* What cards can do without is said, and no reason to refuse them. */
static void
test_without (void)
{
  const struct {
    guint kernel, lack;
  } cases[] = { { 1u << RESETS, FLOE_RULES_LACK_REJECT },
                { 1u << SAMPLES, FLOE_RULES_LACK_SAMPLE },
                { 1u << RESETS | 1u << SAMPLES, FLOE_RULES_LACK_REJECT | FLOE_RULES_LACK_SAMPLE } };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GString) missing = g_string_new (NULL);
    guint lacks = cases[i].kernel, without = 0;
    g_autoptr (GError) error = NULL;

    g_assert_true (floe_net_probe (kernel_check, &lacks, &without, missing, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (without, ==, cases[i].lack);
    for (int j = RESETS; j < N_FEATURES; j++)
      g_assert_cmpint (strstr (missing->str, words[j]) != NULL, ==, (cases[i].kernel >> j) & 1);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net-probe/whole", test_whole);
  g_test_add_func ("/net-probe/each", test_each);
  g_test_add_func ("/net-probe/without", test_without);
  return g_test_run ();
}
