/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

#include <sys/types.h>

/* dm-verity's hash tree as `veritysetup format` and systemd-repart write it (kernel documentation, admin-guide/device-mapper/verity; the
 * superblock is that of cryptsetup's docs/on-disk-format-verity): version 1, SHA-256, blocks of 4,096 bytes on both sides, a salt of up to 256 bytes.
 * Floe hashes itself and maps nothing: what is checked has to be right before any kernel is let near it. */

#define FLOE_VERITY_BLOCK 4096u

/* Where the bytes are: SIZE of them (at most) at OFFSET of the open file FD. */
typedef struct {
  int fd;
  off_t offset;
  uint64_t size;
} FloeVerityPart;

/* Reads the whole of DATA, whose size must be the one the tree was made for, and of TREE, and checks every block and every level up to
 * ROOT_HASH. UNVERIFIED otherwise, INVALID when TREE is none. Reads in blocks, keeps the tree's lowest level in memory (a 128th of DATA). */
gboolean floe_verity_check (const FloeVerityPart *data, const FloeVerityPart *tree, const FloeDigest *root_hash,
                            GError **error) FLOE_WARN_UNUSED;

/* Bytes of the data that the tree at PART is for, and of the tree itself with its superblock. INVALID when PART is none. Nothing is
 * verified. */
gboolean floe_verity_sizes (const FloeVerityPart *part, uint64_t *data, uint64_t *tree, GError **error) FLOE_WARN_UNUSED;
