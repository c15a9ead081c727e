/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* A new FAT32 file system with files in it ("Microsoft Extensible Firmware Initiative FAT32 File System Specification", 1.03): a disk's boot
 * partition, which is written as a whole before there is a partition that anybody could mount. Sectors of 512 bytes. Pure but for WRITE. */

#define FLOE_FAT_SECTOR 512u
#define FLOE_FAT_FILES_MAX 16u

typedef struct {
  const char *path; /* "EFI/BOOT/BOOTX64.EFI": printable ASCII; directories come by themselves */
  GBytes *content;
} FloeFatFile;

typedef struct {
  uint64_t size;     /* bytes of the partition; FAT32 wants at least 33 MiB */
  uint64_t hidden;   /* where it begins on its disk, in sectors */
  uint32_t id;       /* volume serial number */
  const char *label; /* at most 11 characters, upper case */
  gint64 now;        /* of all files, seconds since 1970 */
  const FloeFatFile *files;
  size_t n_files;
} FloeFat;

/* Takes SIZE bytes that belong AT bytes behind the partition's beginning. */
typedef gboolean (*FloeFatWrite) (const void *data, size_t size, uint64_t at, gpointer data_of_caller, GError **error);

/* Hands every byte that matters to WRITE, the first sectors (without which there is no file system) last. LIMIT when the files do not fit, INVALID
 * for names that it does not write. The same FAT gives the same calls. */
gboolean floe_fat_write (const FloeFat *fat, FloeFatWrite write, gpointer data, GError **error) FLOE_WARN_UNUSED;
