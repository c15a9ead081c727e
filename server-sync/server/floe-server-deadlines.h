/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* The time that each connection has left for what it is doing. libmicrohttpd ends idle connections, but a peer that sends or
 * takes one byte now and then is never idle: whoever has not finished by its deadline is cut off.
 *
 * Locks: one mutex, held for no call out; safe from every thread of the server. */

typedef struct _FloeServerDeadlines FloeServerDeadlines;
typedef struct _FloeServerDeadline FloeServerDeadline;

FloeServerDeadlines *floe_server_deadlines_new (void);
/* Every connection must have been removed. */
void floe_server_deadlines_free (FloeServerDeadlines *deadlines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeServerDeadlines, floe_server_deadlines_free)

/* FD stays the caller's, who removes the entry before closing it. AT is in microseconds of the monotonic clock. */
FloeServerDeadline *floe_server_deadlines_add (FloeServerDeadlines *deadlines, int fd, gint64 at);
void floe_server_deadlines_move (FloeServerDeadlines *deadlines, FloeServerDeadline *entry, gint64 at);
void floe_server_deadlines_remove (FloeServerDeadlines *deadlines, FloeServerDeadline *entry);
/* Shuts down the sockets that are past their deadline, each once; answers how many. */
unsigned floe_server_deadlines_expire (FloeServerDeadlines *deadlines, gint64 now);
unsigned floe_server_deadlines_count (FloeServerDeadlines *deadlines);
