/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-chunk-service.h"

#include "agent/floe-chunk-listener.h"
#include "agent/floe-fetcher.h"
#include "agent/floe-store-writer.h"
#include "common/floe-log.h"

/* Theory of operation: a request is answered from the store if the chunk is there and whole (checked on the writer's thread); else
 * it becomes a job of the scheduler's. pump() starts whatever the scheduler allows. A fetch ends in on_fetched, goes on to the store if
 * it is what was signed, and ends as a job in on_stored. Background chunks are stored many at a time and are invisible
 * until then: who asks for one in the meantime is parked and asked for again after the commit. What somebody waited for is visible, and
 * answered, at once; only with the next commit does it count as had (docs/agent.md, "Acknowledged"). */

#define DEMAND_SLOTS 8
#define BOOT_SLOTS 4
#define BACKGROUND_SLOTS 4
#define PAUSE_MIN (G_USEC_PER_SEC / 4)
#define PAUSE_MAX (10 * (gint64) G_USEC_PER_SEC)
#define FULL_PAUSE (5 * (gint64) G_USEC_PER_SEC)
#define COMMIT_SECONDS 2      /* between commits while chunks of the background wait to become visible */
#define COMMIT_BUSY_SECONDS 5 /* and while there are only those that desktops read: the disk is theirs */
#define QUIET_SECONDS 2
#define TOLD_MAX 1024
#define RESCAN_PAUSE (2 * (gint64) G_USEC_PER_SEC)

typedef struct {
  FloeTableEntry entry;
  FloeWaiter waiter;
} Parked;

struct _FloeChunkService {
  const FloeAgentConfig *config;
  FloeStore *store;
  FloeCatalogue *catalogue;
  FloeScheduler *scheduler;
  FloeFetcher *fetcher;
  FloeStoreWriter *writer;
  FloeChunkListener *listener;
  gboolean certain;
  gint64 last_need;
  gint64 last_rescan;
  guint wakeup;         /* source */
  gboolean away, full;  /* as last said in the log */
  GHashTable *told;     /* digests that were complained about; of FloeDigest */
  GHashTable *invisible; /* put into the batch and not committed; of FloeDigest */
  GArray *parked;       /* of Parked */
  guint ticks;
  struct {
    GArray *entries;    /* of FloeTableEntry; NULL: none is under way */
    guint at, bad;
    FloeChunkScrubbed done;
    gpointer data;
  } scrub;
};

static void pump (FloeChunkService *service);

/* -- Saying it once ------------------------------------------------------------------------------------------------- */

static void
tell_about (FloeChunkService *service, const FloeDigest *digest, const char *message, const char *reason)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  if (g_hash_table_contains (service->told, digest))
    return;
  if (g_hash_table_size (service->told) >= TOLD_MAX)
    g_hash_table_remove_all (service->told);
  g_hash_table_add (service->told, g_memdup2 (digest, sizeof *digest));
  floe_digest_to_hex (digest, hex);
  floe_log (G_LOG_LEVEL_WARNING, message, "REASON", reason, "DIGEST", hex, NULL);
}

static void
tell_away (FloeChunkService *service, const char *reason)
{
  gboolean away = floe_scheduler_is_away (service->scheduler);

  if (away == service->away)
    return;
  service->away = away;
  if (away)
    floe_log (G_LOG_LEVEL_WARNING, "server away: trying again until it is back", "REASON", reason, "URL", service->config->url,
              NULL);
  else
    floe_log (G_LOG_LEVEL_MESSAGE, "server back", "URL", service->config->url, NULL);
}

static void
tell_full (FloeChunkService *service, gboolean full, const char *reason)
{
  if (full == service->full)
    return;
  service->full = full;
  if (full)
    floe_log (G_LOG_LEVEL_WARNING, "no room in the chunk store: background fetching rests, desktops wait for what they lack",
              "REASON", reason, "PATH", service->config->state, NULL);
  else
    floe_log (G_LOG_LEVEL_MESSAGE, "room in the chunk store again", NULL);
}

/* -- Fetching ------------------------------------------------------------------------------------------------------- */

static gboolean
on_wakeup (gpointer data)
{
  FloeChunkService *service = data;

  service->wakeup = 0;
  pump (service);
  return G_SOURCE_REMOVE;
}

static void
end_job (FloeChunkService *service, const FloeDigest *digest, FloeFetchOutcome outcome, const char *reason)
{
  g_autoptr (GArray) waiters = g_array_new (FALSE, FALSE, sizeof (FloeWaiter));

  floe_scheduler_done (service->scheduler, digest, outcome, g_get_monotonic_time (), waiters);
  tell_away (service, reason);
  for (guint i = 0; i < waiters->len; i++)
    floe_chunk_listener_reply (service->listener, &g_array_index (waiters, FloeWaiter, i),
                               outcome == FLOE_FETCH_STORED ? FLOE_CHUNK_HERE : FLOE_CHUNK_NOT_NOW);
}

static void
start (FloeChunkService *service, const FloeTableEntry *entry, FloeFetchClass fetch_class)
{
  g_autoptr (GError) error = NULL;

  /* The bitmap may be behind: a chunk that somebody demanded has been looked for, others are now. */
  if (fetch_class != FLOE_FETCH_DEMAND && floe_store_has (service->store, entry)) {
    floe_catalogue_mark (service->catalogue, &entry->digest, TRUE);
    end_job (service, &entry->digest, FLOE_FETCH_STORED, NULL);
    return;
  }
  if (!floe_fetcher_start (service->fetcher, entry, fetch_class, &error))
    end_job (service, &entry->digest, FLOE_FETCH_AWAY, error->message);
}

static void
pump (FloeChunkService *service)
{
  gint64 now = g_get_monotonic_time (), at;
  FloeFetchClass fetch_class;
  FloeTableEntry entry;

  while (floe_scheduler_next (service->scheduler, now, &entry, &fetch_class))
    start (service, &entry, fetch_class);
  floe_fetcher_hold_background (service->fetcher, floe_scheduler_demands (service->scheduler) > 0);
  g_clear_handle_id (&service->wakeup, g_source_remove);
  at = floe_scheduler_wakeup (service->scheduler, now);
  if (at != G_MAXINT64)
    service->wakeup = g_timeout_add ((guint) CLAMP ((at - now) / 1000 + 1, 1, 60000), on_wakeup, service);
}

static void
on_fetched (const FloeTableEntry *entry, FloeFetchClass fetch_class, FloeFetchOutcome outcome, GBytes *frame, guint64 received,
            const char *problem, gpointer data)
{
  FloeChunkService *service = data;

  floe_catalogue_fetched (service->catalogue, &entry->digest, received);
  if (outcome == FLOE_FETCH_STORED) {
    floe_catalogue_put_begins (service->catalogue, &entry->digest);
    floe_store_writer_put (service->writer, entry, fetch_class, frame);
  } else {
    if (outcome == FLOE_FETCH_BAD)
      tell_about (service, &entry->digest, "chunk refused: asking the server for it again", problem);
    end_job (service, &entry->digest, outcome, problem);
  }
  pump (service);
}

/* -- The store's answers -------------------------------------------------------------------------------------------- */

static void
park (FloeChunkService *service, const FloeTableEntry *entry, const FloeWaiter *waiter)
{
  const Parked parked = { *entry, *waiter };

  g_array_append_val (service->parked, parked);
  floe_store_writer_commit (service->writer);
}

/* A background chunk is in the batch. Who came to wait for it meanwhile waits for the commit. */
static void
end_invisible_job (FloeChunkService *service, const FloeTableEntry *entry)
{
  g_autoptr (GArray) waiters = g_array_new (FALSE, FALSE, sizeof (FloeWaiter));

  g_hash_table_add (service->invisible, g_memdup2 (&entry->digest, sizeof entry->digest));
  floe_scheduler_done (service->scheduler, &entry->digest, FLOE_FETCH_STORED, g_get_monotonic_time (), waiters);
  tell_away (service, NULL);
  for (guint i = 0; i < waiters->len; i++)
    park (service, entry, &g_array_index (waiters, FloeWaiter, i));
}

static void
on_stored (const FloeTableEntry *entry, FloeFetchClass fetch_class, FloeFetchOutcome outcome, const char *problem, gpointer data)
{
  FloeChunkService *service = data;

  if (outcome == FLOE_FETCH_STORED || outcome == FLOE_FETCH_NO_SPACE)
    tell_full (service, outcome == FLOE_FETCH_NO_SPACE, problem);
  else
    tell_about (service, &entry->digest, "chunk not stored", problem);
  if (outcome == FLOE_FETCH_STORED && fetch_class == FLOE_FETCH_BACKGROUND) {
    end_invisible_job (service, entry);
  } else {
    if (outcome != FLOE_FETCH_STORED)
      floe_catalogue_put_ended (service->catalogue, &entry->digest, FALSE);
    end_job (service, &entry->digest, outcome, problem);
  }
  pump (service);
}

/* WAITER wants ENTRY, which is not in the store as it should be. */
static void
fetch_for (FloeChunkService *service, const FloeTableEntry *entry, const FloeWaiter *waiter)
{
  floe_catalogue_mark (service->catalogue, &entry->digest, FALSE);
  if (floe_scheduler_is_full (service->scheduler, g_get_monotonic_time ())) {
    floe_chunk_listener_reply (service->listener, waiter, FLOE_CHUNK_NOT_NOW);
    return;
  }
  floe_catalogue_missed (service->catalogue, &entry->digest);
  floe_scheduler_need (service->scheduler, entry, waiter);
  floe_fetcher_promote (service->fetcher, &entry->digest);
}

/* A chunk that was there is not: somebody empties the store behind our back, and more than this one may be gone. */
static void
rescan (FloeChunkService *service)
{
  gint64 now = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;

  if (service->last_rescan != 0 && now - service->last_rescan < RESCAN_PAUSE)
    return;
  service->last_rescan = now;
  floe_warning ("chunks are missing from the store that were there: looking again what it has");
  if (!floe_catalogue_rescan (service->catalogue, service->store, &error))
    floe_log (G_LOG_LEVEL_WARNING, "the chunk store cannot be read", "REASON", error->message, NULL);
}

static void
look_for (FloeChunkService *service, const FloeTableEntry *entry, const FloeWaiter *waiter)
{
  if (g_hash_table_contains (service->invisible, &entry->digest)) {
    park (service, entry, waiter);
  } else if (floe_store_has (service->store, entry)) {
    floe_store_writer_check (service->writer, entry, waiter);
  } else {
    if (floe_catalogue_has (service->catalogue, &entry->digest))
      rescan (service);
    fetch_for (service, entry, waiter);
  }
}

static void
on_committed (const FloeDigest *digests, size_t count, gboolean full, const char *problem, gpointer data)
{
  FloeChunkService *service = data;
  g_autoptr (GArray) parked = g_steal_pointer (&service->parked);

  service->parked = g_array_new (FALSE, FALSE, sizeof (Parked));
  for (size_t i = 0; i < count; i++) {
    g_hash_table_remove (service->invisible, &digests[i]);
    floe_catalogue_put_ended (service->catalogue, &digests[i], problem == NULL);
  }
  if (full)
    tell_full (service, TRUE, problem);
  else if (problem != NULL && count > 0)
    tell_about (service, &digests[0], "chunks not stored for good", problem);
  if (problem != NULL)
    floe_catalogue_rewind (service->catalogue);
  for (guint i = 0; i < parked->len; i++)
    look_for (service, &g_array_index (parked, Parked, i).entry, &g_array_index (parked, Parked, i).waiter);
  pump (service);
}

static void
on_checked (const FloeTableEntry *entry, const FloeWaiter *waiter, gboolean good, gboolean altered, gpointer data)
{
  FloeChunkService *service = data;

  if (good) {
    floe_catalogue_mark (service->catalogue, &entry->digest, TRUE);
    floe_chunk_listener_reply (service->listener, waiter, FLOE_CHUNK_HERE);
    return;
  }
  if (altered)
    tell_about (service, &entry->digest, "chunk in the store was altered: fetching it again", "its digest is not the one signed");
  fetch_for (service, entry, waiter);
  pump (service);
}

/* -- Scrubbing ------------------------------------------------------------------------------------------------------ */

static void
scrub_next (FloeChunkService *service)
{
  g_autoptr (GArray) entries = NULL;

  if (service->scrub.at < service->scrub.entries->len) {
    floe_store_writer_scrub (service->writer, &g_array_index (service->scrub.entries, FloeTableEntry, service->scrub.at++));
    return;
  }
  entries = g_steal_pointer (&service->scrub.entries);
  if (service->scrub.bad > 0)
    floe_catalogue_rewind (service->catalogue);
  service->scrub.done (service->scrub.bad, service->scrub.data);
  pump (service);
}

static void
on_scrubbed (const FloeTableEntry *entry, const char *problem, gpointer data)
{
  FloeChunkService *service = data;

  if (problem != NULL) {
    service->scrub.bad++;
    tell_about (service, &entry->digest, "chunk in the store is not as it should be: fetching it again", problem);
    floe_catalogue_mark (service->catalogue, &entry->digest, FALSE);
  }
  scrub_next (service);
}

void
floe_chunk_service_scrub (FloeChunkService *service, GArray *entries, FloeChunkScrubbed done, gpointer data)
{
  g_return_if_fail (service->scrub.entries == NULL);
  service->scrub.entries = entries;
  service->scrub.at = service->scrub.bad = 0;
  service->scrub.done = done;
  service->scrub.data = data;
  scrub_next (service);
}

/* -- The socket ----------------------------------------------------------------------------------------------------- */

static gboolean
on_accepts (uid_t uid, gpointer data)
{
  FloeChunkService *service = data;

  return floe_agent_config_is_plugin (service->config, uid);
}

static void
on_need (const FloeWaiter *waiter, const FloeDigest *digest, gpointer data)
{
  FloeChunkService *service = data;
  FloeTableEntry entry;

  service->last_need = g_get_monotonic_time ();
  if (floe_catalogue_find (service->catalogue, digest, &entry)) {
    look_for (service, &entry, waiter);
    pump (service);
    return;
  }
  floe_chunk_listener_reply (service->listener, waiter, service->certain ? FLOE_CHUNK_UNKNOWN : FLOE_CHUNK_NOT_NOW);
}

static void
on_left (guint64 peer, gpointer data)
{
  FloeChunkService *service = data;

  floe_scheduler_leave (service->scheduler, peer);
}

/* -- Life ----------------------------------------------------------------------------------------------------------- */

static const FloeChunkHandlers chunk_handlers = { on_accepts, on_need, on_left };
static const FloeStoreHandlers store_handlers = { on_stored, on_committed, on_checked, on_scrubbed };

FloeChunkService *
floe_chunk_service_new (const FloeAgentConfig *config, FloeStore *store, int run_dir, const FloeChunkServiceOptions *options,
                        GError **error)
{
  const FloeSchedulerOptions scheduling = {
    .slots = { DEMAND_SLOTS, BOOT_SLOTS, BACKGROUND_SLOTS },
    .pause_min = PAUSE_MIN,
    .pause_max = PAUSE_MAX,
    .full_pause = FULL_PAUSE,
    .background_rate = options->background_rate,
  };
  g_autoptr (FloeChunkService) service = g_new0 (FloeChunkService, 1);

  service->config = config;
  service->store = store;
  service->last_need = g_get_monotonic_time ();
  service->told = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  service->invisible = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  service->parked = g_array_new (FALSE, FALSE, sizeof (Parked));
  service->catalogue = floe_catalogue_new ();
  service->scheduler = floe_scheduler_new (&scheduling, floe_catalogue_next, service->catalogue);
  service->writer = floe_store_writer_new (store, &store_handlers, service);
  service->fetcher = floe_fetcher_new (config->url, config->pin, DEMAND_SLOTS + BOOT_SLOTS + BACKGROUND_SLOTS, on_fetched, service,
                                       error);
  if (service->fetcher == NULL)
    return NULL;
  service->listener = floe_chunk_listener_new (run_dir, "chunks.sock", &chunk_handlers, service, error);
  return service->listener != NULL ? g_steal_pointer (&service) : NULL;
}

void
floe_chunk_service_free (FloeChunkService *service)
{
  if (service == NULL)
    return;
  g_clear_handle_id (&service->wakeup, g_source_remove);
  floe_chunk_listener_free (service->listener);
  floe_fetcher_free (service->fetcher);
  floe_store_writer_free (service->writer);
  floe_scheduler_free (service->scheduler);
  floe_catalogue_free (service->catalogue);
  g_array_unref (service->parked);
  g_clear_pointer (&service->scrub.entries, g_array_unref);
  g_hash_table_unref (service->invisible);
  g_hash_table_unref (service->told);
  g_free (service);
}

void
floe_chunk_service_update (FloeChunkService *service, GPtrArray *images, const char *const *current)
{
  while (images->len > 0)
    floe_catalogue_add (service->catalogue, g_ptr_array_steal_index (images, 0));
  if (current != NULL)
    floe_catalogue_set_current (service->catalogue, current);
  pump (service);
}

void
floe_chunk_service_set_certain (FloeChunkService *service, gboolean certain)
{
  service->certain = certain;
}

FloeCatalogue *
floe_chunk_service_catalogue (FloeChunkService *service)
{
  return service->catalogue;
}

void
floe_chunk_service_allow_background (FloeChunkService *service, gboolean allowed)
{
  floe_scheduler_allow_background (service->scheduler, allowed);
  pump (service);
}

gboolean
floe_chunk_service_is_idle (FloeChunkService *service, guint seconds)
{
  return g_get_monotonic_time () - service->last_need >= (gint64) seconds * G_USEC_PER_SEC;
}

void
floe_chunk_service_tick (FloeChunkService *service)
{
  guint every = g_hash_table_size (service->invisible) > 0 ? COMMIT_SECONDS : COMMIT_BUSY_SECONDS;

  if (floe_catalogue_puts (service->catalogue) == 0)
    return;
  if (++service->ticks % every == 0 || (every == COMMIT_BUSY_SECONDS && floe_chunk_service_is_idle (service, QUIET_SECONDS)))
    floe_store_writer_commit (service->writer);
}
