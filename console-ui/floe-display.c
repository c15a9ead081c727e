/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-display.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "console-ui/floe-clipboard.h"
#include "console-ui/floe-usbredir.h"

#include <spice-client-gtk.h>
#include <unistd.h>

/* Theory of operation: each attempt is a SpiceSession and SpiceDisplay of its own, thrown away whole when any of its channels
 * breaks, so that nothing of a dead connection survives into the next. SPICE asks for a socket per channel ("open-fd"), and an
 * answer may come later: the channel then waits. What is not answered is never connected. */

#define RETRY_FIRST_MS 250
#define RETRY_LAST_MS 2000

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SpiceSession, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SpiceChannel, g_object_unref)

struct _FloeDisplay {
  GObject parent;
  FloeMachine *machine;
  GtkContainer *holder;
  FloeClipboard *clipboard;
  SpiceSession *session; /* NULL between attempts */
  GtkWidget *widget;     /* SpiceDisplay of the session, owned by holder */
  GCancellable *cancellable;
  guint retry, retry_ms;
  gboolean wanted, active, audio;
  gboolean was_ready; /* since the machine started */
};

G_DEFINE_FINAL_TYPE (FloeDisplay, floe_display, G_TYPE_OBJECT)

enum { CHANGED, SIGNALS };
static guint signals[SIGNALS];

static void display_update (FloeDisplay *display);

static gboolean
widget_is_ready (FloeDisplay *display)
{
  gboolean ready = FALSE;

  if (display->widget != NULL)
    g_object_get (display->widget, "ready", &ready, NULL);
  return ready;
}

static void
display_disconnect (FloeDisplay *display)
{
  g_autoptr (SpiceSession) session = g_steal_pointer (&display->session);
  GtkWidget *widget = g_steal_pointer (&display->widget);

  g_clear_handle_id (&display->retry, g_source_remove);
  if (session == NULL)
    return;
  g_cancellable_cancel (display->cancellable);
  g_clear_object (&display->cancellable);
  floe_clipboard_attach (display->clipboard, NULL);
  g_signal_handlers_disconnect_by_data (session, display);
  for (GList *at = spice_session_get_channels (session), *next; at != NULL; at = next) {
    next = at->next;
    g_signal_handlers_disconnect_by_data (at->data, display);
    g_list_free_1 (at);
  }
  if (widget != NULL) {
    g_signal_handlers_disconnect_by_data (widget, display);
    g_object_set (widget, "grab-keyboard", FALSE, NULL);
    /* While it still has a session: it tells the session that the focus is gone. */
    if (gtk_widget_is_focus (widget))
      gtk_window_set_focus (GTK_WINDOW (gtk_widget_get_toplevel (widget)), NULL);
    gtk_widget_destroy (widget);
  }
  spice_session_disconnect (session);
}

static gboolean
on_retry (gpointer data)
{
  FloeDisplay *display = data;

  display->retry = 0;
  display_disconnect (display);
  display_update (display);
  g_signal_emit (display, signals[CHANGED], 0);
  return G_SOURCE_REMOVE;
}

/* The connection is of no more use. Torn down later: SPICE is in the middle of a signal. */
static void
display_broken (FloeDisplay *display, const char *why)
{
  if (display->retry != 0)
    return;
  floe_info ("display connection ended", "VM", floe_machine_get_info (display->machine)->id, "REASON", why);
  display->retry = g_timeout_add (display->retry_ms, on_retry, display);
  display->retry_ms = MIN (display->retry_ms * 2, RETRY_LAST_MS);
  g_signal_emit (display, signals[CHANGED], 0);
}

/* -- Channels ------------------------------------------------------------------------------------------------------- */

static gboolean
channel_is_allowed (FloeDisplay *display, SpiceChannel *channel)
{
  if (SPICE_IS_PLAYBACK_CHANNEL (channel) || SPICE_IS_RECORD_CHANNEL (channel))
    return display->audio;
  return SPICE_IS_MAIN_CHANNEL (channel) || SPICE_IS_DISPLAY_CHANNEL (channel) || SPICE_IS_INPUTS_CHANNEL (channel)
         || SPICE_IS_CURSOR_CHANNEL (channel);
}

typedef struct {
  FloeDisplay *display;
  SpiceChannel *channel;
} Opening;

static void
on_opened (GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
  g_autofree Opening *opening = data;
  g_autoptr (FloeDisplay) display = opening->display;
  g_autoptr (SpiceChannel) channel = opening->channel;
  g_autoptr (GError) error = NULL;
  floe_autofd fd = floe_machine_open_display_finish (result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (fd < 0) {
    display_broken (display, error->message);
    return;
  }
  /* The channel owns it from here on, and closes it. */
  if (spice_channel_open_fd (channel, fd))
    floe_fd_steal (&fd);
  else
    display_broken (display, "SPICE refuses the socket");
}

static void
on_open_fd (SpiceChannel *channel, int with_tls G_GNUC_UNUSED, FloeDisplay *display)
{
  Opening *opening;

  if (!channel_is_allowed (display, channel))
    return;
  opening = g_new0 (Opening, 1);
  opening->display = g_object_ref (display);
  opening->channel = g_object_ref (channel);
  floe_machine_open_display (display->machine, display->cancellable, on_opened, opening);
}

static void
on_channel_event (SpiceChannel *channel, SpiceChannelEvent event, FloeDisplay *display)
{
  /* Without sound a desktop is still a desktop. */
  if (event == SPICE_CHANNEL_OPENED || event == SPICE_CHANNEL_SWITCHING || SPICE_IS_PLAYBACK_CHANNEL (channel)
      || SPICE_IS_RECORD_CHANNEL (channel))
    return;
  display_broken (display, event == SPICE_CHANNEL_CLOSED ? "closed" : "channel error");
}

/* -- Connecting ----------------------------------------------------------------------------------------------------- */

static void
display_take_keyboard (FloeDisplay *display)
{
  if (display->widget == NULL)
    return;
  g_object_set (display->widget, "grab-keyboard", display->active, NULL);
  if (display->active)
    gtk_widget_grab_focus (display->widget);
  else
    spice_display_mouse_ungrab (SPICE_DISPLAY (display->widget));
}

static void
on_ready (FloeDisplay *display)
{
  if (widget_is_ready (display)) {
    display->was_ready = TRUE;
    display->retry_ms = RETRY_FIRST_MS;
    display_take_keyboard (display);
  }
  g_signal_emit (display, signals[CHANGED], 0);
}

static GtkWidget *
display_make_widget (FloeDisplay *display)
{
  const FloeMachineInfo *info = floe_machine_get_info (display->machine);
  SpiceDisplay *spice = spice_display_new (display->session, 0);
  g_autofree char *name = g_strdup_printf ("display-%s", info->id);
  SpiceGrabSequence *none = spice_grab_sequence_new (0, NULL);

  /* No key sequence of spice-gtk's own takes the keyboard away from the guest, or leaves it a modifier short. */
  spice_display_set_grab_keys (spice, none);
  spice_grab_sequence_free (none);
  g_object_set (spice, "resize-guest", TRUE, "scaling", TRUE, "only-downscale", FALSE, "grab-keyboard", FALSE, "grab-mouse", TRUE,
                "keypress-delay", 0, NULL);
  /* Dropping a file on the display is spice-gtk's only way of a file into a guest; from a guest it has none by direction. */
  if ((info->file_transfer & FLOE_SHARE_TO_GUEST) == 0)
    gtk_drag_dest_unset (GTK_WIDGET (spice));
  gtk_widget_set_name (GTK_WIDGET (spice), name);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (spice)), info->title);
  g_signal_connect_swapped (spice, "notify::ready", G_CALLBACK (on_ready), display);
  return GTK_WIDGET (spice);
}

static void
on_channel_new (SpiceSession *session G_GNUC_UNUSED, SpiceChannel *channel, FloeDisplay *display)
{
  int id = -1;

  g_signal_connect (channel, "open-fd", G_CALLBACK (on_open_fd), display);
  g_signal_connect (channel, "channel-event", G_CALLBACK (on_channel_event), display);
  if (SPICE_IS_MAIN_CHANNEL (channel))
    floe_clipboard_attach (display->clipboard, SPICE_MAIN_CHANNEL (channel));
  g_object_get (channel, "channel-id", &id, NULL);
  if (!SPICE_IS_DISPLAY_CHANNEL (channel) || id != 0 || display->widget != NULL)
    return;
  /* Not before there is something to show: the widget wants a main channel that has said how the pointer works. */
  display->widget = display_make_widget (display);
  gtk_container_add (display->holder, display->widget);
  gtk_widget_show (display->widget);
}

static void
display_connect (FloeDisplay *display)
{
  const FloeMachineInfo *info = floe_machine_get_info (display->machine);

  display->audio = info->audio;
  display->cancellable = g_cancellable_new ();
  display->session = spice_session_new ();
  /* These desktops run here: hypervisord gives them devices, and there is no filter. */
  floe_usbredir_configure (display->session, NULL);
  g_object_set (display->session, "enable-audio", info->audio, NULL);
  /* Before anything of spice-gtk's: our clipboard has to hear of the main channel first. */
  g_signal_connect (display->session, "channel-new", G_CALLBACK (on_channel_new), display);
  g_object_set (spice_gtk_session_get (display->session), "auto-clipboard", FALSE, "auto-usbredir", FALSE, NULL);
  if (display->audio)
    spice_audio_get (display->session, NULL);
  if (!spice_session_open_fd (display->session, -1))
    display_broken (display, "SPICE session cannot be opened");
}

/* Brings the connection in line with what the machine is. */
static void
display_update (FloeDisplay *display)
{
  const FloeMachineInfo *info = floe_machine_get_info (display->machine);
  gboolean has_display = floe_machine_info_has_display (info);

  floe_clipboard_set_share (display->clipboard, info->clipboard);
  if (!has_display && floe_machine_is_live (display->machine)) {
    display->was_ready = FALSE;
    display->retry_ms = RETRY_FIRST_MS;
    display_disconnect (display);
  } else if (display->session != NULL && display->audio != info->audio) {
    /* Policy gave sound or took it away: which channels there are is settled when a session begins. */
    display_disconnect (display);
  }
  if (display->widget != NULL && (info->file_transfer & FLOE_SHARE_TO_GUEST) == 0)
    gtk_drag_dest_unset (display->widget);
  /* While hypervisord is away a display that stands stays, and no new one can be asked for. */
  if (has_display && display->wanted && display->session == NULL && floe_machine_is_live (display->machine))
    display_connect (display);
}

static void
on_machine_changed (FloeDisplay *display)
{
  FloeDisplayStatus before = floe_display_get_status (display);

  display_update (display);
  if (floe_display_get_status (display) != before)
    g_signal_emit (display, signals[CHANGED], 0);
}

/* -- The seam ------------------------------------------------------------------------------------------------------- */

FloeDisplayStatus
floe_display_get_status (FloeDisplay *display)
{
  if (display->retry == 0 && widget_is_ready (display))
    return FLOE_DISPLAY_READY;
  if (display->session == NULL && !(display->wanted && floe_machine_info_has_display (floe_machine_get_info (display->machine))))
    return FLOE_DISPLAY_OFF;
  return display->was_ready ? FLOE_DISPLAY_LOST : FLOE_DISPLAY_CONNECTING;
}

void
floe_display_set_wanted (FloeDisplay *display)
{
  display->wanted = TRUE;
  display_update (display);
}

void
floe_display_set_active (FloeDisplay *display, gboolean active)
{
  display->active = active;
  floe_clipboard_set_active (display->clipboard, active);
  display_take_keyboard (display);
}

gboolean
floe_display_key (FloeDisplay *display, GdkEventKey *event)
{
  if (floe_display_get_status (display) != FLOE_DISPLAY_READY)
    return FALSE;
  gtk_widget_event (display->widget, (GdkEvent *) event);
  return TRUE;
}

void
floe_display_release (FloeDisplay *display, const guint32 *codes)
{
  for (guint code = 0; display->widget != NULL && code < FLOE_HOTKEY_CODES; code++) {
    g_autoptr (GdkEvent) event = NULL;

    if (!floe_hotkey_has (codes, code))
      continue;
    event = gdk_event_new (GDK_KEY_RELEASE);
    event->key.window = g_object_ref (gtk_widget_get_window (display->widget));
    event->key.send_event = TRUE;
    event->key.time = GDK_CURRENT_TIME;
    event->key.hardware_keycode = (guint16) code;
    event->key.keyval = GDK_KEY_VoidSymbol;
    gtk_widget_event (display->widget, event);
  }
}

static void
floe_display_dispose (GObject *object)
{
  FloeDisplay *display = FLOE_DISPLAY (object);

  if (display->machine != NULL) {
    g_signal_handlers_disconnect_by_data (display->machine, display);
    display_disconnect (display);
  }
  g_clear_object (&display->machine);
  g_clear_pointer (&display->clipboard, floe_clipboard_free);
  G_OBJECT_CLASS (floe_display_parent_class)->dispose (object);
}

static void
floe_display_class_init (FloeDisplayClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_display_dispose;
  signals[CHANGED] = g_signal_new ("changed", FLOE_TYPE_DISPLAY, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
floe_display_init (FloeDisplay *display)
{
  display->retry_ms = RETRY_FIRST_MS;
  display->clipboard = floe_clipboard_new ();
}

FloeDisplay *
floe_display_new (FloeMachine *machine, GtkContainer *holder)
{
  FloeDisplay *display = g_object_new (FLOE_TYPE_DISPLAY, NULL);

  display->machine = g_object_ref (machine);
  display->holder = holder;
  g_signal_connect_swapped (machine, "changed", G_CALLBACK (on_machine_changed), display);
  return display;
}
