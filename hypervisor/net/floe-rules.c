/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-rules-build.h"

/* Theory of operation.
 *
 * A frame from the guest meets, in this order: the tap's ingress hook (floe-rules-link.c), which lets plain Ethernet II with the
 * assigned addresses through and nothing else (the type is read in the frame itself at offset 12, where a VLAN tag or an LLC length
 * shows; skb->protocol has already forgotten the tag); then the IP stack, which reassembles, tracks and routes; then either the host's
 * input (DHCP, neighbour discovery and perhaps DNS) or the forward hook, where the policy's rules stand behind connection tracking
 * (floe-rules-flow.c). The way back is the mirror image, with the tap's egress hook last. On a bridge the stack's hooks are those that
 * br_netfilter calls.
 *
 * Rules judge flows, not packets: they look at the flow as connection tracking knows it (who answers, on which port), which is the same
 * for every packet of it both ways. A flow that was allowed is marked with the card and the generation of its rules; as long as the mark
 * is the generation's, its packets pass at once. After a load the generation is another one, so that each flow is judged again at its
 * next packet, by the same rules as new ones, and marked again or cut. So a withdrawn rule cuts what it had allowed and no other flow
 * notices. ICMP errors belong to their flow and wait until it has been judged.
 *
 * Each chain ends in a rule that drops, although its policy drops too: while a transaction that makes a base chain is being
 * committed the kernel has the chain's hook in place with the policy still at accept, and only rules switch at once. For
 * the same reason an update keeps the chains and exchanges the rules in them (floe-rules-netlink.c).
 *
 * Chains of the flow table hook in for all of the host's packets; each sends this card's own to a chain that decides, and lets others
 * go by. Before that, forward passes what has the mark of the rules in force: the mark names the card. A packet from one machine to
 * another meets both machines' tables and needs both to agree; as each has a mark of its own, both judge every packet of such a flow. */

gboolean
floe_rules_supported (const FloePolicyNetwork *network, unsigned lacks, GError **error)
{
  if ((network->rate.packets != 0 || network->rate.bytes != 0) && (lacks & FLOE_RULES_LACK_RATE))
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                           "network %s limits its rate: this kernel cannot (CONFIG_NFT_LIMIT)", network->name);
  for (unsigned direction = 0; direction < 2; direction++) {
    const FloePolicyNetRule *rules = direction == 0 ? network->egress : network->ingress;

    for (size_t i = 0; i < (direction == 0 ? network->n_egress : network->n_ingress); i++) {
      const char *what = NULL;

      if ((rules[i].rate.packets != 0 || rules[i].rate.bytes != 0) && (lacks & FLOE_RULES_LACK_RATE))
        what = "limits its rate: this kernel cannot (CONFIG_NFT_LIMIT)";
      else if (rules[i].n_windows > 0 && (lacks & FLOE_RULES_LACK_TIME))
        what = "has time windows: this kernel cannot tell the time of day in rules, or has a time zone of its own";
      else if (rules[i].log > 0 && (lacks & (FLOE_RULES_LACK_LOG | FLOE_RULES_LACK_RATE)))
        what = "is to be logged: this kernel cannot (CONFIG_NFT_LOG, CONFIG_NETFILTER_NETLINK_LOG, CONFIG_NFT_LIMIT)";
      if (what != NULL)
        return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "network %s: rule %s %s", network->name, rules[i].id, what);
    }
  }
  return TRUE;
}

FloeRuleset *
floe_ruleset_new (const FloeNetIdentity *identity, const FloePolicyNetwork *network, const FloeRuleOptions *options)
{
  FloeRuleset *ruleset = g_new0 (FloeRuleset, 1);
  const gboolean can_log = !(options->lacks & (FLOE_RULES_LACK_LOG | FLOE_RULES_LACK_RATE));
  const FloeRulesInput input = { identity, network, options, network->log_drops && can_log };
  gboolean bridged = network->mode == FLOE_POLICY_NETWORK_BRIDGE || network->mode == FLOE_POLICY_NETWORK_VLAN;
  /* A bridged card whose bridge nobody names would be judged nowhere. */
  gboolean open = network->mode != FLOE_POLICY_NETWORK_NONE && (!bridged || options->bridge != NULL);

  ruleset->link = floe_rules_build_link (&input, open);
  ruleset->flow = floe_rules_build_flow (&input, open);
  return ruleset;
}
