/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-chunk.h"

/* Which chunk is fetched next. Pure: no clock, no I/O; the caller gives the time (microseconds, monotonic) and carries out what
 * floe_scheduler_next() says.
 *
 * - What somebody waits for goes first, in the order asked. A chunk that is ready to be demanded but has no slot holds everything else
 *   back. Boot lists come next, and only when nobody waits at all the background.
 * - A chunk is fetched once, however many wait for it; being waited for makes a fetch under way a demand.
 * - A chunk that could not be had (absent, altered) is tried again after a pause of its own that doubles. When the server is away,
 *   one fetch at a time probes for it with a pause that doubles, and whoever waits goes on waiting.
 * - Nobody waits for the disk to have room: they are told, and the lower classes rest. */

typedef enum {
  FLOE_FETCH_DEMAND,
  FLOE_FETCH_BOOT,
  FLOE_FETCH_BACKGROUND,
} FloeFetchClass;
#define FLOE_FETCH_CLASSES 3

typedef enum {
  FLOE_FETCH_STORED,   /* it is in the store */
  FLOE_FETCH_AWAY,     /* the server did not answer, or not to the end */
  FLOE_FETCH_BAD,      /* the server answered, with something else than the chunk */
  FLOE_FETCH_NO_SPACE, /* it came, and the store could not keep it */
} FloeFetchOutcome;

typedef struct {
  guint slots[FLOE_FETCH_CLASSES]; /* fetches at once, at least 1 each */
  gint64 pause_min, pause_max;     /* between tries, microseconds; up to a quarter more at random */
  gint64 full_pause;               /* after NO_SPACE */
  guint64 background_rate;         /* bytes a second at most; 0: no bound */
} FloeSchedulerOptions;

/* Who waits: PEER is the caller's number for a connection, TAG comes back in the reply. */
typedef struct {
  guint64 peer;
  guint64 tag;
} FloeWaiter;

typedef struct _FloeScheduler FloeScheduler;

/* NEXT hands out chunks of the lower classes, each once in a pass, FALSE when there are no more; FloeScheduler never asks it
 * for FLOE_FETCH_DEMAND. */
typedef gboolean (*FloeSchedulerSource) (FloeFetchClass fetch_class, FloeTableEntry *entry, gpointer data);

FloeScheduler *floe_scheduler_new (const FloeSchedulerOptions *options, FloeSchedulerSource source, gpointer data);
void floe_scheduler_free (FloeScheduler *scheduler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeScheduler, floe_scheduler_free)

/* WAITER wants ENTRY. */
void floe_scheduler_need (FloeScheduler *scheduler, const FloeTableEntry *entry, const FloeWaiter *waiter);
/* All waiters of PEER are gone. What nobody waits for any more and is not under way is forgotten. */
void floe_scheduler_leave (FloeScheduler *scheduler, guint64 peer);
void floe_scheduler_allow_background (FloeScheduler *scheduler, gboolean allowed);

/* TRUE with the chunk to start now; it is under way until floe_scheduler_done(). FALSE: nothing before floe_scheduler_wakeup()
 * or another call. */
gboolean floe_scheduler_next (FloeScheduler *scheduler, gint64 now, FloeTableEntry *entry, FloeFetchClass *fetch_class);
/* The fetch of DIGEST has ended. The waiters to be answered (HERE after STORED, NOT_NOW after NO_SPACE, none otherwise) are appended
 * to WAITERS, an array of FloeWaiter. */
void floe_scheduler_done (FloeScheduler *scheduler, const FloeDigest *digest, FloeFetchOutcome outcome, gint64 now,
                          GArray *waiters);
/* When time alone makes floe_scheduler_next() worth asking again; G_MAXINT64: never. */
gint64 floe_scheduler_wakeup (FloeScheduler *scheduler, gint64 now);

/* The store had no room a moment ago: whoever asks is told so rather than made to fetch in vain. */
gboolean floe_scheduler_is_full (FloeScheduler *scheduler, gint64 now);
gboolean floe_scheduler_is_away (FloeScheduler *scheduler);
/* Chunks that somebody waits for, and fetches under way. */
guint floe_scheduler_demands (FloeScheduler *scheduler);
guint floe_scheduler_running (FloeScheduler *scheduler);
