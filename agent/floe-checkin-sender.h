/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-agent-config.h"

/* Tells the server that this endpoint is there and what its appliance says of its versions (server-sync/enrol/floe-checkin.h). Nothing depends on it: what does
 * not arrive is said once in the log and sent anew the next time. Main thread; the network is on a thread of its own. */
typedef struct _FloeCheckinSender FloeCheckinSender;

/* CONFIG is borrowed. NULL for an endpoint that has not enrolled: the server would not know it. */
FloeCheckinSender *floe_checkin_sender_new (const FloeAgentConfig *config);
/* Waits for a message that is under way. */
void floe_checkin_sender_free (FloeCheckinSender *sender);

/* Sends what the report says now; while a message is under way, after that. SENDER may be NULL. */
void floe_checkin_sender_send (FloeCheckinSender *sender);
/* Whether the report was replaced since the last call, or since the start. */
gboolean floe_checkin_sender_has_news (FloeCheckinSender *sender);
