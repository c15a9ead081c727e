/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-event-log.h"
#include "tests/lib/event-log-forge.h"

#include <string.h>

static GBytes *
bytes_of (const EventLogForge *log)
{
  return g_bytes_new (log->bytes->data, log->bytes->len);
}

static void
expect (GBytes *log, FloeError code)
{
  g_autoptr (GError) error = NULL;
  FloeDigest pcr;

  g_assert_false (floe_event_log_pcr7 (log, &pcr, &error));
  g_assert_error (error, FLOE_ERROR, (int) code);
}

static void
expect_pcr (const FloeDigest *pcr, const FloeDigest *wanted)
{
  char hex[FLOE_DIGEST_HEX_SIZE], wanted_hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (pcr, hex);
  floe_digest_to_hex (wanted, wanted_hex);
  g_assert_cmpstr (hex, ==, wanted_hex);
}

static void
test_replays (void)
{
  g_autoptr (GBytes) dbx = g_bytes_new_static ("forbidden", 9);
  g_autoptr (EventLogForge) log = event_log_forge_start (dbx);
  g_autoptr (GBytes) bytes = bytes_of (log);
  g_autoptr (GError) error = NULL;
  FloeDigest pcr;

  g_assert_true (floe_event_log_pcr7 (bytes, &pcr, &error));
  g_assert_no_error (error);
  expect_pcr (&pcr, &log->pcr7);
  g_assert_true (floe_event_log_pcr7_with (bytes, dbx, &pcr, &error));
  expect_pcr (&pcr, &log->pcr7);
}

/* What a replayed log says of another list is what a start with that list writes down. */
static void
test_foretells (void)
{
  static const char *const lists[] = { "", "forbidden", "forbidden and more" };

  for (gsize i = 0; i < G_N_ELEMENTS (lists); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (lists); j++) {
      g_autoptr (GBytes) before = g_bytes_new_static (lists[i], strlen (lists[i])), after = g_bytes_new_static (lists[j], strlen (lists[j]));
      g_autoptr (EventLogForge) log = event_log_forge_start (before), next = event_log_forge_start (after);
      g_autoptr (GBytes) bytes = bytes_of (log);
      FloeDigest pcr;

      g_assert_true (floe_event_log_pcr7_with (bytes, after, &pcr, NULL));
      expect_pcr (&pcr, &next->pcr7);
      g_assert_true (floe_digest_equal (&log->pcr7, &next->pcr7) == (i == j));
    }
}

/* Another variable of that name, another name, another register are not the list; where there are none or two, nothing is foretold. */
static void
test_not_the_list (void)
{
  static const guint8 head[38] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f,
                                   3,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
                                   'd',  0,    'b',  0,    'x',  0 };
  g_autoptr (GBytes) dbx = g_bytes_new_static ("forbidden", 9), one = NULL, two = NULL;
  g_autoptr (EventLogForge) log = event_log_forge_new (FALSE);
  g_autoptr (GError) error = NULL;
  FloeDigest pcr;

  event_log_forge_variable (log, "dbx", FALSE, "x", 1);
  event_log_forge_variable (log, "dbt", TRUE, "x", 1);
  event_log_forge_variable (log, "dbxx", TRUE, "x", 1);
  event_log_forge_add (log, 6, EVENT_LOG_VARIABLE, head, sizeof head);
  event_log_forge_add (log, 7, EVENT_LOG_SEPARATOR, head, sizeof head);
  event_log_forge_add (log, 7, EVENT_LOG_VARIABLE, head, sizeof head - 1);
  one = bytes_of (log);
  g_assert_false (floe_event_log_pcr7_with (one, dbx, &pcr, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  event_log_forge_variable (log, "dbx", TRUE, "", 0);
  event_log_forge_variable (log, "dbx", TRUE, "", 0);
  two = bytes_of (log);
  g_assert_false (floe_event_log_pcr7_with (two, dbx, &pcr, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_assert_true (floe_event_log_pcr7 (two, &pcr, NULL));
  expect_pcr (&pcr, &log->pcr7);
}

/* Cut off anywhere but after an event it is none; after an event it gives another PCR, which the TPM does not have. */
static void
test_cut (void)
{
  g_autoptr (GBytes) dbx = g_bytes_new_static ("forbidden", 9);
  g_autoptr (EventLogForge) log = event_log_forge_start (dbx);
  guint whole = 0;

  for (guint size = 0; size < log->bytes->len; size++) {
    g_autoptr (GBytes) bytes = g_bytes_new (log->bytes->data, size);
    g_autoptr (GError) error = NULL;
    FloeDigest pcr;

    if (floe_event_log_pcr7 (bytes, &pcr, &error))
      whole++;
    else
      g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
  /* After the head and after each event but the last. */
  g_assert_cmpuint (whole, ==, 10);
}

/* Any one bit changed. */
static void
test_flips (void)
{
  g_autoptr (GBytes) dbx = g_bytes_new_static ("forbidden", 9);
  g_autoptr (EventLogForge) log = event_log_forge_start (dbx);

  for (guint at = 0; at < log->bytes->len; at++)
    for (guint bit = 0; bit < 8; bit++) {
      g_autoptr (GBytes) bytes = NULL;
      FloeDigest pcr;

      log->bytes->data[at] ^= (guint8) (1u << bit);
      bytes = bytes_of (log);
      log->bytes->data[at] ^= (guint8) (1u << bit);
      /* What is read with another list is read as it is. */
      g_assert_true (!floe_event_log_pcr7_with (bytes, dbx, &pcr, NULL) || floe_event_log_pcr7 (bytes, &pcr, NULL));
    }
}

static void
test_refused (void)
{
  g_autoptr (EventLogForge) old = event_log_forge_new (TRUE), large = event_log_forge_new (FALSE), many = event_log_forge_new (FALSE);
  g_autoptr (GBytes) without = NULL, huge = NULL, more = NULL;
  g_autofree guint8 *data = g_malloc0 (FLOE_EVENT_LOG_MAX);

  event_log_forge_variable (old, "dbx", TRUE, "", 0);
  without = bytes_of (old);
  expect (without, FLOE_ERROR_UNSUPPORTED);
  event_log_forge_add (large, 7, EVENT_LOG_SEPARATOR, data, FLOE_EVENT_LOG_MAX);
  huge = bytes_of (large);
  expect (huge, FLOE_ERROR_LIMIT);
  /* More algorithms than there is room for; and an event that has more digests than the log has banks. */
  many->bytes->data[8 + 20 + 4 + 24] = 200;
  more = bytes_of (many);
  expect (more, FLOE_ERROR_INVALID);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/event-log/replays", test_replays);
  g_test_add_func ("/event-log/foretells", test_foretells);
  g_test_add_func ("/event-log/not-the-list", test_not_the_list);
  g_test_add_func ("/event-log/cut", test_cut);
  g_test_add_func ("/event-log/flips", test_flips);
  g_test_add_func ("/event-log/refused", test_refused);
  return g_test_run ();
}
