/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-collector.h"
#include "common/floe-fd.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Which chunks go, and when none may. Four chunks are in the store: image one/1, which is current, has 0; old/1, which hypervisord has a copy of the table of, has 1;
 * kept/1, known and not current, has 2; nobody has 3. */

#define CHUNKS 4
#define SIZE 1000
#define GRACE 10

typedef struct {
  char *path, *images;
  FloeStore *store;
  FloeCatalogue *catalogue;
  FloeCollector *collector;
  FloeTableEntry entries[CHUNKS];
  GString *dropped;
  gboolean may;
} World;

static void
on_dropped (const char *id, gpointer data)
{
  g_string_append_printf (((World *) data)->dropped, "%s ", id);
}

static gboolean
on_may (gpointer data)
{
  return ((World *) data)->may;
}

static const FloeCollectorHandlers handlers = { on_dropped, on_may };

static GBytes *
table_of (World *world, guint chunk)
{
  FloeTableEntry entry = world->entries[chunk];

  return floe_table_build (&entry, 1);
}

static void
add_image (World *world, const char *id, gboolean current, guint chunk)
{
  g_autoptr (GBytes) bytes = table_of (world, chunk);
  g_autoptr (GError) error = NULL;
  FloeTable *table = floe_table_parse (bytes, id, &error);

  g_assert_no_error (error);
  floe_catalogue_add (world->catalogue, floe_catalogue_image_new (id, current, table, NULL, world->store, &error));
  g_assert_no_error (error);
}

static void
write_copy (World *world, const char *name, GBytes *bytes)
{
  g_autofree char *file = g_build_filename (world->images, name, NULL), *directory = g_path_get_dirname (file);

  g_assert_cmpint (g_mkdir_with_parents (directory, 0755), ==, 0);
  g_assert_true (g_file_set_contents (file, g_bytes_get_data (bytes, NULL), (gssize) g_bytes_get_size (bytes), NULL));
}

static void
set_up (World *world, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeChunkCodec) codec = floe_chunk_codec_new ();
  g_autoptr (GBytes) old = NULL;
  floe_autofd dir = -1;

  (void) data;
  world->path = g_dir_make_tmp ("floe-collector-XXXXXX", NULL);
  world->images = g_build_filename (world->path, "images", NULL);
  dir = floe_dir_open (world->path, &error);
  world->store = floe_store_open_writing (dir, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < CHUNKS; i++) {
    uint8_t raw[SIZE];

    for (size_t at = 0; at < sizeof raw; at++)
      raw[at] = (uint8_t) ((at + i) * (at + 7 * i) >> 3);
    g_assert_true (floe_chunk_compress (codec, raw, sizeof raw, 3, &world->entries[i], &error));
    g_assert_true (floe_store_put (world->store, &world->entries[i], floe_chunk_codec_buffer (codec), world->entries[i].compressed_size, FLOE_STORE_FAST, &error));
  }
  world->catalogue = floe_catalogue_new ();
  world->dropped = g_string_new ("");
  world->may = TRUE;
  world->collector = floe_collector_new (world->catalogue, world->store, world->images, GRACE, &handlers, world);
  add_image (world, "one/1", TRUE, 0);
  add_image (world, "kept/1", FALSE, 2);
  old = table_of (world, 1);
  write_copy (world, "old/1.table", old);
}

static void
tear_down (World *world, gconstpointer data)
{
  g_autofree char *command = g_strdup_printf ("rm -rf '%s'", world->path);

  (void) data;
  floe_collector_free (world->collector);
  floe_catalogue_free (world->catalogue);
  floe_store_free (world->store);
  g_string_free (world->dropped, TRUE);
  g_assert_cmpint (system (command), ==, 0);
  g_free (world->images);
  g_free (world->path);
}

static gboolean
take (World *world, const char *first, const char *second, gint64 now)
{
  const char *ids[] = { first, second, NULL };

  floe_collector_take_in_use (world->collector, ids, now);
  return floe_collector_knows (world->collector);
}

/* Which chunks the store has, as "0123". */
static char *
stored (World *world)
{
  GString *text = g_string_new ("");

  for (guint i = 0; i < CHUNKS; i++)
    if (floe_store_has (world->store, &world->entries[i]))
      g_string_append_printf (text, "%u", i);
  return g_string_free (text, FALSE);
}

static gboolean
on_end (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* As long as a pass that is under way would have begun to remove something. */
static void
let_run (void)
{
  gboolean end = FALSE;

  g_timeout_add (400, on_end, &end);
  while (!end)
    g_main_context_iteration (NULL, TRUE);
}

static void
wait_stored (World *world, const char *wanted)
{
  for (;;) {
    g_autofree char *now = stored (world);

    if (strcmp (now, wanted) == 0)
      return;
    g_main_context_iteration (NULL, TRUE);
  }
}

static void
expect_stored (World *world, const char *wanted)
{
  g_autofree char *now = NULL;

  let_run ();
  now = stored (world);
  g_assert_cmpstr (now, ==, wanted);
}

static void
test_collects (World *world, gconstpointer data)
{
  (void) data;
  /* Nobody has said what machines need. */
  expect_stored (world, "0123");
  g_assert_true (take (world, "old/1", NULL, 100));
  wait_stored (world, "012");
  g_assert_true (take (world, "old/1", NULL, 100 + GRACE));
  g_assert_cmpstr (world->dropped->str, ==, "kept/1 ");
  wait_stored (world, "01");
  /* The machine has gone. */
  g_assert_true (take (world, NULL, NULL, 200));
  expect_stored (world, "01");
  g_assert_true (take (world, NULL, NULL, 200 + GRACE));
  wait_stored (world, "0");
  expect_stored (world, "0");
}

static void
test_may_not (World *world, gconstpointer data)
{
  (void) data;
  world->may = FALSE;
  g_assert_true (take (world, "old/1", NULL, 100));
  g_assert_true (take (world, "old/1", NULL, 200));
  expect_stored (world, "0123");
  g_assert_cmpstr (world->dropped->str, ==, "");
  /* Nor in the middle of a pass. */
  world->may = TRUE;
  g_assert_true (take (world, "old/1", NULL, 300));
  world->may = FALSE;
  expect_stored (world, "0123");
  world->may = TRUE;
  wait_stored (world, "012");
}

/* A hypervisord that has come and said nothing yet may need anything, and so may one that can no longer tell: also in the middle of a pass. */
static void
test_hold (World *world, gconstpointer data)
{
  (void) data;
  g_assert_true (take (world, "old/1", NULL, 100));
  floe_collector_take_in_use (world->collector, NULL, 100);
  expect_stored (world, "0123");
  g_assert_true (take (world, "old/1", "kept/1", 100));
  wait_stored (world, "012");
}

/* What a machine needs is not known: nothing goes, whatever else could. */
static void
test_unknown (World *world, gconstpointer data)
{
  static const char *const bad[] = { "old/2", "absent/1", "old", "old/1/2", "../old/1", "old/../1", "", "/", "old/", "linked/1", "garbage/1" };
  g_autofree char *link = g_build_filename (world->images, "linked", NULL), *directory = g_build_filename (world->images, "old", NULL);
  g_autoptr (GBytes) garbage = g_bytes_new_static ("FLOETBL1 and more", 17);

  (void) data;
  write_copy (world, "garbage/1.table", garbage);
  g_assert_cmpint (symlink (directory, link), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    gboolean known = take (world, "kept/1", bad[i], 100 + (gint64) i * GRACE);

    /* The directory is hypervisord's own: a link in it is as good as what it leads to. */
    g_assert_true (!known || strcmp (bad[i], "linked/1") == 0);
    if (known)
      floe_collector_take_in_use (world->collector, NULL, 100);
  }
  expect_stored (world, "0123");
}

#define ADD(path, function) g_test_add (path, World, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  ADD ("/collector/collects", test_collects);
  ADD ("/collector/may-not", test_may_not);
  ADD ("/collector/hold", test_hold);
  ADD ("/collector/unknown", test_unknown);
  return g_test_run ();
}
