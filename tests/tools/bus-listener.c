/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-error.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* org.floe.Hypervisor1 as far as the agent goes: owns the name on the system bus by the project's own XML, writes `METHOD ARGUMENTS` for every
 * call, and sets BackgroundAllowed by `yes` and `no` on standard input. Ends with its input. */

#define NAME "org.floe.Hypervisor1"
#define PATH "/org/floe/Hypervisor1"

typedef struct {
  GMainLoop *loop;
  GDBusConnection *bus;
  gboolean allowed;
} Listener;

static void
on_call (GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *method, GVariant *parameters,
         GDBusMethodInvocation *invocation, gpointer data)
{
  g_autofree char *text = g_variant_print (parameters, FALSE);

  (void) bus, (void) sender, (void) path, (void) interface, (void) data;
  g_print ("%s %s\n", method, text);
  g_dbus_method_invocation_return_value (invocation, strcmp (method, "SpoolChanged") == 0 ? g_variant_new ("(t)", G_GUINT64_CONSTANT (1)) : NULL);
}

static GVariant *
on_get (GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *property, GError **error,
        gpointer data)
{
  const Listener *listener = data;

  (void) bus, (void) sender, (void) path, (void) interface;
  if (strcmp (property, "BackgroundAllowed") == 0)
    return g_variant_new_boolean (listener->allowed);
  floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s is nothing that an agent reads", property);
  return NULL;
}

static gboolean
on_input (gint fd, GIOCondition condition, gpointer data)
{
  Listener *listener = data;
  char line[64];
  ssize_t got = read (fd, line, sizeof line - 1);
  GVariantBuilder changed;

  (void) condition;
  if (got <= 0) {
    g_main_loop_quit (listener->loop);
    return G_SOURCE_REMOVE;
  }
  listener->allowed = line[0] == 'y';
  g_variant_builder_init (&changed, G_VARIANT_TYPE ("a{sv}"));
  g_variant_builder_add (&changed, "{sv}", "BackgroundAllowed", g_variant_new_boolean (listener->allowed));
  g_dbus_connection_emit_signal (listener->bus, NULL, PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                 g_variant_new ("(sa{sv}as)", NAME, &changed, NULL), NULL);
  return G_SOURCE_CONTINUE;
}

static void
on_lost (GDBusConnection *bus, const char *name, gpointer data)
{
  (void) bus, (void) data;
  g_error ("cannot have %s", name);
}

int
main (void)
{
  static const GDBusInterfaceVTable table = { .method_call = on_call, .get_property = on_get };
  Listener listener = { 0 };
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = NULL;
  g_autoptr (GDBusNodeInfo) node = NULL;

  setvbuf (stdout, NULL, _IOLBF, 0);
  listener.loop = g_main_loop_new (NULL, FALSE);
  if (!g_file_get_contents (FLOE_SOURCE_DIR "/hypervisor/org.floe.Hypervisor1.xml", &xml, NULL, &error) ||
      (node = g_dbus_node_info_new_for_xml (xml, &error)) == NULL ||
      (listener.bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &error)) == NULL ||
      g_dbus_connection_register_object (listener.bus, PATH, g_dbus_node_info_lookup_interface (node, NAME), &table, &listener, NULL,
                                         &error) == 0)
    g_error ("%s", error->message);
  g_bus_own_name_on_connection (listener.bus, NAME, G_BUS_NAME_OWNER_FLAGS_NONE, NULL, on_lost, NULL, NULL);
  g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, &listener);
  g_main_loop_run (listener.loop);
  g_main_loop_unref (listener.loop);
  return 0;
}
