/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-netlink.h"
#include "hypervisor/net/floe-rules.h"

/* A rule set as nf_tables objects. NETLINK is a NETLINK_NETFILTER socket throughout. */

/* Puts RULESET in force in one transaction, whatever of the same name was there before: chains stay where they are, their
 * rules, sets and counters are exchanged; counters of unchanged name go on counting. With COMMIT FALSE the kernel only
 * checks it. */
gboolean floe_rules_load (FloeNetlink *netlink, const FloeRuleset *ruleset, gboolean commit,
                          GError **error) FLOE_WARN_UNUSED;

/* The generation of the rules of this card that are in force; 0 when there are none. For whoever finds a card: the next load takes the
 * next one (65535 is followed by 0). */
gboolean floe_rules_generation (FloeNetlink *netlink, const FloeNetIdentity *identity, uint16_t *generation,
                                GError **error) FLOE_WARN_UNUSED;

/* Removes both tables of NAME in one transaction; missing ones are success. */
gboolean floe_rules_remove (FloeNetlink *netlink, const char *name, GError **error) FLOE_WARN_UNUSED;

/* Names of the tables there are: "netdev floe0", "inet floe0", of all families that we use. NULL on failure. */
GHashTable *floe_rules_tables (FloeNetlink *netlink, GError **error) FLOE_WARN_UNUSED;

typedef struct {
  char *name;
  guint64 packets, bytes;
} FloeRulesCounter;

/* Named counters of one table. Empty when there is no such table. Of FloeRulesCounter; NULL on failure. */
GPtrArray *floe_rules_counters (FloeNetlink *netlink, gboolean netdev, const char *table, GError **error) FLOE_WARN_UNUSED;

/* Adds ADDRESS to what rule RULE_ID of RULESET, which is in force and has names, allows, for TIMEOUT_S seconds from now (1 to 604800);
 * one that is there already lives that long from now, but never shorter than it would have. NOT_FOUND when the rule has no names. */
gboolean floe_rules_bind (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeRuleset *ruleset, const char *rule_id,
                          const FloePolicyAddress *address, unsigned timeout_s, GError **error) FLOE_WARN_UNUSED;

/* The same for many in one transaction: all or none. */
typedef struct {
  const char *rule_id;
  FloePolicyAddress address;
  unsigned timeout_s;
} FloeRulesBinding;

gboolean floe_rules_bind_all (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeRuleset *ruleset,
                              const FloeRulesBinding *bindings, size_t n_bindings, GError **error) FLOE_WARN_UNUSED;

typedef struct {
  FloePolicyAddress address;
  guint64 left_ms; /* that it stays */
} FloeRulesBound;

/* What is bound for rule RULE_ID of RULESET, which is in force, in one FAMILY (4 or 6), as the kernel has it: of FloeRulesBound; empty for
 * a rule without names. NULL on failure. */
GArray *floe_rules_bound (FloeNetlink *netlink, const FloeRuleset *ruleset, const char *rule_id, unsigned family,
                          GError **error) FLOE_WARN_UNUSED;

/* Bridge and vlan: GUEST, IPv4, is the guest's address for TIMEOUT_S seconds from now, and no other is. Before the first pin nothing but
 * DHCP passes. */
gboolean floe_rules_pin (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeRuleset *ruleset,
                         const FloePolicyAddress *guest, unsigned timeout_s, GError **error) FLOE_WARN_UNUSED;
