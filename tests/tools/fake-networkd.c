/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-error.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <stdio.h>

/* systemd-networkd as far as the agent asks it: org.freedesktop.network1 on the system bus. Describe() answers with what FILE has at that moment;
 * at SIGUSR1 it says that a card's DHCP client has come to a lease.
 *
 * fake-networkd FILE */

#define NAME "org.freedesktop.network1"
#define PATH "/org/freedesktop/network1"

static void
on_call (GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *method, GVariant *parameters,
         GDBusMethodInvocation *invocation, gpointer data)
{
  g_autofree char *text = NULL;
  GError *error = NULL;

  (void) bus, (void) sender, (void) path, (void) interface, (void) method, (void) parameters;
  if (g_file_get_contents (data, &text, NULL, &error))
    g_dbus_method_invocation_return_value (invocation, g_variant_new ("(s)", text));
  else
    g_dbus_method_invocation_take_error (invocation, error);
}

static gboolean
on_lease (gpointer data)
{
  GVariantBuilder changed;

  g_variant_builder_init (&changed, G_VARIANT_TYPE ("a{sv}"));
  g_variant_builder_add (&changed, "{sv}", "State", g_variant_new_string ("bound"));
  g_dbus_connection_emit_signal (data, NULL, PATH "/link/_32", "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                 g_variant_new ("(sa{sv}as)", NAME ".DHCPv4Client", &changed, NULL), NULL);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  static const GDBusInterfaceVTable calls = { .method_call = on_call };
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &error);
  g_autoptr (GDBusNodeInfo) node =
      g_dbus_node_info_new_for_xml ("<node><interface name='" NAME ".Manager'><method name='Describe'><arg type='s' direction='out'/></method>"
                                    "</interface></node>", NULL);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  if (argc != 2 || bus == NULL ||
      g_dbus_connection_register_object (bus, PATH, node->interfaces[0], &calls, argv[1], NULL, &error) == 0) {
    fprintf (stderr, "fake-networkd FILE%s%s\n", error != NULL ? ": " : "", error != NULL ? error->message : "");
    return 1;
  }
  g_unix_signal_add (SIGUSR1, on_lease, bus);
  g_bus_own_name_on_connection (bus, NAME, G_BUS_NAME_OWNER_FLAGS_NONE, NULL, NULL, NULL, NULL);
  g_main_loop_run (loop);
  return 0;
}
