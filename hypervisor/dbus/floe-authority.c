/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/dbus/floe-authority.h"

#include "common/floe-log.h"

#include <polkit/polkit.h>
#include <string.h>

#define HYPERVISOR "org.floe.Hypervisor1"
#define MACHINE HYPERVISOR ".Machine"
#define CONTROL "org.floe.hypervisor1.control"
#define CONSOLE "org.floe.hypervisor1.console"
#define FEED "org.floe.hypervisor1.feed"
#define TRY_SECONDS 10

static const struct {
  const char *interface, *method, *action;
} rights[] = {
  { HYPERVISOR, "SpoolChanged", FEED },
  { HYPERVISOR, "ReportImage", FEED },
  { HYPERVISOR, "ImagesInUse", FEED },
  { HYPERVISOR, "JoinGroup", FEED },
  { HYPERVISOR, "CheckHardware", CONSOLE },
  { HYPERVISOR, "AnswerUsb", CONSOLE },
  { HYPERVISOR, "SetSituation", CONSOLE },
  { HYPERVISOR, "RestartForUpdate", CONSOLE },
  { MACHINE, "Start", CONTROL },
  { MACHINE, "Stop", CONTROL },
  { MACHINE, "Reset", CONTROL },
  { MACHINE, "Suspend", CONTROL },
  { MACHINE, "Resume", CONTROL },
  { MACHINE, "OpenDisplay", "org.floe.hypervisor1.display" },
  { MACHINE, "Statistics", "org.floe.hypervisor1.observe" },
};

struct _FloeAuthority {
  GDBusConnection *bus;
  PolkitAuthority *polkit; /* NULL: not reachable */
  gint64 next_try;         /* monotonic */
};

const char *
floe_authority_action (const char *interface, const char *method)
{
  for (size_t i = 0; i < G_N_ELEMENTS (rights); i++)
    if (strcmp (rights[i].interface, interface) == 0 && strcmp (rights[i].method, method) == 0)
      return rights[i].action;
  return NULL;
}

/* It may be reached later than we start, or go away: asked again, and not at each call, since every try may last as long as the bus waits. */
static void
reach_polkit (FloeAuthority *authority)
{
  g_autoptr (GError) error = NULL;

  if (authority->polkit != NULL || g_get_monotonic_time () < authority->next_try)
    return;
  authority->polkit = polkit_authority_get_sync (NULL, &error);
  authority->next_try = g_get_monotonic_time () + TRY_SECONDS * G_USEC_PER_SEC;
  if (authority->polkit == NULL)
    floe_log (G_LOG_LEVEL_WARNING, "polkit is not reachable: only root may call", "REASON", error->message, NULL);
}

FloeAuthority *
floe_authority_new (GDBusConnection *bus)
{
  FloeAuthority *authority = g_new0 (FloeAuthority, 1);

  authority->bus = g_object_ref (bus);
  reach_polkit (authority);
  return authority;
}

void
floe_authority_free (FloeAuthority *authority)
{
  if (authority == NULL)
    return;
  g_clear_object (&authority->polkit);
  g_clear_object (&authority->bus);
  g_free (authority);
}

static gboolean
sender_uid (FloeAuthority *authority, const char *sender, guint32 *uid, GError **error)
{
  g_autoptr (GVariant) reply = g_dbus_connection_call_sync (
      authority->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixUser",
      g_variant_new ("(s)", sender), G_VARIANT_TYPE ("(u)"), G_DBUS_CALL_FLAGS_NONE, -1, NULL, error);

  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(u)", uid);
  return TRUE;
}

static gboolean
ask_polkit (FloeAuthority *authority, const char *sender, const char *action, gboolean *allowed, GError **error)
{
  g_autoptr (PolkitSubject) subject = polkit_system_bus_name_new (sender);
  g_autoptr (PolkitAuthorizationResult) result = NULL;

  reach_polkit (authority);
  if (authority->polkit == NULL)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "polkit is not reachable");
  result = polkit_authority_check_authorization_sync (authority->polkit, subject, action, NULL,
                                                      POLKIT_CHECK_AUTHORIZATION_FLAGS_NONE, NULL, error);
  if (result == NULL)
    return FALSE;
  *allowed = polkit_authorization_result_get_is_authorized (result);
  return TRUE;
}

gboolean
floe_authority_check (FloeAuthority *authority, GDBusMethodInvocation *invocation, GError **error)
{
  const char *method = g_dbus_method_invocation_get_method_name (invocation);
  const char *action = floe_authority_action (g_dbus_method_invocation_get_interface_name (invocation), method);
  const char *sender = g_dbus_method_invocation_get_sender (invocation);
  g_autoptr (GError) local = NULL;
  gboolean allowed = FALSE;
  guint32 uid = G_MAXUINT32;

  if (action == NULL || sender == NULL)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "%s: nobody may call this", method);
  if (!sender_uid (authority, sender, &uid, error))
    return FALSE;
  if (uid == 0)
    return TRUE;
  if (!ask_polkit (authority, sender, action, &allowed, &local))
    floe_log (G_LOG_LEVEL_WARNING, "polkit gave no answer, call refused", "METHOD", method, "REASON", local->message, NULL);
  if (allowed)
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_REFUSED, "%s: user %u lacks the right %s, which polkit gives", method, uid,
                         action);
}
