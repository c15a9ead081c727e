/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-log.h"
#include "console-ui/floe-language.h"
#include "console-ui/floe-link.h"
#include "console-ui/floe-widgets.h"
#include "console-ui/floe-window.h"

#include <glib-unix.h>
#include <gtk/gtk.h>

/* The screen of an endpoint: under cage on the appliance, on any display elsewhere. */

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

static int
run (const Options *options)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) connection = connect_bus (options->bus, &error);
  g_autoptr (FloeLink) link = NULL;
  g_autoptr (FloeSetupLink) setup = NULL;
  g_autoptr (FloeInstallLink) install = NULL;
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
  gtk_main ();
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
