/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-scheduler.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC

typedef struct {
  guint boot, background; /* chunks still to be handed out; numbered from 1000 and 2000 */
  guint asked;
} Source;

static FloeTableEntry
entry_of (guint number)
{
  FloeTableEntry entry = { .compressed_size = 1000, .raw_size = 2000 };

  memcpy (entry.digest.bytes, &number, sizeof number);
  return entry;
}

static guint
number_of (const FloeTableEntry *entry)
{
  guint number;

  memcpy (&number, entry->digest.bytes, sizeof number);
  return number;
}

static gboolean
next_of_source (FloeFetchClass fetch_class, FloeTableEntry *entry, gpointer data)
{
  Source *source = data;
  guint *left = fetch_class == FLOE_FETCH_BOOT ? &source->boot : &source->background;

  g_assert_cmpint (fetch_class, !=, FLOE_FETCH_DEMAND);
  source->asked++;
  if (*left == 0)
    return FALSE;
  *entry = entry_of ((fetch_class == FLOE_FETCH_BOOT ? 1000 : 2000) + (*left)--);
  return TRUE;
}

static FloeScheduler *
new_scheduler (Source *source)
{
  const FloeSchedulerOptions options = {
    .slots = { 3, 2, 2 }, .pause_min = SECOND, .pause_max = 8 * SECOND, .full_pause = 5 * SECOND,
  };

  return floe_scheduler_new (&options, next_of_source, source);
}

static void
need (FloeScheduler *scheduler, guint number, guint64 peer)
{
  const FloeTableEntry entry = entry_of (number);
  const FloeWaiter waiter = { peer, number };

  floe_scheduler_need (scheduler, &entry, &waiter);
}

/* The number started, 0 for none. */
static guint
next (FloeScheduler *scheduler, gint64 now, FloeFetchClass *fetch_class)
{
  FloeFetchClass ignored;
  FloeTableEntry entry;

  return floe_scheduler_next (scheduler, now, &entry, fetch_class != NULL ? fetch_class : &ignored) ? number_of (&entry) : 0;
}

/* How many waiters are to be answered. */
static guint
done (FloeScheduler *scheduler, guint number, FloeFetchOutcome outcome, gint64 now)
{
  g_autoptr (GArray) waiters = g_array_new (FALSE, FALSE, sizeof (FloeWaiter));
  const FloeTableEntry entry = entry_of (number);

  floe_scheduler_done (scheduler, &entry.digest, outcome, now, waiters);
  return waiters->len;
}

static void
test_priority (void)
{
  Source source = { .boot = 2, .background = 2 };
  g_autoptr (FloeScheduler) scheduler = new_scheduler (&source);
  FloeFetchClass fetch_class;

  floe_scheduler_allow_background (scheduler, TRUE);
  for (guint i = 1; i <= 4; i++)
    need (scheduler, i, 1);
  g_assert_cmpuint (next (scheduler, 0, &fetch_class), ==, 1);
  g_assert_cmpint (fetch_class, ==, FLOE_FETCH_DEMAND);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 2);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 3);
  /* The fourth is ready and has no slot: nothing lower may take the line from it. */
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  g_assert_cmpuint (source.asked, ==, 0);
  g_assert_cmpuint (done (scheduler, 2, FLOE_FETCH_STORED, 0), ==, 1);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 4);
  /* All demands run: the boot list goes along, the background does not. */
  g_assert_cmpuint (next (scheduler, 0, &fetch_class), ==, 1002);
  g_assert_cmpint (fetch_class, ==, FLOE_FETCH_BOOT);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 1001);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  g_assert_cmpuint (source.background, ==, 2);
  done (scheduler, 1, FLOE_FETCH_STORED, 0);
  done (scheduler, 3, FLOE_FETCH_STORED, 0);
  done (scheduler, 4, FLOE_FETCH_STORED, 0);
  done (scheduler, 1001, FLOE_FETCH_STORED, 0);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  done (scheduler, 1002, FLOE_FETCH_STORED, 0);
  g_assert_cmpuint (next (scheduler, 0, &fetch_class), ==, 2002);
  g_assert_cmpint (fetch_class, ==, FLOE_FETCH_BACKGROUND);
  floe_scheduler_allow_background (scheduler, FALSE);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  /* A demand does not wait for the background under way. */
  need (scheduler, 5, 1);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 5);
}

static void
test_single_flight (void)
{
  Source source = { .boot = 1 };
  g_autoptr (FloeScheduler) scheduler = new_scheduler (&source);

  need (scheduler, 7, 1);
  need (scheduler, 7, 2);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 7);
  need (scheduler, 7, 3);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 1001);
  /* Wanted while it is fetched for the boot list: it is a demand from now on, and not fetched twice. */
  need (scheduler, 1001, 1);
  g_assert_cmpuint (floe_scheduler_demands (scheduler), ==, 2);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  g_assert_cmpuint (floe_scheduler_running (scheduler), ==, 2);
  g_assert_cmpuint (done (scheduler, 7, FLOE_FETCH_STORED, 0), ==, 3);
  g_assert_cmpuint (done (scheduler, 1001, FLOE_FETCH_STORED, 0), ==, 1);
  g_assert_cmpuint (floe_scheduler_running (scheduler), ==, 0);
  /* What the source hands out and somebody demanded is passed over. */
  source.boot = 2;
  need (scheduler, 1002, 1);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 1002);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 1001);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
}

static void
test_away (void)
{
  Source source = { .boot = 5 };
  g_autoptr (FloeScheduler) scheduler = new_scheduler (&source);
  gint64 now = 0, pause = 0, last;

  need (scheduler, 1, 1);
  need (scheduler, 2, 1);
  g_assert_cmpuint (next (scheduler, now, NULL), ==, 1);
  g_assert_cmpuint (next (scheduler, now, NULL), ==, 2);
  /* Two that fail together are one failure, and the waiters are told nothing. */
  g_assert_cmpuint (done (scheduler, 1, FLOE_FETCH_AWAY, now), ==, 0);
  g_assert_cmpuint (done (scheduler, 2, FLOE_FETCH_AWAY, now), ==, 0);
  g_assert_true (floe_scheduler_is_away (scheduler));
  for (guint i = 0; i < 8; i++) {
    last = pause;
    g_assert_cmpuint (next (scheduler, now, NULL), ==, 0);
    pause = floe_scheduler_wakeup (scheduler, now) - now;
    g_assert_cmpint (pause, >=, MIN (SECOND << i, 8 * SECOND));
    g_assert_cmpint (pause, <=, 10 * SECOND);
    g_assert_true (i == 0 || i > 3 || pause > last);
    now += pause;
    /* One probe at a time: the first that waits. */
    g_assert_cmpuint (next (scheduler, now, NULL), ==, 1);
    g_assert_cmpuint (next (scheduler, now, NULL), ==, 0);
    g_assert_cmpint (floe_scheduler_wakeup (scheduler, now), ==, G_MAXINT64);
    g_assert_cmpuint (done (scheduler, 1, FLOE_FETCH_AWAY, now), ==, 0);
  }
  now += 10 * SECOND;
  g_assert_cmpuint (next (scheduler, now, NULL), ==, 1);
  g_assert_cmpuint (done (scheduler, 1, FLOE_FETCH_STORED, now), ==, 1);
  g_assert_false (floe_scheduler_is_away (scheduler));
  g_assert_cmpuint (next (scheduler, now, NULL), ==, 2);
  g_assert_cmpuint (next (scheduler, now, NULL), ==, 1005);
  /* What failed of a boot list is tried again, though its source does not hand it out twice. */
  g_assert_cmpuint (done (scheduler, 1005, FLOE_FETCH_AWAY, now), ==, 0);
  g_assert_cmpuint (done (scheduler, 2, FLOE_FETCH_STORED, now), ==, 1);
  g_assert_cmpuint (next (scheduler, now, NULL), ==, 1005);
}

static void
test_bad_chunk (void)
{
  Source source = { 0 };
  g_autoptr (FloeScheduler) scheduler = new_scheduler (&source);
  gint64 at;

  need (scheduler, 1, 1);
  need (scheduler, 2, 1);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 1);
  g_assert_cmpuint (done (scheduler, 1, FLOE_FETCH_BAD, 0), ==, 0);
  g_assert_false (floe_scheduler_is_away (scheduler));
  /* It waits for its own pause and holds nobody up. */
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 2);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  at = floe_scheduler_wakeup (scheduler, 0);
  g_assert_cmpint (at, >=, SECOND);
  g_assert_cmpint (at, <=, 5 * SECOND / 4);
  g_assert_cmpuint (next (scheduler, at - 1, NULL), ==, 0);
  g_assert_cmpuint (next (scheduler, at, NULL), ==, 1);
  done (scheduler, 1, FLOE_FETCH_BAD, at);
  g_assert_cmpint (floe_scheduler_wakeup (scheduler, at) - at, >=, 2 * SECOND);
  /* Asking again does not shorten it. */
  need (scheduler, 1, 2);
  g_assert_cmpuint (next (scheduler, at, NULL), ==, 0);
}

static void
test_full (void)
{
  Source source = { .boot = 1, .background = 1 };
  g_autoptr (FloeScheduler) scheduler = new_scheduler (&source);

  floe_scheduler_allow_background (scheduler, TRUE);
  need (scheduler, 1, 1);
  need (scheduler, 1, 2);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 1);
  g_assert_cmpuint (done (scheduler, 1, FLOE_FETCH_NO_SPACE, 0), ==, 2);
  g_assert_true (floe_scheduler_is_full (scheduler, 0));
  g_assert_cmpuint (floe_scheduler_demands (scheduler), ==, 0);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  g_assert_cmpint (floe_scheduler_wakeup (scheduler, 0), ==, 5 * SECOND);
  g_assert_false (floe_scheduler_is_full (scheduler, 5 * SECOND));
  g_assert_cmpuint (next (scheduler, 5 * SECOND, NULL), ==, 1001);
  g_assert_cmpuint (done (scheduler, 1001, FLOE_FETCH_STORED, 5 * SECOND), ==, 0);
  g_assert_cmpuint (next (scheduler, 5 * SECOND, NULL), ==, 2001);
}

static void
test_leave (void)
{
  Source source = { 0 };
  g_autoptr (FloeScheduler) scheduler = new_scheduler (&source);

  need (scheduler, 1, 1);
  need (scheduler, 2, 1);
  need (scheduler, 2, 2);
  need (scheduler, 3, 1);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 1);
  floe_scheduler_leave (scheduler, 1);
  /* 1 is under way and ends for nobody, 3 is forgotten, 2 is still waited for. */
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 2);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  g_assert_cmpuint (done (scheduler, 1, FLOE_FETCH_AWAY, 0), ==, 0);
  g_assert_cmpuint (done (scheduler, 2, FLOE_FETCH_STORED, 0), ==, 1);
  g_assert_cmpuint (floe_scheduler_demands (scheduler), ==, 0);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
}

static void
test_rate (void)
{
  const FloeSchedulerOptions options = { .slots = { 1, 1, 4 }, .pause_min = SECOND, .pause_max = SECOND, .background_rate = 500 };
  Source source = { .background = 3 };
  g_autoptr (FloeScheduler) scheduler = floe_scheduler_new (&options, next_of_source, &source);

  floe_scheduler_allow_background (scheduler, TRUE);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 2003);
  g_assert_cmpuint (next (scheduler, 0, NULL), ==, 0);
  /* 1,000 bytes at 500 a second. */
  g_assert_cmpint (floe_scheduler_wakeup (scheduler, 0), ==, 2 * SECOND);
  g_assert_cmpuint (next (scheduler, 2 * SECOND - 1, NULL), ==, 0);
  g_assert_cmpuint (next (scheduler, 2 * SECOND, NULL), ==, 2002);
  /* What is waited for knows no rate. */
  need (scheduler, 1, 1);
  g_assert_cmpuint (next (scheduler, 2 * SECOND, NULL), ==, 1);
}

/* Thousands of random events: nothing is lost, nothing runs twice, the slots hold. */
static void
test_random (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  Source source = { .boot = 300, .background = 300 };
  g_autoptr (FloeScheduler) scheduler = new_scheduler (&source);
  g_autoptr (GHashTable) running = g_hash_table_new (NULL, NULL);
  guint waiting = 0, answered = 0;
  gint64 now = 0;

  floe_scheduler_allow_background (scheduler, TRUE);
  for (guint step = 0; step < 20000; step++) {
    FloeFetchClass fetch_class;
    guint number;

    now += g_rand_int_range (rand, 0, (gint) SECOND);
    if (step < 10000 && g_rand_int_range (rand, 0, 3) == 0) {
      need (scheduler, (guint) g_rand_int_range (rand, 1, 1300), 1);
      waiting++;
    }
    while ((number = next (scheduler, now, &fetch_class)) != 0)
      g_assert_true (g_hash_table_add (running, GUINT_TO_POINTER (number)));
    g_assert_cmpuint (g_hash_table_size (running), ==, floe_scheduler_running (scheduler));
    g_assert_cmpuint (floe_scheduler_running (scheduler), <=, 7);
    if (g_hash_table_size (running) > 0) {
      GHashTableIter iterator;
      gpointer key;
      FloeFetchOutcome outcome = step < 10000 ? (FloeFetchOutcome) g_rand_int_range (rand, 0, 3) : FLOE_FETCH_STORED;

      g_hash_table_iter_init (&iterator, running);
      g_assert_true (g_hash_table_iter_next (&iterator, &key, NULL));
      g_hash_table_remove (running, key);
      answered += done (scheduler, GPOINTER_TO_UINT (key), outcome, now);
    }
  }
  g_assert_cmpuint (answered, ==, waiting);
  g_assert_cmpuint (source.boot + source.background, ==, 0);
  g_assert_cmpuint (floe_scheduler_running (scheduler), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scheduler/priority", test_priority);
  g_test_add_func ("/scheduler/single-flight", test_single_flight);
  g_test_add_func ("/scheduler/away", test_away);
  g_test_add_func ("/scheduler/bad-chunk", test_bad_chunk);
  g_test_add_func ("/scheduler/full", test_full);
  g_test_add_func ("/scheduler/leave", test_leave);
  g_test_add_func ("/scheduler/rate", test_rate);
  g_test_add_func ("/scheduler/random", test_random);
  return g_test_run ();
}
