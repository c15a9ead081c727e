/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-scheduler.h"

/* Fetches chunks over HTTPS on the main loop, several at once over connections kept alive. What arrives is bounded by the table's size
 * as it comes and its digest is known when it ends: only a frame that is what was signed is handed out. */

typedef struct _FloeFetcher FloeFetcher;

/* ENTRY's fetch has ended. With FLOE_FETCH_STORED (to be stored, that is) FRAME is the frame, otherwise PROBLEM the reason.
 * RECEIVED counts body bytes in any case. Called from the main loop, never from floe_fetcher_start(). */
typedef void (*FloeFetcherDone) (const FloeTableEntry *entry, FloeFetchClass fetch_class, FloeFetchOutcome outcome, GBytes *frame,
                                 guint64 received, const char *problem, gpointer data);

/* URL as in FloeAgentConfig; only a server with the public key PIN is spoken to. MAX_TRANSFERS at once. */
FloeFetcher *floe_fetcher_new (const char *url, const char *pin, guint max_transfers, FloeFetcherDone done, gpointer data,
                               GError **error) FLOE_WARN_UNUSED;
void floe_fetcher_free (FloeFetcher *fetcher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeFetcher, floe_fetcher_free)

gboolean floe_fetcher_start (FloeFetcher *fetcher, const FloeTableEntry *entry, FloeFetchClass fetch_class,
                             GError **error) FLOE_WARN_UNUSED;
/* Somebody waits for DIGEST now; nothing happens when it is not under way. */
void floe_fetcher_promote (FloeFetcher *fetcher, const FloeDigest *digest);
/* Whether background fetches under way stand still: those that are waited for get the whole line. */
void floe_fetcher_hold_background (FloeFetcher *fetcher, gboolean hold);
