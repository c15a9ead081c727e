/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-store.h"

#include "common/floe-fd.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

typedef struct {
  char *path;
  int dir;
  FloeStore *store;
  FloeChunkCodec *codec;
  uint8_t raw[FLOE_CHUNK_SIZE], frame[FLOE_CHUNK_COMPRESSED_MAX], out[FLOE_CHUNK_SIZE];
  FloeTableEntry entry; /* of raw and frame */
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  f->path = g_dir_make_tmp ("floe-store-XXXXXX", NULL);
  f->dir = open (f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  f->store = floe_store_open_writing (f->dir, &error);
  g_assert_no_error (error);
  f->codec = floe_chunk_codec_new ();
  for (size_t i = 0; i < sizeof f->raw; i++)
    f->raw[i] = (uint8_t) (i * i >> 5);
  g_assert_true (floe_chunk_compress (f->codec, f->raw, sizeof f->raw, 3, &f->entry, &error));
  memcpy (f->frame, floe_chunk_codec_buffer (f->codec), f->entry.compressed_size);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_autofree char *command = g_strdup_printf ("rm -rf '%s'", f->path);

  (void) data;
  floe_store_free (f->store);
  floe_chunk_codec_free (f->codec);
  close (f->dir);
  g_assert_cmpint (system (command), ==, 0);
  g_free (f->path);
}

static char *
path_of (const Fixture *f)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (&f->entry.digest, hex);
  return g_strdup_printf ("%s/%.4s/%s.cacnk", f->path, hex, hex);
}

static void
put (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (floe_store_put (f->store, &f->entry, f->frame, f->entry.compressed_size, FLOE_STORE_DURABLE, &error));
  g_assert_no_error (error);
}

static void
expect_get (Fixture *f, int code)
{
  g_autoptr (GError) error = NULL;
  gboolean got = floe_store_get (f->store, f->codec, &f->entry, f->out, &error);

  if (code < 0) {
    g_assert_no_error (error);
    g_assert_true (got && memcmp (f->raw, f->out, f->entry.raw_size) == 0);
  } else {
    g_assert_false (got);
    g_assert_error (error, FLOE_ERROR, code);
  }
}

static void
test_put_and_get (Fixture *f, gconstpointer data)
{
  g_autofree char *path = path_of (f);
  g_autoptr (GError) error = NULL;
  struct stat st;

  (void) data;
  g_assert_false (floe_store_has (f->store, &f->entry));
  expect_get (f, FLOE_ERROR_NOT_FOUND);
  put (f);
  g_assert_true (floe_store_has (f->store, &f->entry));
  g_assert_true (floe_store_verify (f->store, &f->entry, &error));
  expect_get (f, -1);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0644);
  g_assert_true (floe_store_remove (f->store, &f->entry.digest, &error));
  g_assert_true (floe_store_remove (f->store, &f->entry.digest, &error));
  expect_get (f, FLOE_ERROR_NOT_FOUND);
}

/* Nothing under temporary names is left, whatever happened. */
static void
expect_nothing_waiting (const Fixture *f)
{
  g_autofree char *path = g_build_filename (f->path, ".writing", NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  g_assert_nonnull (dir);
  g_assert_null (g_dir_read_name (dir));
}

static void
test_put_refuses (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL, other = NULL, third = NULL;
  g_autoptr (FloeStore) reading = floe_store_open (f->dir, NULL);

  (void) data;
  f->frame[9] ^= 1;
  g_assert_false (floe_store_put (f->store, &f->entry, f->frame, f->entry.compressed_size, FLOE_STORE_FAST, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
  f->frame[9] ^= 1;
  g_assert_false (floe_store_put (f->store, &f->entry, f->frame, f->entry.compressed_size - 1, FLOE_STORE_FAST, &other));
  g_assert_error (other, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
  g_assert_false (floe_store_put (reading, &f->entry, f->frame, f->entry.compressed_size, FLOE_STORE_FAST, &third));
  g_assert_error (third, FLOE_ERROR, FLOE_ERROR_REFUSED);
  expect_nothing_waiting (f);
  g_assert_false (floe_store_has (f->store, &f->entry));
}

static void
test_one_writer (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *leftover = g_build_filename (f->path, ".writing", "00000000", NULL);

  (void) data;
  g_assert_null (floe_store_open_writing (f->dir, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_BUSY);
  /* A writer that died leaves a file; the next one removes it. */
  g_clear_pointer (&f->store, floe_store_free);
  g_assert_true (g_file_set_contents (leftover, "half", 4, NULL));
  f->store = floe_store_open_writing (f->dir, NULL);
  g_assert_nonnull (f->store);
  expect_nothing_waiting (f);
  put (f);
}

static void
test_altered (Fixture *f, gconstpointer data)
{
  g_autofree char *path = path_of (f);
  g_autofree char *elsewhere = g_build_filename (f->path, "elsewhere", NULL);

  (void) data;
  put (f);
  /* Every byte of it matters. */
  for (uint32_t i = 0; i < f->entry.compressed_size; i += 97) {
    int fd = open (path, O_WRONLY | O_CLOEXEC);
    uint8_t byte = f->frame[i] ^ (uint8_t) (1 << i % 8);

    g_assert_cmpint (pwrite (fd, &byte, 1, i), ==, 1);
    expect_get (f, FLOE_ERROR_UNVERIFIED);
    g_assert_cmpint (pwrite (fd, &f->frame[i], 1, i), ==, 1);
    close (fd);
  }
  expect_get (f, -1);
  g_assert_cmpint (truncate (path, f->entry.compressed_size - 1), ==, 0);
  expect_get (f, FLOE_ERROR_UNVERIFIED);
  g_assert_false (floe_store_has (f->store, &f->entry));
  g_assert_cmpint (truncate (path, (off_t) 1 << 33), ==, 0);
  expect_get (f, FLOE_ERROR_UNVERIFIED);
  put (f);
  expect_get (f, -1);
  g_assert_cmpint (rename (path, elsewhere), ==, 0);
  g_assert_cmpint (symlink (elsewhere, path), ==, 0);
  expect_get (f, FLOE_ERROR_UNVERIFIED);
  g_assert_false (floe_store_has (f->store, &f->entry));
  put (f);
  expect_get (f, -1);
  unlink (path);
  g_assert_cmpint (mkfifo (path, 0644), ==, 0);
  expect_get (f, FLOE_ERROR_UNVERIFIED);
  unlink (path);
  g_assert_cmpint (mkdir (path, 0755), ==, 0);
  expect_get (f, FLOE_ERROR_UNVERIFIED);
  put (f);
  expect_get (f, -1);
}

/* Frames whose digests are signed and that are still not what they should be: a publisher's mistake must not overrun
 * anybody. */
static void
test_hostile_frames (Fixture *f, gconstpointer data)
{
  g_autofree uint8_t *large = g_malloc0 (1 << 20);
  g_autofree uint8_t *frames = g_malloc (FLOE_CHUNK_COMPRESSED_MAX);
  size_t bomb = ZSTD_compress (frames, FLOE_CHUNK_COMPRESSED_MAX, large, 1 << 20, 3);
  static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };
  const struct {
    const void *frame;
    size_t size;
    uint32_t raw_size;
  } cases[] = {
    { frames, bomb, FLOE_CHUNK_SIZE },                           /* a MiB out of few bytes */
    { f->frame, f->entry.compressed_size, 100 },                 /* longer than said */
    { f->frame, f->entry.compressed_size - 5, FLOE_CHUNK_SIZE }, /* cut off */
    { skippable, sizeof skippable, FLOE_CHUNK_SIZE },            /* a frame of nothing */
    { "not zstd at all", 15, 15 },
    { large, 4096, FLOE_CHUNK_SIZE },
  };

  (void) data;
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    FloeTableEntry entry = { f->entry.digest, { { 0 } }, (uint32_t) cases[i].size, cases[i].raw_size };
    g_autoptr (GError) error = NULL;

    floe_digest_of (cases[i].frame, cases[i].size, &entry.compressed_digest);
    g_assert_false (floe_chunk_decompress (f->codec, &entry, cases[i].frame, cases[i].size, f->out, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED);
  }
  /* Two frames in one, the first of which is whole and right. */
  memcpy (frames, f->frame, f->entry.compressed_size);
  memcpy (frames + f->entry.compressed_size, f->frame, 64);
  f->entry.compressed_size += 64;
  floe_digest_of (frames, f->entry.compressed_size, &f->entry.compressed_digest);
  g_assert_false (floe_chunk_decompress (f->codec, &f->entry, frames, f->entry.compressed_size, f->out, NULL));
}

static gboolean
count (const FloeDigest *digest, uint64_t size, gpointer data)
{
  (void) digest;
  *(uint64_t *) data += size;
  return TRUE;
}

static void
test_batch (Fixture *f, gconstpointer data)
{
  FloeStoreBatch *batch = floe_store_batch_new (f->store);
  g_autofree char *stray = g_build_filename (f->path, "abcd", NULL);
  g_autoptr (GError) error = NULL;
  uint64_t size = 0;

  (void) data;
  g_assert_true (floe_store_batch_put (batch, &f->entry, f->frame, f->entry.compressed_size, &error));
  g_assert_false (floe_store_has (f->store, &f->entry));
  floe_store_batch_free (batch);
  expect_nothing_waiting (f);
  g_assert_false (floe_store_has (f->store, &f->entry));

  batch = floe_store_batch_new (f->store);
  g_assert_true (floe_store_batch_put (batch, &f->entry, f->frame, f->entry.compressed_size, &error));
  g_assert_true (floe_store_batch_commit (batch, &error));
  g_assert_true (floe_store_batch_commit (batch, &error));
  floe_store_batch_free (batch);
  expect_get (f, -1);
  expect_nothing_waiting (f);

  g_assert_true (g_file_set_contents (stray, "no directory", -1, NULL));
  g_assert_true (floe_store_foreach (f->store, count, &size, &error));
  g_assert_cmpuint (size, ==, f->entry.compressed_size);
}

static gboolean
keep_if (const FloeDigest *digest, gpointer data)
{
  (void) digest;
  return *(gboolean *) data;
}

/* Sweeps the directory of the fixture's chunk. */
static void
sweep (Fixture *f, FloeStore *store, gboolean keep, guint64 wanted)
{
  g_autoptr (GError) error = NULL;
  guint64 count = 0, bytes = 0;

  g_assert_true (floe_store_sweep (store, (uint16_t) (f->entry.digest.bytes[0] << 8 | f->entry.digest.bytes[1]), keep_if, &keep, &count, &bytes, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (count, ==, wanted);
  g_assert_cmpuint (bytes, ==, wanted * f->entry.compressed_size);
}

static void
test_sweep (Fixture *f, gconstpointer data)
{
  g_autofree char *path = path_of (f), *directory = g_path_get_dirname (path), *other = g_strconcat (path, ".other", NULL), *aside = g_strconcat (f->path, "/aside", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeStore) reader = floe_store_open (f->dir, &error);
  gboolean keep = FALSE;
  guint64 count = 0;

  (void) data;
  sweep (f, f->store, FALSE, 0);
  put (f);
  g_assert_true (g_file_set_contents (other, "x", 1, NULL));
  sweep (f, f->store, TRUE, 0);
  g_assert_true (floe_store_has (f->store, &f->entry));
  sweep (f, f->store, FALSE, 1);
  g_assert_false (floe_store_has (f->store, &f->entry));
  g_assert_true (g_file_test (other, G_FILE_TEST_EXISTS));
  /* A directory in the chunk's place is nobody's, and no reason to stop. */
  g_assert_cmpint (g_mkdir (path, 0755), ==, 0);
  sweep (f, f->store, FALSE, 0);
  g_assert_cmpint (g_rmdir (path), ==, 0);
  /* A link in the directory's place leads nowhere. */
  put (f);
  g_assert_cmpint (g_rename (directory, aside), ==, 0);
  g_assert_cmpint (symlink ("aside", directory), ==, 0);
  sweep (f, f->store, FALSE, 0);
  g_assert_cmpint (g_unlink (directory), ==, 0);
  g_assert_cmpint (g_rename (aside, directory), ==, 0);
  g_assert_true (floe_store_has (f->store, &f->entry));
  g_assert_false (floe_store_sweep (reader, 0, keep_if, &keep, &count, &count, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_REFUSED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, function) g_test_add (path, Fixture, NULL, set_up, function, tear_down)
  ADD ("/store/put-and-get", test_put_and_get);
  ADD ("/store/put-refuses", test_put_refuses);
  ADD ("/store/one-writer", test_one_writer);
  ADD ("/store/altered", test_altered);
  ADD ("/store/hostile-frames", test_hostile_frames);
  ADD ("/store/batch", test_batch);
  ADD ("/store/sweep", test_sweep);
  return g_test_run ();
}
