/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-appliance-info.h"
#include "server-sync/image/floe-verity.h"

/* The disk that the appliance runs from: its two slots, found by their partition types, and the one change that is ever made to its
 * partition table. libfdisk reads and writes the table, in a copy in memory; the order in which the copy reaches the disk is ours.
 *
 * The backup at the disk's end is replaced first, durably, then the primary table: when the power fails in between, one of the two is whole and
 * says either what was or what is to be. Which needs a reader that looks at the backup (UEFI's firmware does and mends the primary; for
 * Linux the command line has "gpt"). Header and changed entries of the primary go in one write where they lie within 4,096 bytes,
 * so that a disk of such blocks never shows a torn one. */

typedef struct {
  guint number;          /* in the table, from 0 */
  char *label, *uuid;    /* lower case */
  uint64_t offset, size; /* bytes */
} FloeSlotPartition;

typedef struct {
  int fd;
  guint sector;
  FloeSlotPartition root[2], verity[2]; /* in the order of the table: a, b */
} FloeSlotDisk;

/* Opens PATH, a block device or a file, for writing. INVALID unless it has a GPT with two root partitions of this architecture and two for
 * their hash trees; every one of them lies within the disk and none over another partition. */
FloeSlotDisk *floe_slot_disk_open (const char *path, GError **error) FLOE_WARN_UNUSED;
void floe_slot_disk_free (FloeSlotDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSlotDisk, floe_slot_disk_free)

/* Which of the slots holds the version of ROOT_HASH; -1: none. Root and tree of a slot are told apart by their UUIDs alone, and may be in
 * different places (0, 1) of their arrays, so each is asked for by itself. */
int floe_slot_disk_find (const FloeSlotDisk *disk, FloeAppliancePieceKind kind, const FloeDigest *root_hash);

/* Names the root partition at place ROOT and the tree's at VERITY. LABELs and UUIDs change together: at every instant, and after a power cut, the
 * disk has all four as they were, or all four as given here. Durable when it returns. */
typedef struct {
  char *label[2];                 /* of root, of the tree */
  char uuid[2][FLOE_UUID_SIZE];
} FloeSlotNames;
gboolean floe_slot_disk_name (FloeSlotDisk *disk, int root, int verity, const FloeSlotNames *names, GError **error) FLOE_WARN_UNUSED;

/* Makes everything written to the disk durable and forgets what the kernel keeps of PARTITION, so that it is read from the disk again. */
gboolean floe_slot_disk_sync (FloeSlotDisk *disk, const FloeSlotPartition *partition, GError **error) FLOE_WARN_UNUSED;
