/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-log.h"
#include "console-ui/floe-language.h"
#include "console-ui/floe-link.h"
#include "console-ui/floe-session.h"
#include "console-ui/floe-widgets.h"
#include "console-ui/floe-window.h"

#include <glib-unix.h>
#include <gtk/gtk.h>

/* The screen of an endpoint: under cage on the appliance, on any display elsewhere. */

#define NO_SCREEN_SECONDS 30

typedef struct {
  char *config, *bus, *language;
} Options;

static gboolean
parse_options (Options *options, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config, "accepted as by every program of Floe; holds nothing for this one",
      "FILE" },
    { "bus", 0, 0, G_OPTION_ARG_STRING, &options->bus, "D-Bus address instead of the system bus", "ADDRESS" },
    { "language", 0, 0, G_OPTION_ARG_STRING, &options->language, "language to begin in, if policy has it", "CODE" },
    { NULL },
  };

  return floe_cli_parse_options ("floe-console", "[--bus ADDRESS] [--language CODE]",
                                 "Shows this computer's desktops and their screens.", entries, argc, argv, error);
}

static GDBusConnection *
connect_bus (const char *address, GError **error)
{
  g_autofree char *system = NULL;

  if (address == NULL) {
    system = g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, error);
    if (system == NULL)
      return NULL;
  }
  return g_dbus_connection_new_for_address_sync (address != NULL ? address : system,
                                                 G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
                                                   | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                 NULL, NULL, error);
}

/* Without a bus nothing can be known again: end, and let the service manager start anew. */
static void
on_bus_closed (GDBusConnection *connection G_GNUC_UNUSED, gboolean vanished G_GNUC_UNUSED, GError *error, gpointer data)
{
  int *status = data;

  floe_warning ("the message bus went away", "REASON", error != NULL ? error->message : "closed");
  *status = 1;
  gtk_main_quit ();
}

static gboolean
on_terminate (gpointer data G_GNUC_UNUSED)
{
  gtk_main_quit ();
  return G_SOURCE_REMOVE;
}

static void
load_style (void)
{
  g_autoptr (GtkCssProvider) provider = gtk_css_provider_new ();

  gtk_css_provider_load_from_resource (provider, "/org/floe/console/floe-console.css");
  gtk_style_context_add_provider_for_screen (gdk_screen_get_default (), GTK_STYLE_PROVIDER (provider),
                                             GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
  g_object_set (gtk_settings_get_default (), "gtk-theme-name", "Adwaita", "gtk-application-prefer-dark-theme", TRUE,
                "gtk-enable-animations", FALSE, "gtk-xft-dpi", (int) (96 * 1024 * floe_screen_scale ()), NULL);
}

/* What the first frame is waited for by; 0 when that is over. */
typedef struct {
  guint no_screen;
} FirstFrame;

static void
up (FirstFrame *first, const char *how)
{
  if (first->no_screen == 0)
    return;
  g_clear_handle_id (&first->no_screen, g_source_remove);
  floe_info (how);
  floe_session_ready ();
}

/* The compositor asks for the second frame when it has taken the first one: now there is something to see. */
static void
on_next_frame (GdkFrameClock *clock, FirstFrame *first)
{
  g_signal_handlers_disconnect_by_func (clock, on_next_frame, first);
  up (first, "the first frame is on the screen");
}

static void
on_first_frame (GdkFrameClock *clock, FirstFrame *first)
{
  g_signal_handlers_disconnect_by_func (clock, on_first_frame, first);
  g_signal_connect (clock, "before-paint", G_CALLBACK (on_next_frame), first);
  gdk_frame_clock_request_phase (clock, GDK_FRAME_CLOCK_PHASE_BEFORE_PAINT);
}

/* Nobody asks for frames while no screen is plugged: that is no failure of ours. */
static gboolean
on_no_screen (gpointer first)
{
  up (first, "no screen has taken a frame yet");
  return G_SOURCE_REMOVE;
}

static void
watch_first_frame (GtkWidget *window, FirstFrame *first)
{
  first->no_screen = g_timeout_add_seconds (NO_SCREEN_SECONDS, on_no_screen, first);
  g_signal_connect (gtk_widget_get_frame_clock (window), "after-paint", G_CALLBACK (on_first_frame), first);
}

static int
run (const Options *options)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) connection = connect_bus (options->bus, &error);
  g_autoptr (FloeLink) link = NULL;
  g_autoptr (FloeSetupLink) setup = NULL;
  g_autoptr (FloeInstallLink) install = NULL;
  FirstFrame first = { 0 };
  GtkWidget *window;
  int status = 0;

  if (connection == NULL)
    return floe_cli_fail ("floe-console", error);
  g_signal_connect (connection, "closed", G_CALLBACK (on_bus_closed), &status);
  load_style ();
  link = floe_link_new (connection);
  setup = floe_setup_link_new (connection);
  install = floe_install_link_new (connection);
  window = floe_window_new (setup, install, link);
  g_signal_connect (window, "destroy", gtk_main_quit, NULL);
  g_unix_signal_add (SIGTERM, on_terminate, NULL);
  g_unix_signal_add (SIGINT, on_terminate, NULL);
  gtk_widget_show (window);
  watch_first_frame (window, &first);
  gtk_main ();
  g_clear_handle_id (&first.no_screen, g_source_remove);
  g_signal_handlers_disconnect_by_data (connection, &status);
  if (GTK_IS_WINDOW (window)) {
    g_signal_handlers_disconnect_by_func (window, gtk_main_quit, NULL);
    gtk_widget_destroy (window);
  }
  return status;
}

int
main (int argc, char **argv)
{
  Options options = { 0 };
  g_autoptr (GError) error = NULL;

  floe_log_init ("floe-console");
  if (!parse_options (&options, argc, argv, &error))
    return floe_cli_fail ("floe-console", error);
  floe_language_init (options.language);
  gtk_disable_setlocale ();
  if (!gtk_init_check (NULL, NULL)) {
    g_printerr ("floe-console: no display: set WAYLAND_DISPLAY or DISPLAY\n");
    return 1;
  }
  return run (&options);
}
