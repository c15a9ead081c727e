/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* When an endpoint that nobody uses restarts into its update: a state machine with a given clock. No I/O, no GTK: what somebody did at the
 * screen and what is so go in; what to show, whether to restart and when to look again come out.
 *
 * Without input for IDLE the countdown of NOTICE begins; at its end the restart is asked for, once, and the idle time begins anew, whatever
 * came of it. Any input begins it anew too. What is in the way (hold) ends a countdown, and the whole of it begins when it is gone. Times are
 * microseconds of the monotonic clock, on which a computer that sleeps stands still. */

typedef enum {
  FLOE_IDLE_PRESS,   /* of a key, a button, a finger: repeats too */
  FLOE_IDLE_RELEASE,
  FLOE_IDLE_SCROLL,
  FLOE_IDLE_MOTION,
} FloeIdleInput;

typedef struct {
  gint64 last;       /* of the last input, or of what else began the idle time; set by the owner to begin with */
  gint64 counting;   /* since when the countdown is shown; 0: it is not */
  guint64 swallowed; /* what was pressed to put a restart off, until it is released; 0: nothing */
} FloeIdle;

typedef struct {
  gint64 idle, notice; /* idle 0: never by itself */
  gboolean ready;      /* a version is there that the next start would start */
  gboolean hold;       /* something must not be cut short now */
} FloeIdleNow;

typedef struct {
  guint seconds;    /* of the countdown, as shown: 1 at least; 0: none is shown */
  gboolean restart; /* now */
  gint64 wait;      /* until the next look; -1: until something changes */
} FloeIdleStep;

FloeIdleStep floe_idle_step (FloeIdle *idle, const FloeIdleNow *situation, gint64 now);

/* INPUT of key, button or finger ID (0: of none of these). TRUE: nobody else may see it. What puts a restart off has done its work:
 * a press that does is kept from whatever is behind the countdown, with its repeats and its release, so that nothing there is typed or clicked
 * unseen. A release whose press was let through is let through as well: no key stays down in a guest. So is motion, which does nothing. */
gboolean floe_idle_input (FloeIdle *idle, FloeIdleInput input, guint64 id, gint64 now);
