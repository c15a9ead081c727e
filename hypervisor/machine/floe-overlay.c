/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-overlay.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Clusters of an empty overlay: header, refcount table, the one refcount block (it reaches 2 GiB, QEMU adds others),
 * first-level table. */
enum { HEADER, REFCOUNT_TABLE, REFCOUNT_BLOCK, LEVEL_1, CLUSTERS };

#define HEADER_LENGTH 104
#define CLUSTER_BITS 16
#define REFCOUNT_ORDER 4 /* 16-bit refcounts */
/* What one entry of the first-level table reaches: a cluster of 8-byte entries, each a cluster. */
#define LEVEL_1_REACH ((uint64_t)FLOE_OVERLAY_CLUSTER / 8 * FLOE_OVERLAY_CLUSTER)

static void
put_u32 (uint8_t *at, uint32_t value)
{
  value = GUINT32_TO_BE (value);
  memcpy (at, &value, sizeof value);
}

static void
put_u64 (uint8_t *at, uint64_t value)
{
  value = GUINT64_TO_BE (value);
  memcpy (at, &value, sizeof value);
}

GBytes *
floe_overlay_build (uint64_t size, GError **error)
{
  uint8_t *bytes;

  if (size == 0 || size % 512 != 0 || size > FLOE_OVERLAY_SIZE_MAX) {
    floe_error_set (error, FLOE_ERROR_LIMIT,
                    "overlay for an image of %" G_GUINT64_FORMAT " bytes: a multiple of 512 up to 4 TiB "
                    "wanted",
                    size);
    return NULL;
  }
  bytes = g_malloc0 (CLUSTERS * FLOE_OVERLAY_CLUSTER);
  memcpy (bytes, "QFI\xfb", 4);
  put_u32 (bytes + 4, 3);
  put_u32 (bytes + 20, CLUSTER_BITS);
  put_u64 (bytes + 24, size);
  put_u32 (bytes + 36, (uint32_t)((size + LEVEL_1_REACH - 1) / LEVEL_1_REACH));
  put_u64 (bytes + 40, LEVEL_1 * FLOE_OVERLAY_CLUSTER);
  put_u64 (bytes + 48, REFCOUNT_TABLE * FLOE_OVERLAY_CLUSTER);
  put_u32 (bytes + 56, 1);
  put_u32 (bytes + 96, REFCOUNT_ORDER);
  put_u32 (bytes + 100, HEADER_LENGTH);
  put_u64 (bytes + REFCOUNT_TABLE * FLOE_OVERLAY_CLUSTER, REFCOUNT_BLOCK * FLOE_OVERLAY_CLUSTER);
  for (unsigned i = 0; i < CLUSTERS; i++)
    bytes[REFCOUNT_BLOCK * FLOE_OVERLAY_CLUSTER + 2 * i + 1] = 1;
  return g_bytes_new_take (bytes, CLUSTERS * FLOE_OVERLAY_CLUSTER);
}

int
floe_overlay_create_at (int dir, const char *name, uint64_t size, GError **error)
{
  g_autoptr (GBytes) content = floe_overlay_build (size, error);
  floe_autofd fd = -1;
  gsize length;
  const void *data;

  if (content == NULL)
    return -1;
  if (unlinkat (dir, name, 0) < 0 && errno != ENOENT) {
    floe_error_set_errno (error, errno, "remove %s", name);
    return -1;
  }
  fd = openat (dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    floe_error_set_errno (error, errno, "create %s", name);
    return -1;
  }
  data = g_bytes_get_data (content, &length);
  if (!floe_write_all (fd, data, length, error)) {
    g_prefix_error (error, "%s: ", name);
    unlinkat (dir, name, 0);
    return -1;
  }
  return floe_fd_steal (&fd);
}

int
floe_overlay_open_at (int dir, const char *name, GError **error)
{
  int fd = openat (dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

  if (fd < 0)
    floe_error_set_errno (error, errno, "open %s", name);
  return fd;
}

gboolean
floe_overlay_check_room (int dir, uint64_t needed, GError **error)
{
  struct statvfs fs;
  uint64_t room;

  if (fstatvfs (dir, &fs) < 0)
    return floe_error_set_errno (error, errno, "free space of the state directory");
  room = (uint64_t)fs.f_bavail * fs.f_frsize;
  if (room < needed)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE,
                           "disk full: %" G_GUINT64_FORMAT " MiB free below the state directory, %" G_GUINT64_FORMAT
                           " MiB needed; free some space there",
                           room >> 20, needed >> 20);
  return TRUE;
}
