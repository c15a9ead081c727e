/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-chunk-service.h"

/* The appliance's own update, as far as the agent goes: which version is offered, what of it is here, and telling floe-slot when all is. */

typedef struct _FloeAppliance FloeAppliance;

/* All must live as long; CHUNKS ends a scrub that is under way by itself. */
FloeAppliance *floe_appliance_new (const FloeAgentConfig *config, FloeStore *store, FloeChunkService *chunks);
void floe_appliance_free (FloeAppliance *appliance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeAppliance, floe_appliance_free)

/* VERSION is what the channel is at (0: none, or not known this time), RUNNING a boot list of what the running version has (NULL: nothing, or not
 * known this time). */
void floe_appliance_take (FloeAppliance *appliance, gint64 version, GBytes *running);
/* About once a second: writes STATE/spool/appliance.ready when it is time to (floe-announcer.h). */
void floe_appliance_tick (FloeAppliance *appliance);
