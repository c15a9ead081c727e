/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/resolver/floe-resolver.h"

/* Between what the process reports and the audit log: the first of a kind and name is told at once, more of it are counted and told together
 * when the minute is over; no more than FLOE_RESOLVER_EVENTS_PER_MINUTE in all, and how many were not told. */

typedef struct _FloeResolverEvents FloeResolverEvents;

FloeResolverEvents *floe_resolver_events_new (void (*tell) (const FloeResolverEvent *event, gpointer data), gpointer data);
void floe_resolver_events_free (FloeResolverEvents *events);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeResolverEvents, floe_resolver_events_free)

/* NOW is monotonic, in microseconds; EVENT's left_out is added to ours. */
void floe_resolver_events_add (FloeResolverEvents *events, const FloeResolverEvent *event, gint64 now);
/* To be called once a minute at least. TRUE while something is still to be told. */
gboolean floe_resolver_events_tick (FloeResolverEvents *events, gint64 now);
