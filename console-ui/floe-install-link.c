/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-install-link.h"

#include "common/floe-log.h"
#include "console-ui/floe-install-bus.h"

#include <string.h>

#define NAME "org.floe.Install1"
#define PATH "/org/floe/Install1"

struct _FloeInstallLink {
  GObject parent;
  FloeUiInstall1 *service;   /* NULL: not there */
  GCancellable *cancellable; /* of this owner's life */
  GVariant *disks;
  char *refused; /* why it did not even begin, or does not restart; "" otherwise */
  guint watch;
};

G_DEFINE_FINAL_TYPE (FloeInstallLink, floe_install_link, G_TYPE_OBJECT)

enum { CHANGED, DISKS, SIGNALS };
static guint signals[SIGNALS];

static void
on_properties (FloeInstallLink *link)
{
  g_signal_emit (link, signals[CHANGED], 0);
}

static void
on_proxy (GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeInstallLink) link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeUiInstall1) service = floe_ui_install1_proxy_new_finish (result, &error);

  if (service == NULL) {
    if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
      floe_warning ("the installer cannot be read", "REASON", error->message);
    return;
  }
  g_set_object (&link->service, service);
  g_signal_connect_object (service, "g-properties-changed", G_CALLBACK (on_properties), link, G_CONNECT_SWAPPED);
  on_properties (link);
}

static void
drop (FloeInstallLink *link)
{
  if (link->cancellable != NULL)
    g_cancellable_cancel (link->cancellable);
  g_clear_object (&link->cancellable);
  if (link->service != NULL)
    g_signal_handlers_disconnect_by_data (link->service, link);
  g_clear_object (&link->service);
}

static void
on_appeared (GDBusConnection *connection, const char *name, const char *owner G_GNUC_UNUSED, gpointer data)
{
  FloeInstallLink *link = data;

  drop (link);
  link->cancellable = g_cancellable_new ();
  floe_ui_install1_proxy_new (connection, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, name, PATH, link->cancellable, on_proxy, g_object_ref (link));
}

static void
on_vanished (GDBusConnection *connection G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, gpointer data)
{
  FloeInstallLink *link = data;

  drop (link);
  g_signal_emit (link, signals[CHANGED], 0);
}

FloeInstallState
floe_install_link_state (FloeInstallLink *link)
{
  const char *state = link->service != NULL ? floe_ui_install1_get_state (link->service) : NULL;

  if (state == NULL)
    return FLOE_INSTALL_ABSENT;
  if (strcmp (state, "working") == 0)
    return FLOE_INSTALL_WORKING;
  if (strcmp (state, "done") == 0)
    return FLOE_INSTALL_DONE;
  return strcmp (state, "failed") == 0 || link->refused[0] != '\0' ? FLOE_INSTALL_FAILED : FLOE_INSTALL_READY;
}

static const char *
or_empty (const char *text)
{
  return text != NULL ? text : "";
}

const char *
floe_install_link_disk (FloeInstallLink *link)
{
  return link->service != NULL ? or_empty (floe_ui_install1_get_disk (link->service)) : "";
}

const char *
floe_install_link_step (FloeInstallLink *link)
{
  return link->service != NULL ? or_empty (floe_ui_install1_get_step (link->service)) : "";
}

const char *
floe_install_link_problem (FloeInstallLink *link)
{
  return link->service != NULL && link->refused[0] == '\0' ? or_empty (floe_ui_install1_get_problem (link->service)) : "";
}

const char *
floe_install_link_detail (FloeInstallLink *link)
{
  if (link->refused[0] != '\0')
    return link->refused;
  return link->service != NULL ? or_empty (floe_ui_install1_get_detail (link->service)) : "";
}

double
floe_install_link_progress (FloeInstallLink *link)
{
  return link->service != NULL ? floe_ui_install1_get_progress (link->service) : 0;
}

guint64
floe_install_link_needed (FloeInstallLink *link)
{
  return link->service != NULL ? floe_ui_install1_get_needed (link->service) : 0;
}

GVariant *
floe_install_link_disks (FloeInstallLink *link)
{
  return link->disks;
}

static void
on_listed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeInstallLink) link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) disks = NULL;

  if (!floe_ui_install1_call_list_finish (FLOE_UI_INSTALL1 (source), &disks, result, &error)) {
    if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
      floe_warning ("the disks cannot be listed", "REASON", error->message);
    return;
  }
  g_clear_pointer (&link->disks, g_variant_unref);
  link->disks = g_steal_pointer (&disks);
  g_signal_emit (link, signals[DISKS], 0);
}

void
floe_install_link_look (FloeInstallLink *link)
{
  if (link->service != NULL)
    floe_ui_install1_call_list (link->service, link->cancellable, on_listed, g_object_ref (link));
}

static void
refuse (FloeInstallLink *link, GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  g_dbus_error_strip_remote_error (error);
  g_free (link->refused);
  link->refused = g_strdup (error->message);
  g_signal_emit (link, signals[CHANGED], 0);
}

static void
on_begun (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeInstallLink) link = data;
  g_autoptr (GError) error = NULL;

  if (!floe_ui_install1_call_install_finish (FLOE_UI_INSTALL1 (source), result, &error))
    refuse (link, error);
}

void
floe_install_link_install (FloeInstallLink *link, const char *disk, guint64 sequence, const char *confirm)
{
  if (link->service == NULL)
    return;
  g_free (link->refused);
  link->refused = g_strdup ("");
  floe_ui_install1_call_install (link->service, disk, sequence, confirm, link->cancellable, on_begun, g_object_ref (link));
}

static void
on_restarting (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeInstallLink) link = data;
  g_autoptr (GError) error = NULL;

  if (!floe_ui_install1_call_restart_finish (FLOE_UI_INSTALL1 (source), result, &error))
    refuse (link, error);
}

void
floe_install_link_restart (FloeInstallLink *link)
{
  if (link->service != NULL)
    floe_ui_install1_call_restart (link->service, link->cancellable, on_restarting, g_object_ref (link));
}

static void
floe_install_link_dispose (GObject *object)
{
  FloeInstallLink *link = FLOE_INSTALL_LINK (object);

  g_clear_handle_id (&link->watch, g_bus_unwatch_name);
  drop (link);
  g_clear_pointer (&link->disks, g_variant_unref);
  g_clear_pointer (&link->refused, g_free);
  G_OBJECT_CLASS (floe_install_link_parent_class)->dispose (object);
}

static void
floe_install_link_class_init (FloeInstallLinkClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_install_link_dispose;
  signals[CHANGED] = g_signal_new ("changed", FLOE_TYPE_INSTALL_LINK, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  signals[DISKS] = g_signal_new ("disks", FLOE_TYPE_INSTALL_LINK, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
floe_install_link_init (FloeInstallLink *link)
{
  link->refused = g_strdup ("");
}

FloeInstallLink *
floe_install_link_new (GDBusConnection *connection)
{
  FloeInstallLink *link = g_object_new (FLOE_TYPE_INSTALL_LINK, NULL);

  link->watch = g_bus_watch_name_on_connection (connection, NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, on_appeared, on_vanished, link, NULL);
  return link;
}
