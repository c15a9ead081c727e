/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-agent-config.h"

/* org.floe.Agent1 (agent/org.floe.Agent1.xml) on the system bus, and the time before this endpoint has a server: waits until somebody
 * enrols it. The bus may be absent; it is tried again. Main thread. */
typedef struct _FloeSetup FloeSetup;

/* CONFIG must live as long, and belongs to this while floe_setup_run() runs. */
FloeSetup *floe_setup_new (FloeAgentConfig *config);
/* Until CONFIG knows a server (TRUE), or SIGTERM or SIGINT (FALSE). */
gboolean floe_setup_run (FloeSetup *setup);
void floe_setup_free (FloeSetup *setup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSetup, floe_setup_free)

/* Asks the agent that runs to enrol: the other side, for a command line. */
gboolean floe_setup_ask (const char *address, const char *code, char **endpoint, char **group, GError **error) FLOE_WARN_UNUSED;
