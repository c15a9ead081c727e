/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <gio/gio.h>
#include <string.h>

/* bus-flood reports|spool COUNT: an agent that has been taken over calls floe-hypervisord COUNT times without waiting, each time
 * with an image that nobody has or for a spool that has not changed. Prints how many calls were answered without an error. */

/* The bus allows 128 calls under way. */
#define AT_ONCE 100

static guint answered, accepted;

static void
on_answer (GObject *bus, GAsyncResult *result, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (bus), result, NULL);

  answered++;
  accepted += reply != NULL;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &error);
  gboolean reports = argc == 3 && strcmp (argv[1], "reports") == 0;
  guint count = argc == 3 ? (guint)g_ascii_strtoull (argv[2], NULL, 10) : 0;

  if (bus == NULL || count == 0)
    g_error ("bus-flood reports|spool COUNT: %s", error != NULL ? error->message : "usage");
  for (guint i = 0; i < count; i++) {
    g_autofree char *image = g_strdup_printf ("%0100u/%0100u", i, i);

    g_dbus_connection_call (bus, "org.floe.Hypervisor1", "/org/floe/Hypervisor1", "org.floe.Hypervisor1",
                            reports ? "ReportImage" : "SpoolChanged",
                            reports ? g_variant_new ("(sttt)", image, (guint64)1, (guint64)2, (guint64)3) : NULL, NULL,
                            G_DBUS_CALL_FLAGS_NONE, 120000, NULL, on_answer, NULL);
    while (i + 1 - answered >= AT_ONCE)
      g_main_context_iteration (NULL, TRUE);
  }
  while (answered < count)
    g_main_context_iteration (NULL, TRUE);
  g_print ("%u\n", accepted);
  return 0;
}
