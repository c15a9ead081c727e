/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-machine-info.h"

#include <string.h>

static const char *const words[] = { "stopped", "starting", "running", "suspending", "suspended", "resuming", "stopping", "failed" };

static void
test_states (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    g_assert_cmpint (floe_state_parse (words[i]), ==, (int) i + 1);
  g_assert_cmpint (floe_state_parse (NULL), ==, FLOE_STATE_UNKNOWN);
  g_assert_cmpint (floe_state_parse (""), ==, FLOE_STATE_UNKNOWN);
  g_assert_cmpint (floe_state_parse ("Running"), ==, FLOE_STATE_UNKNOWN);
}

/* What is not understood shares nothing. */
static void
test_sharing (void)
{
  g_assert_cmpint (floe_share_parse ("none"), ==, FLOE_SHARE_NONE);
  g_assert_cmpint (floe_share_parse ("to-guest"), ==, FLOE_SHARE_TO_GUEST);
  g_assert_cmpint (floe_share_parse ("from-guest"), ==, FLOE_SHARE_FROM_GUEST);
  g_assert_cmpint (floe_share_parse ("both"), ==, FLOE_SHARE_BOTH);
  g_assert_cmpint (floe_share_parse (NULL), ==, FLOE_SHARE_NONE);
  g_assert_cmpint (floe_share_parse ("to-guest,from-guest"), ==, FLOE_SHARE_NONE);
}

static void
check_percent (guint64 have, guint64 total, int percent)
{
  g_autoptr (FloeMachineInfo) info = floe_machine_info_new ("m");

  info->have_bytes = have;
  info->total_bytes = total;
  g_assert_cmpint (floe_machine_info_percent (info), ==, percent);
  g_assert_cmpint (floe_machine_info_complete (info), ==, percent == 100);
}

/* 100 % and "safe to unplug" only when the last byte is here. */
static void
test_percent (void)
{
  check_percent (0, 0, -1);
  check_percent (5, 0, -1);
  check_percent (0, 1000, 0);
  check_percent (129, 1000, 12);
  check_percent (999, 1000, 99);
  check_percent (G_MAXUINT64 - 1, G_MAXUINT64, 99);
  check_percent (1000, 1000, 100);
  check_percent (1001, 1000, 100);
}

static void
test_sentences (void)
{
  g_autoptr (FloeMachineInfo) info = floe_machine_info_new ("m");
  g_autofree char *unknown = NULL, *partial = NULL, *partial_advice = NULL, *complete = NULL, *complete_advice = NULL;

  info->state = FLOE_STATE_STARTING;
  unknown = floe_machine_info_sentence (info);
  g_assert_cmpstr (unknown, ==, "Starting");
  info->have_bytes = 372000000;
  info->total_bytes = 3100000000;
  partial = floe_machine_info_sentence (info);
  partial_advice = floe_machine_info_advice (info);
  g_assert_cmpstr (partial, ==, "Starting, 12 % of the image is here");
  g_assert_cmpstr (partial_advice, ==, "Stay connected: 372 MB of 3.1 GB so far");
  info->have_bytes = info->total_bytes;
  complete = floe_machine_info_sentence (info);
  complete_advice = floe_machine_info_advice (info);
  g_assert_cmpstr (complete, ==, "Starting, the whole image is here");
  g_assert_cmpstr (complete_advice, ==, "Safe to unplug from the network");
}

static void
test_actions (void)
{
  g_autoptr (FloeMachineInfo) info = floe_machine_info_new ("m");

  for (int state = FLOE_STATE_UNKNOWN; state <= FLOE_STATE_FAILED; state++) {
    FloeAction primary;

    info->state = (FloeState) state;
    primary = floe_machine_info_primary (info);
    /* At most one primary action, and it is among the possible ones. */
    g_assert_cmpint (primary & (primary - 1), ==, 0);
    g_assert_cmpint (primary & ~floe_machine_info_actions (info), ==, 0);
    g_assert_cmpint (floe_machine_info_has_display (info), ==, primary == FLOE_ACTION_OPEN);
    g_assert_true (floe_machine_info_state_word (info)[0] != '\0');
  }
  info->state = FLOE_STATE_UNKNOWN;
  g_assert_cmpint (floe_machine_info_actions (info), ==, 0);
  info->state = FLOE_STATE_FAILED;
  g_assert_cmpint (floe_machine_info_primary (info), ==, FLOE_ACTION_START);
  info->state = FLOE_STATE_SUSPENDED;
  g_assert_cmpint (floe_machine_info_primary (info), ==, FLOE_ACTION_RESUME);
  g_assert_true (floe_action_loses_data (FLOE_ACTION_RESET));
  g_assert_true (floe_action_loses_data (FLOE_ACTION_POWER_OFF));
  g_assert_true (floe_action_loses_data (FLOE_ACTION_SHUT_DOWN));
  g_assert_false (floe_action_loses_data (FLOE_ACTION_SUSPEND));
  g_assert_false (floe_action_loses_data (FLOE_ACTION_OPEN));
}

static int
compare (gconstpointer a, gconstpointer b)
{
  return floe_machine_info_compare (*(const FloeMachineInfo *const *) a, *(const FloeMachineInfo *const *) b);
}

/* However they arrive, rows stand in one order, machines of one title by id. */
static void
test_sorting (void)
{
  static const struct {
    const char *id, *title;
  } machines[] = { { "d", "Internet" }, { "b", "Office" }, { "a", "Office" }, { "c", "Accounts" } };
  static const char *const expected[] = { "c", "d", "a", "b" };

  for (guint rotation = 0; rotation < G_N_ELEMENTS (machines); rotation++) {
    g_autoptr (GPtrArray) array = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_machine_info_free);

    for (guint i = 0; i < G_N_ELEMENTS (machines); i++) {
      FloeMachineInfo *info = floe_machine_info_new (machines[(i + rotation) % 4].id);

      g_free (info->title);
      info->title = g_strdup (machines[(i + rotation) % 4].title);
      g_ptr_array_add (array, info);
    }
    g_ptr_array_sort (array, compare);
    for (guint i = 0; i < array->len; i++)
      g_assert_cmpstr (((FloeMachineInfo *) g_ptr_array_index (array, i))->id, ==, expected[i]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/machine-info/states", test_states);
  g_test_add_func ("/machine-info/sharing", test_sharing);
  g_test_add_func ("/machine-info/percent", test_percent);
  g_test_add_func ("/machine-info/sentences", test_sentences);
  g_test_add_func ("/machine-info/actions", test_actions);
  g_test_add_func ("/machine-info/sorting", test_sorting);
  return g_test_run ();
}
