/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/dbus/floe-export.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/dbus/floe-update.h"
#include "hypervisor/floe-hypervisor-dbus.h"
#include "hypervisor/probe/floe-hardware.h"

#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/org/floe/Hypervisor1"
#define MACHINES ROOT "/machine/"
/* Twice what 32 machines can use, of which each may still run an older version. */
#define REPORTS_MAX 128
/* A guest without a SPICE agent never says that its desktop is up; its image must arrive all the same. */
#define STARTING_MAX_US (10 * 60 * G_USEC_PER_SEC)
/* Audit events that wait for the bus name; it is ours within moments, or the bus is broken. */
#define UNTOLD_MAX 4096
/* What the console counts down before a restart that nobody asked for. */
#define RESTART_NOTICE_S 60

typedef struct {
  FloeMachine *machine;
  FloeHypervisor1Machine *skeleton;
  FloeMachineState state;
  gint64 starting_since;
} Exported;

typedef struct {
  guint64 have, total, fetched;
} ImageReport;

struct _FloeExport {
  GDBusConnection *bus;
  FloeHost *host;
  FloeAuthority *authority;
  FloeExportActions actions;
  GDBusObjectManagerServer *manager;
  FloeHypervisor1 *root;
  FloeUpdate *update;
  GHashTable *machines; /* id -> Exported */
  GHashTable *reports;  /* "NAME/VERSION" -> ImageReport */
  GPtrArray *untold;    /* of GVariant, (kind, details); NULL once the bus name is ours */
  guint lost;           /* more than UNTOLD_MAX of them */
};

char *
floe_export_escape (const char *id)
{
  GString *escaped = g_string_new (NULL);

  for (const char *at = id; *at != '\0'; at++) {
    if (g_ascii_isalpha (*at) || (g_ascii_isdigit (*at) && at != id))
      g_string_append_c (escaped, *at);
    else
      g_string_append_printf (escaped, "_%02x", (unsigned char)*at);
  }
  if (escaped->len == 0)
    g_string_append_c (escaped, '_');
  return g_string_free (escaped, FALSE);
}

/* A method may still be at work in its thread when its machine leaves the policy: the closure, which lives as long as the call,
 * has a reference of its own. */
static void
release_machine (gpointer data, GClosure *closure G_GNUC_UNUSED)
{
  floe_machine_unref (data);
}

static void
exported_free (gpointer data)
{
  Exported *exported = data;

  g_signal_handlers_disconnect_by_data (exported->skeleton, exported->machine);
  g_object_unref (exported->skeleton);
  floe_machine_unref (exported->machine);
  g_free (exported);
}

/* -- Methods: worker threads ------------------------------------------------------------------------------------------ */

static gboolean
on_authorize (GDBusInterfaceSkeleton *skeleton G_GNUC_UNUSED, GDBusMethodInvocation *invocation, gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (floe_authority_check (data, invocation, &error))
    return TRUE;
  g_dbus_method_invocation_return_gerror (invocation, error);
  return FALSE;
}

/* Answers a method without results. ERROR by address: it is set while DONE, another argument, is worked out. */
static gboolean
answer (GDBusMethodInvocation *invocation, gboolean done, GError *const *error)
{
  if (done)
    g_dbus_method_invocation_return_value (invocation, NULL);
  else
    g_dbus_method_invocation_return_gerror (invocation, *error);
  return TRUE;
}

static gboolean
on_start (FloeHypervisor1Machine *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, gpointer data)
{
  g_autoptr (GError) error = NULL;

  return answer (invocation, floe_machine_start (data, &error), &error);
}

static gboolean
on_stop (FloeHypervisor1Machine *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, const char *how, gpointer data)
{
  g_autoptr (GError) error = NULL;
  gboolean force = strcmp (how, "force") == 0;

  if (!force && strcmp (how, "shutdown") != 0) {
    floe_error_set (&error, FLOE_ERROR_INVALID, "Stop: \"shutdown\" or \"force\" wanted");
    return answer (invocation, FALSE, &error);
  }
  return answer (invocation, floe_machine_stop (data, force, &error), &error);
}

static gboolean
on_reset (FloeHypervisor1Machine *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, gpointer data)
{
  g_autoptr (GError) error = NULL;

  return answer (invocation, floe_machine_reset (data, &error), &error);
}

static gboolean
on_suspend (FloeHypervisor1Machine *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, gpointer data)
{
  g_autoptr (GError) error = NULL;

  return answer (invocation, floe_machine_suspend (data, &error), &error);
}

static gboolean
on_resume (FloeHypervisor1Machine *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, gpointer data)
{
  g_autoptr (GError) error = NULL;

  return answer (invocation, floe_machine_resume (data, &error), &error);
}

static gboolean
on_open_display (FloeHypervisor1Machine *object, GDBusMethodInvocation *invocation, GUnixFDList *fds G_GNUC_UNUSED,
                 gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GUnixFDList) list = NULL;
  int fd = floe_machine_open_display (data, &error);

  if (fd < 0)
    return answer (invocation, FALSE, &error);
  list = g_unix_fd_list_new_from_array (&fd, 1);
  floe_hypervisor1_machine_complete_open_display (object, invocation, list, g_variant_new_handle (0));
  return TRUE;
}

static gboolean
on_statistics (FloeHypervisor1Machine *object, GDBusMethodInvocation *invocation, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GVariant *counters = floe_machine_statistics (data, &error);

  if (counters == NULL)
    return answer (invocation, FALSE, &error);
  floe_hypervisor1_machine_complete_statistics (object, invocation, counters);
  return TRUE;
}

static gboolean
on_spool_changed (FloeHypervisor1 *object, GDBusMethodInvocation *invocation, gpointer data)
{
  FloeExport *export = data;
  g_autoptr (GError) error = NULL;
  guint64 version = 0;

  if (!export->actions.refresh (export->actions.data, &version, &error))
    return answer (invocation, FALSE, &error);
  floe_hypervisor1_complete_spool_changed (object, invocation, version);
  return TRUE;
}

static gboolean
on_answer_usb (FloeHypervisor1 *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, const char *path, guint64 connection,
               const char *choice, gboolean remember, gpointer data)
{
  FloeExport *export = data;
  g_autoptr (GError) error = NULL;

  return answer (invocation, export->actions.answer_usb (export->actions.data, path, connection, choice, remember, &error), &error);
}

static gboolean
on_set_situation (FloeHypervisor1 *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, const char *front,
                  const char *person, gboolean locked, gpointer data)
{
  FloeExport *export = data;

  export->actions.set_situation (export->actions.data, g_dbus_method_invocation_get_sender (invocation), front, person, locked);
  return answer (invocation, TRUE, NULL);
}

static gboolean
on_join_group (FloeHypervisor1 *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, const char *group, gpointer data)
{
  FloeExport *export = data;
  g_autoptr (GError) error = NULL;

  return answer (invocation, export->actions.join_group (export->actions.data, group, &error), &error);
}

static gboolean
on_images_in_use (FloeHypervisor1 *object, GDBusMethodInvocation *invocation, gpointer data)
{
  FloeExport *export = data;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) images = export->actions.images_in_use (export->actions.data, &error);

  if (images == NULL)
    return answer (invocation, FALSE, &error);
  floe_hypervisor1_complete_images_in_use (object, invocation, (const char *const *)images);
  return TRUE;
}

static void
check_hardware (gpointer data)
{
  floe_export_check_hardware (data);
}

static gboolean
on_check_hardware (FloeHypervisor1 *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, gpointer data)
{
  floe_main_call (check_hardware, data);
  return answer (invocation, TRUE, NULL);
}

static gboolean
on_restart_for_update (FloeHypervisor1 *object G_GNUC_UNUSED, GDBusMethodInvocation *invocation, gpointer data)
{
  FloeExport *export = data;
  g_autoptr (GError) error = NULL;

  return answer (invocation, floe_update_restart (export->bus, export->host->config->state, &error), &error);
}

static void
on_update (guint64 ready, gpointer data)
{
  FloeExport *export = data;

  floe_hypervisor1_set_update_ready (export->root, ready);
}

/* -- Image reports ---------------------------------------------------------------------------------------------------- */

static void
show_report (FloeExport *export, Exported *exported)
{
  const char *image = floe_hypervisor1_machine_get_image (exported->skeleton);
  const ImageReport *report = image == NULL ? NULL : g_hash_table_lookup (export->reports, image);

  floe_hypervisor1_machine_set_image_have_bytes (exported->skeleton, report == NULL ? 0 : report->have);
  floe_hypervisor1_machine_set_image_fetched_bytes (exported->skeleton, report == NULL ? 0 : report->fetched);
  floe_hypervisor1_machine_set_image_total_bytes (exported->skeleton, report == NULL ? 0 : report->total);
}

typedef struct {
  FloeExport *export;
  const char *image;
  ImageReport report;
} NewReport;

static gboolean
nobody_uses (gpointer image, gpointer report G_GNUC_UNUSED, gpointer data)
{
  FloeExport *export = data;
  GHashTableIter iter;
  gpointer exported;

  g_hash_table_iter_init (&iter, export->machines);
  while (g_hash_table_iter_next (&iter, NULL, &exported))
    if (g_strcmp0 (floe_hypervisor1_machine_get_image (((Exported *)exported)->skeleton), image) == 0)
      return FALSE;
  return TRUE;
}

static void
take_report (gpointer data)
{
  NewReport *new_report = data;
  FloeExport *export = new_report->export;
  GHashTableIter iter;
  gpointer exported;

  /* The agent may report an image before its policy is in force, and may invent as many as it likes. */
  if (g_hash_table_size (export->reports) >= REPORTS_MAX)
    g_hash_table_foreach_remove (export->reports, nobody_uses, export);
  g_hash_table_insert (export->reports, g_strdup (new_report->image),
                       g_memdup2 (&new_report->report, sizeof new_report->report));
  g_hash_table_iter_init (&iter, export->machines);
  while (g_hash_table_iter_next (&iter, NULL, &exported))
    show_report (export, exported);
}

static gboolean
on_report_image (FloeHypervisor1 *object, GDBusMethodInvocation *invocation, const char *image, guint64 have, guint64 total,
                 guint64 fetched, gpointer data)
{
  NewReport report = { data, image, { have, total, fetched } };
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) parts = floe_image_label_split (image, NULL);

  if (parts == NULL || have > total) {
    floe_error_set (&error, FLOE_ERROR_INVALID, "ReportImage: NAME/VERSION, and have_bytes up to total_bytes wanted");
    return answer (invocation, FALSE, &error);
  }
  floe_main_call (take_report, &report);
  floe_hypervisor1_complete_report_image (object, invocation);
  return TRUE;
}

/* -- Objects ---------------------------------------------------------------------------------------------------------- */

static void
prepare_skeleton (FloeExport *export, gpointer skeleton)
{
  g_dbus_interface_skeleton_set_flags (skeleton, G_DBUS_INTERFACE_SKELETON_FLAGS_HANDLE_METHOD_INVOCATIONS_IN_THREAD);
  g_signal_connect (skeleton, "g-authorize-method", G_CALLBACK (on_authorize), export->authority);
}

FloeExport *
floe_export_new (GDBusConnection *bus, FloeHost *host, FloeAuthority *authority, const FloeExportActions *actions)
{
  FloeExport *export = g_new0 (FloeExport, 1);

  export->bus = g_object_ref (bus);
  export->host = host;
  export->authority = authority;
  export->actions = *actions;
  export->manager = g_dbus_object_manager_server_new (ROOT);
  export->machines = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, exported_free);
  export->reports = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  export->untold = g_ptr_array_new_with_free_func ((GDestroyNotify)g_variant_unref);
  export->root = floe_hypervisor1_skeleton_new ();
  prepare_skeleton (export, export->root);
  g_signal_connect (export->root, "handle-spool-changed", G_CALLBACK (on_spool_changed), export);
  g_signal_connect (export->root, "handle-report-image", G_CALLBACK (on_report_image), export);
  g_signal_connect (export->root, "handle-images-in-use", G_CALLBACK (on_images_in_use), export);
  g_signal_connect (export->root, "handle-answer-usb", G_CALLBACK (on_answer_usb), export);
  g_signal_connect (export->root, "handle-set-situation", G_CALLBACK (on_set_situation), export);
  g_signal_connect (export->root, "handle-join-group", G_CALLBACK (on_join_group), export);
  g_signal_connect (export->root, "handle-check-hardware", G_CALLBACK (on_check_hardware), export);
  g_signal_connect (export->root, "handle-restart-for-update", G_CALLBACK (on_restart_for_update), export);
  export->update = floe_update_new (host->config->state, on_update, export);
  floe_export_check_hardware (export);
  floe_hypervisor1_set_version (export->root, FLOE_VERSION);
  floe_hypervisor1_set_accelerator (export->root, floe_accelerator_name (host->accelerator));
  floe_hypervisor1_set_accelerator_reason (export->root, host->accelerator_reason);
  floe_hypervisor1_set_background_allowed (export->root, TRUE);
  floe_hypervisor1_set_usb_devices (export->root, g_variant_new_array (G_VARIANT_TYPE_VARDICT, NULL, 0));
  floe_hypervisor1_set_console_settings (export->root, g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0));
  return export;
}

void
floe_export_free (FloeExport *export)
{
  if (export == NULL)
    return;
  floe_update_free (export->update);
  g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (export->root));
  g_dbus_object_manager_server_set_connection (export->manager, NULL);
  g_hash_table_unref (export->machines);
  g_hash_table_unref (export->reports);
  g_clear_pointer (&export->untold, g_ptr_array_unref);
  g_clear_object (&export->root);
  g_clear_object (&export->manager);
  g_clear_object (&export->bus);
  g_free (export);
}

void
floe_export_publish (FloeExport *export)
{
  g_autoptr (GError) error = NULL;

  g_dbus_object_manager_server_set_connection (export->manager, export->bus);
  if (!g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (export->root), export->bus, ROOT, &error))
    g_error ("%s: %s", ROOT, error->message); /* only a path exported twice, by our own mistake */
}

/* -- Audit events ----------------------------------------------------------------------------------------------------- */

/* Who listens for them names us as their sender: what is said before the name is ours reaches nobody. Sinks DETAILS. */
static void
tell (FloeExport *export, const char *kind, GVariant *details)
{
  if (export->untold == NULL) {
    floe_hypervisor1_emit_audit (export->root, kind, details);
    return;
  }
  g_autoptr (GVariant) event = g_variant_ref_sink (g_variant_new ("(s@a{sv})", kind, details));

  if (export->untold->len < UNTOLD_MAX)
    g_ptr_array_add (export->untold, g_steal_pointer (&event));
  else
    export->lost++;
}

void
floe_export_named (FloeExport *export)
{
  g_autoptr (GPtrArray) untold = g_steal_pointer (&export->untold);

  for (guint i = 0; untold != NULL && i < untold->len; i++) {
    g_autoptr (GVariant) details = NULL;
    const char *kind;

    g_variant_get (g_ptr_array_index (untold, i), "(&s@a{sv})", &kind, &details);
    floe_hypervisor1_emit_audit (export->root, kind, details);
  }
  if (export->lost > 0) {
    g_autofree char *count = g_strdup_printf ("%u", export->lost);

    floe_log (G_LOG_LEVEL_WARNING, "audit events not told: too many before the bus name was ours", "COUNT", count, NULL);
    export->lost = 0;
  }
}

/* -- Policy and machines ---------------------------------------------------------------------------------------------- */

static GVariant *
console_settings (const FloePolicyConsole *console, const FloePolicyUpdate *update)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "switch_next", "s", console->switch_next);
  g_variant_dict_insert (&dict, "switch_previous", "s", console->switch_previous);
  g_variant_dict_insert (&dict, "switch_list", "s", console->switch_list);
  g_variant_dict_insert (&dict, "kiosk", "b", console->kiosk);
  g_variant_dict_insert (&dict, "banner", "s", console->banner);
  g_variant_dict_insert (&dict, "languages", "^as", console->languages);
  g_variant_dict_insert (&dict, "restart_idle", "u", (guint32)update->idle_minutes * 60);
  g_variant_dict_insert (&dict, "restart_notice", "u", (guint32)RESTART_NOTICE_S);
  return g_variant_dict_end (&dict);
}

void
floe_export_set_policy (FloeExport *export, FloeInForce *in_force, const char *problem)
{
  floe_hypervisor1_set_policy_group (export->root, export->host->config->group != NULL ? export->host->config->group : "");
  floe_hypervisor1_set_policy_version (export->root, in_force == NULL ? 0 : floe_policy_version (in_force->policy));
  floe_hypervisor1_set_policy_problem (export->root, problem);
  if (in_force != NULL) {
    const FloePolicyContent *content = floe_policy_content (in_force->policy);

    floe_hypervisor1_set_console_settings (export->root, console_settings (&content->console, &content->update));
  }
}

static GVariant *
sharing (const FloeMachineView *view)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "clipboard", "s", floe_policy_share_name (view->clipboard));
  g_variant_dict_insert (&dict, "file_transfer", "s", floe_policy_share_name (view->file_transfer));
  g_variant_dict_insert (&dict, "audio", "b", view->audio);
  g_variant_dict_insert (&dict, "screens", "u", (guint32)view->screens);
  return g_variant_dict_end (&dict);
}

static void
audit_state (FloeExport *export, const Exported *exported, const FloeMachineView *view)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "machine", "s", floe_machine_id (exported->machine));
  g_variant_dict_insert (&dict, "state", "s", floe_machine_state_name (view->state));
  g_variant_dict_insert (&dict, "problem", "s", view->problem != NULL ? view->problem : "");
  tell (export, "machine", g_variant_dict_end (&dict));
}

static void
show_view (FloeExport *export, Exported *exported)
{
  g_autoptr (FloeMachineView) view = floe_machine_view (exported->machine);
  FloeHypervisor1Machine *skeleton = exported->skeleton;

  floe_hypervisor1_machine_set_title (skeleton, view->title);
  floe_hypervisor1_machine_set_colour (skeleton, view->colour);
  floe_hypervisor1_machine_set_problem (skeleton, view->problem != NULL ? view->problem : "");
  floe_hypervisor1_machine_set_image (skeleton, view->image);
  floe_hypervisor1_machine_set_emulated (skeleton, view->emulated);
  floe_hypervisor1_machine_set_desktop_seconds (skeleton, view->desktop_s);
  floe_hypervisor1_machine_set_sharing (skeleton, sharing (view));
  show_report (export, exported);
  /* Last: who waits for a state finds all else in place. */
  floe_hypervisor1_machine_set_state (skeleton, floe_machine_state_name (view->state));
  if (view->state != exported->state) {
    exported->state = view->state;
    exported->starting_since = g_get_monotonic_time ();
    audit_state (export, exported, view);
  }
}

void
floe_export_update_background (FloeExport *export)
{
  gboolean allowed = TRUE;
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, export->machines);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const Exported *exported = value;

    if (exported->state == FLOE_MACHINE_STARTING && g_get_monotonic_time () - exported->starting_since < STARTING_MAX_US)
      allowed = FALSE;
  }
  floe_hypervisor1_set_background_allowed (export->root, allowed);
}

void
floe_export_add_machine (FloeExport *export, FloeMachine *machine)
{
  static const struct {
    const char *signal;
    GCallback handler;
  } methods[] = {
    { "handle-start", G_CALLBACK (on_start) },           { "handle-stop", G_CALLBACK (on_stop) },
    { "handle-reset", G_CALLBACK (on_reset) },           { "handle-suspend", G_CALLBACK (on_suspend) },
    { "handle-resume", G_CALLBACK (on_resume) },         { "handle-open-display", G_CALLBACK (on_open_display) },
    { "handle-statistics", G_CALLBACK (on_statistics) },
  };
  g_autofree char *label = floe_export_escape (floe_machine_id (machine));
  g_autofree char *path = g_strconcat (MACHINES, label, NULL);
  g_autoptr (GDBusObjectSkeleton) object = g_dbus_object_skeleton_new (path);
  Exported *exported = g_new0 (Exported, 1);

  exported->machine = floe_machine_ref (machine);
  exported->skeleton = floe_hypervisor1_machine_skeleton_new ();
  prepare_skeleton (export, exported->skeleton);
  for (size_t i = 0; i < G_N_ELEMENTS (methods); i++)
    g_signal_connect_data (exported->skeleton, methods[i].signal, methods[i].handler, floe_machine_ref (machine),
                           release_machine, 0);
  floe_hypervisor1_machine_set_id (exported->skeleton, floe_machine_id (machine));
  g_hash_table_insert (export->machines, g_strdup (floe_machine_id (machine)), exported);
  show_view (export, exported);
  g_dbus_object_skeleton_add_interface (object, G_DBUS_INTERFACE_SKELETON (exported->skeleton));
  g_dbus_object_manager_server_export (export->manager, object);
}

void
floe_export_update_machine (FloeExport *export, FloeMachine *machine)
{
  Exported *exported = g_hash_table_lookup (export->machines, floe_machine_id (machine));

  if (exported == NULL)
    return;
  show_view (export, exported);
  floe_export_update_background (export);
}

void
floe_export_remove_machine (FloeExport *export, FloeMachine *machine)
{
  g_autofree char *label = floe_export_escape (floe_machine_id (machine));
  g_autofree char *path = g_strconcat (MACHINES, label, NULL);

  g_dbus_object_manager_server_unexport (export->manager, path);
  g_hash_table_remove (export->machines, floe_machine_id (machine));
}

/* -- Hardware --------------------------------------------------------------------------------------------------------- */

void
floe_export_check_hardware (FloeExport *export)
{
  g_auto (GStrv) lacking = floe_probe_host ();
  g_autoptr (GPtrArray) items
      = floe_hardware_check ("", export->host->accelerator, export->host->accelerator_reason, (const char *const *)lacking);
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < items->len; i++) {
    const FloeHardwareItem *item = g_ptr_array_index (items, i);
    GVariantDict dict;

    g_variant_dict_init (&dict, NULL);
    g_variant_dict_insert (&dict, "id", "s", item->id);
    g_variant_dict_insert (&dict, "state", "s", item->state);
    g_variant_dict_insert (&dict, "level", "s", floe_hardware_level_name (item->level));
    g_variant_dict_insert (&dict, "detail", "s", item->detail);
    g_variant_dict_insert (&dict, "text", "s", item->text);
    g_variant_builder_add_value (&list, g_variant_dict_end (&dict));
  }
  floe_hypervisor1_set_hardware (export->root, g_variant_builder_end (&list));
}

/* -- Network ---------------------------------------------------------------------------------------------------------- */

void
floe_export_net_event (FloeExport *export, const FloeNetEvent *event)
{
  g_autofree char *count = g_strdup_printf ("%" G_GUINT64_FORMAT, event->count);
  g_autofree char *source_port = event->source_port == 0 ? NULL : g_strdup_printf ("%u", event->source_port);
  g_autofree char *destination_port = event->destination_port == 0 ? NULL : g_strdup_printf ("%u", event->destination_port);
  const struct {
    const char *key, *value;
  } texts[] = {
    { "machine", event->machine }, { "network", event->network },   { "verdict", event->verdict },         { "rule", event->rule },
    { "protocol", event->protocol }, { "source", event->source }, { "destination", event->destination }, { "name", event->name },
  };
  GVariantDict dict;

#define OR_NULL(text) (*(text) != '\0' ? (text) : NULL)
  floe_log (G_LOG_LEVEL_MESSAGE, "packets", "VM", event->machine, "NETWORK", event->network, "VERDICT", event->verdict, "RULE",
            OR_NULL (event->rule), "PROTOCOL", OR_NULL (event->protocol), "SOURCE", OR_NULL (event->source), "SOURCE_PORT", source_port,
            "DESTINATION", OR_NULL (event->destination), "DESTINATION_PORT", destination_port, "NAME", OR_NULL (event->name), "COUNT",
            count, NULL);
#undef OR_NULL
  g_variant_dict_init (&dict, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++)
    g_variant_dict_insert (&dict, texts[i].key, "s", texts[i].value);
  g_variant_dict_insert (&dict, "source_port", "q", (guint16)event->source_port);
  g_variant_dict_insert (&dict, "destination_port", "q", (guint16)event->destination_port);
  g_variant_dict_insert (&dict, "count", "t", event->count);
  tell (export, "net", g_variant_dict_end (&dict));
}

/* -- USB -------------------------------------------------------------------------------------------------------------- */

static const char *
verdict_name (FloePolicyUsbAction action)
{
  static const char *const names[] = {
    [FLOE_POLICY_USB_BLOCK] = "block",
    [FLOE_POLICY_USB_HOST] = "host",
    [FLOE_POLICY_USB_MACHINE] = "machine",
    [FLOE_POLICY_USB_ASK] = "ask",
  };

  return names[action];
}

static GVariant *
device_variant (const FloeUsbDevice *device)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "path", "s", device->path);
  g_variant_dict_insert (&dict, "connection", "t", device->connection);
  g_variant_dict_insert (&dict, "vendor", "q", device->vendor);
  g_variant_dict_insert (&dict, "product", "q", device->product);
  g_variant_dict_insert (&dict, "kind", "s", device->kind);
  g_variant_dict_insert (&dict, "name", "s", device->name);
  g_variant_dict_insert (&dict, "serial", "s", device->serial);
  g_variant_dict_insert (&dict, "verdict", "s", verdict_name (device->verdict));
  g_variant_dict_insert (&dict, "machine", "s", device->machine);
  g_variant_dict_insert (&dict, "read_only", "b", device->read_only);
  g_variant_dict_insert (&dict, "rule", "s", device->rule);
  g_variant_dict_insert (&dict, "reason", "s", device->reason);
  g_variant_dict_insert (&dict, "problem", "s", device->problem);
  g_variant_dict_insert (&dict, "enforced", "b", device->enforced);
  g_variant_dict_insert (&dict, "holder", "s", device->holder);
  g_variant_dict_insert (&dict, "choices", "^as", device->choices);
  g_variant_dict_insert (&dict, "may_remember", "b", device->may_remember);
  return g_variant_dict_end (&dict);
}

/* The name is the device's own choice, and may look like fields: it comes last. */
static void
log_device (const FloeUsbDevice *device)
{
  char numbers[10];

  g_snprintf (numbers, sizeof numbers, "%04x:%04x", device->vendor, device->product);
  floe_log (G_LOG_LEVEL_MESSAGE, "USB device decided", "DEVICE", device->path, "ID", numbers, "VERDICT",
            verdict_name (device->verdict), "VM", device->machine[0] != '\0' ? device->machine : NULL, "RULE", device->rule, "REASON",
            device->reason, "ENFORCED", device->enforced ? "yes" : "no", "HOLDER", device->holder[0] != '\0' ? device->holder : NULL,
            "PROBLEM", device->problem[0] != '\0' ? device->problem : NULL, "NAME", device->name, NULL);
}

void
floe_export_usb_changed (FloeExport *export, GPtrArray *devices, const FloeUsbDevice *changed, gboolean gone)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < devices->len; i++)
    g_variant_builder_add_value (&list, device_variant (g_ptr_array_index (devices, i)));
  floe_hypervisor1_set_usb_devices (export->root, g_variant_builder_end (&list));
  if (changed == NULL)
    return;
  if (gone) {
    floe_log (G_LOG_LEVEL_MESSAGE, "USB device gone", "DEVICE", changed->path, "NAME", changed->name, NULL);
    return;
  }
  log_device (changed);
  tell (export, "usb", device_variant (changed));
}
