/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-announcer.h"

/* The clock is the test's: it begins at some hours of uptime, and nothing waits. */

#define SECOND G_TIME_SPAN_SECOND
#define HOUR G_TIME_SPAN_HOUR
#define BEGIN (5 * HOUR)

static void
expect (FloeAnnouncer *announcer, gint64 now, FloeAnnouncerStep step)
{
  g_assert_cmpint (floe_announcer_step (announcer, TRUE, now), ==, step);
}

/* Scrubs, finds BAD chunks, at NOW. */
static void
scrub (FloeAnnouncer *announcer, guint bad, gint64 now)
{
  expect (announcer, now, FLOE_ANNOUNCER_SCRUB);
  expect (announcer, now, FLOE_ANNOUNCER_WAIT);
  floe_announcer_scrubbed (announcer, bad, now);
}

static void
announced_at (FloeAnnouncer *announcer, gint64 version, gint64 now)
{
  floe_announcer_changed (announcer, version);
  scrub (announcer, 0, now);
  expect (announcer, now, FLOE_ANNOUNCER_ANNOUNCE);
}

static void
test_nothing (void)
{
  FloeAnnouncer announcer = { 0 };

  expect (&announcer, BEGIN, FLOE_ANNOUNCER_WAIT);
  floe_announcer_changed (&announcer, 2);
  g_assert_cmpint (floe_announcer_step (&announcer, FALSE, BEGIN), ==, FLOE_ANNOUNCER_WAIT);
}

static void
test_clean (void)
{
  FloeAnnouncer announcer = { 0 };

  announced_at (&announcer, 2, BEGIN);
  expect (&announcer, BEGIN, FLOE_ANNOUNCER_WAIT);
  expect (&announcer, BEGIN + HOUR - 1, FLOE_ANNOUNCER_WAIT);
}

/* Never before a scrub that found nothing, and the scrubs grow rare. */
static void
test_altered (void)
{
  FloeAnnouncer announcer = { 0 };
  gint64 now = BEGIN, pause = 10 * SECOND;

  floe_announcer_changed (&announcer, 2);
  for (guint i = 0; i < 30; i++) {
    scrub (&announcer, 1, now);
    g_assert_cmpint (floe_announcer_step (&announcer, FALSE, now + pause), ==, FLOE_ANNOUNCER_WAIT);
    expect (&announcer, now + pause - 1, FLOE_ANNOUNCER_WAIT);
    now += pause;
    pause = MIN (2 * pause, HOUR);
  }
  scrub (&announcer, 0, now);
  expect (&announcer, now, FLOE_ANNOUNCER_ANNOUNCE);
}

/* A chunk went between the scrub and the announcement. */
static void
test_gone_meanwhile (void)
{
  FloeAnnouncer announcer = { 0 };

  floe_announcer_changed (&announcer, 2);
  scrub (&announcer, 0, BEGIN);
  g_assert_cmpint (floe_announcer_step (&announcer, FALSE, BEGIN), ==, FLOE_ANNOUNCER_WAIT);
  scrub (&announcer, 0, BEGIN);
  expect (&announcer, BEGIN, FLOE_ANNOUNCER_ANNOUNCE);
}

/* A scrub of something else says nothing of what is offered now. */
static void
test_changed_meanwhile (void)
{
  FloeAnnouncer announcer = { 0 };

  floe_announcer_changed (&announcer, 2);
  expect (&announcer, BEGIN, FLOE_ANNOUNCER_SCRUB);
  floe_announcer_changed (&announcer, 3);
  expect (&announcer, BEGIN, FLOE_ANNOUNCER_WAIT);
  floe_announcer_scrubbed (&announcer, 0, BEGIN);
  scrub (&announcer, 0, BEGIN);
  expect (&announcer, BEGIN, FLOE_ANNOUNCER_ANNOUNCE);
  g_assert_cmpint (announcer.version, ==, 3);
}

static void
test_again (void)
{
  FloeAnnouncer announcer = { 0 };
  gint64 now = BEGIN, pause = HOUR;

  announced_at (&announcer, 2, now);
  for (guint i = 0; i < 10; i++) {
    expect (&announcer, now + pause - 1, FLOE_ANNOUNCER_WAIT);
    now += pause;
    pause = MIN (2 * pause, 24 * HOUR);
    scrub (&announcer, 0, now);
    expect (&announcer, now, FLOE_ANNOUNCER_ANNOUNCE);
  }
  /* Another version is announced at once. */
  announced_at (&announcer, 3, now);
  expect (&announcer, now + HOUR - 1, FLOE_ANNOUNCER_WAIT);
}

static void
test_taken (void)
{
  FloeAnnouncer announcer = { 0 };

  announced_at (&announcer, 2, BEGIN);
  expect (&announcer, BEGIN + HOUR, FLOE_ANNOUNCER_SCRUB);
  floe_announcer_taken (&announcer);
  expect (&announcer, BEGIN + 1000 * HOUR, FLOE_ANNOUNCER_WAIT);
  announced_at (&announcer, 3, BEGIN + 1000 * HOUR);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/announcer/nothing", test_nothing);
  g_test_add_func ("/announcer/clean", test_clean);
  g_test_add_func ("/announcer/altered", test_altered);
  g_test_add_func ("/announcer/gone-meanwhile", test_gone_meanwhile);
  g_test_add_func ("/announcer/changed-meanwhile", test_changed_meanwhile);
  g_test_add_func ("/announcer/again", test_again);
  g_test_add_func ("/announcer/taken", test_taken);
  return g_test_run ();
}
