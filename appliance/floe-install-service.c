/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-install-service.h"

#include "appliance/floe-install-dbus.h"
#include "common/floe-log.h"
#include "common/floe-logind.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>

#define NAME "org.floe.Install1"
#define PATH "/org/floe/Install1"
/* A line of progress for each per cent at most. */
#define PROGRESS_STEP 0.01

/* The main thread has all of it; an installation is at work in a thread of its own, which speaks to it by what it posts to the main loop. */
typedef struct {
  FloeInstallOptions options;
  FloeInstallPlan plan;
  GMainLoop *loop;
  GDBusConnection *bus;
  FloeInstall1 *object;
  gboolean failed; /* the name was not ours */
} Service;

typedef struct {
  Service *service;
  char *disk, *confirm;
  guint64 sequence;
  double told;
} Work;

typedef struct {
  Service *service;
  FloeInstallStep step;
  double done;
} Moment;

static void
work_free (gpointer data)
{
  Work *work = data;

  g_free (work->disk);
  g_free (work->confirm);
  g_free (work);
}

/* -- Disks -------------------------------------------------------------------------------------------------------------- */

static GVariant *
partitions_variant (const FloeInstallDisk *disk)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < disk->partitions->len; i++) {
    const FloeInstallPartition *partition = disk->partitions->pdata[i];
    GVariantDict dict;

    g_variant_dict_init (&dict, NULL);
    g_variant_dict_insert (&dict, "name", "s", partition->name);
    g_variant_dict_insert (&dict, "label", "s", partition->label);
    g_variant_dict_insert (&dict, "file_system", "s", partition->file_system);
    g_variant_dict_insert (&dict, "size", "t", partition->size);
    g_variant_builder_add_value (&list, g_variant_dict_end (&dict));
  }
  return g_variant_builder_end (&list);
}

static GVariant *
disk_variant (const FloeInstallDisk *disk, const FloeInstallPlan *plan)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "name", "s", disk->name);
  g_variant_dict_insert (&dict, "model", "s", disk->model);
  g_variant_dict_insert (&dict, "serial", "s", disk->serial);
  g_variant_dict_insert (&dict, "bus", "s", disk->bus);
  g_variant_dict_insert (&dict, "size", "t", disk->size);
  g_variant_dict_insert (&dict, "sequence", "t", disk->sequence);
  g_variant_dict_insert (&dict, "removable", "b", disk->removable);
  g_variant_dict_insert (&dict, "interrupted", "b", disk->interrupted);
  g_variant_dict_insert (&dict, "problem", "s", floe_install_problem (disk, plan));
  g_variant_dict_insert (&dict, "file_system", "s", disk->file_system);
  g_variant_dict_insert (&dict, "label", "s", disk->label);
  g_variant_dict_insert_value (&dict, "partitions", partitions_variant (disk));
  return g_variant_dict_end (&dict);
}

static gboolean
on_list (FloeInstall1 *object, GDBusMethodInvocation *invocation, Service *service)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) disks = floe_install_list (&service->options.places, &error);
  GVariantBuilder list;

  if (disks == NULL) {
    g_dbus_method_invocation_return_gerror (invocation, error);
    return TRUE;
  }
  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < disks->len; i++)
    g_variant_builder_add_value (&list, disk_variant (disks->pdata[i], &service->plan));
  floe_install1_complete_list (object, invocation, g_variant_builder_end (&list));
  return TRUE;
}

/* -- An installation ---------------------------------------------------------------------------------------------------- */

static gboolean
on_moment (gpointer data)
{
  const Moment *moment = data;

  floe_install1_set_step (moment->service->object, floe_install_step_name (moment->step));
  floe_install1_set_progress (moment->service->object, moment->done);
  return G_SOURCE_REMOVE;
}

static void
on_progress (FloeInstallStep step, double done, gpointer data)
{
  Work *work = data;
  Moment *moment;

  if (done > 0 && done < 1 && done - work->told < PROGRESS_STEP)
    return;
  work->told = done;
  moment = g_new0 (Moment, 1);
  *moment = (Moment){ work->service, step, done };
  g_main_context_invoke_full (NULL, G_PRIORITY_DEFAULT, on_moment, moment, g_free);
}

static void
install_on_thread (GTask *task, gpointer source G_GNUC_UNUSED, gpointer data, GCancellable *cancellable G_GNUC_UNUSED)
{
  Work *work = data;
  FloeInstallOptions options = work->service->options;
  GError *error = NULL;

  options.now = g_get_real_time () / G_USEC_PER_SEC;
  if (floe_install_run (&options, work->disk, work->sequence, work->confirm, on_progress, work, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* "unverified" for org.floe.Error.Unverified. */
static char *
problem_name (const GError *error)
{
  g_autofree char *remote = g_dbus_error_encode_gerror (error);
  const char *dot = strrchr (remote, '.');

  return g_ascii_strdown (error->domain == FLOE_ERROR && dot != NULL ? dot + 1 : "failed", -1);
}

static void
on_installed (GObject *source G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  gboolean done = g_task_propagate_boolean (G_TASK (result), &error);
  g_autofree char *problem = done ? g_strdup ("") : problem_name (error);
  const Work *work = g_task_get_task_data (G_TASK (result));
  Service *service = data;

  floe_install1_set_problem (service->object, problem);
  floe_install1_set_detail (service->object, done ? "" : error->message);
  floe_install1_set_state (service->object, done ? "done" : "failed");
  if (done)
    floe_log (G_LOG_LEVEL_MESSAGE, "installed", "DISK", work->disk, NULL);
  else
    floe_log (G_LOG_LEVEL_WARNING, "not installed", "DISK", work->disk, "REASON", error->message, NULL);
}

static gboolean
on_install (FloeInstall1 *object, GDBusMethodInvocation *invocation, const char *disk, guint64 sequence, const char *confirm, Service *service)
{
  const char *state = floe_install1_get_state (object);
  g_autoptr (GTask) task = NULL;
  Work *work;

  if (strcmp (state, "working") == 0 || strcmp (state, "done") == 0) {
    g_dbus_method_invocation_return_error (invocation, FLOE_ERROR, FLOE_ERROR_BUSY, "an installation on %s %s", floe_install1_get_disk (object),
                                           strcmp (state, "done") == 0 ? "is done" : "is at work");
    return TRUE;
  }
  work = g_new0 (Work, 1);
  *work = (Work){ .service = service, .disk = g_strdup (disk), .confirm = g_strdup (confirm), .sequence = sequence };
  floe_install1_set_disk (object, disk);
  floe_install1_set_step (object, floe_install_step_name (FLOE_INSTALL_CHECKING));
  floe_install1_set_progress (object, 0);
  floe_install1_set_problem (object, "");
  floe_install1_set_detail (object, "");
  floe_install1_set_state (object, "working");
  task = g_task_new (NULL, NULL, on_installed, service);
  g_task_set_task_data (task, work, work_free);
  g_task_run_in_thread (task, install_on_thread);
  floe_install1_complete_install (object, invocation);
  return TRUE;
}

static gboolean
on_restart (FloeInstall1 *object, GDBusMethodInvocation *invocation, Service *service)
{
  g_autoptr (GError) error = NULL;

  if (strcmp (floe_install1_get_state (object), "done") != 0)
    g_dbus_method_invocation_return_error (invocation, FLOE_ERROR, FLOE_ERROR_REFUSED, "nothing was installed");
  else if (!floe_logind_restart (service->bus, &error))
    g_dbus_method_invocation_return_gerror (invocation, error);
  else
    floe_install1_complete_restart (object, invocation);
  return TRUE;
}

/* -- Life --------------------------------------------------------------------------------------------------------------- */

static gboolean
on_terminate (gpointer data)
{
  const Service *service = data;

  g_main_loop_quit (service->loop);
  return G_SOURCE_CONTINUE;
}

static void
on_name_lost (GDBusConnection *bus G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, gpointer data)
{
  Service *service = data;

  service->failed = TRUE;
  g_main_loop_quit (service->loop);
}

static void
make_object (Service *service)
{
  service->object = floe_install1_skeleton_new ();
  floe_install1_set_state (service->object, "ready");
  floe_install1_set_disk (service->object, "");
  floe_install1_set_step (service->object, "");
  floe_install1_set_problem (service->object, "");
  floe_install1_set_detail (service->object, "");
  floe_install1_set_needed (service->object, service->plan.needed);
  g_signal_connect (service->object, "handle-list", G_CALLBACK (on_list), service);
  g_signal_connect (service->object, "handle-install", G_CALLBACK (on_install), service);
  g_signal_connect (service->object, "handle-restart", G_CALLBACK (on_restart), service);
}

gboolean
floe_install_serve (const FloeInstallOptions *options, GError **error)
{
  Service service = { .options = *options };
  guint name, term;
  gboolean exported;

  if (!floe_install_plan_for (options, &service.plan, error))
    return FALSE;
  service.bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, error);
  if (service.bus == NULL)
    return FALSE;
  service.loop = g_main_loop_new (NULL, FALSE);
  make_object (&service);
  exported = g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (service.object), service.bus, PATH, error);
  if (exported) {
    name = g_bus_own_name_on_connection (service.bus, NAME, G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE, NULL, on_name_lost, &service, NULL);
    term = g_unix_signal_add (SIGTERM, on_terminate, &service);
    g_main_loop_run (service.loop);
    g_source_remove (term);
    g_bus_unown_name (name);
  }
  g_object_unref (service.object);
  g_object_unref (service.bus);
  g_main_loop_unref (service.loop);
  return exported && (!service.failed || floe_error_set (error, FLOE_ERROR_FAILED, "the name " NAME " on the bus is another's, or was taken away"));
}
