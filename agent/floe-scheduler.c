/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-scheduler.h"

/* Jobs are few: what is waited for (bounded by the chunk socket's limits), what is under way, and lower-class chunks that failed
 * (bounded here). So they are looked through in the order of their making, and one hash finds them by digest. */

#define MAX_FAILED_BELOW 64
#define MAX_DOUBLINGS 20

typedef struct {
  FloeTableEntry entry;
  FloeFetchClass fetch_class;
  gboolean running;
  guint failures;
  gint64 not_before;
  GArray *waiters; /* of FloeWaiter */
  GList *link;     /* in jobs */
} Job;

struct _FloeScheduler {
  FloeSchedulerOptions options;
  FloeSchedulerSource source;
  gpointer source_data;
  GQueue jobs;         /* of Job, oldest first; owned */
  GHashTable *by_digest;
  guint running[FLOE_FETCH_CLASSES];
  guint failed_below;  /* lower-class jobs that wait for another try */
  gboolean background;
  guint away_failures; /* 0: the server answers */
  gint64 away_until;
  gint64 full_until;
  gint64 background_at; /* the rate allows no background fetch before */
};

static void
job_free (gpointer data)
{
  Job *job = data;

  g_array_unref (job->waiters);
  g_free (job);
}

FloeScheduler *
floe_scheduler_new (const FloeSchedulerOptions *options, FloeSchedulerSource source, gpointer data)
{
  FloeScheduler *scheduler = g_new0 (FloeScheduler, 1);

  scheduler->options = *options;
  scheduler->source = source;
  scheduler->source_data = data;
  g_queue_init (&scheduler->jobs);
  scheduler->by_digest = g_hash_table_new (floe_digest_hash, floe_digest_equal_func);
  scheduler->away_until = scheduler->full_until = scheduler->background_at = G_MININT64;
  return scheduler;
}

void
floe_scheduler_free (FloeScheduler *scheduler)
{
  if (scheduler == NULL)
    return;
  g_hash_table_unref (scheduler->by_digest);
  g_queue_clear_full (&scheduler->jobs, job_free);
  g_free (scheduler);
}

static Job *
job_new (FloeScheduler *scheduler, const FloeTableEntry *entry, FloeFetchClass fetch_class)
{
  Job *job = g_new0 (Job, 1);

  job->entry = *entry;
  job->fetch_class = fetch_class;
  job->not_before = G_MININT64;
  job->waiters = g_array_new (FALSE, FALSE, sizeof (FloeWaiter));
  g_queue_push_tail (&scheduler->jobs, job);
  job->link = scheduler->jobs.tail;
  g_hash_table_insert (scheduler->by_digest, &job->entry.digest, job);
  return job;
}

static gboolean
is_failed_below (const Job *job)
{
  return job->fetch_class != FLOE_FETCH_DEMAND && !job->running;
}

static void
job_remove (FloeScheduler *scheduler, Job *job)
{
  if (is_failed_below (job))
    scheduler->failed_below--;
  g_hash_table_remove (scheduler->by_digest, &job->entry.digest);
  g_queue_delete_link (&scheduler->jobs, job->link);
  job_free (job);
}

void
floe_scheduler_need (FloeScheduler *scheduler, const FloeTableEntry *entry, const FloeWaiter *waiter)
{
  Job *job = g_hash_table_lookup (scheduler->by_digest, &entry->digest);

  if (job == NULL) {
    job = job_new (scheduler, entry, FLOE_FETCH_DEMAND);
  } else if (job->fetch_class != FLOE_FETCH_DEMAND) {
    if (job->running) {
      scheduler->running[job->fetch_class]--;
      scheduler->running[FLOE_FETCH_DEMAND]++;
    } else {
      scheduler->failed_below--;
    }
    job->fetch_class = FLOE_FETCH_DEMAND;
  }
  g_array_append_val (job->waiters, *waiter);
}

void
floe_scheduler_leave (FloeScheduler *scheduler, guint64 peer)
{
  for (GList *link = scheduler->jobs.head, *next; link != NULL; link = next) {
    Job *job = link->data;

    next = link->next;
    for (guint i = job->waiters->len; i > 0; i--)
      if (g_array_index (job->waiters, FloeWaiter, i - 1).peer == peer)
        g_array_remove_index (job->waiters, i - 1);
    if (job->fetch_class == FLOE_FETCH_DEMAND && job->waiters->len == 0 && !job->running)
      job_remove (scheduler, job);
  }
}

void
floe_scheduler_allow_background (FloeScheduler *scheduler, gboolean allowed)
{
  scheduler->background = allowed;
}

/* -- Starting ------------------------------------------------------------------------------------------------------- */

static Job *
find_ready (FloeScheduler *scheduler, FloeFetchClass fetch_class, gint64 now)
{
  for (GList *link = scheduler->jobs.head; link != NULL; link = link->next) {
    Job *job = link->data;

    if (job->fetch_class == fetch_class && !job->running && job->not_before <= now)
      return job;
  }
  return NULL;
}

/* A chunk of a lower class: one that failed and may be tried again, or a new one. */
static Job *
find_below (FloeScheduler *scheduler, FloeFetchClass fetch_class, gint64 now)
{
  Job *job = find_ready (scheduler, fetch_class, now);
  FloeTableEntry entry;

  if (job != NULL) {
    scheduler->failed_below--;
    return job;
  }
  if (scheduler->failed_below >= MAX_FAILED_BELOW)
    return NULL;
  while (scheduler->source (fetch_class, &entry, scheduler->source_data))
    if (!g_hash_table_contains (scheduler->by_digest, &entry.digest))
      return job_new (scheduler, &entry, fetch_class);
  return NULL;
}

static gboolean
background_may_start (FloeScheduler *scheduler, gint64 now)
{
  return scheduler->background && scheduler->background_at <= now &&
         scheduler->running[FLOE_FETCH_DEMAND] + scheduler->running[FLOE_FETCH_BOOT] == 0 &&
         scheduler->running[FLOE_FETCH_BACKGROUND] < scheduler->options.slots[FLOE_FETCH_BACKGROUND];
}

static Job *
choose (FloeScheduler *scheduler, gint64 now)
{
  Job *job = find_ready (scheduler, FLOE_FETCH_DEMAND, now);

  if (job != NULL)
    return scheduler->running[FLOE_FETCH_DEMAND] < scheduler->options.slots[FLOE_FETCH_DEMAND] ? job : NULL;
  if (scheduler->full_until > now)
    return NULL;
  if (scheduler->running[FLOE_FETCH_BOOT] < scheduler->options.slots[FLOE_FETCH_BOOT])
    job = find_below (scheduler, FLOE_FETCH_BOOT, now);
  if (job == NULL && background_may_start (scheduler, now))
    job = find_below (scheduler, FLOE_FETCH_BACKGROUND, now);
  return job;
}

/* While the server is away: one fetch at a time, and not before the pause has passed. */
static gboolean
may_start (FloeScheduler *scheduler, gint64 now)
{
  return scheduler->away_failures == 0 || (scheduler->away_until <= now && floe_scheduler_running (scheduler) == 0);
}

gboolean
floe_scheduler_next (FloeScheduler *scheduler, gint64 now, FloeTableEntry *entry, FloeFetchClass *fetch_class)
{
  Job *job = may_start (scheduler, now) ? choose (scheduler, now) : NULL;

  if (job == NULL)
    return FALSE;
  job->running = TRUE;
  scheduler->running[job->fetch_class]++;
  if (job->fetch_class == FLOE_FETCH_BACKGROUND && scheduler->options.background_rate > 0)
    scheduler->background_at =
        now + (gint64) (job->entry.compressed_size * (guint64) G_USEC_PER_SEC / scheduler->options.background_rate);
  *entry = job->entry;
  *fetch_class = job->fetch_class;
  return TRUE;
}

/* -- Ending --------------------------------------------------------------------------------------------------------- */

static gint64
pause_after (FloeScheduler *scheduler, guint failures)
{
  gint64 pause = scheduler->options.pause_min << MIN (failures - 1, MAX_DOUBLINGS);

  pause = MIN (pause, scheduler->options.pause_max);
  /* A fleet that lost its server together must not come back together. */
  return pause + (gint64) (g_random_double () * (double) pause / 4);
}

static void
end_running (FloeScheduler *scheduler, Job *job)
{
  job->running = FALSE;
  scheduler->running[job->fetch_class]--;
  if (job->fetch_class != FLOE_FETCH_DEMAND)
    scheduler->failed_below++;
}

static void
take_waiters (Job *job, GArray *waiters)
{
  g_array_append_vals (waiters, job->waiters->data, job->waiters->len);
  g_array_set_size (job->waiters, 0);
}

void
floe_scheduler_done (FloeScheduler *scheduler, const FloeDigest *digest, FloeFetchOutcome outcome, gint64 now, GArray *waiters)
{
  Job *job = g_hash_table_lookup (scheduler->by_digest, digest);

  g_return_if_fail (job != NULL && job->running);
  end_running (scheduler, job);
  if (outcome == FLOE_FETCH_AWAY) {
    /* Fetches that were under way together fail together: that counts once. */
    if (scheduler->away_until <= now)
      scheduler->away_until = now + pause_after (scheduler, ++scheduler->away_failures);
  } else {
    scheduler->away_failures = 0;
    scheduler->away_until = G_MININT64;
  }
  if (outcome == FLOE_FETCH_BAD)
    job->not_before = now + pause_after (scheduler, ++job->failures);
  if (outcome == FLOE_FETCH_NO_SPACE)
    scheduler->full_until = job->not_before = now + scheduler->options.full_pause;
  if (outcome == FLOE_FETCH_STORED)
    scheduler->full_until = G_MININT64;
  if (outcome == FLOE_FETCH_STORED || outcome == FLOE_FETCH_NO_SPACE)
    take_waiters (job, waiters);
  /* What failed of the lower classes stays to be tried again, for its source hands it out only once. */
  if (outcome == FLOE_FETCH_STORED || (job->fetch_class == FLOE_FETCH_DEMAND && job->waiters->len == 0))
    job_remove (scheduler, job);
}

gint64
floe_scheduler_wakeup (FloeScheduler *scheduler, gint64 now)
{
  gint64 at = G_MAXINT64;

  if (scheduler->away_failures > 0)
    return floe_scheduler_running (scheduler) > 0 ? G_MAXINT64 : MAX (scheduler->away_until, now);
  for (GList *link = scheduler->jobs.head; link != NULL; link = link->next) {
    const Job *job = link->data;

    if (!job->running && job->not_before > now)
      at = MIN (at, job->not_before);
  }
  if (scheduler->full_until > now)
    at = MIN (at, scheduler->full_until);
  if (scheduler->background && scheduler->background_at > now)
    at = MIN (at, scheduler->background_at);
  return at;
}

gboolean
floe_scheduler_is_full (FloeScheduler *scheduler, gint64 now)
{
  return scheduler->full_until > now;
}

gboolean
floe_scheduler_is_away (FloeScheduler *scheduler)
{
  return scheduler->away_failures > 0;
}

guint
floe_scheduler_demands (FloeScheduler *scheduler)
{
  guint demands = 0;

  for (GList *link = scheduler->jobs.head; link != NULL; link = link->next)
    demands += ((const Job *) link->data)->fetch_class == FLOE_FETCH_DEMAND;
  return demands;
}

guint
floe_scheduler_running (FloeScheduler *scheduler)
{
  return scheduler->running[FLOE_FETCH_DEMAND] + scheduler->running[FLOE_FETCH_BOOT] + scheduler->running[FLOE_FETCH_BACKGROUND];
}
