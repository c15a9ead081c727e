/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "server-sync/image/floe-chunk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* touched-bytes IMAGE BLOCK < READS: READS are lines "OFFSET COUNT" (C integers), as an NBD server's log has them. Prints how many distinct
 * blocks of BLOCK bytes (up to 128 KiB) these reads touch, not counting all-zero ones, and what they come to, each
 * compressed by itself as publishing does it: `BLOCKS RAW-BYTES COMPRESSED-BYTES`. */

typedef struct {
  int image;
  guint64 block;
  GHashTable *seen;    /* block numbers */
  GHashTable *content; /* FloeDigest */
  FloeChunkCodec *codec;
  guint64 blocks, raw, compressed;
} Count;

static gboolean
is_zero (const guint8 *data, size_t size)
{
  return size == 0 || (data[0] == 0 && memcmp (data, data + 1, size - 1) == 0);
}

static gboolean
count_block (Count *count, guint64 number, GError **error)
{
  guint8 data[FLOE_CHUNK_SIZE];
  FloeTableEntry entry;
  ssize_t got;

  if (!g_hash_table_add (count->seen, g_memdup2 (&number, sizeof number)))
    return TRUE;
  got = pread (count->image, data, count->block, (off_t) (number * count->block));
  if (got < 0)
    return floe_error_set (error, FLOE_ERROR_IO, "the image cannot be read at block %" G_GUINT64_FORMAT, number);
  if (is_zero (data, (size_t) got))
    return TRUE;
  if (!floe_chunk_compress (count->codec, data, (size_t) got, FLOE_CHUNK_LEVEL, &entry, error))
    return FALSE;
  if (!g_hash_table_add (count->content, g_memdup2 (&entry.digest, sizeof entry.digest)))
    return TRUE;
  count->blocks++;
  count->raw += (guint64) got;
  count->compressed += entry.compressed_size;
  return TRUE;
}

static gboolean
count_reads (Count *count, GError **error)
{
  char line[128];

  while (fgets (line, sizeof line, stdin) != NULL) {
    char *end;
    guint64 offset = g_ascii_strtoull (line, &end, 0);
    guint64 size = g_ascii_strtoull (end, &end, 0);

    if (*end != '\n' || size == 0)
      return floe_error_set (error, FLOE_ERROR_INVALID, "not 'OFFSET COUNT': %s", line);
    for (guint64 n = offset / count->block; n <= (offset + size - 1) / count->block; n++)
      if (!count_block (count, n, error))
        return FALSE;
  }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  g_autoptr (GHashTable) content = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  g_autoptr (FloeChunkCodec) codec = floe_chunk_codec_new ();
  g_autoptr (GError) error = NULL;
  floe_autofd image = argc == 3 ? open (argv[1], O_RDONLY | O_CLOEXEC) : -1;
  guint64 block = argc == 3 ? g_ascii_strtoull (argv[2], NULL, 10) : 0;
  Count count = { .image = image, .block = block, .seen = seen, .content = content, .codec = codec };

  if (image < 0 || block < 512 || block > FLOE_CHUNK_SIZE) {
    fprintf (stderr, "usage: touched-bytes IMAGE BLOCK < READS\n");
    return 2;
  }
  if (!count_reads (&count, &error)) {
    fprintf (stderr, "touched-bytes: %s\n", error->message);
    return 1;
  }
  printf ("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "\n", count.blocks, count.raw, count.compressed);
  return 0;
}
