/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-idle.h"

/* The clock is the test's: it begins at some hours of uptime, and nothing waits. */

#define SECOND G_TIME_SPAN_SECOND
#define MINUTE (60 * SECOND)
#define BEGIN (5 * 60 * MINUTE)
#define KEY 38
#define OTHER_KEY 50

static const FloeIdleNow ready = { .idle = 30 * MINUTE, .notice = MINUTE, .ready = TRUE };

static void
check (FloeIdle *idle, const FloeIdleNow *situation, gint64 now, guint seconds, gboolean restart, gint64 wait)
{
  FloeIdleStep step = floe_idle_step (idle, situation, now);

  g_assert_cmpuint (step.seconds, ==, seconds);
  g_assert_cmpint (step.restart, ==, restart);
  g_assert_cmpint (step.wait, ==, wait);
}

static FloeIdle
counting_since (gint64 now)
{
  FloeIdle idle = { .last = now - ready.idle };

  check (&idle, &ready, now, 60, FALSE, SECOND);
  return idle;
}

static void
test_never (void)
{
  FloeIdle idle = { .last = BEGIN };
  FloeIdleNow asks = ready, nothing = ready;

  asks.idle = 0;
  nothing.ready = FALSE;
  check (&idle, &asks, BEGIN + 1000 * MINUTE, 0, FALSE, -1);
  check (&idle, &nothing, BEGIN + 1000 * MINUTE, 0, FALSE, -1);
}

static void
test_restart (void)
{
  FloeIdle idle = { .last = BEGIN };

  check (&idle, &ready, BEGIN, 0, FALSE, 30 * MINUTE);
  check (&idle, &ready, BEGIN + 10 * MINUTE, 0, FALSE, 20 * MINUTE);
  check (&idle, &ready, BEGIN + 30 * MINUTE - 1, 0, FALSE, 1);
  check (&idle, &ready, BEGIN + 30 * MINUTE, 60, FALSE, SECOND);
  check (&idle, &ready, BEGIN + 30 * MINUTE + 1, 60, FALSE, SECOND - 1);
  check (&idle, &ready, BEGIN + 30 * MINUTE + SECOND, 59, FALSE, SECOND);
  check (&idle, &ready, BEGIN + 31 * MINUTE - 1, 1, FALSE, 1);
  check (&idle, &ready, BEGIN + 31 * MINUTE, 0, TRUE, 30 * MINUTE);
}

/* Once in each idle time: also when it came to nothing. */
static void
test_once (void)
{
  FloeIdle idle = counting_since (BEGIN);
  gint64 asked = BEGIN + MINUTE;

  check (&idle, &ready, asked, 0, TRUE, 30 * MINUTE);
  check (&idle, &ready, asked, 0, FALSE, 30 * MINUTE);
  check (&idle, &ready, asked + 30 * MINUTE - 1, 0, FALSE, 1);
  check (&idle, &ready, asked + 30 * MINUTE, 60, FALSE, SECOND);
  check (&idle, &ready, asked + 31 * MINUTE, 0, TRUE, 30 * MINUTE);
}

/* A version that comes when nobody was there for long, a screen that is looked at late: never without the whole countdown. */
static void
test_late (void)
{
  FloeIdle idle = { .last = BEGIN };
  FloeIdleNow nothing = ready;
  gint64 late = BEGIN + 20 * 60 * MINUTE;

  nothing.ready = FALSE;
  check (&idle, &nothing, late, 0, FALSE, -1);
  check (&idle, &ready, late, 60, FALSE, SECOND);
  check (&idle, &ready, late + 500 * SECOND / 1000, 60, FALSE, SECOND / 2);
  check (&idle, &ready, late + MINUTE, 0, TRUE, 30 * MINUTE);
}

static void
test_input (void)
{
  static const FloeIdleInput inputs[] = { FLOE_IDLE_PRESS, FLOE_IDLE_RELEASE, FLOE_IDLE_SCROLL, FLOE_IDLE_MOTION };

  for (guint i = 0; i < G_N_ELEMENTS (inputs); i++) {
    FloeIdle idle = counting_since (BEGIN);
    gint64 put_off = BEGIN + 59 * SECOND;

    floe_idle_input (&idle, inputs[i], KEY, put_off);
    check (&idle, &ready, put_off, 0, FALSE, 30 * MINUTE);
    check (&idle, &ready, put_off + 30 * MINUTE - 1, 0, FALSE, 1);
    check (&idle, &ready, put_off + 30 * MINUTE, 60, FALSE, SECOND);
    check (&idle, &ready, put_off + 31 * MINUTE, 0, TRUE, 30 * MINUTE);
    /* Without a countdown, it is only later. */
    floe_idle_input (&idle, inputs[i], KEY, put_off + 40 * MINUTE);
    check (&idle, &ready, put_off + 70 * MINUTE - 1, 0, FALSE, 1);
  }
}

static void
test_hold (void)
{
  FloeIdle idle = counting_since (BEGIN);
  FloeIdleNow held = ready;

  held.hold = TRUE;
  check (&idle, &held, BEGIN + 50 * SECOND, 0, FALSE, SECOND);
  check (&idle, &held, BEGIN + 90 * MINUTE, 0, FALSE, SECOND);
  check (&idle, &ready, BEGIN + 91 * MINUTE, 60, FALSE, SECOND);
  check (&idle, &held, BEGIN + 92 * MINUTE, 0, FALSE, SECOND);
  check (&idle, &ready, BEGIN + 93 * MINUTE, 60, FALSE, SECOND);
  check (&idle, &ready, BEGIN + 94 * MINUTE, 0, TRUE, 30 * MINUTE);
  check (&idle, &held, BEGIN + 95 * MINUTE, 0, FALSE, 29 * MINUTE);
}

/* Policy and floe-slot's report change while it counts. */
static void
test_changes (void)
{
  FloeIdle idle = counting_since (BEGIN);
  FloeIdleNow other = ready;

  other.ready = FALSE;
  check (&idle, &other, BEGIN + 10 * SECOND, 0, FALSE, -1);
  check (&idle, &ready, BEGIN + 20 * SECOND, 60, FALSE, SECOND);
  other = ready;
  other.idle = 40 * MINUTE;
  check (&idle, &other, BEGIN + 30 * SECOND, 0, FALSE, 10 * MINUTE - 30 * SECOND);
  other.idle = 0;
  check (&idle, &other, BEGIN + 90 * MINUTE, 0, FALSE, -1);
  other.idle = 5 * MINUTE;
  other.notice = 10 * SECOND;
  check (&idle, &other, BEGIN + 90 * MINUTE, 10, FALSE, SECOND);
  check (&idle, &other, BEGIN + 90 * MINUTE + 10 * SECOND, 0, TRUE, 5 * MINUTE);
}

static void
test_swallowed (void)
{
  FloeIdle idle = counting_since (BEGIN);

  g_assert_true (floe_idle_input (&idle, FLOE_IDLE_PRESS, KEY, BEGIN + 1));
  /* Its repeats and its release; what is typed meanwhile goes where it goes. */
  g_assert_true (floe_idle_input (&idle, FLOE_IDLE_PRESS, KEY, BEGIN + 2));
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_PRESS, OTHER_KEY, BEGIN + 3));
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_RELEASE, OTHER_KEY, BEGIN + 4));
  g_assert_true (floe_idle_input (&idle, FLOE_IDLE_MOTION, KEY, BEGIN + 5));
  g_assert_true (floe_idle_input (&idle, FLOE_IDLE_RELEASE, KEY, BEGIN + 6));
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_PRESS, KEY, BEGIN + 7));
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_RELEASE, KEY, BEGIN + 8));
}

static void
test_let_through (void)
{
  FloeIdle idle = counting_since (BEGIN);

  /* A key that something lay on since before: its release belongs to whoever saw it pressed. */
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_RELEASE, KEY, BEGIN + 1));
  idle = counting_since (BEGIN);
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_MOTION, 0, BEGIN + 1));
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_SCROLL, 0, BEGIN + 2));
  idle = counting_since (BEGIN);
  g_assert_true (floe_idle_input (&idle, FLOE_IDLE_SCROLL, 0, BEGIN + 1));
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_SCROLL, 0, BEGIN + 2));
  g_assert_false (floe_idle_input (&idle, FLOE_IDLE_RELEASE, 0, BEGIN + 3));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/console/idle/never", test_never);
  g_test_add_func ("/console/idle/restart", test_restart);
  g_test_add_func ("/console/idle/once", test_once);
  g_test_add_func ("/console/idle/late", test_late);
  g_test_add_func ("/console/idle/input", test_input);
  g_test_add_func ("/console/idle/hold", test_hold);
  g_test_add_func ("/console/idle/changes", test_changes);
  g_test_add_func ("/console/idle/swallowed", test_swallowed);
  g_test_add_func ("/console/idle/let-through", test_let_through);
  return g_test_run ();
}
