/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-disk.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdisk/libfdisk.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Discoverable Partitions Specification, x86-64. */
#define TYPE_ROOT "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
#define TYPE_VERITY "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"

/* A table's part of the disk at either end: header and entries. More is no table of ours. */
#define TABLE_MAX (1u << 20)
#define ATOMIC 4096u

typedef struct fdisk_context Context;
typedef struct fdisk_partition Partition;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Context, fdisk_unref_context)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Partition, fdisk_unref_partition)

static gboolean
fdisk_failed (int result, GError **error, const char *what)
{
  return floe_error_set (error, FLOE_ERROR_INVALID, "partition table: %s: %s", what, g_strerror (-result));
}

static gboolean
disk_size (int fd, guint64 *size, guint *sector, GError **error)
{
  struct stat st;
  off_t end;
  int logical = 512;

  if (fstat (fd, &st) < 0 || (end = lseek (fd, 0, SEEK_END)) < 0 || (S_ISBLK (st.st_mode) && ioctl (fd, BLKSSZGET, &logical) < 0))
    return floe_error_set_errno (error, errno, "size of the disk");
  if (end < 4 * (off_t) TABLE_MAX || (logical != 512 && logical != 4096))
    return floe_error_set (error, FLOE_ERROR_INVALID, "a disk of %" G_GINT64_FORMAT " bytes in sectors of %d: none that holds two slots",
                           (gint64) end, logical);
  *size = (guint64) end;
  *sector = (guint) logical;
  return TRUE;
}

/* A file in memory that has the disk's size, and its both ends. */
static int
copy_ends (int fd, guint64 size, uint8_t *ends, GError **error)
{
  floe_autofd copy = memfd_create ("partition-table", MFD_CLOEXEC);

  if (copy < 0 || ftruncate (copy, (off_t) size) < 0) {
    floe_error_set_errno (error, errno, "copy of the partition table");
    return -1;
  }
  if (!floe_pread_all (fd, ends, TABLE_MAX, 0, error)
      || !floe_pread_all (fd, ends + TABLE_MAX, TABLE_MAX, (off_t) (size - TABLE_MAX), error))
    return -1;
  if (pwrite (copy, ends, TABLE_MAX, 0) != TABLE_MAX
      || pwrite (copy, ends + TABLE_MAX, TABLE_MAX, (off_t) (size - TABLE_MAX)) != TABLE_MAX) {
    floe_error_set_errno (error, errno, "copy of the partition table");
    return -1;
  }
  return floe_fd_steal (&copy);
}

/* libfdisk on the copy; it must outlive the context. */
static Context *
open_table (int copy, guint sector, GError **error)
{
  g_autoptr (Context) context = fdisk_new_context ();
  int result;

  fdisk_disable_dialogs (context, 1);
  fdisk_save_user_sector_size (context, sector, sector);
  result = fdisk_assign_device_by_fd (context, copy, "partition-table", 0);
  if (result < 0) {
    fdisk_failed (result, error, "cannot be read");
    return NULL;
  }
  if (!fdisk_is_label (context, GPT)) {
    floe_error_set (error, FLOE_ERROR_INVALID, "the disk has no GPT");
    return NULL;
  }
  return g_steal_pointer (&context);
}

/* -- Reading --------------------------------------------------------------------------------------------------------- */

static gboolean
take_partition (Partition *partition, size_t number, guint sector, guint64 disk, FloeSlotPartition *slot, GError **error)
{
  const char *label = fdisk_partition_get_name (partition), *uuid = fdisk_partition_get_uuid (partition);
  guint64 start, size;

  if (uuid == NULL || !fdisk_partition_has_start (partition) || !fdisk_partition_has_size (partition))
    return floe_error_set (error, FLOE_ERROR_INVALID, "partition %zu has no place or no UUID", number + 1);
  start = fdisk_partition_get_start (partition);
  size = fdisk_partition_get_size (partition);
  if (start > disk / sector || size > disk / sector - start)
    return floe_error_set (error, FLOE_ERROR_INVALID, "partition %zu is not within the disk", number + 1);
  slot->number = (guint) number;
  slot->label = g_strdup (label != NULL ? label : "");
  slot->uuid = g_ascii_strdown (uuid, -1);
  slot->offset = start * sector;
  slot->size = size * sector;
  return TRUE;
}

static gboolean
overlaps (const FloeSlotPartition *slot, Partition *other, guint sector)
{
  guint64 start, size;

  if (!fdisk_partition_has_start (other) || !fdisk_partition_has_size (other) || fdisk_partition_get_partno (other) == slot->number)
    return FALSE;
  start = fdisk_partition_get_start (other) * sector;
  size = fdisk_partition_get_size (other) * sector;
  return slot->offset < start + size && start < slot->offset + slot->size;
}

typedef gboolean (*EachPartition) (Partition *partition, size_t number, gpointer data, GError **error);

static gboolean
each_partition (Context *context, EachPartition each, gpointer data, GError **error)
{
  for (size_t i = 0; i < fdisk_get_npartitions (context); i++) {
    g_autoptr (Partition) partition = NULL;

    if (!fdisk_is_partition_used (context, i))
      continue;
    if (fdisk_get_partition (context, i, &partition) < 0)
      return floe_error_set (error, FLOE_ERROR_INVALID, "partition %zu cannot be read", i + 1);
    if (!each (partition, i, data, error))
      return FALSE;
  }
  return TRUE;
}

typedef struct {
  FloeSlotDisk *disk;
  guint64 size;
  int roots, verities;
} Reading;

static gboolean
sort_out (Partition *partition, size_t number, gpointer data, GError **error)
{
  Reading *reading = data;
  struct fdisk_parttype *type = fdisk_partition_get_type (partition);
  const char *text = type != NULL ? fdisk_parttype_get_string (type) : NULL;
  gboolean root = text != NULL && g_ascii_strcasecmp (text, TYPE_ROOT) == 0;
  int *count = root ? &reading->roots : &reading->verities;

  if (!root && (text == NULL || g_ascii_strcasecmp (text, TYPE_VERITY) != 0))
    return TRUE;
  if (*count == 2)
    return floe_error_set (error, FLOE_ERROR_INVALID, "more than two %s partitions: which of them are ours cannot be told",
                           root ? "root" : "verity");
  return take_partition (partition, number, reading->disk->sector, reading->size,
                         &(root ? reading->disk->root : reading->disk->verity)[(*count)++], error);
}

static gboolean
check_alone (Partition *partition, size_t number, gpointer data, GError **error)
{
  FloeSlotDisk *disk = data;

  for (size_t i = 0; i < 2; i++)
    if (overlaps (&disk->root[i], partition, disk->sector) || overlaps (&disk->verity[i], partition, disk->sector))
      return floe_error_set (error, FLOE_ERROR_INVALID, "partition %zu lies over a slot", number + 1);
  return TRUE;
}

static gboolean
read_slots (FloeSlotDisk *disk, GError **error)
{
  g_autofree uint8_t *ends = g_malloc (2 * TABLE_MAX);
  g_autoptr (Context) context = NULL;
  Reading reading = { .disk = disk };
  floe_autofd copy = -1;

  if (!disk_size (disk->fd, &reading.size, &disk->sector, error))
    return FALSE;
  copy = copy_ends (disk->fd, reading.size, ends, error);
  context = copy < 0 ? NULL : open_table (copy, disk->sector, error);
  if (context == NULL || !each_partition (context, sort_out, &reading, error))
    return FALSE;
  if (reading.roots != 2 || reading.verities != 2)
    return floe_error_set (error, FLOE_ERROR_INVALID, "two root and two verity partitions wanted, there are %d and %d", reading.roots,
                           reading.verities);
  return each_partition (context, check_alone, disk, error);
}

FloeSlotDisk *
floe_slot_disk_open (const char *path, GError **error)
{
  g_autoptr (FloeSlotDisk) disk = g_new0 (FloeSlotDisk, 1);

  disk->fd = open (path, O_RDWR | O_CLOEXEC);
  if (disk->fd < 0) {
    floe_error_set_errno (error, errno, "open %s", path);
    return NULL;
  }
  if (!read_slots (disk, error)) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  return g_steal_pointer (&disk);
}

void
floe_slot_disk_free (FloeSlotDisk *disk)
{
  if (disk == NULL)
    return;
  for (size_t i = 0; i < 2; i++) {
    g_free (disk->root[i].label);
    g_free (disk->root[i].uuid);
    g_free (disk->verity[i].label);
    g_free (disk->verity[i].uuid);
  }
  floe_fd_clear (&disk->fd);
  g_free (disk);
}

int
floe_slot_disk_find (const FloeSlotDisk *disk, FloeAppliancePieceKind kind, const FloeDigest *root_hash)
{
  const FloeSlotPartition *partitions = kind == FLOE_APPLIANCE_VERITY ? disk->verity : disk->root;
  char uuid[FLOE_UUID_SIZE];
  int found = -1;

  floe_appliance_uuid (root_hash, kind, uuid);
  for (int i = 0; i < 2; i++)
    if (strcmp (partitions[i].uuid, uuid) == 0)
      found = found < 0 ? i : -2;
  /* Twice the same: which of them runs cannot be told. */
  return MAX (found, -1);
}

/* -- Writing --------------------------------------------------------------------------------------------------------- */

static gboolean
rename_partition (Context *context, const FloeSlotPartition *slot, const char *label, const char *uuid, GError **error)
{
  g_autoptr (Partition) change = fdisk_new_partition ();
  int result = fdisk_partition_set_name (change, label);

  if (result == 0)
    result = fdisk_partition_set_uuid (change, uuid);
  if (result == 0)
    result = fdisk_set_partition (context, slot->number, change);
  return result == 0 || fdisk_failed (result, error, "a name cannot be set");
}

static gboolean
write_at (int fd, const uint8_t *data, size_t size, guint64 at, GError **error)
{
  while (size > 0) {
    ssize_t put = pwrite (fd, data, size, (off_t) at);

    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return floe_error_set_errno (error, errno, "write the partition table");
    data += put;
    size -= (size_t) put;
    at += (guint64) put;
  }
  return TRUE;
}

static gboolean
sync_disk (int fd, GError **error)
{
  return fsync (fd) == 0 || floe_error_set_errno (error, errno, "sync the disk");
}

/* Writes what differs between NEW and OLD in bytes FROM to TO of an end that begins at BASE of the disk, in whole sectors and in one write, and
 * makes it durable. */
static gboolean
replace (FloeSlotDisk *disk, const uint8_t *new, const uint8_t *old, size_t from, size_t to, guint64 base, GError **error)
{
  size_t unit = disk->sector;

  while (from < to && memcmp (new + from, old + from, unit) == 0)
    from += unit;
  while (from < to && memcmp (new + to - unit, old + to - unit, unit) == 0)
    to -= unit;
  return from >= to || (write_at (disk->fd, new + from, to - from, base + from, error) && sync_disk (disk->fd, error));
}

/* The primary: within the first 4,096 bytes in one write, header last where it does not fit. */
static gboolean
replace_primary (FloeSlotDisk *disk, const uint8_t *new, const uint8_t *old, GError **error)
{
  size_t atomic = MAX (ATOMIC, 2 * disk->sector);

  if (memcmp (new + atomic, old + atomic, TABLE_MAX - atomic) == 0)
    return replace (disk, new, old, 0, atomic, 0, error);
  return replace (disk, new, old, 2 * disk->sector, TABLE_MAX, 0, error) && replace (disk, new, old, 0, 2 * disk->sector, 0, error);
}

gboolean
floe_slot_disk_name (FloeSlotDisk *disk, int root, int verity, const FloeSlotNames *names, GError **error)
{
  g_autofree uint8_t *old = g_malloc (2 * TABLE_MAX), *new = g_malloc (2 * TABLE_MAX);
  g_autoptr (Context) context = NULL;
  floe_autofd copy = -1;
  guint64 size, tail;
  int result;

  if (!disk_size (disk->fd, &size, &disk->sector, error))
    return FALSE;
  tail = size - TABLE_MAX;
  copy = copy_ends (disk->fd, size, old, error);
  context = copy < 0 ? NULL : open_table (copy, disk->sector, error);
  if (context == NULL || !rename_partition (context, &disk->root[root], names->label[0], names->uuid[0], error)
      || !rename_partition (context, &disk->verity[verity], names->label[1], names->uuid[1], error))
    return FALSE;
  result = fdisk_write_disklabel (context);
  if (result != 0)
    return fdisk_failed (result, error, "cannot be written");
  if (!floe_pread_all (copy, new, TABLE_MAX, 0, error) || !floe_pread_all (copy, new + TABLE_MAX, TABLE_MAX, (off_t) tail, error))
    return FALSE;
  /* The last sector is the backup's header; its entries lie before it. */
  return replace (disk, new + TABLE_MAX, old + TABLE_MAX, 0, TABLE_MAX - disk->sector, tail, error)
         && replace (disk, new + TABLE_MAX, old + TABLE_MAX, TABLE_MAX - disk->sector, TABLE_MAX, tail, error)
         && replace_primary (disk, new, old, error);
}

gboolean
floe_slot_disk_sync (FloeSlotDisk *disk, const FloeSlotPartition *partition, GError **error)
{
  if (!sync_disk (disk->fd, error))
    return FALSE;
  (void) !posix_fadvise (disk->fd, (off_t) partition->offset, (off_t) partition->size, POSIX_FADV_DONTNEED);
  return TRUE;
}
