/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-setup.h"

#include "agent/floe-address.h"
#include "agent/floe-agent-dbus.h"
#include "agent/floe-enrol.h"
#include "common/floe-log.h"

#include <errno.h>
#include <glib-unix.h>
#include <pwd.h>
#include <string.h>

#define NAME "org.floe.Agent1"
#define PATH "/org/floe/Agent1"
#define HYPERVISOR "org.floe.Hypervisor1"
#define BUS_SECONDS 10
#define LOOK_SECONDS 2 /* for an enrolment that another process made */
#define FIND_SECONDS 30 /* until an address is looked for again while there is none: the network may come late */
#define NETWORK "org.freedesktop.network1"
#define NETWORK_MILLISECONDS 500 /* from a change of the network until a look: one change is told by several signals */
#define FACTS_MILLISECONDS 3000
#define FACTS_MAX 24
#define FACT_MAX 200
#define ASK_MILLISECONDS 120000

struct _FloeSetup {
  FloeAgentConfig *config;
  GMainLoop *loop;
  GCancellable *cancellable; /* of this object's life */
  GDBusConnection *bus;
  FloeAgent1 *skeleton;
  guint name, bus_retry, look, find;
  guint network, find_soon; /* subscription to the network's changes; the look that follows one */
  GCancellable *enrolling; /* of the attempt under way, or NULL */
  gboolean finding;
  char *refused; /* what was said last of addresses that were not taken */
  gboolean running, done;
};

typedef struct {
  FloeSetup *setup;
  GDBusMethodInvocation *invocation; /* is answered at the end */
  GDBusConnection *bus;
  char *address, *code;
  FloeEnrolProblem problem;
} EnrolTask;

static void connect_bus (FloeSetup *setup);

/* -- Who may call --------------------------------------------------------------------------------------------------- */

static gboolean
may_call (guint32 uid)
{
  const struct passwd *console = getpwnam ("floe-console");

  return uid == 0 || (console != NULL && console->pw_uid == uid);
}

/* In a thread of its own. The bus's own rules say the same: this is the second lock on the door. */
static gboolean
on_authorize (GDBusInterfaceSkeleton *skeleton, GDBusMethodInvocation *invocation, gpointer data)
{
  g_autoptr (GVariant) reply = NULL;
  guint32 uid = G_MAXUINT32;

  (void) skeleton, (void) data;
  reply = g_dbus_connection_call_sync (g_dbus_method_invocation_get_connection (invocation), "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "GetConnectionUnixUser",
                                       g_variant_new ("(s)", g_dbus_method_invocation_get_sender (invocation)), G_VARIANT_TYPE ("(u)"),
                                       G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
  if (reply != NULL)
    g_variant_get (reply, "(u)", &uid);
  if (reply != NULL && may_call (uid))
    return TRUE;
  g_dbus_method_invocation_return_error (invocation, FLOE_ERROR, FLOE_ERROR_REFUSED, "%s: only root and floe-console may call this",
                                         g_dbus_method_invocation_get_method_name (invocation));
  return FALSE;
}

/* -- What is shown -------------------------------------------------------------------------------------------------- */

static const char *
or_empty (const char *text)
{
  return text != NULL ? text : "";
}

static void
show_config (FloeSetup *setup)
{
  const FloeAgentConfig *config = setup->config;

  floe_agent1_set_server (setup->skeleton, or_empty (config->url));
  floe_agent1_set_endpoint (setup->skeleton, or_empty (config->id));
  floe_agent1_set_group (setup->skeleton, or_empty (config->group));
  floe_agent1_set_state (setup->skeleton, config->url != NULL ? "enrolled" : setup->enrolling != NULL ? "enrolling" : "setup");
}

/* The answer to a method must not overtake what it changed. */
static void
flush (FloeSetup *setup)
{
  g_dbus_interface_skeleton_flush (G_DBUS_INTERFACE_SKELETON (setup->skeleton));
}

static void
finish (FloeSetup *setup)
{
  setup->done = TRUE;
  floe_log (G_LOG_LEVEL_MESSAGE, "enrolled", "URL", setup->config->url, "GROUP", setup->config->group, "ENDPOINT", setup->config->id, NULL);
  if (setup->loop != NULL)
    g_main_loop_quit (setup->loop);
}

/* -- Finding an address --------------------------------------------------------------------------------------------- */

typedef struct {
  char *address;
  const char *source;
  GPtrArray *refused; /* lines of text: what was there and is no address */
} Found;

static void
found_free (gpointer data)
{
  Found *found = data;

  g_free (found->address);
  g_ptr_array_unref (found->refused);
  g_free (found);
}

/* Keeps what SOURCE answered; takes ADDRESS and ERROR. That there is nothing is no mistake of anybody's. */
static gboolean
found_take (Found *found, const char *source, char *address, GError *error)
{
  found->source = source;
  found->address = address;
  if (error != NULL && g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    floe_debug ("no address found", "SOURCE", source, "REASON", error->message);
  else if (error != NULL)
    g_ptr_array_add (found->refused, g_strdup (error->message));
  g_clear_error (&error);
  return address != NULL;
}

static gboolean
find_in_file (Found *found, const char *path)
{
  GError *error = NULL;
  char *address = floe_address_read_file (path, &error);

  return found_take (found, "file", address, error);
}

static gboolean
find_in_leases (Found *found, GCancellable *cancellable)
{
  GError *error = NULL;
  char *address = floe_address_ask_dhcp (found->refused, cancellable, &error);

  return found_take (found, "dhcp", address, error);
}

static gboolean
find_in_dns (Found *found)
{
  GError *error = NULL;
  char *address = floe_address_ask_dns (&error);

  return found_take (found, "dns", address, error);
}

/* The order is that of who can say something there: somebody at the computer, on its cable, on the way to the DNS. */
static void
find_on_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Found *found = g_new0 (Found, 1);

  (void) source;
  found->refused = g_ptr_array_new_with_free_func (g_free);
  if (!find_in_file (found, data) && !find_in_leases (found, cancellable) && !find_in_dns (found))
    found->source = "";
  g_task_return_pointer (task, found, found_free);
}

/* The same is there at every look: what is new is said. */
static void
say_refused (FloeSetup *setup, GPtrArray *refused)
{
  g_autofree char *all = NULL;

  g_ptr_array_add (refused, NULL);
  all = g_strjoinv ("\n", (char **) refused->pdata);
  if (g_strcmp0 (all, setup->refused) == 0)
    return;
  for (guint i = 0; i + 1 < refused->len; i++)
    floe_log (G_LOG_LEVEL_WARNING, "server's address not taken", "REASON", (const char *) g_ptr_array_index (refused, i), NULL);
  g_free (setup->refused);
  setup->refused = g_steal_pointer (&all);
}

static void
on_found (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  Found *found = g_task_propagate_pointer (G_TASK (result), &error);
  FloeSetup *setup = data;

  (void) source;
  if (found == NULL)
    return; /* cancelled: SETUP is gone */
  setup->finding = FALSE;
  say_refused (setup, found->refused);
  if (found->address != NULL) {
    floe_log (G_LOG_LEVEL_MESSAGE, "server's address found", "ADDRESS", found->address, "SOURCE", found->source, NULL);
    floe_agent1_set_address (setup->skeleton, found->address);
    floe_agent1_set_address_source (setup->skeleton, found->source);
  }
  found_free (found);
}

static void
find_address (FloeSetup *setup)
{
  g_autoptr (GTask) task = NULL;

  if (setup->finding || setup->enrolling != NULL || setup->config->url != NULL)
    return;
  setup->finding = TRUE;
  task = g_task_new (NULL, setup->cancellable, on_found, setup);
  g_task_set_check_cancellable (task, TRUE);
  g_task_set_task_data (task, g_strdup (setup->config->address_file), g_free);
  g_task_run_in_thread (task, find_on_thread);
}

static gboolean
on_find_again (gpointer data)
{
  FloeSetup *setup = data;

  if (*or_empty (floe_agent1_get_address (setup->skeleton)) == '\0')
    find_address (setup);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_find_soon (gpointer data)
{
  FloeSetup *setup = data;

  if (setup->finding)
    return G_SOURCE_CONTINUE; /* what is being looked at may be from before the change */
  setup->find_soon = 0;
  on_find_again (setup);
  return G_SOURCE_REMOVE;
}

/* A card has a lease now, perhaps: whoever waits before the screen need not wait for the next look. */
static void
on_network (GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *name, GVariant *parameters, gpointer data)
{
  FloeSetup *setup = data;

  (void) bus, (void) sender, (void) path, (void) interface, (void) name, (void) parameters;
  if (setup->find_soon == 0 && setup->running)
    setup->find_soon = g_timeout_add (NETWORK_MILLISECONDS, on_find_soon, setup);
}

/* -- Enrolling ------------------------------------------------------------------------------------------------------ */

static void
enrol_task_free (gpointer data)
{
  EnrolTask *task = data;

  g_object_unref (task->bus);
  g_free (task->address);
  g_free (task->code);
  g_free (task);
}

/* What hypervisord's hardware check says: key, value, key, value...; empty when it is not there. */
static GStrv
ask_facts (GDBusConnection *bus)
{
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_sync (bus, HYPERVISOR, "/org/floe/Hypervisor1", "org.freedesktop.DBus.Properties", "Get",
                                   g_variant_new ("(ss)", HYPERVISOR, "Hardware"), G_VARIANT_TYPE ("(v)"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                                   FACTS_MILLISECONDS, NULL, NULL);
  g_autoptr (GPtrArray) facts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GVariant) value = NULL;
  GVariantIter iter;
  GVariant *item;

  if (reply != NULL)
    g_variant_get (reply, "(v)", &value);
  if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE ("aa{sv}"))) {
    g_variant_iter_init (&iter, value);
    while ((item = g_variant_iter_next_value (&iter)) != NULL) {
      const char *id = "", *level = "", *text = "";

      g_variant_lookup (item, "id", "&s", &id);
      g_variant_lookup (item, "level", "&s", &level);
      g_variant_lookup (item, "text", "&s", &text);
      if (*id != '\0' && facts->len < 2 * FACTS_MAX) {
        g_autofree char *line = g_strdup_printf ("%s: %s", level, text);
        const char *end = line + MIN (strlen (line), FACT_MAX);

        while (end > line && (*end & 0xc0) == 0x80)
          end--; /* not within a character */
        g_ptr_array_add (facts, g_strdup (id));
        g_ptr_array_add (facts, g_strndup (line, (gsize) (end - line)));
      }
      g_variant_unref (item);
    }
  }
  g_ptr_array_add (facts, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&facts), FALSE);
}

static const char *
own_name (void)
{
  const char *name = g_get_host_name ();

  return strcmp (name, "localhost") == 0 || strlen (name) > 64 ? NULL : name;
}

static void
enrol_on_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  EnrolTask *enrol = data;
  g_auto (GStrv) facts = ask_facts (enrol->bus);
  const FloeEnrolOptions options = {
    .address = enrol->address, .code = enrol->code, .name = own_name (), .facts = (const char *const *) facts,
  };
  GError *error = NULL;

  (void) source;
  /* Nobody else touches the configuration meanwhile: the main thread waits for this to end before it reads it. */
  if (floe_enrol (enrol->setup->config, &options, cancellable, &enrol->problem, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
on_enrolled (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  gboolean done = g_task_propagate_boolean (G_TASK (result), &error);
  EnrolTask *enrol = g_task_get_task_data (G_TASK (result));
  FloeSetup *setup = data;

  (void) source;
  g_clear_object (&setup->enrolling);
  floe_agent1_set_problem (setup->skeleton, done ? "" : floe_enrol_problem_name (enrol->problem));
  floe_agent1_set_detail (setup->skeleton, done ? "" : error->message);
  show_config (setup);
  flush (setup);
  if (!done) {
    floe_log (G_LOG_LEVEL_WARNING, "not enrolled", "PROBLEM", floe_enrol_problem_name (enrol->problem), "REASON", error->message, NULL);
    g_dbus_method_invocation_return_gerror (enrol->invocation, error);
    return;
  }
  floe_agent1_complete_enrol (setup->skeleton, enrol->invocation, or_empty (setup->config->id), setup->config->group);
  finish (setup);
}

static gboolean
on_enrol (FloeAgent1 *object, GDBusMethodInvocation *invocation, const char *address, const char *code, FloeSetup *setup)
{
  g_autoptr (GTask) task = NULL;
  EnrolTask *enrol;

  (void) object;
  if (setup->enrolling != NULL || setup->config->url != NULL || !setup->running) {
    g_dbus_method_invocation_return_error (invocation, FLOE_ERROR, FLOE_ERROR_BUSY, "this endpoint %s",
                                           setup->enrolling != NULL ? "is being enrolled" : "is enrolled already");
    return TRUE;
  }
  enrol = g_new0 (EnrolTask, 1);
  enrol->setup = setup;
  enrol->invocation = invocation;
  enrol->bus = g_object_ref (g_dbus_method_invocation_get_connection (invocation));
  enrol->address = g_strdup (address);
  enrol->code = g_strdup (code);
  setup->enrolling = g_cancellable_new ();
  floe_agent1_set_problem (setup->skeleton, "");
  floe_agent1_set_detail (setup->skeleton, "");
  floe_agent1_set_state (setup->skeleton, "enrolling");
  /* Its own error is more telling than "cancelled", and what was done by then counts. */
  task = g_task_new (NULL, setup->enrolling, on_enrolled, setup);
  g_task_set_check_cancellable (task, FALSE);
  g_task_set_task_data (task, enrol, enrol_task_free);
  g_task_run_in_thread (task, enrol_on_thread);
  return TRUE;
}

static gboolean
on_cancel (FloeAgent1 *object, GDBusMethodInvocation *invocation, FloeSetup *setup)
{
  if (setup->enrolling != NULL)
    g_cancellable_cancel (setup->enrolling);
  floe_agent1_complete_cancel (object, invocation);
  return TRUE;
}

static gboolean
on_look_up (FloeAgent1 *object, GDBusMethodInvocation *invocation, FloeSetup *setup)
{
  find_address (setup);
  floe_agent1_complete_look_up (object, invocation);
  return TRUE;
}

/* -- The bus -------------------------------------------------------------------------------------------------------- */

static gboolean
on_bus_retry (gpointer data)
{
  FloeSetup *setup = data;

  setup->bus_retry = 0;
  connect_bus (setup);
  return G_SOURCE_REMOVE;
}

static void
drop_bus (FloeSetup *setup)
{
  if (setup->bus == NULL)
    return;
  g_clear_handle_id (&setup->name, g_bus_unown_name);
  g_dbus_connection_signal_unsubscribe (setup->bus, setup->network);
  g_signal_handlers_disconnect_by_data (setup->bus, setup);
  g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (setup->skeleton));
  g_clear_object (&setup->bus);
}

static void
on_closed (GDBusConnection *bus, gboolean remote, GError *error, gpointer data)
{
  FloeSetup *setup = data;

  (void) bus, (void) remote, (void) error;
  drop_bus (setup);
  setup->bus_retry = g_timeout_add_seconds (BUS_SECONDS, on_bus_retry, setup);
}

static void
on_name_lost (GDBusConnection *bus, const char *name, gpointer data)
{
  (void) data;
  if (bus != NULL && !g_dbus_connection_is_closed (bus))
    floe_log (G_LOG_LEVEL_WARNING, "bus name is another's, or this user may not have it", "NAME", name, NULL);
}

static void
on_bus (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GDBusConnection *bus = g_bus_get_finish (result, &error);
  FloeSetup *setup = data;

  (void) source;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (bus == NULL || !g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (setup->skeleton), bus, PATH, &error)) {
    floe_debug ("no bus yet", "REASON", error->message);
    g_clear_object (&bus);
    setup->bus_retry = g_timeout_add_seconds (BUS_SECONDS, on_bus_retry, setup);
    return;
  }
  setup->bus = bus;
  g_dbus_connection_set_exit_on_close (bus, FALSE);
  g_signal_connect (bus, "closed", G_CALLBACK (on_closed), setup);
  setup->name = g_bus_own_name_on_connection (bus, NAME, G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE, NULL, on_name_lost, setup, NULL);
  setup->network = g_dbus_connection_signal_subscribe (bus, NETWORK, "org.freedesktop.DBus.Properties", "PropertiesChanged", NULL, NULL,
                                                       G_DBUS_SIGNAL_FLAGS_NONE, on_network, setup, NULL);
}

static void
connect_bus (FloeSetup *setup)
{
  g_bus_get (G_BUS_TYPE_SYSTEM, setup->cancellable, on_bus, setup);
}

/* -- Life ----------------------------------------------------------------------------------------------------------- */

FloeSetup *
floe_setup_new (FloeAgentConfig *config)
{
  FloeSetup *setup = g_new0 (FloeSetup, 1);

  setup->config = config;
  setup->cancellable = g_cancellable_new ();
  setup->skeleton = floe_agent1_skeleton_new ();
  floe_agent1_set_address (setup->skeleton, "");
  floe_agent1_set_address_source (setup->skeleton, "");
  floe_agent1_set_problem (setup->skeleton, "");
  floe_agent1_set_detail (setup->skeleton, "");
  show_config (setup);
  g_signal_connect (setup->skeleton, "g-authorize-method", G_CALLBACK (on_authorize), setup);
  g_signal_connect (setup->skeleton, "handle-enrol", G_CALLBACK (on_enrol), setup);
  g_signal_connect (setup->skeleton, "handle-cancel", G_CALLBACK (on_cancel), setup);
  g_signal_connect (setup->skeleton, "handle-look-up", G_CALLBACK (on_look_up), setup);
  connect_bus (setup);
  return setup;
}

static gboolean
on_end (gpointer data)
{
  g_main_loop_quit (((FloeSetup *) data)->loop);
  return G_SOURCE_CONTINUE;
}

/* `floe-agent enrol --direct` may have done it. */
static gboolean
on_look (gpointer data)
{
  FloeSetup *setup = data;

  if (setup->enrolling == NULL && setup->config->url == NULL && floe_enrol_resume (setup->config, NULL)) {
    show_config (setup);
    finish (setup);
  }
  return G_SOURCE_CONTINUE;
}

gboolean
floe_setup_run (FloeSetup *setup)
{
  guint signals[2];

  setup->loop = g_main_loop_new (NULL, FALSE);
  setup->running = TRUE;
  signals[0] = g_unix_signal_add (SIGTERM, on_end, setup);
  signals[1] = g_unix_signal_add (SIGINT, on_end, setup);
  setup->look = g_timeout_add_seconds (LOOK_SECONDS, on_look, setup);
  setup->find = g_timeout_add_seconds (FIND_SECONDS, on_find_again, setup);
  floe_log (G_LOG_LEVEL_MESSAGE, "not enrolled yet: waiting for an address and a code", NULL);
  find_address (setup);
  g_main_loop_run (setup->loop);
  setup->running = FALSE;
  g_clear_handle_id (&setup->look, g_source_remove);
  g_clear_handle_id (&setup->find, g_source_remove);
  g_clear_handle_id (&setup->find_soon, g_source_remove);
  g_source_remove (signals[0]);
  g_source_remove (signals[1]);
  /* The thread uses the configuration: it is told to stop, and waited for. */
  if (setup->enrolling != NULL)
    g_cancellable_cancel (setup->enrolling);
  while (setup->enrolling != NULL)
    g_main_context_iteration (NULL, TRUE);
  g_clear_pointer (&setup->loop, g_main_loop_unref);
  return setup->done;
}

void
floe_setup_free (FloeSetup *setup)
{
  if (setup == NULL)
    return;
  g_cancellable_cancel (setup->cancellable);
  g_clear_handle_id (&setup->bus_retry, g_source_remove);
  if (setup->bus != NULL)
    g_dbus_connection_flush_sync (setup->bus, NULL, NULL);
  drop_bus (setup);
  g_object_unref (setup->skeleton);
  g_object_unref (setup->cancellable);
  g_free (setup->refused);
  g_free (setup);
}

gboolean
floe_setup_ask (const char *address, const char *code, char **endpoint, char **group, GError **error)
{
  g_autoptr (FloeAgent1) agent = floe_agent1_proxy_new_for_bus_sync (G_BUS_TYPE_SYSTEM, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, NAME, PATH, NULL, error);
  g_autofree char *owner = NULL;

  if (agent == NULL) {
    g_prefix_error (error, "system bus: ");
    return FALSE;
  }
  owner = g_dbus_proxy_get_name_owner (G_DBUS_PROXY (agent));
  if (owner == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "floe-agent is not on the system bus: start it, or look at why it ended");
  g_dbus_proxy_set_default_timeout (G_DBUS_PROXY (agent), ASK_MILLISECONDS);
  if (floe_agent1_call_enrol_sync (agent, address, code, endpoint, group, NULL, error))
    return TRUE;
  if (error != NULL && *error != NULL)
    g_dbus_error_strip_remote_error (*error);
  return FALSE;
}
