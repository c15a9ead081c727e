/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-link.h"

#include "common/floe-log.h"
#include "console-ui/floe-console-text.h"

#include <string.h>

/* Theory of operation: the name is watched; when it has an owner, the objects are asked for once, and InterfacesAdded and
 * -Removed tell the rest. GDBusObjectManagerClient is not used: it asks synchronously when the owner changes, and drops all
 * objects when there is none, whereas displays and rows have to stay. Machines are known by object path. */

#define NAME "org.floe.Hypervisor1"
#define PATH "/org/floe/Hypervisor1"
#define MANAGER_INTERFACE "org.freedesktop.DBus.ObjectManager"
#define MACHINE_INTERFACE "org.floe.Hypervisor1.Machine"
#define LOAD_TIMEOUT_MS 10000
#define LOAD_RETRY_MS 1000
#define BANNER_MAX_CHARS 80
#define SENTENCE_MAX_CHARS 300
#define LANGUAGES_MAX 16

struct _FloeLink {
  GObject parent;
  GDBusConnection *connection;
  FloeUiHypervisor1 *hypervisor;
  GHashTable *by_path;  /* object path to FloeMachine (borrowed from machines) */
  GPtrArray *machines;  /* of FloeMachine */
  FloeSettings settings;
  GCancellable *cancellable; /* of this owner's life */
  guint watch, added, removed, retry;
  guint pending; /* machines asked for and not yet read */
  gboolean loaded, up, was_up;
  char *front; /* id of the machine on the screen, "" for none */
};

G_DEFINE_FINAL_TYPE (FloeLink, floe_link, G_TYPE_OBJECT)

enum { CHANGED, MACHINES_CHANGED, AUDIT, TROUBLE, SIGNALS };
static guint signals[SIGNALS];

static void link_load (FloeLink *link);

/* -- Settings ------------------------------------------------------------------------------------------------------- */

static void
settings_clear (FloeSettings *settings)
{
  g_free (settings->version);
  g_free (settings->accelerator);
  g_free (settings->accelerator_reason);
  g_free (settings->policy_group);
  g_free (settings->policy_problem);
  g_free (settings->switch_next);
  g_free (settings->switch_previous);
  g_free (settings->switch_list);
  g_free (settings->banner);
  g_strfreev (settings->languages);
  *settings = (FloeSettings){ 0 };
}

static char *
lookup_plain (GVariant *dictionary, const char *key, size_t max)
{
  const char *value = NULL;

  if (dictionary != NULL)
    g_variant_lookup (dictionary, key, "&s", &value);
  return floe_text_plain (value, max);
}

static void
link_read (FloeLink *link)
{
  FloeUiHypervisor1 *hypervisor = link->hypervisor;
  GVariant *console = floe_ui_hypervisor1_get_console_settings (hypervisor);
  FloeSettings *settings = &link->settings;

  settings_clear (settings);
  settings->version = floe_text_plain (floe_ui_hypervisor1_get_version (hypervisor), BANNER_MAX_CHARS);
  settings->accelerator = floe_text_plain (floe_ui_hypervisor1_get_accelerator (hypervisor), BANNER_MAX_CHARS);
  settings->accelerator_reason = floe_text_plain (floe_ui_hypervisor1_get_accelerator_reason (hypervisor), SENTENCE_MAX_CHARS);
  settings->policy_group = floe_text_plain (floe_ui_hypervisor1_get_policy_group (hypervisor), BANNER_MAX_CHARS);
  settings->policy_problem = floe_text_plain (floe_ui_hypervisor1_get_policy_problem (hypervisor), SENTENCE_MAX_CHARS);
  settings->policy_version = floe_ui_hypervisor1_get_policy_version (hypervisor);
  settings->update_ready = floe_ui_hypervisor1_get_update_ready (hypervisor);
  settings->switch_next = lookup_plain (console, "switch_next", BANNER_MAX_CHARS);
  settings->switch_previous = lookup_plain (console, "switch_previous", BANNER_MAX_CHARS);
  settings->switch_list = lookup_plain (console, "switch_list", BANNER_MAX_CHARS);
  settings->banner = lookup_plain (console, "banner", BANNER_MAX_CHARS);
  if (console != NULL) {
    g_variant_lookup (console, "kiosk", "b", &settings->kiosk);
    g_variant_lookup (console, "restart_idle", "u", &settings->restart_idle);
    g_variant_lookup (console, "restart_notice", "u", &settings->restart_notice);
    g_variant_lookup (console, "languages", "^as", &settings->languages);
  }
  if (settings->languages == NULL || g_strv_length (settings->languages) > LANGUAGES_MAX) {
    g_strfreev (settings->languages);
    settings->languages = g_new0 (char *, 1);
  }
}

static void
on_properties (FloeLink *link)
{
  link_read (link);
  g_signal_emit (link, signals[CHANGED], 0);
}

static void
on_audit (FloeLink *link, const char *kind, GVariant *fields)
{
  g_signal_emit (link, signals[AUDIT], 0, kind, fields);
}

/* -- What the person does ------------------------------------------------------------------------------------------- */

GVariant *
floe_link_usb_devices (FloeLink *link)
{
  return link->hypervisor != NULL ? floe_ui_hypervisor1_get_usb_devices (link->hypervisor) : NULL;
}

GVariant *
floe_link_hardware (FloeLink *link)
{
  return link->hypervisor != NULL ? floe_ui_hypervisor1_get_hardware (link->hypervisor) : NULL;
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  if (!floe_ui_hypervisor1_call_check_hardware_finish (FLOE_UI_HYPERVISOR1 (source), result, &error)
      && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    floe_warning ("hypervisord does not check the hardware", "REASON", error->message);
}

/* What it finds comes as a change of Hardware. */
void
floe_link_check_hardware (FloeLink *link)
{
  if (link->hypervisor != NULL)
    floe_ui_hypervisor1_call_check_hardware (link->hypervisor, link->cancellable, on_checked, NULL);
}

static void
link_tell_trouble (FloeLink *link, GError *error)
{
  g_autofree char *text = NULL;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  g_dbus_error_strip_remote_error (error);
  text = floe_text_plain (error->message, SENTENCE_MAX_CHARS);
  g_signal_emit (link, signals[TROUBLE], 0, text);
}

static void
on_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeLink) link = data;
  g_autoptr (GError) error = NULL;

  if (!floe_ui_hypervisor1_call_answer_usb_finish (FLOE_UI_HYPERVISOR1 (source), result, &error))
    link_tell_trouble (link, error);
}

static void
on_restarting (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeLink) link = data;
  g_autoptr (GError) error = NULL;

  if (!floe_ui_hypervisor1_call_restart_for_update_finish (FLOE_UI_HYPERVISOR1 (source), result, &error))
    link_tell_trouble (link, error);
}

void
floe_link_restart_for_update (FloeLink *link)
{
  if (link->hypervisor != NULL)
    floe_ui_hypervisor1_call_restart_for_update (link->hypervisor, link->cancellable, on_restarting, g_object_ref (link));
}

void
floe_link_answer_usb (FloeLink *link, const char *path, guint64 connection, const char *choice, gboolean remember)
{
  if (link->hypervisor != NULL)
    floe_ui_hypervisor1_call_answer_usb (link->hypervisor, path, connection, choice, remember, link->cancellable, on_answered,
                                         g_object_ref (link));
}

static void
on_situation_told (GObject *source, GAsyncResult *result, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  if (!floe_ui_hypervisor1_call_set_situation_finish (FLOE_UI_HYPERVISOR1 (source), result, &error)
      && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    floe_warning ("hypervisord does not want to know what is on the screen", "REASON", error->message);
}

/* There is no login and no lock yet: nobody is logged in, and the screen is never locked. */
static void
link_tell_situation (FloeLink *link)
{
  if (link->hypervisor != NULL)
    floe_ui_hypervisor1_call_set_situation (link->hypervisor, link->front, "", FALSE, link->cancellable, on_situation_told, NULL);
}

void
floe_link_set_front (FloeLink *link, const char *front)
{
  if (strcmp (link->front, front) == 0)
    return;
  g_free (link->front);
  link->front = g_strdup (front);
  link_tell_situation (link);
}

/* -- Machines ------------------------------------------------------------------------------------------------------- */

/* Up once every machine is known: "only one machine" must not be judged from the first to arrive. */
static void
link_settle (FloeLink *link)
{
  if (!link->loaded || link->pending > 0)
    return;
  link->up = link->was_up = TRUE;
  g_signal_emit (link, signals[CHANGED], 0);
}

static void
on_machine_proxy (GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeLink) link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeUiHypervisor1Machine) proxy = floe_ui_hypervisor1_machine_proxy_new_finish (result, &error);
  FloeMachine *machine;
  const char *path;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  link->pending--;
  if (proxy == NULL) {
    floe_warning ("machine cannot be read", "REASON", error->message);
    link_settle (link);
    return;
  }
  path = g_dbus_proxy_get_object_path (G_DBUS_PROXY (proxy));
  machine = g_hash_table_lookup (link->by_path, path);
  if (machine == NULL) {
    machine = floe_machine_new ();
    g_ptr_array_add (link->machines, machine);
    g_hash_table_insert (link->by_path, g_strdup (path), machine);
  }
  floe_machine_set_proxy (machine, proxy);
  g_signal_emit (link, signals[MACHINES_CHANGED], 0);
  link_settle (link);
}

static void
link_add (FloeLink *link, const char *path)
{
  link->pending++;
  floe_ui_hypervisor1_machine_proxy_new (link->connection, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, NAME, path, link->cancellable,
                                         on_machine_proxy, g_object_ref (link));
}

static void
link_remove (FloeLink *link, const char *path)
{
  FloeMachine *machine = g_hash_table_lookup (link->by_path, path);
  g_autoptr (FloeMachine) kept = machine != NULL ? g_object_ref (machine) : NULL;

  if (kept == NULL)
    return;
  g_hash_table_remove (link->by_path, path);
  g_ptr_array_remove (link->machines, kept);
  floe_machine_set_proxy (kept, NULL);
  g_signal_emit (link, signals[MACHINES_CHANGED], 0);
}

static void
on_interfaces_added (GDBusConnection *connection G_GNUC_UNUSED, const char *sender G_GNUC_UNUSED, const char *object G_GNUC_UNUSED,
                     const char *interface G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, GVariant *parameters, gpointer data)
{
  g_autoptr (GVariant) interfaces = NULL;
  g_autoptr (GVariant) machine = NULL;
  const char *path;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(oa{sa{sv}})")))
    return;
  g_variant_get (parameters, "(&o@a{sa{sv}})", &path, &interfaces);
  machine = g_variant_lookup_value (interfaces, MACHINE_INTERFACE, G_VARIANT_TYPE_VARDICT);
  if (machine != NULL)
    link_add (data, path);
}

static void
on_interfaces_removed (GDBusConnection *connection G_GNUC_UNUSED, const char *sender G_GNUC_UNUSED, const char *object G_GNUC_UNUSED,
                       const char *interface G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, GVariant *parameters, gpointer data)
{
  g_autofree const char **interfaces = NULL;
  const char *path;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(oas)")))
    return;
  g_variant_get (parameters, "(&o^a&s)", &path, &interfaces);
  if (g_strv_contains ((const char *const *) interfaces, MACHINE_INTERFACE))
    link_remove (data, path);
}

/* Adds what OBJECTS (a{oa{sa{sv}}}) has, and removes machines that went while hypervisord was away. */
static void
link_take_objects (FloeLink *link, GVariant *objects)
{
  g_autoptr (GHashTable) present = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) gone = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter known;
  GVariantIter iter;
  const char *path;
  gpointer key;

  g_variant_iter_init (&iter, objects);
  for (GVariant *interfaces; g_variant_iter_next (&iter, "{&o@a{sa{sv}}}", &path, &interfaces); g_variant_unref (interfaces)) {
    g_autoptr (GVariant) machine = g_variant_lookup_value (interfaces, MACHINE_INTERFACE, G_VARIANT_TYPE_VARDICT);

    if (machine == NULL)
      continue;
    g_hash_table_add (present, (gpointer) path);
    link_add (link, path);
  }
  g_hash_table_iter_init (&known, link->by_path);
  while (g_hash_table_iter_next (&known, &key, NULL))
    if (!g_hash_table_contains (present, key))
      g_ptr_array_add (gone, g_strdup (key));
  for (guint i = 0; i < gone->len; i++)
    link_remove (link, g_ptr_array_index (gone, i));
}

/* -- Coming and going ----------------------------------------------------------------------------------------------- */

static gboolean
on_retry (gpointer data)
{
  FloeLink *link = data;

  link->retry = 0;
  link_load (link);
  return G_SOURCE_REMOVE;
}

static void
link_retry (FloeLink *link, const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  floe_debug ("hypervisord does not answer yet", "REASON", error->message);
  if (link->retry == 0)
    link->retry = g_timeout_add (LOAD_RETRY_MS, on_retry, link);
}

static void
on_objects (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeLink) link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_autoptr (GVariant) objects = NULL;

  if (answer == NULL) {
    link_retry (link, error);
    return;
  }
  objects = g_variant_get_child_value (answer, 0);
  link_take_objects (link, objects);
  link->loaded = TRUE;
  link_settle (link);
}

static void
on_hypervisor_proxy (GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeLink) link = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeUiHypervisor1) hypervisor = floe_ui_hypervisor1_proxy_new_finish (result, &error);

  if (hypervisor == NULL) {
    link_retry (link, error);
    return;
  }
  g_set_object (&link->hypervisor, hypervisor);
  g_signal_connect_object (hypervisor, "g-properties-changed", G_CALLBACK (on_properties), link, G_CONNECT_SWAPPED);
  g_signal_connect_object (hypervisor, "audit", G_CALLBACK (on_audit), link, G_CONNECT_SWAPPED);
  link_read (link);
  link_tell_situation (link);
  /* Asked for only now: kiosk and language have to be known before the first machine is shown. */
  g_dbus_connection_call (link->connection, NAME, PATH, MANAGER_INTERFACE, "GetManagedObjects", NULL,
                          G_VARIANT_TYPE ("(a{oa{sa{sv}}})"), G_DBUS_CALL_FLAGS_NO_AUTO_START, LOAD_TIMEOUT_MS,
                          link->cancellable, on_objects, g_object_ref (link));
}

static void
link_load (FloeLink *link)
{
  floe_ui_hypervisor1_proxy_new (link->connection, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, NAME, PATH, link->cancellable,
                                 on_hypervisor_proxy, g_object_ref (link));
}

/* Forgets the owner that was: answers on their way from it are dropped. */
static void
link_drop (FloeLink *link)
{
  if (link->cancellable != NULL)
    g_cancellable_cancel (link->cancellable);
  g_clear_object (&link->cancellable);
  g_clear_handle_id (&link->retry, g_source_remove);
  if (link->hypervisor != NULL)
    g_signal_handlers_disconnect_by_data (link->hypervisor, link);
  g_clear_object (&link->hypervisor);
  for (guint i = 0; i < link->machines->len; i++)
    floe_machine_set_proxy (g_ptr_array_index (link->machines, i), NULL);
  link->up = link->loaded = FALSE;
  link->pending = 0;
}

static void
on_appeared (GDBusConnection *connection G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, const char *owner, gpointer data)
{
  FloeLink *link = data;

  link_drop (link);
  floe_info ("hypervisord is there", "OWNER", owner);
  link->cancellable = g_cancellable_new ();
  link_load (link);
}

static void
on_vanished (GDBusConnection *connection G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, gpointer data)
{
  FloeLink *link = data;

  if (link->up)
    floe_warning ("hypervisord went away; displays stay");
  link_drop (link);
  g_signal_emit (link, signals[CHANGED], 0);
}

gboolean
floe_link_is_up (FloeLink *link)
{
  return link->up;
}

gboolean
floe_link_is_settled (FloeLink *link)
{
  return link->pending == 0;
}

gboolean
floe_link_was_up (FloeLink *link)
{
  return link->was_up;
}

GPtrArray *
floe_link_machines (FloeLink *link)
{
  return link->machines;
}

const FloeSettings *
floe_link_settings (FloeLink *link)
{
  return &link->settings;
}

static void
floe_link_dispose (GObject *object)
{
  FloeLink *link = FLOE_LINK (object);

  if (link->connection != NULL) {
    g_bus_unwatch_name (link->watch);
    g_dbus_connection_signal_unsubscribe (link->connection, link->added);
    g_dbus_connection_signal_unsubscribe (link->connection, link->removed);
    link_drop (link);
  }
  g_clear_object (&link->connection);
  g_clear_pointer (&link->by_path, g_hash_table_unref);
  g_clear_pointer (&link->machines, g_ptr_array_unref);
  settings_clear (&link->settings);
  g_clear_pointer (&link->front, g_free);
  G_OBJECT_CLASS (floe_link_parent_class)->dispose (object);
}

static void
floe_link_class_init (FloeLinkClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_link_dispose;
  signals[CHANGED] = g_signal_new ("changed", FLOE_TYPE_LINK, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  signals[MACHINES_CHANGED]
      = g_signal_new ("machines-changed", FLOE_TYPE_LINK, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  signals[AUDIT] = g_signal_new ("audit", FLOE_TYPE_LINK, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2, G_TYPE_STRING,
                                 G_TYPE_VARIANT);
  signals[TROUBLE]
      = g_signal_new ("trouble", FLOE_TYPE_LINK, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
floe_link_init (FloeLink *link)
{
  link->by_path = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  link->machines = g_ptr_array_new_with_free_func (g_object_unref);
  link->settings.languages = g_new0 (char *, 1);
  link->front = g_strdup ("");
}

FloeLink *
floe_link_new (GDBusConnection *connection)
{
  FloeLink *link = g_object_new (FLOE_TYPE_LINK, NULL);

  link->connection = g_object_ref (connection);
  link->added = g_dbus_connection_signal_subscribe (connection, NAME, MANAGER_INTERFACE, "InterfacesAdded", PATH, NULL,
                                                    G_DBUS_SIGNAL_FLAGS_NONE, on_interfaces_added, link, NULL);
  link->removed = g_dbus_connection_signal_subscribe (connection, NAME, MANAGER_INTERFACE, "InterfacesRemoved", PATH, NULL,
                                                      G_DBUS_SIGNAL_FLAGS_NONE, on_interfaces_removed, link, NULL);
  link->watch = g_bus_watch_name_on_connection (connection, NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, on_appeared, on_vanished, link,
                                                NULL);
  return link;
}
