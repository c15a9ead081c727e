/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* When the appliance's new version is scrubbed, and when it is announced: a state machine with a given clock. No I/O.
 *
 * A version whose chunks are all said to be here is scrubbed first: a chunk that was altered in the store would be refused by floe-slot, which has
 * no way to have it fetched again. It is announced after a scrub that found nothing; one that found something is done anew when all is
 * here again, after a pause that doubles. A version that was announced and has not been taken (floe-slot had no room, a chunk was altered since)
 * is announced again, in the same way, after an hour, two, four, up to a day. Times are microseconds of the monotonic clock. */

#define FLOE_ANNOUNCER_PAUSE_MIN (10 * G_TIME_SPAN_SECOND) /* after a scrub that found something */
#define FLOE_ANNOUNCER_PAUSE_MAX G_TIME_SPAN_HOUR
#define FLOE_ANNOUNCER_AGAIN_MIN G_TIME_SPAN_HOUR          /* after a version was announced */
#define FLOE_ANNOUNCER_AGAIN_MAX G_TIME_SPAN_DAY

typedef enum {
  FLOE_ANNOUNCER_WAIT,
  FLOE_ANNOUNCER_SCRUB,    /* and say floe_announcer_scrubbed(); or floe_announcer_taken() */
  FLOE_ANNOUNCER_ANNOUNCE,
} FloeAnnouncerStep;

/* All zero to begin with. */
typedef struct {
  gint64 version;   /* offered; 0: none */
  gboolean scrubbing;
  gboolean changed; /* since the scrub under way began: it counts for nothing */
  gboolean clean;   /* the last scrub found nothing */
  gboolean taken;
  guint found;      /* scrubs one after another that found something */
  guint announced;  /* how often the version was */
  gint64 not_before;
} FloeAnnouncer;

/* VERSION is offered, and it is not as it was before: it is another one, or what is here of it is something else. */
void floe_announcer_changed (FloeAnnouncer *announcer, gint64 version);
/* What to do now. COMPLETE: all chunks are said to be here. */
FloeAnnouncerStep floe_announcer_step (FloeAnnouncer *announcer, gboolean complete, gint64 now);
/* floe-slot has done with the version: it is not announced again. */
void floe_announcer_taken (FloeAnnouncer *announcer);
/* The scrub has ended, with that many chunks that were not as they should be. */
void floe_announcer_scrubbed (FloeAnnouncer *announcer, guint bad, gint64 now);
