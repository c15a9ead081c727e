/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-install-table.h"

#include "appliance/floe-slot-entry.h"
#include "common/floe-fd.h"
#include "server-sync/image/floe-appliance-info.h"

#include <errno.h>
#include <libfdisk/libfdisk.h>
#include <sys/mman.h>
#include <unistd.h>

/* UEFI; Discoverable Partitions Specification, x86-64; the last is nobody's but ours. */
#define TYPE_BOOT "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define TYPE_ROOT "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
#define TYPE_VERITY "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
#define TYPE_MARK "5f0a4f3b-6a3c-4e0c-9c50-0b7f2d1f6c11"
#define SECTOR 512u
#define MIB (UINT64_C (1) << 20)

typedef struct fdisk_context Context;
typedef struct fdisk_partition Partition;
typedef struct fdisk_parttype Type;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Context, fdisk_unref_context)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Partition, fdisk_unref_partition)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Type, fdisk_unref_parttype)

typedef struct {
  const char *type, *label, *uuid; /* uuid NULL: a new one */
  FloeInstallSpan span;
} One;

static gboolean
failed (int result, const char *what, GError **error)
{
  return floe_error_set (error, FLOE_ERROR_FAILED, "new partition table: %s: %s", what, g_strerror (-result));
}

static gboolean
add (Context *context, const One *one, GError **error)
{
  g_autoptr (Partition) partition = fdisk_new_partition ();
  g_autoptr (Type) type = fdisk_label_parse_parttype (fdisk_get_label (context, NULL), one->type);
  int result = type == NULL ? -ENOMEM : fdisk_partition_set_type (partition, type);

  if (result == 0)
    result = fdisk_partition_set_start (partition, one->span.offset / SECTOR);
  if (result == 0)
    result = fdisk_partition_set_size (partition, one->span.size / SECTOR);
  if (result == 0)
    result = fdisk_partition_set_name (partition, one->label);
  if (result == 0 && one->uuid != NULL)
    result = fdisk_partition_set_uuid (partition, one->uuid);
  fdisk_partition_partno_follow_default (partition, 1);
  if (result == 0)
    result = fdisk_add_partition (context, partition, NULL);
  return result == 0 || failed (result, one->label, error);
}

static gboolean
make (uint64_t size, const One *all, size_t count, FloeInstallTable *table, GError **error)
{
  floe_autofd copy = memfd_create ("partition-table", MFD_CLOEXEC);
  g_autoptr (Context) context = fdisk_new_context ();
  FloeInstallTable made;
  int result;

  if (copy < 0 || ftruncate (copy, (off_t) size) < 0)
    return floe_error_set_errno (error, errno, "new partition table");
  fdisk_disable_dialogs (context, 1);
  fdisk_save_user_sector_size (context, SECTOR, SECTOR);
  result = fdisk_assign_device_by_fd (context, copy, "partition-table", 0);
  if (result == 0)
    result = fdisk_create_disklabel (context, "gpt");
  if (result != 0)
    return failed (result, "cannot be made", error);
  for (size_t i = 0; i < count; i++)
    if (!add (context, &all[i], error))
      return FALSE;
  result = fdisk_write_disklabel (context);
  if (result != 0)
    return failed (result, "cannot be written", error);
  if (!floe_pread_all (copy, made.start, sizeof made.start, 0, error) ||
      !floe_pread_all (copy, made.end, sizeof made.end, (off_t) (size - sizeof made.end), error))
    return FALSE;
  *table = made;
  return TRUE;
}

gboolean
floe_install_table_mark (uint64_t size, FloeInstallTable *table, GError **error)
{
  const One one = { TYPE_MARK, FLOE_INSTALL_MARK, NULL, { MIB, (size / MIB - 2) * MIB } };

  return make (size, &one, 1, table, error);
}

gboolean
floe_install_table_make (uint64_t size, const FloeInstallPlan *plan, int64_t version, const FloeDigest *root_hash, FloeInstallTable *table, GError **error)
{
  g_autofree char *root = floe_slot_label (version, FALSE), *tree = floe_slot_label (version, TRUE);
  char root_uuid[FLOE_UUID_SIZE], tree_uuid[FLOE_UUID_SIZE];
  const One all[] = {
    { TYPE_BOOT, "FLOE-BOOT", NULL, plan->boot },
    { TYPE_ROOT, root, root_uuid, plan->root[0] },
    { TYPE_VERITY, tree, tree_uuid, plan->tree[0] },
    { TYPE_ROOT, FLOE_SLOT_EMPTY, NULL, plan->root[1] },
    { TYPE_VERITY, FLOE_SLOT_EMPTY, NULL, plan->tree[1] },
  };

  floe_appliance_uuid (root_hash, FLOE_APPLIANCE_ROOT, root_uuid);
  floe_appliance_uuid (root_hash, FLOE_APPLIANCE_VERITY, tree_uuid);
  return make (size, all, G_N_ELEMENTS (all), table, error);
}
