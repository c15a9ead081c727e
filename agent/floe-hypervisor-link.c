/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-hypervisor-link.h"

#include "common/floe-error.h"
#include "common/floe-log.h"

#include <string.h>

#define NAME "org.floe.Hypervisor1"
#define PATH "/org/floe/Hypervisor1"
#define INTERFACE "org.floe.Hypervisor1"
#define CALL_MILLISECONDS 60000
#define BUS_SECONDS 10

struct _FloeHypervisorLink {
  char *group;
  void (*changed) (gboolean appeared, gpointer data);
  gpointer data;
  GCancellable *cancellable;
  GDBusConnection *bus;
  guint watcher;
  guint subscription;
  guint retry;
  gboolean present;
  FloeBackground background;
  gboolean spool_pending; /* to be told when hypervisord appears, or when the call under way has ended */
  gboolean spool_calling;
  gboolean joining;       /* until it knows its group it can make nothing of the spool */
  gboolean asking_images;
  void (*images_answered) (const char *const *ids, gpointer data);
  gpointer images_data;
  char *spool_complaint, *images_complaint; /* what was last answered, so as to say it once */
};

static void connect_bus (FloeHypervisorLink *link);

static void
set_background (FloeHypervisorLink *link, FloeBackground background)
{
  if (link->background == background)
    return;
  link->background = background;
  link->changed (FALSE, link->data);
}

static void
on_property (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeHypervisorLink *link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_autoptr (GVariant) value = NULL;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* LINK is gone */
  if (reply == NULL || !link->present)
    return;
  g_variant_get (reply, "(v)", &value);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    set_background (link, g_variant_get_boolean (value) ? FLOE_BACKGROUND_YES : FLOE_BACKGROUND_NO);
}

static void
on_properties_changed (GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *signal,
                       GVariant *parameters, gpointer data)
{
  FloeHypervisorLink *link = data;
  g_autoptr (GVariant) changed = NULL;
  const char *of;
  gboolean allowed;

  (void) bus, (void) sender, (void) path, (void) interface, (void) signal;
  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(sa{sv}as)")) || !link->present)
    return;
  g_variant_get (parameters, "(&s@a{sv}as)", &of, &changed, NULL);
  if (strcmp (of, INTERFACE) == 0 && g_variant_lookup (changed, "BackgroundAllowed", "b", &allowed))
    set_background (link, allowed ? FLOE_BACKGROUND_YES : FLOE_BACKGROUND_NO);
}

/* -- The spool ------------------------------------------------------------------------------------------------------ */

static void
complain (char **said, const char *what, const GError *error)
{
  g_autofree char *name = g_dbus_error_get_remote_error (error);
  g_autoptr (GError) plain = g_error_copy (error);

  g_dbus_error_strip_remote_error (plain);
  if (g_strcmp0 (*said, plain->message) == 0)
    return;
  floe_log (G_LOG_LEVEL_WARNING, what, "REASON", plain->message, "ERROR", name, NULL);
  g_free (*said);
  *said = g_strdup (plain->message);
}

static void
on_spool_told (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeHypervisorLink *link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  link->spool_calling = FALSE;
  if (reply == NULL)
    complain (&link->spool_complaint, "hypervisord took nothing new from the spool", error);
  else
    g_clear_pointer (&link->spool_complaint, g_free);
  if (link->spool_pending)
    floe_hypervisor_link_spool_changed (link);
}

void
floe_hypervisor_link_spool_changed (FloeHypervisorLink *link)
{
  link->spool_pending = !link->present || link->spool_calling || link->joining;
  if (link->spool_pending)
    return;
  link->spool_calling = TRUE;
  g_dbus_connection_call (link->bus, NAME, PATH, INTERFACE, "SpoolChanged", NULL, G_VARIANT_TYPE ("(t)"),
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MILLISECONDS, link->cancellable, on_spool_told, link);
}

gboolean
floe_hypervisor_link_report (FloeHypervisorLink *link, const char *image, guint64 have, guint64 total, guint64 fetched)
{
  if (!link->present)
    return FALSE;
  /* Nothing hangs on the answer: the next report says it again. */
  g_dbus_connection_call (link->bus, NAME, PATH, INTERFACE, "ReportImage", g_variant_new ("(sttt)", image, have, total, fetched), NULL,
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MILLISECONDS, NULL, NULL, NULL);
  return TRUE;
}

/* -- Images that are needed ----------------------------------------------------------------------------------------- */

static void
on_images (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeHypervisorLink *link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_autofree const char **ids = NULL;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  link->asking_images = FALSE;
  if (reply == NULL) {
    complain (&link->images_complaint, "hypervisord does not say which images are needed: chunks of old ones stay", error);
  } else {
    g_clear_pointer (&link->images_complaint, g_free);
    g_variant_get (reply, "(^a&s)", &ids);
  }
  link->images_answered (ids, link->images_data);
}

void
floe_hypervisor_link_ask_images (FloeHypervisorLink *link, void (*answered) (const char *const *ids, gpointer data), gpointer data)
{
  if (!link->present || link->asking_images)
    return;
  link->asking_images = TRUE;
  link->images_answered = answered;
  link->images_data = data;
  g_dbus_connection_call (link->bus, NAME, PATH, INTERFACE, "ImagesInUse", NULL, G_VARIANT_TYPE ("(as)"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          CALL_MILLISECONDS, link->cancellable, on_images, link);
}

FloeBackground
floe_hypervisor_link_background (FloeHypervisorLink *link)
{
  return link->background;
}

/* -- Coming and going ----------------------------------------------------------------------------------------------- */

static void
on_joined (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeHypervisorLink *link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  link->joining = FALSE;
  if (reply == NULL)
    complain (&link->spool_complaint, "hypervisord took nothing new from the spool", error);
  if (link->spool_pending && link->present)
    floe_hypervisor_link_spool_changed (link);
}

static void
on_appeared (GDBusConnection *bus, const char *name, const char *owner, gpointer data)
{
  FloeHypervisorLink *link = data;

  (void) name, (void) owner;
  link->present = TRUE;
  /* Until it has said otherwise: a machine may be starting. */
  link->background = FLOE_BACKGROUND_NO;
  g_dbus_connection_call (bus, NAME, PATH, "org.freedesktop.DBus.Properties", "Get",
                          g_variant_new ("(ss)", INTERFACE, "BackgroundAllowed"), G_VARIANT_TYPE ("(v)"),
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MILLISECONDS, link->cancellable, on_property, link);
  link->joining = TRUE;
  g_dbus_connection_call (bus, NAME, PATH, INTERFACE, "JoinGroup", g_variant_new ("(s)", link->group), NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          CALL_MILLISECONDS, link->cancellable, on_joined, link);
  link->changed (TRUE, link->data);
}

static void
on_vanished (GDBusConnection *bus, const char *name, gpointer data)
{
  FloeHypervisorLink *link = data;

  (void) bus, (void) name;
  if (!link->present)
    return;
  link->present = FALSE;
  /* When it comes back it has the spool to read again, whoever told its last life. */
  link->spool_pending = TRUE;
  set_background (link, FLOE_BACKGROUND_UNSAID);
}

static void
drop_bus (FloeHypervisorLink *link)
{
  g_clear_handle_id (&link->watcher, g_bus_unwatch_name);
  if (link->subscription != 0)
    g_dbus_connection_signal_unsubscribe (link->bus, link->subscription);
  link->subscription = 0;
  if (link->bus != NULL)
    g_signal_handlers_disconnect_by_data (link->bus, link);
  g_clear_object (&link->bus);
}

static gboolean
on_retry (gpointer data)
{
  FloeHypervisorLink *link = data;

  link->retry = 0;
  connect_bus (link);
  return G_SOURCE_REMOVE;
}

static void
on_closed (GDBusConnection *bus, gboolean remote, GError *error, gpointer data)
{
  FloeHypervisorLink *link = data;

  (void) bus, (void) remote, (void) error;
  on_vanished (NULL, NULL, link);
  drop_bus (link);
  link->retry = g_timeout_add_seconds (BUS_SECONDS, on_retry, link);
}

static void
on_bus (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeHypervisorLink *link = data;
  g_autoptr (GError) error = NULL;
  GDBusConnection *bus = g_bus_get_finish (result, &error);

  (void) source;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (bus == NULL) {
    link->retry = g_timeout_add_seconds (BUS_SECONDS, on_retry, link);
    return;
  }
  link->bus = bus;
  g_dbus_connection_set_exit_on_close (bus, FALSE);
  g_signal_connect (bus, "closed", G_CALLBACK (on_closed), link);
  link->subscription = g_dbus_connection_signal_subscribe (bus, NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", PATH,
                                                           INTERFACE, G_DBUS_SIGNAL_FLAGS_NONE, on_properties_changed, link, NULL);
  link->watcher = g_bus_watch_name_on_connection (bus, NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, on_appeared, on_vanished, link, NULL);
}

static void
connect_bus (FloeHypervisorLink *link)
{
  g_bus_get (G_BUS_TYPE_SYSTEM, link->cancellable, on_bus, link);
}

FloeHypervisorLink *
floe_hypervisor_link_new (const char *group, void (*changed) (gboolean appeared, gpointer data), gpointer data)
{
  FloeHypervisorLink *link = g_new0 (FloeHypervisorLink, 1);

  link->group = g_strdup (group);
  link->changed = changed;
  link->data = data;
  link->cancellable = g_cancellable_new ();
  connect_bus (link);
  return link;
}

void
floe_hypervisor_link_free (FloeHypervisorLink *link)
{
  if (link == NULL)
    return;
  g_cancellable_cancel (link->cancellable);
  g_clear_handle_id (&link->retry, g_source_remove);
  drop_bus (link);
  g_object_unref (link->cancellable);
  g_free (link->spool_complaint);
  g_free (link->images_complaint);
  g_free (link->group);
  g_free (link);
}
