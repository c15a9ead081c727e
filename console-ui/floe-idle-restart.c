/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-idle-restart.h"

#include "common/floe-log.h"
#include "console-ui/floe-countdown.h"
#include "console-ui/floe-idle.h"

#define NOTICE_SECONDS 60 /* of a hypervisord that does not say */

/* Codes of keys, numbers of buttons and addresses of fingers' sequences do not meet. */
#define KEY_ID(code) (G_GUINT64_CONSTANT (1) << 62 | (code))
#define BUTTON_ID(button) (G_GUINT64_CONSTANT (1) << 63 | (button))

struct _FloeIdleRestart {
  FloeLink *link;
  GtkOverlay *overlay;
  FloeIdleRestartHolds holds;
  gpointer data;
  FloeIdle idle;
  GtkWidget *countdown; /* of OVERLAY, while it is shown; NULL otherwise */
  double x, y;          /* where the pointer was last */
  guint timer;
};

static void restart_look (FloeIdleRestart *restart);

/* -- Input ---------------------------------------------------------------------------------------------------------- */

/* Windows that come and go under a pointer at rest may have it said again where that is. */
static gboolean
has_moved (FloeIdleRestart *restart, const GdkEventMotion *motion)
{
  gboolean moved = motion->x_root < restart->x || motion->x_root > restart->x || motion->y_root < restart->y || motion->y_root > restart->y;

  restart->x = motion->x_root;
  restart->y = motion->y_root;
  return moved;
}

/* FALSE: nobody did anything. */
static gboolean
event_input (FloeIdleRestart *restart, const GdkEvent *event, FloeIdleInput *input, guint64 *id)
{
  *id = 0;
  switch (event->type) {
  case GDK_KEY_PRESS:
  case GDK_KEY_RELEASE:
    *input = event->type == GDK_KEY_PRESS ? FLOE_IDLE_PRESS : FLOE_IDLE_RELEASE;
    *id = KEY_ID (event->key.hardware_keycode);
    return TRUE;
  case GDK_BUTTON_PRESS:
  case GDK_2BUTTON_PRESS:
  case GDK_3BUTTON_PRESS:
  case GDK_BUTTON_RELEASE:
    *input = event->type == GDK_BUTTON_RELEASE ? FLOE_IDLE_RELEASE : FLOE_IDLE_PRESS;
    *id = BUTTON_ID (event->button.button);
    return TRUE;
  case GDK_TOUCH_BEGIN:
  case GDK_TOUCH_UPDATE:
  case GDK_TOUCH_END:
  case GDK_TOUCH_CANCEL:
    *input = event->type == GDK_TOUCH_BEGIN ? FLOE_IDLE_PRESS : event->type == GDK_TOUCH_UPDATE ? FLOE_IDLE_MOTION : FLOE_IDLE_RELEASE;
    *id = GPOINTER_TO_SIZE (event->touch.sequence);
    return TRUE;
  case GDK_SCROLL:
  case GDK_TOUCHPAD_SWIPE:
  case GDK_TOUCHPAD_PINCH:
  case GDK_PAD_BUTTON_PRESS:
  case GDK_PAD_RING:
  case GDK_PAD_STRIP:
    *input = FLOE_IDLE_SCROLL;
    return TRUE;
  case GDK_MOTION_NOTIFY:
    *input = FLOE_IDLE_MOTION;
    return has_moved (restart, &event->motion);
  default:
    return FALSE;
  }
}

static void
on_event (GdkEvent *event, gpointer data)
{
  FloeIdleRestart *restart = data;
  FloeIdleInput input;
  gboolean swallowed;
  guint64 id;

  if (!event_input (restart, event, &input, &id)) {
    gtk_main_do_event (event);
    return;
  }
  swallowed = floe_idle_input (&restart->idle, input, id, g_get_monotonic_time ());
  if (restart->countdown != NULL) {
    floe_info ("the restart into the update is put off");
    restart_look (restart);
  }
  if (!swallowed)
    gtk_main_do_event (event);
}

/* Of a window that is gone, as before there was one. */
static void
on_event_after (GdkEvent *event, gpointer data G_GNUC_UNUSED)
{
  gtk_main_do_event (event);
}

/* -- Restarting ----------------------------------------------------------------------------------------------------- */

/* A machine whose guest runs is suspended over the restart, and one that is off stays off; what is between them is let come to its end. */
static gboolean
machines_change (FloeLink *link)
{
  GPtrArray *machines = floe_link_machines (link);

  for (guint i = 0; i < machines->len; i++) {
    FloeState state = floe_machine_get_info (g_ptr_array_index (machines, i))->state;

    if (state == FLOE_STATE_SUSPENDING || state == FLOE_STATE_RESUMING || state == FLOE_STATE_STOPPING)
      return TRUE;
  }
  return FALSE;
}

static void
restart_show (FloeIdleRestart *restart, guint seconds)
{
  GtkWidget *menu = gtk_grab_get_current ();

  if (seconds == 0) {
    g_clear_pointer (&restart->countdown, gtk_widget_destroy);
    return;
  }
  if (restart->countdown != NULL) {
    floe_countdown_set (FLOE_COUNTDOWN (restart->countdown), seconds);
  } else {
    floe_info ("nobody uses the screen: it says that the computer restarts into the update");
    restart->countdown = floe_countdown_new (seconds);
    gtk_overlay_add_overlay (restart->overlay, restart->countdown);
  }
  /* Whatever came meanwhile is under it; menus are over everything. */
  gtk_overlay_reorder_overlay (restart->overlay, restart->countdown, -1);
  if (GTK_IS_POPOVER (menu))
    gtk_popover_popdown (GTK_POPOVER (menu));
}

static gboolean
on_timer (gpointer data)
{
  FloeIdleRestart *restart = data;

  restart->timer = 0;
  restart_look (restart);
  return G_SOURCE_REMOVE;
}

static void
restart_look (FloeIdleRestart *restart)
{
  const FloeSettings *settings = floe_link_settings (restart->link);
  gboolean up = floe_link_is_up (restart->link) && floe_link_is_settled (restart->link);
  FloeIdleNow situation
      = { .idle = (gint64) settings->restart_idle * G_USEC_PER_SEC,
          .notice = (gint64) (settings->restart_notice > 0 ? settings->restart_notice : NOTICE_SECONDS) * G_USEC_PER_SEC,
          .ready = settings->update_ready != 0,
          .hold = !up || machines_change (restart->link) || restart->holds (restart->data) };
  FloeIdleStep step = floe_idle_step (&restart->idle, &situation, g_get_monotonic_time ());

  g_clear_handle_id (&restart->timer, g_source_remove);
  restart_show (restart, step.seconds);
  /* After events: what somebody has done in time is heard before it is found that nobody did anything. */
  if (step.wait >= 0)
    restart->timer = g_timeout_add_full (GDK_PRIORITY_EVENTS + 1, (guint) (step.wait / 1000 + 1), on_timer, restart, NULL);
  if (!step.restart)
    return;
  floe_info ("nobody has put it off: restart into the update");
  floe_link_restart_for_update (restart->link);
}

FloeIdleRestart *
floe_idle_restart_new (FloeLink *link, GtkOverlay *overlay, FloeIdleRestartHolds holds, gpointer data)
{
  FloeIdleRestart *restart = g_new0 (FloeIdleRestart, 1);

  restart->link = g_object_ref (link);
  restart->overlay = overlay;
  restart->holds = holds;
  restart->data = data;
  restart->x = restart->y = -1;
  /* Where no widget asks for them (most of the list) there would be none. Fingers come as buttons there. */
  gtk_widget_add_events (gtk_widget_get_toplevel (GTK_WIDGET (overlay)),
                         GDK_POINTER_MOTION_MASK | GDK_BUTTON_PRESS_MASK | GDK_BUTTON_RELEASE_MASK | GDK_SCROLL_MASK);
  restart->idle.last = g_get_monotonic_time ();
  g_signal_connect_swapped (link, "changed", G_CALLBACK (restart_look), restart);
  gdk_event_handler_set (on_event, restart, NULL);
  return restart;
}

void
floe_idle_restart_free (FloeIdleRestart *restart)
{
  if (restart == NULL)
    return;
  gdk_event_handler_set (on_event_after, NULL, NULL);
  g_signal_handlers_disconnect_by_data (restart->link, restart);
  g_clear_handle_id (&restart->timer, g_source_remove);
  g_object_unref (restart->link);
  g_free (restart);
}
