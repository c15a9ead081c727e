/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/plugin/floe-slots.h"

#include "server-sync/image/floe-chunk.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#define CHUNKS 200u
#define SLOTS 32u

static bool
never (void *data)
{
  (void) data;
  return false;
}

static bool
at_once (void *data)
{
  (void) data;
  return true;
}

static int
file_without_name (void)
{
  char name[] = "/tmp/floe-slots-XXXXXX";
  int fd = g_mkstemp_full (name, O_RDWR | O_CLOEXEC, 0600);

  unlink (name);
  return fd;
}

static void
fill (FloeSlots *slots, size_t chunk)
{
  g_autofree uint8_t *bytes = g_malloc (FLOE_CHUNK_SIZE);
  uint32_t slot;

  memset (bytes, (int) chunk, FLOE_CHUNK_SIZE);
  g_assert_cmpint (floe_slots_find (slots, chunk, &slot, never, NULL), ==, FLOE_SLOT_FILL);
  floe_slots_filled (slots, slot, bytes, FLOE_CHUNK_SIZE);
}

static void
expect (FloeSlots *slots, size_t chunk, gboolean there)
{
  uint8_t bytes[64];
  uint32_t slot;

  if (!there) {
    g_assert_cmpint (floe_slots_find (slots, chunk, &slot, never, NULL), ==, FLOE_SLOT_FILL);
    floe_slots_release (slots, slot);
    return;
  }
  g_assert_cmpint (floe_slots_find (slots, chunk, &slot, never, NULL), ==, FLOE_SLOT_READY);
  g_assert_true (floe_slots_read (slots, slot, bytes, sizeof bytes, FLOE_CHUNK_SIZE - sizeof bytes));
  for (size_t i = 0; i < sizeof bytes; i++)
    g_assert_cmpint (bytes[i], ==, (uint8_t) chunk);
  floe_slots_release (slots, slot);
}

static void
test_oldest_goes (gconstpointer in_file)
{
  FloeSlots *slots = floe_slots_new (CHUNKS, 0, in_file != NULL ? file_without_name () : -1);

  for (size_t i = 0; i < SLOTS; i++)
    fill (slots, i);
  expect (slots, 0, TRUE); /* used: now the newest */
  fill (slots, 100);
  expect (slots, 0, TRUE);
  expect (slots, 100, TRUE);
  expect (slots, 1, FALSE);
  floe_slots_free (slots);
}

static void
test_pinned_stays (void)
{
  FloeSlots *slots = floe_slots_new (CHUNKS, 0, -1);
  uint32_t pinned, other[SLOTS];

  fill (slots, 5);
  g_assert_true (floe_slots_peek (slots, 5, &pinned));
  g_assert_false (floe_slots_peek (slots, 6, &other[0]));
  for (uint32_t i = 0; i < SLOTS - 1; i++)
    g_assert_cmpint (floe_slots_find (slots, 10 + i, &other[i], never, NULL), ==, FLOE_SLOT_FILL);
  /* All are in use: one goes without; and who waits for a fill can be stopped. */
  g_assert_cmpint (floe_slots_find (slots, 99, &other[SLOTS - 1], never, NULL), ==, FLOE_SLOT_NONE);
  g_assert_cmpint (floe_slots_find (slots, 10, &other[SLOTS - 1], at_once, NULL), ==, FLOE_SLOT_STOPPED);
  g_assert_false (floe_slots_peek (slots, 10, &other[SLOTS - 1]));
  for (uint32_t i = 0; i < SLOTS - 1; i++)
    floe_slots_release (slots, other[i]);
  floe_slots_release (slots, pinned);
  expect (slots, 5, TRUE);
  expect (slots, 10, FALSE);
  floe_slots_free (slots);
}

typedef struct {
  FloeSlots *slots;
  gint fills; /* atomic */
} Shared;

static gpointer
read_all (gpointer data)
{
  Shared *shared = data;
  g_autofree uint8_t *bytes = g_malloc (FLOE_CHUNK_SIZE);

  for (size_t i = 0; i < 4000; i++) {
    size_t chunk = i * 7 % CHUNKS;
    uint32_t slot;

    switch (floe_slots_find (shared->slots, chunk, &slot, never, NULL)) {
    case FLOE_SLOT_FILL:
      g_atomic_int_inc (&shared->fills);
      memset (bytes, (int) chunk, FLOE_CHUNK_SIZE);
      floe_slots_filled (shared->slots, slot, bytes, FLOE_CHUNK_SIZE);
      break;
    case FLOE_SLOT_READY:
      g_assert_true (floe_slots_read (shared->slots, slot, bytes, 4096, i % 31 * 4096));
      g_assert_cmpint (bytes[0], ==, (uint8_t) chunk);
      g_assert_cmpint (bytes[4095], ==, (uint8_t) chunk);
      floe_slots_release (shared->slots, slot);
      break;
    default:
      g_assert_not_reached ();
    }
  }
  return NULL;
}

/* Slots are reused under many readers, and nobody ever sees another chunk's bytes. */
static void
test_many_threads (gconstpointer in_file)
{
  Shared shared = { .slots = floe_slots_new (CHUNKS, 0, in_file != NULL ? file_without_name () : -1) };
  GThread *threads[8];

  for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("read", read_all, &shared);
  for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (shared.fills, >=, (gint) CHUNKS);
  floe_slots_free (shared.slots);
}

/* A file that takes nothing more costs time, not bytes. */
static void
test_full_disk (void)
{
  FloeSlots *slots = floe_slots_new (CHUNKS, 0, open ("/dev/full", O_RDWR | O_CLOEXEC));

  fill (slots, 1);
  expect (slots, 1, FALSE);
  floe_slots_free (slots);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/slots/oldest-goes/memory", NULL, test_oldest_goes);
  g_test_add_data_func ("/slots/oldest-goes/file", "", test_oldest_goes);
  g_test_add_func ("/slots/pinned-stays", test_pinned_stays);
  g_test_add_data_func ("/slots/many-threads/memory", NULL, test_many_threads);
  g_test_add_data_func ("/slots/many-threads/file", "", test_many_threads);
  g_test_add_func ("/slots/full-disk", test_full_disk);
  return g_test_run ();
}
