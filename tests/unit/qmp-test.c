/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qmp/floe-qmp-commands.h"
#include "hypervisor/qmp/floe-qmp-lines.h"
#include "tests/lib/fake-qmp.h"

#include <string.h>
#include <unistd.h>

#define GREETING ">{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": []}}"
#define HELLO GREETING, "<qmp_capabilities", "={}"

typedef struct {
  FakeQmp *fake;
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
  FloeQmp *qmp;
  gint desktop, ended, released;
} Fixture;

static gpointer
run_loop (gpointer loop)
{
  g_main_loop_run (loop);
  return NULL;
}

static void
on_event (const char *name, FloeJson *data, gpointer context)
{
  Fixture *fixture = context;

  if (name == NULL)
    g_atomic_int_inc (&fixture->ended);
  else if (strcmp (name, "VSERPORT_CHANGE") == 0 && floe_json_bool (floe_json_member (data, "open")))
    g_atomic_int_inc (&fixture->desktop);
}

static void
on_release (gpointer context)
{
  g_atomic_int_inc (&((Fixture *)context)->released);
}

static void
open_fixture (Fixture *fixture, const char *const *script)
{
  int fd;

  *fixture = (Fixture){ 0 };
  fixture->fake = fake_qmp_new (script, &fd);
  fixture->context = g_main_context_new ();
  fixture->loop = g_main_loop_new (fixture->context, FALSE);
  fixture->thread = g_thread_new ("reader", run_loop, fixture->loop);
  fixture->qmp = floe_qmp_new (fd, fixture->context, on_event, fixture, on_release);
}

static void
close_fixture (Fixture *fixture, gboolean played)
{
  floe_qmp_close (fixture->qmp);
  for (int i = 0; i < 5000 && g_atomic_int_get (&fixture->released) == 0; i++)
    g_usleep (1000);
  g_assert_cmpint (fixture->released, ==, 1);
  g_assert_cmpint (fake_qmp_free (fixture->fake), ==, played);
  floe_qmp_unref (fixture->qmp);
  g_main_loop_quit (fixture->loop);
  g_thread_join (fixture->thread);
  g_main_loop_unref (fixture->loop);
  g_main_context_unref (fixture->context);
}

static void
test_commands (void)
{
  static const char *const script[] = { HELLO,
                                        "<\"cont\"",
                                        "={}",
                                        "<query-status",
                                        "={\"status\": \"running\", \"running\": true, \"singlestep\": false}",
                                        "<query-chardev",
                                        "=[{\"label\": \"vdagent\", \"frontend-open\": true, \"filename\": \"spicevmc\"}]",
                                        "<query-migrate",
                                        "={\"status\": \"setup\"}",
                                        "<query-migrate",
                                        "={\"status\": \"completed\", \"ram\": {\"total\": 1}}",
                                        "<getfd",
                                        "fd",
                                        "={}",
                                        "<\"protocol\":\"spice\"",
                                        "!no display\\nhere",
                                        NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *status = NULL;
  FloeQmpMigration migration;
  gboolean open = FALSE;
  Fixture fixture;

  open_fixture (&fixture, script);
  g_assert_true (floe_qmp_handshake (fixture.qmp, 5000, &error));
  g_assert_true (floe_qmp_cont (fixture.qmp, &error));
  status = floe_qmp_query_status (fixture.qmp, &error);
  g_assert_cmpstr (status, ==, "running");
  g_assert_true (floe_qmp_query_port_open (fixture.qmp, "vdagent", &open, &error));
  g_assert_true (open);
  g_assert_true (floe_qmp_query_migrate (fixture.qmp, &migration, &error));
  g_assert_cmpint (migration, ==, FLOE_QMP_MIGRATION_ACTIVE);
  g_assert_true (floe_qmp_query_migrate (fixture.qmp, &migration, &error));
  g_assert_cmpint (migration, ==, FLOE_QMP_MIGRATION_COMPLETED);
  g_assert_true (floe_qmp_getfd (fixture.qmp, "x", STDIN_FILENO, &error));
  g_assert_false (floe_qmp_add_spice_client (fixture.qmp, "x", &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_PEER);
  g_assert_cmpstr (error->message, ==, "add_client: no display here");
  close_fixture (&fixture, TRUE);
}

/* Events between commands and their replies; a late reply of a command given up does not answer the next one. */
static void
test_events_and_deadlines (void)
{
  static const char *const script[]
      = { HELLO,
          "<stop",
          ">{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}",
          ">{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"id\": \"vdagent\", \"open\": true}, \"timestamp\": {}}",
          "={}",
          "<silence",
          "<query-status",
          ">{\"return\": {\"status\": \"late\"}, \"id\": 3}",
          "={\"status\": \"paused\"}",
          NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeQmpMessage) reply = NULL;
  g_autofree char *status = NULL;
  Fixture fixture;

  open_fixture (&fixture, script);
  g_assert_true (floe_qmp_handshake (fixture.qmp, 5000, &error));
  g_assert_true (floe_qmp_stop (fixture.qmp, &error));
  g_assert_cmpint (g_atomic_int_get (&fixture.desktop), ==, 1);
  reply = floe_qmp_execute (fixture.qmp, "silence", NULL, -1, 50, &error);
  g_assert_null (reply);
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_CANCELLED);
  g_clear_error (&error);
  status = floe_qmp_query_status (fixture.qmp, &error);
  g_assert_cmpstr (status, ==, "paused");
  close_fixture (&fixture, TRUE);
}

/* Whatever a peer that is no QMP server says ends the connection; nobody waits for ever, nothing aborts. */
static void
test_hostile (void)
{
  static const char *const lines[] = { ">{\"return\": {}, \"id\": 99}",
                                       ">{\"return\": {}}",
                                       ">nonsense",
                                       ">{}",
                                       ">[]",
                                       ">{\"QMP\": 1, \"return\": {}}",
                                       ">{\"event\": {}}",
                                       ">{\"return\": {}, \"id\": -1}",
                                       ">{\"return\": {}, \"return\": {}, \"id\": 2}",
                                       ">{\"error\": {\"class\": \"x\"}, \"id\": 2}",
                                       ">{\"error\": {\"desc\": \"unknown\"}}",
                                       GREETING,
                                       ".",
                                       NULL };

  for (const char *const *line = lines; *line != NULL; line++) {
    const char *script[] = { HELLO, "<cont", *line, NULL };
    g_autoptr (GError) error = NULL;
    Fixture fixture;

    open_fixture (&fixture, script);
    g_assert_true (floe_qmp_handshake (fixture.qmp, 5000, &error));
    g_assert_false (floe_qmp_cont (fixture.qmp, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_PEER);
    g_assert_false (floe_qmp_is_open (fixture.qmp));
    for (int i = 0; i < 5000 && g_atomic_int_get (&fixture.ended) == 0; i++)
      g_usleep (1000);
    g_assert_cmpint (fixture.ended, ==, 1);
    close_fixture (&fixture, TRUE);
  }
}

static void
test_no_greeting (void)
{
  static const char *const script[] = { NULL };
  g_autoptr (GError) error = NULL;
  Fixture fixture;

  open_fixture (&fixture, script);
  g_assert_false (floe_qmp_handshake (fixture.qmp, 50, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_CANCELLED);
  close_fixture (&fixture, TRUE);
}

static void
test_lines (void)
{
  g_autoptr (FloeQmpLines) lines = floe_qmp_lines_new ();
  g_autofree char *large = g_malloc0 (FLOE_QMP_LINE_MAX + 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) first = NULL, second = NULL;

  g_assert_true (floe_qmp_lines_push (lines, "{\"a\"", 4, &error));
  g_assert_null (floe_qmp_lines_next (lines));
  g_assert_true (floe_qmp_lines_push (lines, ":1}\r\n\r\n\n{}\n{", 12, &error));
  first = floe_qmp_lines_next (lines);
  g_assert_cmpmem (g_bytes_get_data (first, NULL), g_bytes_get_size (first), "{\"a\":1}", 7);
  second = floe_qmp_lines_next (lines);
  g_assert_cmpmem (g_bytes_get_data (second, NULL), g_bytes_get_size (second), "{}", 2);
  g_assert_null (floe_qmp_lines_next (lines));
  g_assert_false (floe_qmp_lines_push (lines, large, FLOE_QMP_LINE_MAX, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/qmp/lines", test_lines);
  g_test_add_func ("/qmp/commands", test_commands);
  g_test_add_func ("/qmp/events-and-deadlines", test_events_and_deadlines);
  g_test_add_func ("/qmp/hostile", test_hostile);
  g_test_add_func ("/qmp/no-greeting", test_no_greeting);
  return g_test_run ();
}
