/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/policy-loader/floe-loader.h"
#include "tests/lib/forge.h"

#include <string.h>

/* A user who stays offline, and an agent in his pay: the spool is offered again, the clock is set back. The lease counts on. */

#define DAY G_GINT64_CONSTANT (86400)

static gint64 wall_now, boot_now;

static gint64
wall (void)
{
  return wall_now;
}

static gint64
boot (void)
{
  return boot_now;
}

typedef struct {
  char *dir, *spool, *root;
  Forge *forge;
  FloeLoader *loader;
} Fixture;

/* Another life of hypervisord, after a boot. */
static void
restart (Fixture *fixture)
{
  const FloeLoaderOptions options = { fixture->dir, fixture->root, "office", wall, boot };
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&fixture->loader, floe_loader_free);
  boot_now = 10;
  fixture->loader = floe_loader_new (&options, &error);
  g_assert_no_error (error);
}

static gint64
refresh (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeInForce) in_force = NULL;

  forge_write (fixture->forge, fixture->spool);
  in_force = floe_loader_refresh (fixture->loader, &error);
  g_assert_no_error (error);
  return in_force->refreshed;
}

static void
set_up (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *policy = NULL;

  g_assert_true (g_file_get_contents (FLOE_SOURCE_DIR "/docs/examples/office.json", &policy, NULL, NULL));
  fixture->dir = g_dir_make_tmp ("floe-loader-XXXXXX", NULL);
  fixture->spool = g_build_filename (fixture->dir, "spool", NULL);
  fixture->root = g_build_filename (fixture->spool, "metadata", "1.root.json", NULL);
  fixture->forge = forge_new ();
  forge_add_target (fixture->forge, "policy", "policy/office.json", policy);
  forge_release (fixture->forge, "policy", NULL);
  forge_write (fixture->forge, fixture->spool);
  wall_now = FORGE_NOW;
  restart (fixture);
}

static void
tear_down (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *command = g_strdup_printf ("rm -rf %s", fixture->dir);

  floe_loader_free (fixture->loader);
  forge_free (fixture->forge);
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  g_free (fixture->root);
  g_free (fixture->spool);
  g_free (fixture->dir);
}

/* The same spool at each boot, and at each word of the agent's, is no contact; a timestamp that was made since is. */
static void
test_replay (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (refresh (fixture), ==, FORGE_NOW);
  for (int day = 1; day <= 40; day++) {
    wall_now = FORGE_NOW + day * DAY;
    g_assert_cmpint (refresh (fixture), ==, FORGE_NOW);
    restart (fixture);
    g_assert_cmpint (refresh (fixture), ==, FORGE_NOW);
  }
  forge_bump (fixture->forge, "timestamp");
  g_assert_cmpint (refresh (fixture), ==, wall_now);
  restart (fixture);
  g_assert_cmpint (refresh (fixture), ==, wall_now);
}

/* A clock that is set back at each boot: the time that the endpoint runs counts. */
static void
test_clock_back (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (refresh (fixture), ==, FORGE_NOW);
  for (int day = 1; day <= 40; day++) {
    restart (fixture);
    wall_now = FORGE_NOW - 365 * DAY;
    boot_now += DAY;
    g_assert_cmpint (floe_loader_time (fixture->loader), ==, FORGE_NOW + day * DAY);
  }
  /* And set forward again, it is believed. */
  wall_now = FORGE_NOW + 50 * DAY;
  g_assert_cmpint (floe_loader_time (fixture->loader), ==, FORGE_NOW + 50 * DAY);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/loader/replay", Fixture, NULL, set_up, test_replay, tear_down);
  g_test_add ("/loader/clock-back", Fixture, NULL, set_up, test_clock_back, tear_down);
  return g_test_run ();
}
