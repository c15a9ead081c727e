/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* What a death at a system call leaves of a disk: a test's own pwrite() and fsync(), which stand before the C library's, say here what they do. */

typedef enum { KILLED, POWER_ALL, POWER_BLOCKS, POWER_SECTORS } Death; /* merely killed; of what was not synced all, or some of these units, is lost */

typedef struct {
  Death how;
  unsigned seed;
  int fd;         /* the disk, as last written to */
  GArray *writes; /* since its last sync */
} PowerDisk;

void power_disk_begin (PowerDisk *disk, Death how, unsigned seed);
/* Before SIZE bytes at OFFSET of FD are written, and after a sync. */
void power_disk_note (PowerDisk *disk, int fd, size_t size, off_t offset);
void power_disk_synced (PowerDisk *disk);
/* Whether the next thing that was not synced is lost: by the seed. */
gboolean power_disk_loses (PowerDisk *disk);
/* Puts back what is lost of the disk. */
void power_disk_lose (PowerDisk *disk);
