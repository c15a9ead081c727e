/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-idle.h"

FloeIdleStep
floe_idle_step (FloeIdle *idle, const FloeIdleNow *situation, gint64 now)
{
  gint64 left;

  if (situation->idle <= 0 || !situation->ready) {
    idle->counting = 0;
    return (FloeIdleStep){ .wait = -1 };
  }
  left = idle->last + situation->idle - now;
  if (left > 0 || situation->hold) {
    idle->counting = 0;
    /* Nobody tells when what holds is over. */
    return (FloeIdleStep){ .wait = left > 0 ? left : G_USEC_PER_SEC };
  }
  if (idle->counting == 0)
    idle->counting = now;
  left = idle->counting + situation->notice - now;
  if (left > 0) {
    guint seconds = (guint) ((left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);

    return (FloeIdleStep){ .seconds = seconds, .wait = left - (gint64) (seconds - 1) * G_USEC_PER_SEC };
  }
  idle->counting = 0;
  idle->last = now;
  return (FloeIdleStep){ .restart = TRUE, .wait = situation->idle };
}

gboolean
floe_idle_input (FloeIdle *idle, FloeIdleInput input, guint64 id, gint64 now)
{
  gboolean counting = idle->counting != 0, ours = id != 0 && id == idle->swallowed;

  idle->last = now;
  idle->counting = 0;
  switch (input) {
  case FLOE_IDLE_PRESS:
    if (counting)
      idle->swallowed = id;
    return counting || ours;
  case FLOE_IDLE_RELEASE:
    if (ours)
      idle->swallowed = 0;
    return ours;
  case FLOE_IDLE_SCROLL:
    return counting;
  case FLOE_IDLE_MOTION:
  default:
    return ours;
  }
}
