/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/trust/floe-trust.h"
#include "tests/lib/forge.h"

#include <stdlib.h>

/* trust-time REPOSITORY STATE ROUNDS TARGET: how long the client takes over the repository that trust-forge wrote: from the first root to all
 * metadata trusted and TARGET verified; the same again with nothing new; TARGET alone. Medians, in milliseconds. */

typedef enum { FIRST, AGAIN, TARGET, N_TIMES } Time;

static int
compare (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return (x > y) - (x < y);
}

static gint64
lap (gint64 *last)
{
  gint64 now = g_get_monotonic_time (), passed = now - *last;

  *last = now;
  return passed;
}

static void
must (gboolean ok, const GError *error)
{
  if (ok)
    return;
  g_printerr ("%s\n", error->message);
  exit (1);
}

/* One round in a fresh state directory. */
static void
measure (const char *repository, const char *state_path, const char *target, gint64 times[N_TIMES])
{
  g_autoptr (FloeTrustTransport) transport = floe_trust_transport_directory (repository);
  g_autofree char *root_path = g_build_filename (repository, "root.json", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) root = floe_file_read (root_path, 1u << 20, &error);
  floe_autofd state = floe_dir_make (state_path, 0755, &error);
  g_autoptr (FloeTrust) trust = NULL;
  g_autoptr (FloeVerified) first = NULL, again = NULL, alone = NULL;
  gint64 last;

  must (root != NULL && state >= 0 && floe_trust_init (state, root, &error), error);
  last = g_get_monotonic_time ();
  trust = floe_trust_open (state, transport, &error);
  must (trust != NULL && floe_trust_refresh (trust, FORGE_NOW, NULL, &error), error);
  first = floe_trust_target (trust, target, 1u << 20, NULL, &error);
  must (first != NULL, error);
  times[FIRST] = lap (&last);
  must (floe_trust_refresh (trust, FORGE_NOW, NULL, &error), error);
  again = floe_trust_target (trust, target, 1u << 20, NULL, &error);
  must (again != NULL, error);
  times[AGAIN] = lap (&last);
  alone = floe_trust_target (trust, target, 1u << 20, NULL, &error);
  must (alone != NULL, error);
  times[TARGET] = lap (&last);
}

int
main (int argc, char **argv)
{
  static const char *const names[N_TIMES] = { "first", "again", "target" };
  int rounds = argc == 5 ? atoi (argv[3]) : 0;
  GArray *times[N_TIMES] = { g_array_new (FALSE, FALSE, sizeof (gint64)), g_array_new (FALSE, FALSE, sizeof (gint64)),
                              g_array_new (FALSE, FALSE, sizeof (gint64)) };

  if (rounds < 1)
    return 2;
  for (int i = 0; i < rounds; i++) {
    g_autofree char *state = g_strdup_printf ("%s/%d", argv[2], i);
    gint64 round[N_TIMES];

    measure (argv[1], state, argv[4], round);
    for (Time time = 0; time < N_TIMES; time++)
      g_array_append_val (times[time], round[time]);
  }
  for (Time time = 0; time < N_TIMES; time++) {
    g_array_sort (times[time], compare);
    g_print ("%s %.2f\n", names[time], (double) g_array_index (times[time], gint64, times[time]->len / 2) / 1000);
    g_array_unref (times[time]);
  }
  return 0;
}
