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
