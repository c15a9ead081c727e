/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-rules.h"

/* Putting rule sets together: for the modules that make them, and nobody else. */

FloeTable *floe_rules_table_new (const char *name, gboolean netdev);
FloeRuleset *floe_ruleset_alloc (const char *name);

/* NAME is copied. */
FloeChain *floe_rules_table_add_chain (FloeTable *table, const char *name, FloeHook hook, gboolean policy_drop);

/* Takes NAME, COMMENT and ELEMENTS (NULL: none yet); the name that rules borrow. */
const char *floe_rules_table_add_set (FloeTable *table, char *name, FloeSetType type, FloeSetKind kind, FloeSetData data,
                                GArray *elements);
FloeSet *floe_rules_table_last_set (FloeTable *table);
/* NULL when there is none of that name. */
const FloeSet *floe_rules_find_set (const FloeTable *table, const char *name);

/* Makes the counter unless it is there; the name that rules and elements borrow. */
const char *floe_rules_table_count (FloeTable *table, const char *name, const char *id, gboolean allowed, gboolean final);

/* A rule without counter or comment. */
FloeRule *floe_chain_add (FloeChain *chain, FloeVerdict verdict);
/* One whose comment is ID, counted by NAME (NULL: by ID); FINAL is what a drop always is. */
FloeRule *floe_chain_add_counted (FloeTable *table, FloeChain *chain, const char *name, const char *id, FloeVerdict verdict,
                                  gboolean final);
FloeRule *floe_chain_send (FloeChain *chain, FloeVerdict verdict, const FloeChain *target);

FloeMatch *floe_rule_match (FloeRule *rule, FloeField field, FloeOp op);
void floe_rule_bytes (FloeRule *rule, FloeField field, const void *value);
void floe_rule_prefix (FloeRule *rule, FloeField field, const void *value, uint8_t bytes);
/* Values that are one number: of one byte, or of two in network order. */
void floe_rule_number (FloeRule *rule, FloeField field, unsigned number);
/* UDP between these ports. */
void floe_rule_udp (FloeRule *rule, unsigned from, unsigned to);
void floe_rule_host (FloeRule *rule, FloeField field, uint32_t number);
void floe_rule_name (FloeRule *rule, FloeField field, FloeOp op, const char *name);
void floe_rule_set (FloeRule *rule, FloeField field, const char *set);
void floe_rule_key (FloeRule *rule, FloeUse use, const char *set, const FloeField *key, size_t n_key);
/* Packets a second, or bytes, with room for a tenth of a second at least. */
void floe_rule_limit (FloeRule *rule, uint64_t rate, gboolean bytes, gboolean over);
/* "TAP VERDICT ID" and a limit, so that nobody floods the log. */
void floe_rule_log (FloeRule *rule, const char *tap, const char *verdict, const char *id);

void floe_elements_add (GArray *elements, FloeNumber first, FloeNumber last);
GArray *floe_elements_new (void);
/* Sorts and joins what overlaps or touches. */
void floe_elements_normalize (GArray *elements);
/* Intervals of those of FAMILY, normalized; NULL when there are none. */
GArray *floe_elements_of_prefixes (const FloePolicyPrefix *prefixes, size_t n_prefixes, unsigned family);
FloeNumber floe_number_of (const uint8_t *bytes, size_t size);

extern const uint8_t floe_broadcast_mac[6], floe_broadcast_ip[4], floe_any_ip[16];

typedef struct {
  const FloeNetIdentity *identity;
  const FloePolicyNetwork *network;
  const FloeRuleOptions *options;
  gboolean log_drops; /* and the kernel can */
} FloeRulesInput;

/* A drop with ID, logged before if drops are to be: NAME is its counter's. FILL adds the matches of both rules. */
typedef void (*FloeRulesFill) (FloeRule *rule, const void *data);
void floe_chain_add_drop (const FloeRulesInput *input, FloeTable *table, FloeChain *chain, const char *name, const char *id,
                          FloeRulesFill fill, const void *data);

FloeTable *floe_rules_build_link (const FloeRulesInput *input, gboolean open);
FloeTable *floe_rules_build_flow (const FloeRulesInput *input, gboolean open);

/* One direction of a card's flows: how its rules see them. */
typedef struct {
  const FloeRulesInput *input;
  FloeTable *table;
  FloeChain *chain; /* that judges them */
  const char *name; /* "egress" */
  FloeField remote4, remote6;
  uint32_t mark;
} FloeSide;

/* Adds N consecutive rules that never change their mind (no names, windows, rates, log) as maps, their names beginning "NAME-NUMBER".
 * FALSE, and nothing is added, when that would take more than FLOE_RULES_ELEMENTS_MAX elements. */
gboolean floe_rules_compile (const FloeSide *side, const FloePolicyNetRule *rules, size_t n_rules, unsigned number);

/* When RULE is there, in the kernel's time: each interval within one day, in seconds, both ends included. */
typedef struct {
  uint8_t day;
  uint32_t first, last;
} FloeRulesTime;
GArray *floe_rules_times (const FloePolicyNetRule *rule, int zone_offset);

/* Ports (types << 8 for icmp) of RULE for an IP protocol; FALSE when it has nothing to do with that. */
gboolean floe_rules_ports (const FloePolicyNetRule *rule, unsigned protocol, GArray *elements);
