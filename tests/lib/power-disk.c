/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/power-disk.h"

#include "common/floe-fd.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
  off_t offset;
  size_t size;
  char *before;
} DiskWrite;

static void
disk_write_clear (gpointer data)
{
  g_free (((DiskWrite *) data)->before);
}

void
power_disk_begin (PowerDisk *disk, Death how, unsigned seed)
{
  *disk = (PowerDisk){ .how = how, .seed = seed, .fd = -1, .writes = g_array_new (FALSE, FALSE, sizeof (DiskWrite)) };
  g_array_set_clear_func (disk->writes, disk_write_clear);
}

void
power_disk_note (PowerDisk *disk, int fd, size_t size, off_t offset)
{
  DiskWrite one = { offset, size, g_malloc (size) };

  g_assert_true (floe_pread_all (fd, one.before, size, offset, NULL));
  g_array_append_val (disk->writes, one);
  disk->fd = fd;
}

void
power_disk_synced (PowerDisk *disk)
{
  g_array_set_size (disk->writes, 0);
}

gboolean
power_disk_loses (PowerDisk *disk)
{
  disk->seed = disk->seed * 1103515245u + 12345u;
  return disk->how == POWER_ALL || (disk->seed >> 16 & 1) != 0;
}

void
power_disk_lose (PowerDisk *disk)
{
  size_t unit = disk->how == POWER_SECTORS ? 512 : 4096;

  for (guint i = disk->writes->len; i-- > 0;) {
    const DiskWrite *one = &g_array_index (disk->writes, DiskWrite, i);

    for (size_t at = 0; at < one->size;) {
      size_t size = MIN (unit - (size_t) (one->offset + (off_t) at) % unit, one->size - at);

      if (power_disk_loses (disk) && syscall (SYS_pwrite64, disk->fd, one->before + at, size, one->offset + (off_t) at) < 0)
        abort ();
      at += size;
    }
  }
}
