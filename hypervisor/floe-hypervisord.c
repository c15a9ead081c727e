/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-log.h"
#include "hypervisor/dbus/floe-daemon.h"
#include "hypervisor/privileges/floe-privileges.h"

#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

#define BUS_NAME "org.floe.Hypervisor1"

static gboolean
on_signal (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_CONTINUE;
}

typedef struct {
  FloeDaemon *daemon;
  GMainLoop *loop;
} Serving;

static void
on_name_acquired (GDBusConnection *bus G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, gpointer data)
{
  floe_daemon_announce (((Serving *)data)->daemon);
}

static void
on_name_lost (GDBusConnection *bus G_GNUC_UNUSED, const char *name, gpointer data)
{
  floe_log (G_LOG_LEVEL_WARNING, "bus name is another's or the bus is gone", "NAME", name, NULL);
  g_main_loop_quit (((Serving *)data)->loop);
}

static gboolean
serve (FloeHostConfig *config, GError **error)
{
  g_autoptr (FloeHost) host = floe_host_new (config, error);
  g_autoptr (GDBusConnection) bus = host == NULL ? NULL : g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, error);
  g_autoptr (FloeDaemon) daemon = bus == NULL ? NULL : floe_daemon_new (host, bus, error);
  g_autoptr (GMainLoop) loop = NULL;
  Serving serving;
  guint name;

  if (host != NULL && bus == NULL)
    g_prefix_error (error, "system bus: ");
  if (daemon == NULL)
    return FALSE;
  g_dbus_connection_set_exit_on_close (bus, FALSE);
  loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGTERM, on_signal, loop);
  g_unix_signal_add (SIGINT, on_signal, loop);
  serving = (Serving){ daemon, loop };
  floe_daemon_serve (daemon);
  /* After the objects: who waits for the name finds them. */
  name = g_bus_own_name_on_connection (bus, BUS_NAME, G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE, on_name_acquired, on_name_lost,
                                       &serving, NULL);
  g_main_loop_run (loop);
  g_bus_unown_name (name);
  g_dbus_connection_flush_sync (bus, NULL, NULL);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autofree char *path = NULL;
  g_autofree char *plugin = NULL;
  const GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &path, "configuration (/etc/floe/floe.conf)", "FILE" },
    { "plugin", 0, 0, G_OPTION_ARG_FILENAME, &plugin, "nbdkit plugin, instead of the configured one", "PATH" },
    { NULL },
  };
  FloeHostConfig *config;
  g_autoptr (GError) error = NULL;

  floe_log_init ("floe-hypervisord");
  signal (SIGPIPE, SIG_IGN);
  /* From the first moment on, this thread is the one that others mean by "main". */
  if (!g_main_context_acquire (g_main_context_default ()))
    return 1;
  if (!floe_cli_parse_options ("floe-hypervisord", "[--config FILE] [--plugin PATH]", "Runs the machines of the policy in force.",
                               entries, argc, argv, &error))
    return floe_cli_fail ("floe-hypervisord", error);
  config = floe_host_config_load (path, &error);
  if (config != NULL && plugin != NULL) {
    g_free (config->plugin);
    config->plugin = g_steal_pointer (&plugin);
  }
  floe_cli_hint (&error, FLOE_ERROR_NOT_FOUND, FLOE_CLI_NO_CONFIG);
  if (config != NULL && geteuid () != 0)
    floe_error_set (&error, FLOE_ERROR_REFUSED, "root is needed: for users of machines, their taps, rules and mounts");
  if (error != NULL || !floe_privileges_drop (&error) || !serve (config, &error))
    return floe_cli_fail ("floe-hypervisord", error);
  return 0;
}
