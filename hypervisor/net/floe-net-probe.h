/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-rules.h"

/* Whether the packet filter can take RULESET, which is not to be left in force. UNSUPPORTED when it lacks what that needs. */
typedef gboolean (*FloeNetCheck) (const FloeRuleset *ruleset, gpointer data, GError **error);

/* Asks CHECK for one feature at a time all that cards need; UNSUPPORTED, naming each that is missing and why. In *LACKS, bits of
 * FloeRulesLack, what is missing but can be done without; MISSING, if not NULL, gets its name and the kernel's reason, "; " between. */
gboolean floe_net_probe (FloeNetCheck check, gpointer data, unsigned *lacks, GString *missing, GError **error) FLOE_WARN_UNUSED;
