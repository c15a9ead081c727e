/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-agent.h"

#include "agent/floe-appliance.h"
#include "agent/floe-checkin-sender.h"
#include "agent/floe-chunk-service.h"
#include "agent/floe-collector.h"
#include "agent/floe-hypervisor-link.h"
#include "agent/floe-refresh.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <glib-unix.h>
#include <malloc.h>

/* A refresh runs on a thread of its own, one at a time; its result comes back to the main loop, where everything else happens. */

#define RETRY_SECONDS_MIN 5u
#define IDLE_SECONDS 30

struct _FloeAgent {
  const FloeAgentConfig *config;
  FloeAgentOptions options;
  FloeStore *store;
  FloeRefresher *refresher;
  FloeChunkService *chunks;
  FloeAppliance *appliance;
  FloeCollector *collector;
  FloeHypervisorLink *link;
  FloeCheckinSender *checkin; /* NULL: not enrolled, the server is the configuration's */
  GMainLoop *loop;
  GCancellable *cancellable;
  guint sources[4];
  guint next_refresh;    /* source */
  gboolean refreshing;
  gboolean refresh_again; /* asked for meanwhile */
  gboolean refreshed;     /* the last one went well */
  guint failures;
  char *problem;         /* as last said in the log */
  GPtrArray *known;      /* ids in the catalogue */
};

typedef struct {
  FloeRefreshMode mode;
  GStrv known;
} RefreshTask;

static void begin_refresh (FloeAgent *agent, FloeRefreshMode mode);

/* -- Refreshing ----------------------------------------------------------------------------------------------------- */

static void
refresh_task_free (gpointer data)
{
  RefreshTask *task = data;

  g_strfreev (task->known);
  g_free (task);
}

static void
refresh_on_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const RefreshTask *refresh = data;
  FloeAgent *agent = g_object_get_data (G_OBJECT (task), "agent");

  (void) source;
  g_task_return_pointer (task,
                         floe_refresher_run (agent->refresher, refresh->mode, (const char *const *) refresh->known,
                                             g_get_real_time () / G_USEC_PER_SEC, cancellable),
                         (GDestroyNotify) floe_refreshed_free);
}

static gboolean
on_refresh_due (gpointer data)
{
  FloeAgent *agent = data;

  agent->next_refresh = 0;
  begin_refresh (agent, FLOE_REFRESH_ONLINE);
  return G_SOURCE_REMOVE;
}

/* The same interval for a fleet that booted together would load the server in waves: up to a tenth is taken off at random. */
static void
schedule_refresh (FloeAgent *agent)
{
  guint seconds = agent->options.interval_seconds;

  if (agent->failures > 0)
    seconds = MIN (seconds, RETRY_SECONDS_MIN << MIN (agent->failures - 1, 10u));
  g_clear_handle_id (&agent->next_refresh, g_source_remove);
  agent->next_refresh =
      g_timeout_add (seconds * 1000 - (guint) (g_random_double () * seconds * 100), on_refresh_due, agent);
}

static void
tell_problem (FloeAgent *agent, const GError *error)
{
  const char *message = error != NULL ? error->message : NULL;

  if (g_strcmp0 (message, agent->problem) == 0)
    return;
  if (message != NULL)
    floe_log (G_LOG_LEVEL_WARNING, "refresh failed: what was in force stays", "REASON", message, "URL", agent->config->url, NULL);
  else
    floe_log (G_LOG_LEVEL_MESSAGE, "refresh works again", "URL", agent->config->url, NULL);
  g_free (agent->problem);
  agent->problem = g_strdup (message);
}

static void
learn_ids (FloeAgent *agent, const FloeRefreshed *refreshed)
{
  for (char **id = refreshed->current; id != NULL && *id != NULL; id++) {
    if (g_ptr_array_find_with_equal_func (agent->known, *id, g_str_equal, NULL) ||
        !floe_catalogue_has_image (floe_chunk_service_catalogue (agent->chunks), *id))
      continue;
    g_ptr_array_add (agent->known, g_strdup (*id));
    floe_log (G_LOG_LEVEL_MESSAGE, "image known", "IMAGE", *id, NULL);
  }
}

/* Whether a chunk of no image in the catalogue is one of no image at all. */
static void
judge_certain (FloeAgent *agent)
{
  gboolean alone = floe_hypervisor_link_background (agent->link) == FLOE_BACKGROUND_UNSAID;

  floe_chunk_service_set_certain (agent->chunks, !agent->refreshing && agent->refreshed && (alone || floe_collector_knows (agent->collector)));
}

static void
on_images_in_use (const char *const *ids, gpointer data)
{
  FloeAgent *agent = data;

  floe_collector_take_in_use (agent->collector, ids, g_get_monotonic_time ());
  judge_certain (agent);
}

static void
on_image_dropped (const char *id, gpointer data)
{
  FloeAgent *agent = data;
  g_autoptr (GError) error = NULL;
  guint at;

  if (g_ptr_array_find_with_equal_func (agent->known, id, g_str_equal, &at))
    g_ptr_array_remove_index (agent->known, at);
  if (!floe_refresher_forget (agent->refresher, id, &error))
    floe_log (G_LOG_LEVEL_WARNING, "an image's table stays", "IMAGE", id, "REASON", error->message, NULL);
}

static gboolean
may_collect (gpointer data)
{
  FloeAgent *agent = data;

  return !agent->refreshing && agent->refreshed;
}

static const FloeCollectorHandlers collector_handlers = { on_image_dropped, may_collect };

static void
on_refreshed (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeAgent *agent = data;
  g_autoptr (FloeRefreshed) refreshed = g_task_propagate_pointer (G_TASK (result), NULL);
  const RefreshTask *refresh = g_task_get_task_data (G_TASK (result));
  gboolean offline = refresh->mode == FLOE_REFRESH_OFFLINE;

  (void) source;
  agent->refreshing = FALSE;
  if (refreshed == NULL)
    return; /* cancelled: the agent ends */
  floe_chunk_service_update (agent->chunks, refreshed->images, (const char *const *) refreshed->current);
  agent->refreshed = refreshed->error == NULL;
  judge_certain (agent);
  learn_ids (agent, refreshed);
  floe_appliance_take (agent->appliance, refreshed->appliance, refreshed->running);
  if (refreshed->spooled || offline)
    floe_hypervisor_link_spool_changed (agent->link);
  /* Parsing is done: what the heap holds now is not needed before the next round. */
  malloc_trim (0);
  if (offline) {
    begin_refresh (agent, FLOE_REFRESH_ONLINE);
    return;
  }
  agent->failures = refreshed->error != NULL ? agent->failures + 1 : 0;
  if (refreshed->error == NULL)
    floe_hypervisor_link_ask_images (agent->link, on_images_in_use, agent);
  /* Also after one that failed: metadata that does not verify is no reason to be silent. */
  floe_checkin_sender_send (agent->checkin);
  tell_problem (agent, refreshed->error);
  if (agent->refresh_again) {
    agent->refresh_again = FALSE;
    begin_refresh (agent, FLOE_REFRESH_ONLINE);
    return;
  }
  schedule_refresh (agent);
}

static void
begin_refresh (FloeAgent *agent, FloeRefreshMode mode)
{
  g_autoptr (GTask) task = NULL;
  RefreshTask *refresh;

  if (agent->refreshing) {
    agent->refresh_again = TRUE;
    return;
  }
  agent->refreshing = TRUE;
  judge_certain (agent);
  g_clear_handle_id (&agent->next_refresh, g_source_remove);
  refresh = g_new0 (RefreshTask, 1);
  refresh->mode = mode;
  refresh->known = g_new0 (char *, agent->known->len + 1);
  for (guint i = 0; i < agent->known->len; i++)
    refresh->known[i] = g_strdup (agent->known->pdata[i]);
  task = g_task_new (NULL, agent->cancellable, on_refreshed, agent);
  g_task_set_check_cancellable (task, TRUE);
  g_task_set_task_data (task, refresh, refresh_task_free);
  g_object_set_data (G_OBJECT (task), "agent", agent);
  g_task_run_in_thread (task, refresh_on_thread);
}

/* -- Background and progress ---------------------------------------------------------------------------------------- */

static void
judge_background (FloeAgent *agent)
{
  FloeBackground said = floe_hypervisor_link_background (agent->link);

  floe_chunk_service_allow_background (
      agent->chunks, said == FLOE_BACKGROUND_YES ||
                         (said == FLOE_BACKGROUND_UNSAID && floe_chunk_service_is_idle (agent->chunks, IDLE_SECONDS)));
}

static void
report (const FloeCatalogueProgress *progress, gpointer data)
{
  FloeAgent *agent = data;

  /* The appliance's own pieces are no machine's image. */
  if (*progress->id == '.')
    return;
  floe_hypervisor_link_report (agent->link, progress->id, progress->have, progress->total, progress->fetched);
}

static void
on_hypervisor (gboolean appeared, gpointer data)
{
  FloeAgent *agent = data;

  judge_background (agent);
  if (!appeared)
    return;
  /* It may need anything until it has said what. */
  on_images_in_use (NULL, agent);
  floe_hypervisor_link_ask_images (agent->link, on_images_in_use, agent);
  floe_catalogue_report (floe_chunk_service_catalogue (agent->chunks), TRUE, report, agent);
}

static gboolean
on_second (gpointer data)
{
  FloeAgent *agent = data;

  judge_background (agent);
  floe_chunk_service_tick (agent->chunks);
  floe_catalogue_report (floe_chunk_service_catalogue (agent->chunks), FALSE, report, agent);
  floe_appliance_tick (agent->appliance);
  /* The server hears of it, and what the running version has may have become known. */
  if (floe_checkin_sender_has_news (agent->checkin))
    begin_refresh (agent, FLOE_REFRESH_ONLINE);
  return G_SOURCE_CONTINUE;
}

/* -- Life ----------------------------------------------------------------------------------------------------------- */

static gboolean
on_hangup (gpointer data)
{
  begin_refresh (data, FLOE_REFRESH_ONLINE);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_end (gpointer data)
{
  FloeAgent *agent = data;

  g_main_loop_quit (agent->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
open_store (FloeAgent *agent, GError **error)
{
  floe_autofd state = floe_dir_open (agent->config->state, error);
  floe_autofd chunks = state < 0 ? -1 : floe_dir_make_at (state, "chunks", 0755, error);

  if (chunks < 0)
    return FALSE;
  agent->store = floe_store_open_writing (chunks, error);
  return agent->store != NULL;
}

static gboolean
open_chunks (FloeAgent *agent, GError **error)
{
  g_autofree char *images = g_build_filename (agent->config->state, "hypervisor", "images", NULL);
  const FloeChunkServiceOptions options = { .background_rate = agent->options.background_rate };
  floe_autofd run = floe_dir_open (agent->config->run, error);
  floe_autofd own = run < 0 ? -1 : floe_dir_make_at (run, "agent", 0755, error);

  if (own < 0)
    return FALSE;
  agent->chunks = floe_chunk_service_new (agent->config, agent->store, own, &options, error);
  if (agent->chunks == NULL)
    return FALSE;
  agent->appliance = floe_appliance_new (agent->config, agent->store, agent->chunks);
  /* An image is given up when it was unneeded for as long as the next look takes to come: whoever starts a machine on it meanwhile has written that down. */
  agent->collector = floe_collector_new (floe_chunk_service_catalogue (agent->chunks), agent->store, images,
                                         (gint64) agent->options.interval_seconds * G_USEC_PER_SEC / 2, &collector_handlers, agent);
  return TRUE;
}

FloeAgent *
floe_agent_new (const FloeAgentConfig *config, const FloeAgentOptions *options, GError **error)
{
  g_autoptr (FloeAgent) agent = g_new0 (FloeAgent, 1);

  agent->config = config;
  agent->options = *options;
  agent->known = g_ptr_array_new_with_free_func (g_free);
  agent->cancellable = g_cancellable_new ();
  agent->loop = g_main_loop_new (NULL, FALSE);
  if (!open_store (agent, error))
    return NULL;
  agent->refresher = floe_refresher_new (config, agent->store, error);
  if (agent->refresher == NULL || !open_chunks (agent, error))
    return NULL;
  return g_steal_pointer (&agent);
}

void
floe_agent_run (FloeAgent *agent)
{
  agent->link = floe_hypervisor_link_new (agent->config->group, on_hypervisor, agent);
  agent->checkin = floe_checkin_sender_new (agent->config);
  agent->sources[0] = g_unix_signal_add (SIGHUP, on_hangup, agent);
  agent->sources[1] = g_unix_signal_add (SIGTERM, on_end, agent);
  agent->sources[2] = g_unix_signal_add (SIGINT, on_end, agent);
  agent->sources[3] = g_timeout_add_seconds (1, on_second, agent);
  begin_refresh (agent, FLOE_REFRESH_OFFLINE);
  g_main_loop_run (agent->loop);
  /* The thread uses the refresher and the store: it is told to stop, and waited for. */
  g_cancellable_cancel (agent->cancellable);
  while (agent->refreshing)
    g_main_context_iteration (NULL, TRUE);
}

void
floe_agent_free (FloeAgent *agent)
{
  if (agent == NULL)
    return;
  for (size_t i = 0; i < G_N_ELEMENTS (agent->sources); i++)
    g_clear_handle_id (&agent->sources[i], g_source_remove);
  g_clear_handle_id (&agent->next_refresh, g_source_remove);
  floe_checkin_sender_free (agent->checkin);
  floe_hypervisor_link_free (agent->link);
  floe_collector_free (agent->collector);
  floe_chunk_service_free (agent->chunks);
  floe_appliance_free (agent->appliance);
  floe_refresher_free (agent->refresher);
  floe_store_free (agent->store);
  g_clear_object (&agent->cancellable);
  g_clear_pointer (&agent->loop, g_main_loop_unref);
  g_clear_pointer (&agent->known, g_ptr_array_unref);
  g_free (agent->problem);
  g_free (agent);
}
