/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/dbus/floe-update.h"

#include "common/floe-log.h"
#include "common/floe-logind.h"
#include "server-sync/enrol/floe-appliance-report.h"

struct _FloeUpdate {
  char *state;
  GFileMonitor *monitor;
  FloeUpdateChanged changed;
  gpointer data;
  guint64 ready;
  gboolean told;
};

/* After a restart the report is the former version's until floe-slot writes another one: what runs is asked of the verified root. */
static gboolean
is_of_this_start (const FloeApplianceReport *report)
{
  g_autofree char *version = g_get_os_info ("IMAGE_VERSION");
  gint64 running;

  return version != NULL && g_ascii_string_to_signed (version, 10, 1, G_MAXINT64, &running, NULL) && running == report->running;
}

guint64
floe_update_ready (const char *state)
{
  g_autoptr (GError) error = NULL;
  FloeApplianceReport report;

  if (floe_appliance_report_load (state, &report, &error))
    return is_of_this_start (&report) ? (guint64) floe_appliance_report_ready (&report) : 0;
  if (!g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    floe_log (G_LOG_LEVEL_WARNING, "the appliance's report is not one", "REASON", error->message, NULL);
  return 0;
}

static void
look (FloeUpdate *update)
{
  guint64 ready = floe_update_ready (update->state);

  if (update->told && ready == update->ready)
    return;
  update->ready = ready;
  update->told = TRUE;
  update->changed (ready, update->data);
}

FloeUpdate *
floe_update_new (const char *state, FloeUpdateChanged changed, gpointer data)
{
  FloeUpdate *update = g_new0 (FloeUpdate, 1);
  g_autofree char *path = g_build_filename (state, "slot", FLOE_APPLIANCE_REPORT_NAME, NULL);
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GError) error = NULL;

  update->state = g_strdup (state);
  update->changed = changed;
  update->data = data;
  update->monitor = g_file_monitor_file (file, G_FILE_MONITOR_NONE, NULL, &error);
  if (update->monitor == NULL)
    floe_log (G_LOG_LEVEL_WARNING, "updates of the appliance are not watched for", "REASON", error->message, NULL);
  else
    g_signal_connect_swapped (update->monitor, "changed", G_CALLBACK (look), update);
  look (update);
  return update;
}

void
floe_update_free (FloeUpdate *update)
{
  if (update == NULL)
    return;
  if (update->monitor != NULL)
    g_signal_handlers_disconnect_by_data (update->monitor, update);
  g_clear_object (&update->monitor);
  g_free (update->state);
  g_free (update);
}

gboolean
floe_update_restart (GDBusConnection *bus, const char *state, GError **error)
{
  guint64 ready = floe_update_ready (state);
  g_autofree char *version = g_strdup_printf ("%" G_GUINT64_FORMAT, ready);

  if (ready == 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no new version of the appliance is ready to start");
  floe_log (G_LOG_LEVEL_MESSAGE, "restart into a new version of the appliance", "VERSION", version, NULL);
  return floe_logind_restart (bus, error);
}
