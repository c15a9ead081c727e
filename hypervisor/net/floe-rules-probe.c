/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"

#include <linux/netfilter.h>
#include <netinet/in.h>

/* Small rule sets that each need one thing of the kernel. */

static FloeRule *
add_probe (FloeTable *table, FloeHook hook, FloeVerdict verdict)
{
  /* The one device that every network namespace has. */
  g_strlcpy (table->device, "lo", sizeof table->device);
  return floe_chain_add (floe_rules_table_add_chain (table, "probe", hook, FALSE), verdict);
}

static void
probe_ingress (FloeRuleset *ruleset)
{
  floe_rule_number (add_probe (ruleset->link, FLOE_HOOK_INGRESS, FLOE_VERDICT_DROP), FLOE_FIELD_PROTOCOL, 1);
}

static void
probe_egress (FloeRuleset *ruleset)
{
  floe_rule_number (add_probe (ruleset->link, FLOE_HOOK_EGRESS, FLOE_VERDICT_DROP), FLOE_FIELD_PROTOCOL, 1);
}

static void
probe_inet (FloeRuleset *ruleset)
{
  floe_rule_number (add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_DROP), FLOE_FIELD_FAMILY, NFPROTO_IPV4);
}

static void
probe_intervals (FloeRuleset *ruleset)
{
  FloeRule *rule = add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_DROP);
  const FloePolicyPrefix prefix = { { 4, { 192, 0, 2, 0 } }, 24 };

  floe_rule_set (rule, FLOE_FIELD_IP_SOURCE,
                 floe_rules_table_add_set (ruleset->flow, g_strdup ("probe"), FLOE_TYPE_IPV4, FLOE_SET_INTERVALS, FLOE_DATA_NONE,
                                     floe_elements_of_prefixes (&prefix, 1, 4)));
}

/* Maps to counters, by several fields at once. */
static void
probe_maps (FloeRuleset *ruleset)
{
  static const FloeField key[] = { FLOE_FIELD_PROTOCOL, FLOE_FIELD_FLOW_TARGET4, FLOE_FIELD_FLOW_PORT };
  FloeRule *rule = add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_ACCEPT);
  GArray *elements = floe_elements_new ();

  floe_elements_add (elements, 1, 1);
  g_array_index (elements, FloeElement, 0).name = floe_rules_table_count (ruleset->flow, "probe", "probe", TRUE, TRUE);
  floe_rule_key (rule, FLOE_USE_COUNT,
                 floe_rules_table_add_set (ruleset->flow, g_strdup ("probe"), FLOE_TYPE_FLOW4, FLOE_SET_EXACT, FLOE_DATA_COUNTER, elements),
                 key, G_N_ELEMENTS (key));
}

static void
probe_tracking (FloeRuleset *ruleset)
{
  floe_rule_host (add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_DROP), FLOE_FIELD_STATE, 1);
}

static void
probe_marks (FloeRuleset *ruleset)
{
  FloeRule *rule = add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_ACCEPT);

  floe_rule_host (rule, FLOE_FIELD_MARK, 1);
  rule->marks = TRUE;
  rule->mark = 2;
}

static void
probe_connections (FloeRuleset *ruleset)
{
  static const FloeField key[] = { FLOE_FIELD_IN_NAME };
  FloeRule *rule = add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_DROP);

  floe_rule_key (rule, FLOE_USE_CONNECTIONS,
                 floe_rules_table_add_set (ruleset->flow, g_strdup ("probe"), FLOE_TYPE_CARD, FLOE_SET_CONNECTIONS, FLOE_DATA_NONE, NULL),
                 key, 1);
  floe_rules_table_last_set (ruleset->flow)->size = 4;
  rule->number = 10;
}

static void
probe_held (FloeRuleset *ruleset)
{
  static const FloeField key[] = { FLOE_FIELD_FLOW_TARGET4 };
  FloeRule *rule = add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_CONTINUE);

  floe_rule_key (rule, FLOE_USE_UPDATE,
                 floe_rules_table_add_set (ruleset->flow, g_strdup ("probe"), FLOE_TYPE_IPV4, FLOE_SET_HELD, FLOE_DATA_NONE, NULL), key, 1);
  floe_rules_table_last_set (ruleset->flow)->size = 4;
  rule->number = 10;
}

static void
probe_masquerade (FloeRuleset *ruleset)
{
  floe_rule_number (add_probe (ruleset->flow, FLOE_HOOK_POSTROUTING, FLOE_VERDICT_MASQUERADE), FLOE_FIELD_FAMILY, NFPROTO_IPV4);
}

static void
probe_reject (FloeRuleset *ruleset)
{
  floe_rule_number (add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_REJECT), FLOE_FIELD_PROTOCOL, IPPROTO_TCP);
}

static void
probe_log (FloeRuleset *ruleset)
{
  add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_CONTINUE)->log = g_strdup ("probe");
  add_probe (ruleset->link, FLOE_HOOK_INGRESS, FLOE_VERDICT_CONTINUE)->log = g_strdup ("probe");
}

static void
probe_sample (FloeRuleset *ruleset)
{
  add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_DROP)->sample = 10;
}

static void
probe_time (FloeRuleset *ruleset)
{
  FloeRule *rule = add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_DROP);

  floe_rule_number (rule, FLOE_FIELD_DAY, 1);
  floe_rule_match (rule, FLOE_FIELD_HOUR, FLOE_OP_RANGE);
}

static void
probe_rate (FloeRuleset *ruleset)
{
  floe_rule_limit (add_probe (ruleset->flow, FLOE_HOOK_FORWARD, FLOE_VERDICT_DROP), 1000, TRUE, TRUE);
  floe_rule_limit (add_probe (ruleset->link, FLOE_HOOK_INGRESS, FLOE_VERDICT_DROP), 1000, FALSE, TRUE);
}

FloeRuleset *
floe_ruleset_probe (size_t index, const char **feature, unsigned *lack)
{
  static const struct {
    const char *feature;
    void (*fill) (FloeRuleset *ruleset);
    unsigned lack;
  } probes[] = {
    { "netdev family, ingress hook (CONFIG_NF_TABLES_NETDEV, CONFIG_NETFILTER_INGRESS)", probe_ingress, 0 },
    { "netdev family, egress hook (CONFIG_NETFILTER_EGRESS)", probe_egress, 0 },
    { "inet family (CONFIG_NF_TABLES_INET)", probe_inet, 0 },
    { "interval sets", probe_intervals, 0 },
    { "maps to counters (Linux 5.6)", probe_maps, 0 },
    { "connection tracking (CONFIG_NFT_CT)", probe_tracking, 0 },
    { "connection tracking marks (CONFIG_NF_CONNTRACK_MARK)", probe_marks, 0 },
    { "connection limits in sets (CONFIG_NFT_CONNLIMIT)", probe_connections, 0 },
    { "sets that packets fill", probe_held, 0 },
    { "masquerading (CONFIG_NFT_MASQ, CONFIG_NF_NAT)", probe_masquerade, 0 },
    { "TCP resets (CONFIG_NFT_REJECT_INET)", probe_reject, FLOE_RULES_LACK_REJECT },
    { "log of packets (CONFIG_NFT_LOG, CONFIG_NETFILTER_NETLINK_LOG)", probe_log, FLOE_RULES_LACK_LOG },
    { "sampling (CONFIG_NFT_NUMGEN)", probe_sample, FLOE_RULES_LACK_SAMPLE },
    { "time of day (Linux 5.4)", probe_time, FLOE_RULES_LACK_TIME },
    { "rates (CONFIG_NFT_LIMIT)", probe_rate, FLOE_RULES_LACK_RATE },
  };
  FloeRuleset *ruleset;

  if (index >= G_N_ELEMENTS (probes))
    return NULL;
  *feature = probes[index].feature;
  *lack = probes[index].lack;
  ruleset = floe_ruleset_alloc ("floe-probe");
  probes[index].fill (ruleset);
  return ruleset;
}
