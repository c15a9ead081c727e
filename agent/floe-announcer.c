/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-announcer.h"

static gint64
doubled (gint64 least, guint times, gint64 most)
{
  return MIN (least << MIN (times, 20u), most);
}

void
floe_announcer_changed (FloeAnnouncer *announcer, gint64 version)
{
  *announcer = (FloeAnnouncer){ .version = version, .scrubbing = announcer->scrubbing, .changed = announcer->scrubbing, .not_before = G_MININT64 };
}

FloeAnnouncerStep
floe_announcer_step (FloeAnnouncer *announcer, gboolean complete, gint64 now)
{
  if (announcer->version == 0 || announcer->scrubbing || announcer->taken)
    return FLOE_ANNOUNCER_WAIT;
  if (!complete) {
    announcer->clean = FALSE;
    return FLOE_ANNOUNCER_WAIT;
  }
  if (announcer->not_before > now)
    return FLOE_ANNOUNCER_WAIT;
  if (!announcer->clean) {
    announcer->scrubbing = TRUE;
    announcer->changed = FALSE;
    return FLOE_ANNOUNCER_SCRUB;
  }
  announcer->clean = FALSE;
  announcer->not_before = now + doubled (FLOE_ANNOUNCER_AGAIN_MIN, announcer->announced, FLOE_ANNOUNCER_AGAIN_MAX);
  announcer->announced++;
  return FLOE_ANNOUNCER_ANNOUNCE;
}

void
floe_announcer_taken (FloeAnnouncer *announcer)
{
  announcer->scrubbing = FALSE;
  announcer->taken = TRUE;
}

void
floe_announcer_scrubbed (FloeAnnouncer *announcer, guint bad, gint64 now)
{
  announcer->scrubbing = FALSE;
  if (announcer->changed)
    return;
  announcer->clean = bad == 0;
  if (bad > 0)
    announcer->not_before = now + doubled (FLOE_ANNOUNCER_PAUSE_MIN, announcer->found++, FLOE_ANNOUNCER_PAUSE_MAX);
  else
    announcer->found = 0;
}
