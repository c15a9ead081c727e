/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-checkin.h"
#include "server-sync/enrol/floe-enrol-proof.h"

#include <string.h>

static FloeCheckin
example (void)
{
  FloeCheckin checkin = { .endpoint = "0123456789abcdef", .sequence = 7, .version = "0.1", .is_appliance = TRUE };

  checkin.appliance = (FloeApplianceReport){ .running = 1, .next = 2, .offered = 2, .failed = { 3 }, .n_failed = 1, .problem = "é" };
  return checkin;
}

static void
test_round (void)
{
  const FloeCheckin checkin = example ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = floe_checkin_write (&checkin, &error);
  FloeCheckin read;

  g_assert_no_error (error);
  g_assert_true (floe_checkin_parse (body, &read, &error));
  g_assert_cmpstr (read.endpoint, ==, checkin.endpoint);
  g_assert_cmpint (read.sequence, ==, 7);
  g_assert_true (read.is_appliance);
  g_assert_cmpint (read.appliance.failed[0], ==, 3);
  g_assert_cmpstr (read.appliance.problem, ==, "é");
  g_assert_cmpint (floe_appliance_report_ready (&read.appliance), ==, 2);
}

static void
test_bad (void)
{
  static const char *const bad[] = {
    "", "{}", "{\"floe\":1}", "{\"floe\":2,\"endpoint\":\"0123456789abcdef\",\"sequence\":1,\"version\":\"1\"}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdeF\",\"sequence\":1,\"version\":\"1\"}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"sequence\":0,\"version\":\"1\"}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"sequence\":1,\"version\":\"a b\"}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"sequence\":1,\"version\":\"1\",\"more\":1}",
    "{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"sequence\":1,\"version\":\"1\",\"appliance\":null}",
    ("{\"floe\":1,\"endpoint\":\"0123456789abcdef\",\"sequence\":1,\"version\":\"1\",\"appliance\":{\"floe-slot\":1,\"running\":1,\"next\":1,"
     "\"offered\":1,\"failed\":[],\"problem\":\"\\u202e\"}}"),
  };

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GBytes) body = g_bytes_new_static (bad[i], strlen (bad[i]));
    g_autoptr (GError) error = NULL;
    FloeCheckin read;

    g_assert_false (floe_checkin_parse (body, &read, &error));
    g_assert_nonnull (error);
  }
}

/* Whatever an error's text has in it, the report can be read. */
static void
test_problem (void)
{
  g_autofree char *many = g_strnfill (2000, 'x');
  g_autofree char *wide = g_strdup_printf ("%.*s€€", FLOE_APPLIANCE_PROBLEM_MAX - 2, many);
  FloeApplianceReport report = { 0 };

  floe_appliance_report_set_problem (&report, many);
  g_assert_cmpuint (strlen (report.problem), ==, FLOE_APPLIANCE_PROBLEM_MAX);
  /* No character is cut in the middle. */
  floe_appliance_report_set_problem (&report, wide);
  g_assert_cmpuint (strlen (report.problem), ==, FLOE_APPLIANCE_PROBLEM_MAX - 2);
  floe_appliance_report_set_problem (&report, "a\nb\x1b[2J\xff");
  g_assert_cmpstr (report.problem, ==, "a?b?[2J\xef\xbf\xbd");
}

static void
test_ready (void)
{
  const struct {
    FloeApplianceReport report;
    gint64 ready;
  } cases[] = {
    { { .running = 5, .next = 6 }, 6 }, { { .running = 5, .next = 5, .offered = 6 }, 0 }, { { .running = 5, .next = 4 }, 4 },
    { { .running = 5, .next = 0 }, 0 }, { { .running = 0, .next = 6 }, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpint (floe_appliance_report_ready (&cases[i].report), ==, cases[i].ready);
}

static void
test_answer (void)
{
  for (int outcome = FLOE_CHECKIN_TAKEN; outcome <= FLOE_CHECKIN_BUSY; outcome++) {
    const FloeCheckinAnswer answer = { (FloeCheckinOutcome) outcome, 9 };
    g_autoptr (GBytes) body = floe_checkin_answer_write (&answer);
    FloeCheckinAnswer read;

    g_assert_true (floe_checkin_answer_parse (body, &read, NULL));
    g_assert_cmpint (read.outcome, ==, outcome);
    g_assert_cmpint (read.sequence, ==, outcome == FLOE_CHECKIN_OLD ? 9 : 0);
  }
}

/* A signature to enrol is none of a check-in, and the other way round; one for another server is none for this. */
static void
test_signature (void)
{
  const uint8_t private_half[FLOE_ENROL_KEY_SIZE] = { 1 };
  const uint8_t public_half[FLOE_ENROL_KEY_SIZE] = { 0xce, 0xcc, 0x15, 0x07, 0xdc, 0x1d, 0xdd, 0x72, 0x95, 0x95, 0x1c, 0x29, 0x08, 0x88, 0xf0, 0x95,
                                                     0xad, 0xb9, 0x04, 0x4d, 0x1b, 0x73, 0xd6, 0x96, 0xe6, 0xdf, 0x06, 0x5d, 0x68, 0x3b, 0xd4, 0xfc };
  const FloeDigest server = { { 2 } }, other = { { 3 } };
  g_autoptr (GBytes) body = g_bytes_new_static ("x", 1);
  g_autofree char *signature = floe_checkin_sign (private_half, &server, body, NULL);
  g_autofree char *enrolment = floe_enrol_sign (private_half, &server, body, NULL);

  g_assert_true (floe_checkin_signature_is (public_half, &server, body, signature));
  g_assert_false (floe_checkin_signature_is (public_half, &other, body, signature));
  g_assert_false (floe_checkin_signature_is (public_half, &server, body, enrolment));
  g_assert_false (floe_enrol_signature_is (public_half, &server, body, signature));
  g_assert_false (floe_checkin_signature_is (public_half, &server, body, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/checkin/round", test_round);
  g_test_add_func ("/checkin/bad", test_bad);
  g_test_add_func ("/checkin/problem", test_problem);
  g_test_add_func ("/checkin/ready", test_ready);
  g_test_add_func ("/checkin/answer", test_answer);
  g_test_add_func ("/checkin/signature", test_signature);
  return g_test_run ();
}
