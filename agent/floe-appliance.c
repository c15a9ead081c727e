/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-appliance.h"

#include "agent/floe-announcer.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/enrol/floe-appliance-report.h"

#include <string.h>

struct _FloeAppliance {
  const FloeAgentConfig *config;
  FloeStore *store;
  FloeChunkService *chunks;
  FloeAnnouncer announcer;
  GBytes *running; /* what the running version has, as last read; NULL: nothing */
};

FloeAppliance *
floe_appliance_new (const FloeAgentConfig *config, FloeStore *store, FloeChunkService *chunks)
{
  FloeAppliance *appliance = g_new0 (FloeAppliance, 1);

  appliance->config = config;
  appliance->store = store;
  appliance->chunks = chunks;
  return appliance;
}

void
floe_appliance_free (FloeAppliance *appliance)
{
  if (appliance == NULL)
    return;
  g_clear_pointer (&appliance->running, g_bytes_unref);
  g_free (appliance);
}

void
floe_appliance_take (FloeAppliance *appliance, gint64 version, GBytes *running)
{
  g_autoptr (GError) error = NULL;
  FloeBootList *list;

  if (version == 0)
    return;
  if (version != appliance->announcer.version)
    floe_announcer_changed (&appliance->announcer, version);
  if (running == NULL || (appliance->running != NULL && g_bytes_equal (appliance->running, running)))
    return;
  list = floe_boot_list_parse (running, "running.chunks", &error);
  if (list != NULL && floe_catalogue_set_running (floe_chunk_service_catalogue (appliance->chunks), list, appliance->store, &error))
    floe_announcer_changed (&appliance->announcer, version);
  else
    floe_log (G_LOG_LEVEL_WARNING, "what the running appliance has is not known", "REASON", error->message, NULL);
  g_clear_pointer (&appliance->running, g_bytes_unref);
  appliance->running = g_bytes_ref (running);
}

/* Whether floe-slot has written the version, runs it, or has given it up. */
static gboolean
is_taken (FloeAppliance *appliance)
{
  gint64 version = appliance->announcer.version;
  FloeApplianceReport report;

  if (!floe_appliance_report_load (appliance->config->state, &report, NULL))
    return FALSE;
  for (size_t i = 0; i < report.n_failed; i++)
    if (report.failed[i] == version)
      return TRUE;
  return report.running == version || report.next == version;
}

/* For floe-slot, whom a path unit starts when this file is replaced. It judges by itself: this is a hint and no more. */
static void
announce (FloeAppliance *appliance)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT "\n", appliance->announcer.version);
  g_autoptr (GError) error = NULL;
  floe_autofd state = floe_dir_open (appliance->config->state, &error);
  floe_autofd spool = state < 0 ? -1 : floe_dir_make_at (state, "spool", 0755, &error);

  if (spool >= 0 && floe_file_replace_at (spool, "appliance.ready", text, strlen (text), 0644, &error))
    floe_log (G_LOG_LEVEL_MESSAGE, "all chunks of the appliance are here", "VERSION", g_strchomp (text), NULL);
  else
    floe_log (G_LOG_LEVEL_WARNING, "the appliance's update cannot be announced", "REASON", error->message, NULL);
}

static void
on_scrubbed (guint bad, gpointer data)
{
  FloeAppliance *appliance = data;

  floe_announcer_scrubbed (&appliance->announcer, bad, g_get_monotonic_time ());
}

void
floe_appliance_tick (FloeAppliance *appliance)
{
  FloeCatalogue *catalogue = floe_chunk_service_catalogue (appliance->chunks);
  gboolean complete = floe_catalogue_has_appliance (catalogue);

  switch (floe_announcer_step (&appliance->announcer, complete, g_get_monotonic_time ())) {
  case FLOE_ANNOUNCER_SCRUB:
    /* The first time it is announced whatever is said: the report may be of an earlier start. */
    if (appliance->announcer.announced > 0 && is_taken (appliance))
      floe_announcer_taken (&appliance->announcer);
    else
      floe_chunk_service_scrub (appliance->chunks, floe_catalogue_appliance_chunks (catalogue), on_scrubbed, appliance);
    break;
  case FLOE_ANNOUNCER_ANNOUNCE:
    announce (appliance);
    break;
  case FLOE_ANNOUNCER_WAIT:
    break;
  }
}
