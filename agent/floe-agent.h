/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-agent-config.h"

/* The endpoint's only process that talks to the management server: refreshes metadata, policy and images at an interval, and serves chunks. */

typedef struct {
  guint interval_seconds;  /* between refreshes that went well */
  guint64 background_rate; /* bytes a second, 0: no bound */
} FloeAgentOptions;

typedef struct _FloeAgent FloeAgent;

/* CONFIG must live as long. Opens state and sockets; BUSY when another agent runs. */
FloeAgent *floe_agent_new (const FloeAgentConfig *config, const FloeAgentOptions *options, GError **error) FLOE_WARN_UNUSED;
/* Until SIGTERM or SIGINT. SIGHUP refreshes at once. */
void floe_agent_run (FloeAgent *agent);
void floe_agent_free (FloeAgent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeAgent, floe_agent_free)
