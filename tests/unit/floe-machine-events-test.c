/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-private.h"

#include "common/floe-fd.h"
#include "common/floe-json.h"

#include <glib/gstdio.h>
#include <string.h>

/* A QEMU that its guest took over reports the same without end: no log line and no signal for each. */

#define TIMES 1000

static guint lines, changes;

static GLogWriterOutput
count_line (GLogLevelFlags level, const GLogField *fields G_GNUC_UNUSED, gsize n_fields G_GNUC_UNUSED,
            gpointer data G_GNUC_UNUSED)
{
  lines += (level & G_LOG_LEVEL_WARNING) != 0;
  return G_LOG_WRITER_HANDLED;
}

static void
changed (FloeMachine *machine G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  changes++;
}

static void
report_on_and_on (FloeMachine *machine, const char *text)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (text, strlen (text));

  for (int i = 0; i < TIMES; i++) {
    g_autoptr (FloeJsonDocument) document = floe_json_parse (bytes, "event", 1024, NULL);

    floe_machine_on_event ("BLOCK_IO_ERROR", floe_json_root (document), machine);
    while (g_main_context_iteration (NULL, FALSE))
      ;
  }
}

static void
test_flood (void)
{
  g_autofree char *path = g_dir_make_tmp ("floe-events-XXXXXX", NULL);
  g_autofree char *command = g_strdup_printf ("rm -rf %s", path);
  floe_autofd dir = floe_dir_open (path, NULL);
  g_autoptr (GHashTable) slots = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  FloeHost host = { .machines_state = dir, .slots = slots };
  g_autoptr (GError) error = NULL;
  FloeMachine *machine = floe_machine_new (&host, "office", 0, changed, NULL, &error);

  g_assert_no_error (error);
  machine->run = floe_run_new (machine);
  report_on_and_on (machine, "{\"nospace\": false}");
  g_assert_cmpuint (lines, ==, 1);
  lines = changes = 0;
  report_on_and_on (machine, "{\"nospace\": true}");
  g_assert_cmpuint (lines, ==, 1);
  g_assert_cmpuint (changes, ==, 1);
  floe_machine_abandon (machine);
  floe_machine_unref (machine);
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  g_log_set_writer_func (count_line, NULL, NULL);
  g_test_add_func ("/machine-events/flood", test_flood);
  return g_test_run ();
}
