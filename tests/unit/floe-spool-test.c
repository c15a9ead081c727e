/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-spool.h"
#include "common/floe-fd.h"
#include "tests/lib/forge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OFFICE "policy/office.json"
#define OFFICE_MAX 1000

/* The agent's spool, and hypervisord beside it, which may read it at any time: here, each time that the agent asks the network for something. */
typedef struct {
  FloeTrustTransport transport; /* the network, watched */
  Forge *forge;
  char *top, *path;             /* all of it; the spool in it */
  int dir, agent, hypervisor; /* the spool; what either trusts */
  gboolean mixed;             /* hypervisord found metadata of which the policy was still to come */
  guint looks, found;
} World;

static gboolean
is_office (FloeTrust *trust, GError **error)
{
  g_autoptr (FloeVerified) verified = floe_trust_target (trust, OFFICE, OFFICE_MAX, NULL, error);

  return verified != NULL;
}

/* Hypervisord's refresh. FALSE: nothing is there, or not all of what the timestamp names. */
static gboolean
look (World *world, gboolean *refreshed)
{
  g_autoptr (FloeTrustTransport) reader = floe_trust_transport_directory (world->path);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeTrust) trust = floe_trust_open (world->hypervisor, reader, &error);

  g_assert_no_error (error);
  *refreshed = floe_trust_refresh (trust, FORGE_NOW, NULL, &error);
  return *refreshed && is_office (trust, &error);
}

static gboolean
world_fetch (FloeTrustTransport *transport, const char *path, guint64 max, FloeTrustSink sink, gpointer context, GCancellable *cancellable,
             GError **error)
{
  World *world = (World *) transport;
  gboolean refreshed, all = look (world, &refreshed);

  world->looks++;
  world->found += all;
  world->mixed |= refreshed && !all;
  return floe_trust_transport_fetch (&world->forge->transport, path, max, sink, context, cancellable, error);
}

static void
world_free (FloeTrustTransport *transport)
{
  (void) transport;
}

static int
make_dir (World *world, const char *name, gboolean trusting)
{
  g_autofree char *root = forge_path (world->forge, "root"), *path = g_build_filename (world->top, name, NULL);
  int dir;

  g_assert_cmpint (g_mkdir_with_parents (path, 0700), ==, 0);
  dir = floe_dir_open (path, NULL);
  g_assert_cmpint (dir, >=, 0);
  if (trusting)
    g_assert_true (floe_trust_init (dir, g_hash_table_lookup (world->forge->files, root), NULL));
  return dir;
}

static void
world_init (World *world)
{
  *world = (World){ .transport = { world_fetch, world_free }, .forge = forge_new (), .top = g_dir_make_tmp ("floe-spool-XXXXXX", NULL) };
  world->path = g_build_filename (world->top, "spool", NULL);
  world->dir = make_dir (world, "spool", FALSE);
  world->agent = make_dir (world, "agent", TRUE);
  world->hypervisor = make_dir (world, "hypervisor", TRUE);
}

static void
world_clear (World *world)
{
  g_autofree char *remove = g_strdup_printf ("rm -r '%s'", world->top);

  g_assert_cmpint (system (remove), ==, 0);
  floe_fd_clear (&world->dir);
  floe_fd_clear (&world->agent);
  floe_fd_clear (&world->hypervisor);
  g_clear_pointer (&world->forge, forge_free);
  g_free (world->path);
  g_free (world->top);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

/* The agent's round over TRANSPORT. */
static gboolean
run_round (World *world, FloeTrustTransport *transport, GError **error)
{
  g_autoptr (FloeTrust) trust = floe_trust_open (world->agent, transport, error);

  return trust != NULL && floe_trust_refresh (trust, FORGE_NOW, NULL, error) && is_office (trust, error);
}

static void
release (World *world, const char *content)
{
  forge_add_target (world->forge, "policy", OFFICE, content);
  forge_release (world->forge, "policy", NULL);
}

/* The attack on the naive form, a tee alone: a look in the middle of a round finds half of it. */
static void
test_naive (void)
{
  g_auto (World) world;
  g_autoptr (FloeTrustTransport) tee = NULL;

  world_init (&world);
  tee = floe_trust_transport_tee (&world.transport, world.dir);
  g_assert_true (run_round (&world, tee, NULL));
  g_assert_true (world.mixed);
}

static void
test_whole (void)
{
  g_auto (World) world;
  gboolean refreshed;

  world_init (&world);
  for (int i = 0; i < 5; i++) {
    g_autofree char *content = g_strdup_printf ("{\"floe\":1,\"group\":\"office\",\"n\":%d}", i);
    g_autoptr (FloeTrustTransport) spool = floe_spool_transport (world.path, world.dir, &world.transport);
    GError *error = NULL;

    if (i > 0)
      release (&world, content);
    world.looks = world.found = 0;
    g_assert_true (run_round (&world, spool, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (world.looks, >=, 4);
    /* Before the first commit nothing, later what the last one wrote. */
    g_assert_cmpuint (world.found, ==, i == 0 ? 0 : world.looks);
    g_assert_false (world.mixed);
    g_assert_true (floe_spool_commit (spool, &error));
    g_assert_true (look (&world, &refreshed));
    /* Nothing new to write. */
    g_assert_cmpint (unlinkat (world.dir, "metadata/timestamp.json", 0), ==, 0);
    g_assert_true (floe_spool_commit (spool, &error));
    g_assert_cmpint (faccessat (world.dir, "metadata/timestamp.json", F_OK, 0), ==, -1);
    g_assert_true (run_round (&world, spool, &error));
    g_assert_true (floe_spool_commit (spool, &error));
  }
}

/* What ends in the middle, or was refused, leaves what was there; the next round brings the rest. */
static void
test_broken_off (void)
{
  g_auto (World) world;
  g_autoptr (FloeTrustTransport) spool = NULL;
  g_autofree char *snapshot = NULL, *before = NULL, *after = NULL, *path = NULL;
  gboolean refreshed;

  world_init (&world);
  path = g_build_filename (world.path, "metadata/timestamp.json", NULL);
  spool = floe_spool_transport (world.path, world.dir, &world.transport);
  g_assert_true (run_round (&world, spool, NULL));
  g_assert_true (floe_spool_commit (spool, NULL));
  g_assert_true (g_file_get_contents (path, &before, NULL, NULL));
  floe_trust_transport_free (spool);
  release (&world, "{\"floe\":1,\"group\":\"office\",\"n\":7}");
  snapshot = forge_path (world.forge, "snapshot");
  world.forge->broken = snapshot;
  spool = floe_spool_transport (world.path, world.dir, &world.transport);
  g_assert_false (run_round (&world, spool, NULL));
  floe_trust_transport_free (spool);
  g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
  g_assert_cmpstr (before, ==, after);
  g_assert_true (look (&world, &refreshed));
  world.forge->broken = NULL;
  spool = floe_spool_transport (world.path, world.dir, &world.transport);
  g_assert_true (run_round (&world, spool, NULL));
  g_assert_false (world.mixed);
  g_assert_true (floe_spool_commit (spool, NULL));
  g_clear_pointer (&after, g_free);
  g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
  g_assert_cmpstr (before, !=, after);
  g_assert_true (look (&world, &refreshed));
}

static void
test_not_writable (void)
{
  g_auto (World) world;
  g_autoptr (FloeTrustTransport) spool = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;

  world_init (&world);
  spool = floe_spool_transport (world.path, world.dir, &world.transport);
  g_assert_true (run_round (&world, spool, NULL));
  /* A directory has the name. */
  path = g_build_filename (world.path, "metadata/timestamp.json/x", NULL);
  g_assert_cmpint (g_mkdir_with_parents (path, 0755), ==, 0);
  g_assert_false (floe_spool_commit (spool, &error));
  g_assert_nonnull (strstr (error->message, "spool metadata/timestamp.json"));
}

/* A round that reads image N: its description, which says little, and its table. */
static void
image_round (World *world, int number, GHashTable **unneeded)
{
  g_autofree char *name = g_strdup_printf ("images/desk/%d.table", number);
  g_autoptr (FloeTrustTransport) spool = floe_spool_transport (world->path, world->dir, &world->transport);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeTrust) trust = floe_trust_open (world->agent, spool, &error);
  g_autoptr (FloeVerified) description = NULL, table = NULL;

  g_assert_true (floe_trust_refresh (trust, FORGE_NOW, NULL, &error));
  description = floe_trust_target (trust, "images/desk/stable.json", 1000, NULL, &error);
  g_assert_no_error (error);
  table = floe_trust_target (trust, name, 1000, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (is_office (trust, &error));
  g_assert_true (floe_spool_commit (spool, &error));
  g_assert_true (floe_spool_prune (spool, unneeded, &error));
  g_assert_no_error (error);
}

static guint
count_files (World *world, const char *pattern)
{
  g_autofree char *command = g_strdup_printf ("find '%s' -name '%s' | wc -l", world->path, pattern), *out = NULL;
  const char *argv[] = { "sh", "-c", command, NULL };

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, NULL, NULL));
  return (guint) atoi (out);
}

/* What two rounds did not ask for goes, if it is large; what is small stays for older metadata, and nothing is followed out of the spool. */
static void
test_prune (void)
{
  g_auto (World) world;
  g_autoptr (GHashTable) unneeded = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *outside = NULL, *link = NULL, *file = NULL;

  world_init (&world);
  for (int i = 1; i <= 3; i++) {
    g_autofree char *name = g_strdup_printf ("images/desk/%d.table", i), *content = g_strdup_printf ("{\"n\":%d}", i);

    forge_add_target (world.forge, "images", "images/desk/stable.json", content);
    forge_add_target (world.forge, "images", name, content);
    forge_release (world.forge, "images", NULL);
    image_round (&world, i, &unneeded);
    /* The one before is not asked for in this round alone. */
    g_assert_cmpuint (count_files (&world, "*.table"), ==, MIN (i, 2));
  }
  outside = g_build_filename (world.top, "outside", NULL);
  link = g_build_filename (world.path, "targets/images/linked", NULL);
  file = g_build_filename (outside, "9.table", NULL);
  g_assert_cmpint (g_mkdir_with_parents (outside, 0755), ==, 0);
  g_assert_true (g_file_set_contents (file, "x", 1, NULL));
  g_assert_cmpint (symlink (outside, link), ==, 0);
  for (int i = 0; i < 3; i++)
    image_round (&world, 3, &unneeded);
  g_assert_cmpuint (count_files (&world, "*.3.table"), ==, 1);
  g_assert_cmpuint (count_files (&world, "*.table"), ==, 1);
  g_assert_cmpuint (count_files (&world, "*.stable.json"), ==, 3);
  g_assert_cmpuint (count_files (&world, "*.office.json"), ==, 1);
  g_assert_true (g_file_test (file, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/spool/naive", test_naive);
  g_test_add_func ("/spool/whole", test_whole);
  g_test_add_func ("/spool/broken-off", test_broken_off);
  g_test_add_func ("/spool/not-writable", test_not_writable);
  g_test_add_func ("/spool/prune", test_prune);
  return g_test_run ();
}
