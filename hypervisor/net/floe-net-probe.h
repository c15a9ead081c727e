/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-rules.h"

/* Whether the packet filter can take RULESET, which is not to be left in force. UNSUPPORTED when it lacks what that needs. */
typedef gboolean (*FloeNetCheck) (const FloeRuleset *ruleset, gpointer data, GError **error);

/* Asks CHECK for one feature at a time all that cards need; UNSUPPORTED, naming each that is missing and why. */
gboolean floe_net_probe (FloeNetCheck check, gpointer data, GError **error) FLOE_WARN_UNUSED;
