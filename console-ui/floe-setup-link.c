/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-setup-link.h"

#include "common/floe-log.h"
#include "console-ui/floe-agent-bus.h"
#include "console-ui/floe-console-text.h"

#include <string.h>

#define NAME "org.floe.Agent1"
#define PATH "/org/floe/Agent1"
#define ADDRESS_MAX_CHARS 255
#define ENROL_TIMEOUT_MS 120000

struct _FloeSetupLink {
  GObject parent;
  GDBusConnection *connection;
  FloeUiAgent1 *agent; /* NULL: not there */
  GCancellable *cancellable; /* of this owner's life */
  guint watch;
  gboolean asking; /* an Enrol of ours is under way */
  char *address, *problem, *detail;
};

G_DEFINE_FINAL_TYPE (FloeSetupLink, floe_setup_link, G_TYPE_OBJECT)

enum { CHANGED, SIGNALS };
static guint signals[SIGNALS];

static void
set_problem (FloeSetupLink *link, const char *problem, const char *detail)
{
  g_free (link->problem);
  g_free (link->detail);
  link->problem = g_strdup (problem);
  link->detail = g_strdup (detail);
}

static void
on_properties (FloeSetupLink *link)
{
  g_free (link->address);
  link->address = floe_text_plain (floe_ui_agent1_get_address (link->agent), ADDRESS_MAX_CHARS);
  g_signal_emit (link, signals[CHANGED], 0);
}

static void
on_proxy (GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeSetupLink) link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeUiAgent1) agent = floe_ui_agent1_proxy_new_finish (result, &error);

  if (agent == NULL) {
    if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
      floe_warning ("the agent cannot be read", "REASON", error->message);
    return;
  }
  g_set_object (&link->agent, agent);
  g_dbus_proxy_set_default_timeout (G_DBUS_PROXY (agent), ENROL_TIMEOUT_MS);
  g_signal_connect_object (agent, "g-properties-changed", G_CALLBACK (on_properties), link, G_CONNECT_SWAPPED);
  on_properties (link);
}

static void
drop (FloeSetupLink *link)
{
  if (link->cancellable != NULL)
    g_cancellable_cancel (link->cancellable);
  g_clear_object (&link->cancellable);
  if (link->agent != NULL)
    g_signal_handlers_disconnect_by_data (link->agent, link);
  g_clear_object (&link->agent);
  link->asking = FALSE;
}

static void
on_appeared (GDBusConnection *connection, const char *name, const char *owner G_GNUC_UNUSED, gpointer data)
{
  FloeSetupLink *link = data;

  drop (link);
  link->cancellable = g_cancellable_new ();
  floe_ui_agent1_proxy_new (connection, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, name, PATH, link->cancellable, on_proxy, g_object_ref (link));
}

static void
on_vanished (GDBusConnection *connection G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, gpointer data)
{
  FloeSetupLink *link = data;

  drop (link);
  g_signal_emit (link, signals[CHANGED], 0);
}

gboolean
floe_setup_link_is_needed (FloeSetupLink *link)
{
  const char *state = link->agent != NULL ? floe_ui_agent1_get_state (link->agent) : NULL;

  return state != NULL && strcmp (state, "enrolled") != 0;
}

gboolean
floe_setup_link_is_enrolling (FloeSetupLink *link)
{
  return link->asking || (link->agent != NULL && g_strcmp0 (floe_ui_agent1_get_state (link->agent), "enrolling") == 0);
}

const char *
floe_setup_link_address (FloeSetupLink *link)
{
  return link->address;
}

const char *
floe_setup_link_problem (FloeSetupLink *link)
{
  return link->problem;
}

const char *
floe_setup_link_detail (FloeSetupLink *link)
{
  return link->detail;
}

static void
on_enrolled (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeSetupLink) link = data;
  g_autoptr (GError) error = NULL;
  FloeUiAgent1 *agent = FLOE_UI_AGENT1 (source);
  gboolean done = floe_ui_agent1_call_enrol_finish (agent, NULL, NULL, result, &error);
  const char *problem;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  link->asking = FALSE;
  problem = floe_ui_agent1_get_problem (agent);
  /* The agent's word for it came before its answer; without one it is the bus that failed. */
  if (!done)
    g_dbus_error_strip_remote_error (error);
  set_problem (link, done ? "" : problem != NULL && problem[0] != '\0' ? problem : "failed", done ? "" : error->message);
  g_signal_emit (link, signals[CHANGED], 0);
}

void
floe_setup_link_enrol (FloeSetupLink *link, const char *address, const char *code)
{
  if (link->agent == NULL || link->asking)
    return;
  link->asking = TRUE;
  set_problem (link, "", "");
  floe_ui_agent1_call_enrol (link->agent, address, code, link->cancellable, on_enrolled, g_object_ref (link));
  g_signal_emit (link, signals[CHANGED], 0);
}

void
floe_setup_link_forget (FloeSetupLink *link)
{
  set_problem (link, "", "");
}

void
floe_setup_link_cancel (FloeSetupLink *link)
{
  if (link->agent != NULL)
    floe_ui_agent1_call_cancel (link->agent, NULL, NULL, NULL);
}

static void
floe_setup_link_dispose (GObject *object)
{
  FloeSetupLink *link = FLOE_SETUP_LINK (object);

  g_clear_handle_id (&link->watch, g_bus_unwatch_name);
  drop (link);
  g_clear_object (&link->connection);
  g_clear_pointer (&link->address, g_free);
  g_clear_pointer (&link->problem, g_free);
  g_clear_pointer (&link->detail, g_free);
  G_OBJECT_CLASS (floe_setup_link_parent_class)->dispose (object);
}

static void
floe_setup_link_class_init (FloeSetupLinkClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_setup_link_dispose;
  signals[CHANGED] = g_signal_new ("changed", FLOE_TYPE_SETUP_LINK, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
floe_setup_link_init (FloeSetupLink *link)
{
  link->address = g_strdup ("");
  set_problem (link, "", "");
}

FloeSetupLink *
floe_setup_link_new (GDBusConnection *connection)
{
  FloeSetupLink *link = g_object_new (FLOE_TYPE_SETUP_LINK, NULL);

  link->connection = g_object_ref (connection);
  link->watch = g_bus_watch_name_on_connection (connection, NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, on_appeared, on_vanished, link, NULL);
  return link;
}
