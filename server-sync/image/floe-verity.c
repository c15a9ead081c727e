/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-verity.h"

#include "common/floe-fd.h"
#include "server-sync/image/floe-wire.h"

#include <inttypes.h>
#include <string.h>

#define BLOCK FLOE_VERITY_BLOCK
#define PER_BLOCK (BLOCK / FLOE_DIGEST_SIZE)
#define SALT_MAX 256
/* 16 TiB, far above what is ever handed in: sums below cannot overflow. */
#define BLOCKS_MAX (UINT64_C (1) << 32)
#define LEVELS_MAX 8

/* Superblock: 8 bytes "verity", u32 version, u32 hash type, UUID, 32 bytes algorithm, u32 data block size, u32 hash block size, u64 data
 * blocks, u16 salt size, 6 bytes, 256 bytes salt. The levels follow in the next block, the top one first. */
#define SUPERBLOCK 512
#define AT_VERSION 8
#define AT_HASH_TYPE 12
#define AT_ALGORITHM 32
#define ALGORITHM_SIZE 32
#define AT_DATA_BLOCK 64
#define AT_HASH_BLOCK 68
#define AT_BLOCKS 72
#define AT_SALT_SIZE 80
#define AT_SALT 88

typedef struct {
  uint64_t blocks;
  size_t salt_size;
  size_t n_levels;              /* 0: one data block, whose hash is the root hash */
  uint64_t levels[LEVELS_MAX];  /* blocks of each, the lowest first */
  uint8_t buffer[SALT_MAX + BLOCK]; /* the salt ends where the block begins */
} Tree;

static gboolean
read_part (const FloeVerityPart *part, void *data, size_t size, uint64_t at, GError **error)
{
  if (at > part->size || size > part->size - at)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the hash tree or its data ends early");
  return floe_pread_all (part->fd, data, size, part->offset + (off_t) at, error);
}

static void
hash_block (Tree *tree, FloeDigest *digest)
{
  floe_digest_of (tree->buffer + SALT_MAX - tree->salt_size, tree->salt_size + BLOCK, digest);
}

static gboolean
read_superblock (Tree *tree, const FloeVerityPart *part, GError **error)
{
  static const char algorithm[ALGORITHM_SIZE] = "sha256";
  uint8_t head[SUPERBLOCK];

  if (!read_part (part, head, sizeof head, 0, error))
    return FALSE;
  tree->blocks = floe_read_u64 (head + AT_BLOCKS);
  tree->salt_size = head[AT_SALT_SIZE] | (size_t) head[AT_SALT_SIZE + 1] << 8;
  if (memcmp (head, "verity\0\0", 8) != 0 || floe_read_u32 (head + AT_VERSION) != 1 || floe_read_u32 (head + AT_HASH_TYPE) != 1
      || memcmp (head + AT_ALGORITHM, algorithm, sizeof algorithm) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "not a hash tree of dm-verity, version 1 with SHA-256");
  if (floe_read_u32 (head + AT_DATA_BLOCK) != BLOCK || floe_read_u32 (head + AT_HASH_BLOCK) != BLOCK || tree->salt_size > SALT_MAX
      || tree->blocks < 1 || tree->blocks > BLOCKS_MAX)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a hash tree of dm-verity with blocks of 4,096 bytes wanted");
  memcpy (tree->buffer + SALT_MAX - tree->salt_size, head + AT_SALT, tree->salt_size);
  for (uint64_t below = tree->blocks; below > 1;) {
    below = (below + PER_BLOCK - 1) / PER_BLOCK;
    tree->levels[tree->n_levels++] = below;
  }
  return TRUE;
}

static gboolean
differs (size_t level, uint64_t block, GError **error)
{
  return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "dm-verity: level %zu of the hash tree does not fit block %" PRIu64 " below it",
                         level, block);
}

/* Hashes of COUNT blocks at AT of PART, into HASHES. */
static gboolean
hash_blocks (Tree *tree, const FloeVerityPart *part, uint64_t at, uint64_t count, FloeDigest *hashes, GError **error)
{
  for (uint64_t i = 0; i < count; i++) {
    if (!read_part (part, tree->buffer + SALT_MAX, BLOCK, at + i * BLOCK, error))
      return FALSE;
    hash_block (tree, &hashes[i]);
  }
  return TRUE;
}

/* Whether the blocks of level LEVEL at AT of PART hold exactly HASHES, COUNT of them, and zeros behind. */
static gboolean
check_level (const FloeVerityPart *part, size_t level, uint64_t at, const FloeDigest *hashes, uint64_t count, GError **error)
{
  uint8_t block[BLOCK], wanted[BLOCK];

  for (uint64_t first = 0; first < count; first += PER_BLOCK, at += BLOCK) {
    size_t here = (size_t) MIN (count - first, PER_BLOCK);

    if (!read_part (part, block, BLOCK, at, error))
      return FALSE;
    memset (wanted, 0, sizeof wanted);
    memcpy (wanted, hashes + first, here * FLOE_DIGEST_SIZE);
    if (memcmp (block, wanted, BLOCK) == 0)
      continue;
    for (size_t i = 0; i < here; i++)
      if (memcmp (block + i * FLOE_DIGEST_SIZE, wanted + i * FLOE_DIGEST_SIZE, FLOE_DIGEST_SIZE) != 0)
        return differs (level, first + i, error);
    return differs (level, first, error);
  }
  return TRUE;
}

gboolean
floe_verity_check (const FloeVerityPart *data, const FloeVerityPart *part, const FloeDigest *root_hash, GError **error)
{
  g_autofree Tree *tree = g_new0 (Tree, 1);
  g_autofree FloeDigest *hashes = NULL;
  uint64_t at = BLOCK, count;

  if (!read_superblock (tree, part, error))
    return FALSE;
  if (data->size != tree->blocks * BLOCK)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%" PRIu64 " bytes under a hash tree for %" PRIu64, data->size,
                           tree->blocks * BLOCK);
  hashes = g_try_new (FloeDigest, tree->blocks);
  if (hashes == NULL)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for the hashes of %" PRIu64 " blocks", tree->blocks);
  for (size_t level = 1; level < tree->n_levels; level++)
    at += tree->levels[level] * BLOCK;
  count = tree->blocks;
  if (!hash_blocks (tree, data, 0, count, hashes, error))
    return FALSE;
  for (size_t level = 0; level < tree->n_levels; level++) {
    if (!check_level (part, level, at, hashes, count, error) || !hash_blocks (tree, part, at, tree->levels[level], hashes, error))
      return FALSE;
    count = tree->levels[level];
    at -= level + 1 < tree->n_levels ? tree->levels[level + 1] * BLOCK : 0;
  }
  return floe_digest_equal (&hashes[0], root_hash)
         || floe_error_set (error, FLOE_ERROR_UNVERIFIED, "dm-verity: the hash tree leads to another root hash");
}

gboolean
floe_verity_sizes (const FloeVerityPart *part, uint64_t *data, uint64_t *size, GError **error)
{
  g_autofree Tree *tree = g_new0 (Tree, 1);
  uint64_t blocks = 1;

  if (!read_superblock (tree, part, error))
    return FALSE;
  for (size_t level = 0; level < tree->n_levels; level++)
    blocks += tree->levels[level];
  *data = tree->blocks * BLOCK;
  *size = blocks * BLOCK;
  return TRUE;
}
