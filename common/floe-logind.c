/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-logind.h"

#define NAME "org.freedesktop.login1"
#define PATH "/org/freedesktop/login1"
#define TIMEOUT_MS 10000

gboolean
floe_logind_restart (GDBusConnection *bus, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GVariant) answer = g_dbus_connection_call_sync (bus, NAME, PATH, NAME ".Manager", "Reboot", g_variant_new ("(b)", FALSE), NULL,
                                                             G_DBUS_CALL_FLAGS_NONE, TIMEOUT_MS, NULL, &problem);

  if (answer != NULL)
    return TRUE;
  g_dbus_error_strip_remote_error (problem);
  return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "logind does not restart this computer: %s", problem->message);
}
