/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/forge.h"

#include "common/floe-fd.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* trust-kill STATE KILLS SEED: a client refreshes over a repository that publishes a release after each refresh and now and then
 * replaces the timestamp key. It is killed by SIGKILL at a random moment, KILLS times. After each: what it last said it had
 * accepted must still be trusted, an older release must be refused as before, and the repository's present one accepted. */

#define RELEASES 240
#define ROTATE_EVERY 12 /* releases from one new timestamp key to the next */
#define LIFE 8          /* refreshes that a life may last, in the time that one takes on this machine */
#define OFFICE "policy/office.json"

/* The forge's history: everything ever published, and since when; the timestamp of each release. */
typedef struct {
  FloeTrustTransport transport;
  Forge *forge;
  GHashTable *since; /* path → release */
  GBytes *timestamps[RELEASES];
  gint64 roots[RELEASES]; /* root version as of each release */
  int release;            /* what is served */
} History;

typedef struct {
  atomic_int served, accepted; /* releases */
} Shared;

static gboolean
history_fetch (FloeTrustTransport *base, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
               GCancellable *cancellable, GError **error)
{
  History *history = (History *) base;
  GBytes *timestamp = history->timestamps[history->release];

  if (strcmp (path, "metadata/timestamp.json") == 0)
    return sink (g_bytes_get_data (timestamp, NULL), g_bytes_get_size (timestamp), context, error);
  if (GPOINTER_TO_INT (g_hash_table_lookup (history->since, path)) > history->release)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: not published yet", path);
  g_ptr_array_set_size (history->forge->requests, 0);
  return floe_trust_transport_fetch (&history->forge->transport, path, max, sink, context, cancellable, error);
}

static void
history_keep (FloeTrustTransport *base)
{
  (void) base;
}

static void
record (History *history, int release)
{
  GHashTableIter iter;
  gpointer path;

  g_hash_table_iter_init (&iter, history->forge->files);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    if (!g_hash_table_contains (history->since, path))
      g_hash_table_insert (history->since, g_strdup (path), GINT_TO_POINTER (release));
  history->timestamps[release] = g_bytes_ref (g_hash_table_lookup (history->forge->files, "metadata/timestamp.json"));
  history->roots[release] = forge_version (history->forge, "root");
}

static void
history_make (History *history)
{
  history->transport.fetch = history_fetch;
  history->transport.free = history_keep;
  history->forge = forge_new ();
  history->since = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  record (history, 0);
  for (int release = 1; release < RELEASES; release++) {
    if (release % ROTATE_EVERY == 0) {
      forge_rotate (history->forge, "timestamp");
      forge_bump (history->forge, "root");
    }
    forge_release (history->forge, "policy", "targets", NULL);
    record (history, release);
  }
}

/* -- The client that is killed --------------------------------------------------------------------------------------- */

static gboolean
fetch_office (FloeTrust *trust, GError **error)
{
  g_autoptr (FloeVerified) verified = floe_trust_target (trust, OFFICE, 1000, NULL, error);

  return verified != NULL;
}

static gboolean
refresh_at (History *history, int state, int release, GError **error)
{
  g_autoptr (FloeTrust) trust = floe_trust_open (state, &history->transport, error);

  history->release = release;
  return trust != NULL && floe_trust_refresh (trust, FORGE_NOW, NULL, error) && fetch_office (trust, error);
}

static void
run_client (History *history, int state, Shared *shared)
{
  for (int release = atomic_load (&shared->accepted) + 1; release < RELEASES; release++) {
    g_autoptr (GError) error = NULL;

    atomic_store (&shared->served, release);
    if (!refresh_at (history, state, release, &error)) {
      g_printerr ("release %d refused: %s\n", release, error->message);
      _exit (1);
    }
    atomic_store (&shared->accepted, release);
  }
  _exit (0);
}

/* -- What must hold -------------------------------------------------------------------------------------------------- */

static gboolean
complain (const char *what, const Shared *shared, const GError *error)
{
  g_printerr ("LOST: %s (accepted %d, served %d): %s\n", what, shared->accepted, shared->served, error != NULL ? error->message : "");
  return FALSE;
}

/* Between what was accepted and what was served, did a key go away? Then timestamp and snapshot may have gone with it. */
static gboolean
may_be_recovering (const History *history, const Shared *shared)
{
  return history->roots[shared->served] != history->roots[shared->accepted];
}

static gboolean
check_in_force (History *history, int state, const Shared *shared)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeTrust) trust = floe_trust_open (state, &history->transport, &error);
  static const char *const roles[] = { "timestamp", "snapshot", "targets", "policy" };
  gint64 version, expires;

  if (trust == NULL)
    return complain ("the state cannot be opened", shared, error);
  if (!floe_trust_role (trust, "root", &version, &expires) || version < history->roots[shared->accepted])
    return complain ("an older root", shared, NULL);
  if (!floe_trust_resume (trust, &error))
    return may_be_recovering (history, shared) || complain ("nothing is in force", shared, error);
  history->release = shared->served;
  if (!fetch_office (trust, &error))
    return complain ("the policy in force cannot be had", shared, error);
  /* Release N has version N + 1 of all of these. */
  for (size_t i = 0; i < G_N_ELEMENTS (roles); i++) {
    gboolean known = floe_trust_role (trust, roles[i], &version, &expires);

    if (!known && strcmp (roles[i], "timestamp") == 0 && may_be_recovering (history, shared))
      continue;
    if (!known || version < shared->accepted + 1 || version > shared->served + 1)
      return complain (roles[i], shared, NULL);
  }
  return TRUE;
}

static gboolean
check_rollback (History *history, int state, const Shared *shared)
{
  g_autoptr (GError) error = NULL;

  if (shared->accepted < 1 || may_be_recovering (history, shared)
      || history->roots[shared->accepted - 1] != history->roots[shared->accepted])
    return TRUE;
  if (refresh_at (history, state, shared->accepted - 1, &error) || !g_error_matches (error, FLOE_ERROR, FLOE_ERROR_ROLLBACK))
    return complain ("an older release was not refused as older", shared, error);
  return TRUE;
}

static gboolean
check (History *history, int state, Shared *shared)
{
  g_autoptr (GError) error = NULL;

  if (!check_in_force (history, state, shared) || !check_rollback (history, state, shared))
    return FALSE;
  if (!refresh_at (history, state, shared->served, &error))
    return complain ("the present release is refused", shared, error);
  shared->accepted = shared->served;
  return TRUE;
}

/* -- The killer ------------------------------------------------------------------------------------------------------ */

/* One life; TRUE if it ended by the kill. */
static gboolean
live_and_die (History *history, int state, Shared *shared, GRand *rand, gint64 refresh_time)
{
  pid_t child = fork ();
  int status;

  if (child == 0)
    run_client (history, state, shared);
  g_usleep ((gulong) g_rand_double_range (rand, 0, (double) (LIFE * refresh_time)));
  kill (child, SIGKILL);
  if (waitpid (child, &status, 0) != child || (WIFEXITED (status) && WEXITSTATUS (status) != 0))
    exit (1);
  return WIFSIGNALED (status);
}

/* A client with nothing but the first root, and the first release accepted; how long that took, in microseconds. */
static int
start_over (History *history, const char *path, int round, Shared *shared, gint64 *refresh_time)
{
  g_autofree char *dir = g_strdup_printf ("%s/%d", path, round);
  g_autoptr (GError) error = NULL;
  int state = floe_dir_make (dir, 0755, &error);
  gint64 begin = g_get_monotonic_time ();

  if (state < 0 || !floe_trust_init (state, g_hash_table_lookup (history->forge->files, "metadata/1.root.json"), &error)
      || !refresh_at (history, state, 0, &error)) {
    g_printerr ("%s\n", error->message);
    exit (1);
  }
  atomic_store (&shared->served, 0);
  atomic_store (&shared->accepted, 0);
  *refresh_time = g_get_monotonic_time () - begin;
  return state;
}

int
main (int argc, char **argv)
{
  static History history;
  Shared *shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int state = -1, round = 0, kills = 0, lost = 0;
  gint64 refresh_time = 0;
  g_autoptr (GRand) rand = NULL;

  if (argc != 4 || shared == MAP_FAILED)
    return 2;
  rand = g_rand_new_with_seed ((guint32) atoi (argv[3]));
  history_make (&history);
  while (kills < atoi (argv[2])) {
    if (state < 0)
      state = start_over (&history, argv[1], round++, shared, &refresh_time);
    kills += live_and_die (&history, state, shared, rand, refresh_time);
    lost += !check (&history, state, shared);
    if (shared->accepted >= RELEASES - 1 || lost > 0)
      floe_fd_clear (&state);
  }
  g_print ("rounds of %d releases: %d\nfigure: trust_kills = %d\nfigure: trust_state_lost = %d\n", RELEASES, round, kills, lost);
  return lost > 0;
}
