/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-catalogue.h"
#include "agent/floe-store-writer.h"
#include "common/floe-fd.h"

#include <stdlib.h>
#include <string.h>

/* What counts as had: what is in the store for good, and nothing that a power cut could still take away. */

#define CHUNKS 4
#define SIZE 1000

typedef struct {
  char *path;
  FloeStore *store;
  FloeStoreWriter *writer;
  FloeCatalogue *catalogue;
  FloeTableEntry entries[CHUNKS];
  GBytes *frames[CHUNKS];
  guint stored, committed, lost;
  guint scrubbed, bad;
} World;

static void
on_stored (const FloeTableEntry *entry, FloeFetchClass fetch_class, FloeFetchOutcome outcome, const char *problem, gpointer data)
{
  World *world = data;

  (void) fetch_class;
  (void) problem;
  if (outcome == FLOE_FETCH_STORED)
    world->stored++;
  else
    floe_catalogue_put_ended (world->catalogue, &entry->digest, FALSE);
}

static void
on_committed (const FloeDigest *digests, size_t count, gboolean full, const char *problem, gpointer data)
{
  World *world = data;

  (void) full;
  *(problem == NULL ? &world->committed : &world->lost) += count;
  for (size_t i = 0; i < count; i++)
    floe_catalogue_put_ended (world->catalogue, &digests[i], problem == NULL);
}

static void
on_checked (const FloeTableEntry *entry, const FloeWaiter *waiter, gboolean good, gboolean altered, gpointer data)
{
  (void) entry;
  (void) waiter;
  (void) good;
  (void) altered;
  (void) data;
  g_assert_not_reached ();
}

static void
on_scrubbed (const FloeTableEntry *entry, const char *problem, gpointer data)
{
  World *world = data;

  (void) entry;
  world->scrubbed++;
  world->bad += problem != NULL;
}

static const FloeStoreHandlers handlers = { on_stored, on_committed, on_checked, on_scrubbed };

static FloeCatalogueImage *
new_image (World *world, const char *id)
{
  FloeTableEntry entries[CHUNKS];
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  FloeCatalogueImage *image;
  FloeTable *table;

  memcpy (entries, world->entries, sizeof entries);
  bytes = floe_table_build (entries, CHUNKS);
  table = floe_table_parse (bytes, id, &error);
  g_assert_no_error (error);
  image = floe_catalogue_image_new (id, TRUE, table, NULL, world->store, &error);
  g_assert_no_error (error);
  return image;
}

static void
set_up (World *world, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeChunkCodec) codec = floe_chunk_codec_new ();
  floe_autofd dir = -1;

  (void) data;
  world->path = g_dir_make_tmp ("floe-catalogue-XXXXXX", NULL);
  dir = floe_dir_open (world->path, &error);
  g_assert_no_error (error);
  world->store = floe_store_open_writing (dir, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < CHUNKS; i++) {
    uint8_t raw[SIZE];

    for (size_t at = 0; at < sizeof raw; at++)
      raw[at] = (uint8_t) ((at + i) * (at + 7 * i) >> 3);
    g_assert_true (floe_chunk_compress (codec, raw, sizeof raw, 3, &world->entries[i], &error));
    world->frames[i] = g_bytes_new (floe_chunk_codec_buffer (codec), world->entries[i].compressed_size);
  }
  world->catalogue = floe_catalogue_new ();
  world->writer = floe_store_writer_new (world->store, &handlers, world);
  floe_catalogue_add (world->catalogue, new_image (world, "one/1"));
}

static void
tear_down (World *world, gconstpointer data)
{
  g_autofree char *command = g_strdup_printf ("rm -rf '%s'", world->path);

  (void) data;
  floe_store_writer_free (world->writer);
  floe_catalogue_free (world->catalogue);
  floe_store_free (world->store);
  for (guint i = 0; i < CHUNKS; i++)
    g_bytes_unref (world->frames[i]);
  g_assert_cmpint (system (command), ==, 0);
  g_free (world->path);
}

static void
put (World *world, guint number, FloeFetchClass fetch_class)
{
  guint stored = world->stored;

  floe_catalogue_put_begins (world->catalogue, &world->entries[number].digest);
  floe_store_writer_put (world->writer, &world->entries[number], fetch_class, world->frames[number]);
  while (world->stored == stored)
    g_main_context_iteration (NULL, TRUE);
}

static void
commit (World *world)
{
  guint before = world->committed + world->lost;

  floe_store_writer_commit (world->writer);
  while (world->committed + world->lost == before)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
has (World *world, guint number)
{
  return floe_catalogue_has (world->catalogue, &world->entries[number].digest);
}

static void
add_have (const FloeCatalogueProgress *progress, gpointer data)
{
  *(guint64 *) data += progress->have;
}

static guint64
reported (World *world)
{
  guint64 have = 0;

  floe_catalogue_report (world->catalogue, TRUE, add_have, &have);
  return have;
}

/* A chunk that somebody waited for is visible before it is durable. */
static void
test_demanded (World *world, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  put (world, 0, FLOE_FETCH_DEMAND);
  g_assert_true (floe_store_has (world->store, &world->entries[0]));
  g_assert_false (has (world, 0));
  /* Whoever finds it in the store does not make it durable: a look at it, a new image that has it, a look at the whole store. */
  floe_catalogue_mark (world->catalogue, &world->entries[0].digest, TRUE);
  g_assert_false (has (world, 0));
  floe_catalogue_add (world->catalogue, new_image (world, "two/1"));
  g_assert_true (floe_catalogue_rescan (world->catalogue, world->store, &error));
  g_assert_cmpuint (reported (world), ==, 0);
  commit (world);
  g_assert_true (has (world, 0));
  g_assert_cmpuint (reported (world), ==, 2 * world->entries[0].compressed_size);
  g_assert_cmpuint (floe_catalogue_puts (world->catalogue), ==, 0);
}

static void
test_background (World *world, gconstpointer data)
{
  (void) data;
  put (world, 1, FLOE_FETCH_BACKGROUND);
  g_assert_false (floe_store_has (world->store, &world->entries[1]));
  put (world, 2, FLOE_FETCH_BOOT);
  commit (world);
  g_assert_cmpuint (world->committed, ==, 2);
  g_assert_true (has (world, 1) && has (world, 2));
  g_assert_cmpuint (reported (world), ==, world->entries[1].compressed_size + world->entries[2].compressed_size);
}

/* Put again before the first put was durable: it counts when both are. */
static void
test_twice (World *world, gconstpointer data)
{
  const FloeDigest *digest = &world->entries[3].digest;

  (void) data;
  floe_catalogue_put_begins (world->catalogue, digest);
  floe_catalogue_put_begins (world->catalogue, digest);
  floe_catalogue_put_ended (world->catalogue, digest, TRUE);
  g_assert_false (has (world, 3));
  floe_catalogue_put_ended (world->catalogue, digest, TRUE);
  g_assert_true (has (world, 3));
}

/* What is on its way into the store is not fetched again; what did not arrive there is. */
static void
test_fetched_once (World *world, gconstpointer data)
{
  const FloeDigest *digest = &world->entries[1].digest;
  FloeTableEntry entry;
  guint handed_out = 0;

  (void) data;
  floe_catalogue_put_begins (world->catalogue, digest);
  while (floe_catalogue_next (FLOE_FETCH_BACKGROUND, &entry, world->catalogue)) {
    g_assert_false (floe_digest_equal (&entry.digest, digest));
    handed_out++;
  }
  g_assert_cmpuint (handed_out, ==, CHUNKS - 1);
  floe_catalogue_put_ended (world->catalogue, digest, FALSE);
  g_assert_false (has (world, 1));
  floe_catalogue_rewind (world->catalogue);
  for (handed_out = 0; floe_catalogue_next (FLOE_FETCH_BACKGROUND, &entry, world->catalogue);)
    handed_out++;
  g_assert_cmpuint (handed_out, ==, CHUNKS);
}

static void
note_dropped (const char *id, gpointer data)
{
  g_string_append_printf (data, "%s ", id);
}

static guint
retire (World *world, const char *in_use, gint64 now, GString *dropped)
{
  const char *ids[] = { in_use, NULL };

  return floe_catalogue_retire (world->catalogue, ids, now, 10, note_dropped, dropped);
}

/* An image goes when no channel is at it and no machine on it for long enough, and is another one's equal when it comes back. */
static void
test_retire (World *world, gconstpointer data)
{
  g_autoptr (GString) dropped = g_string_new ("");
  const char *current[] = { "two/1", NULL };
  FloeTableEntry entry;

  (void) data;
  floe_catalogue_add (world->catalogue, new_image (world, "two/1"));
  g_assert_cmpuint (retire (world, NULL, 100, dropped), ==, 0);
  g_assert_cmpuint (retire (world, NULL, 1000, dropped), ==, 0);
  floe_catalogue_set_current (world->catalogue, current);
  g_assert_cmpuint (retire (world, NULL, 1000, dropped), ==, 0);
  g_assert_cmpuint (retire (world, NULL, 1009, dropped), ==, 0);
  /* A machine was begun on it meanwhile: the time starts anew when that has ended. */
  g_assert_cmpuint (retire (world, "one/1", 1010, dropped), ==, 0);
  g_assert_cmpuint (retire (world, NULL, 1011, dropped), ==, 0);
  g_assert_cmpuint (retire (world, NULL, 1020, dropped), ==, 0);
  g_assert_cmpstr (dropped->str, ==, "");
  g_assert_cmpuint (retire (world, NULL, 1021, dropped), ==, 1);
  g_assert_cmpstr (dropped->str, ==, "one/1 ");
  g_assert_false (floe_catalogue_has_image (world->catalogue, "one/1"));
  /* The other one has the same chunks. */
  g_assert_true (floe_catalogue_find (world->catalogue, &world->entries[0].digest, &entry));
  floe_catalogue_set_current (world->catalogue, current + 1);
  g_assert_cmpuint (retire (world, NULL, 2000, dropped), ==, 0);
  g_assert_cmpuint (retire (world, NULL, 2010, dropped), ==, 1);
  g_assert_true (floe_catalogue_is_empty (world->catalogue));
  g_assert_false (floe_catalogue_find (world->catalogue, &world->entries[0].digest, &entry));
}

/* Once and not twice, though it was known before: progress is reported once for each id. */
static void
test_replaced (World *world, gconstpointer data)
{
  (void) data;
  floe_catalogue_add (world->catalogue, new_image (world, "one/1"));
  put (world, 0, FLOE_FETCH_DEMAND);
  commit (world);
  g_assert_cmpuint (reported (world), ==, world->entries[0].compressed_size);
}

static gboolean
is_unaltered (World *world, guint number)
{
  guint bad = world->bad, scrubbed = world->scrubbed;

  floe_store_writer_scrub (world->writer, &world->entries[number]);
  while (world->scrubbed == scrubbed)
    g_main_context_iteration (NULL, TRUE);
  return world->bad == bad;
}

/* Only what is not the chunk goes: by name and size alone it would never be fetched again. */
static void
test_scrub (World *world, gconstpointer data)
{
  char hex[FLOE_DIGEST_HEX_SIZE];
  g_autofree char *path = NULL, *altered = NULL;
  gsize size;

  (void) data;
  put (world, 0, FLOE_FETCH_BACKGROUND);
  put (world, 1, FLOE_FETCH_BACKGROUND);
  commit (world);
  g_assert_true (is_unaltered (world, 0));
  g_assert_true (floe_store_has (world->store, &world->entries[0]));
  altered = g_memdup2 (g_bytes_get_data (world->frames[1], &size), world->entries[1].compressed_size);
  altered[size / 2] ^= 1;
  floe_digest_to_hex (&world->entries[1].digest, hex);
  path = g_strdup_printf ("%s/%.4s/%s.cacnk", world->path, hex, hex);
  g_assert_true (g_file_set_contents (path, altered, (gssize) size, NULL));
  g_assert_true (floe_store_has (world->store, &world->entries[1]));
  g_assert_false (is_unaltered (world, 1));
  g_assert_false (floe_store_has (world->store, &world->entries[1]));
  g_assert_false (is_unaltered (world, 1));
  g_assert_true (is_unaltered (world, 0));
}

/* What of the appliance is taken from the store: each chunk once, and none that the running version has. */
static void
test_appliance_chunks (World *world, gconstpointer data)
{
  static const char *const current[] = { "one/1", ".root/2", ".uki/2", NULL };
  g_autoptr (GArray) none = floe_catalogue_appliance_chunks (world->catalogue);
  g_autoptr (GArray) all = NULL, rest = NULL, old = NULL;
  g_autoptr (GBytes) running = floe_boot_list_build (&world->entries[2].digest, 1);
  g_autoptr (GError) error = NULL;
  FloeBootList *list;

  (void) data;
  g_assert_cmpuint (none->len, ==, 0);
  for (guint i = 1; i < 3; i++) {
    FloeCatalogueImage *piece = new_image (world, current[i]);

    floe_catalogue_image_set_appliance (piece);
    floe_catalogue_add (world->catalogue, piece);
  }
  all = floe_catalogue_appliance_chunks (world->catalogue);
  g_assert_cmpuint (all->len, ==, CHUNKS);
  list = floe_boot_list_parse (running, "running", &error);
  g_assert_no_error (error);
  g_assert_true (floe_catalogue_set_running (world->catalogue, list, world->store, &error));
  rest = floe_catalogue_appliance_chunks (world->catalogue);
  g_assert_cmpuint (rest->len, ==, CHUNKS - 1);
  for (guint i = 0; i < rest->len; i++)
    g_assert_false (floe_digest_equal (&g_array_index (rest, FloeTableEntry, i).digest, &world->entries[2].digest));
  floe_catalogue_set_current (world->catalogue, current + 3);
  old = floe_catalogue_appliance_chunks (world->catalogue);
  g_assert_cmpuint (old->len, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/catalogue/demanded", World, NULL, set_up, test_demanded, tear_down);
  g_test_add ("/catalogue/background", World, NULL, set_up, test_background, tear_down);
  g_test_add ("/catalogue/twice", World, NULL, set_up, test_twice, tear_down);
  g_test_add ("/catalogue/fetched-once", World, NULL, set_up, test_fetched_once, tear_down);
  g_test_add ("/catalogue/retire", World, NULL, set_up, test_retire, tear_down);
  g_test_add ("/catalogue/replaced", World, NULL, set_up, test_replaced, tear_down);
  g_test_add ("/catalogue/scrub", World, NULL, set_up, test_scrub, tear_down);
  g_test_add ("/catalogue/appliance-chunks", World, NULL, set_up, test_appliance_chunks, tear_down);
  return g_test_run ();
}
