/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-private.h"

#include "common/floe-fd.h"

#include <string.h>

#define WORD "roothash="

/* The root hash on the command line in UKI. */
static gboolean
read_root_hash (GBytes *uki, FloeDigest *root_hash, GError **error)
{
  gsize size;
  const char *data = g_bytes_get_data (uki, &size), *at;
  char hex[FLOE_DIGEST_HEX_SIZE] = "";

  at = data == NULL ? NULL : memmem (data, size, WORD, strlen (WORD));
  if (at == NULL || size - (size_t) (at - data) < strlen (WORD) + sizeof hex - 1)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the kernel image names no root hash");
  memcpy (hex, at + strlen (WORD), sizeof hex - 1);
  return floe_digest_from_hex (hex, root_hash, error);
}

static gboolean
check_slot (const FloeSlotDisk *disk, const FloeDigest *root_hash, int64_t version, GError **error)
{
  int root = floe_slot_disk_find (disk, FLOE_APPLIANCE_ROOT, root_hash);
  int tree = floe_slot_disk_find (disk, FLOE_APPLIANCE_VERITY, root_hash);
  g_autofree char *label = floe_slot_label (version, FALSE);
  uint64_t root_size, tree_size;
  FloeVerityPart data, part;

  if (root < 0 || tree < 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no partitions have the UUIDs of the root hash");
  if (strcmp (disk->root[root].label, label) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the root partition is called %s and not %s", disk->root[root].label, label);
  part = floe_slot_part (disk, &disk->verity[tree], disk->verity[tree].size);
  if (!floe_verity_sizes (&part, &root_size, &tree_size, error))
    return FALSE;
  if (root_size > disk->root[root].size || tree_size > disk->verity[tree].size)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the hash tree is for more than the root partition has");
  data = floe_slot_part (disk, &disk->root[root], root_size);
  return floe_verity_check (&data, &part, root_hash, error);
}

gboolean
floe_slot_check (const char *disk_path, const char *boot, int64_t *version, GError **error)
{
  g_autoptr (FloeSlotDisk) disk = floe_slot_disk_open (disk_path, error);
  g_autoptr (FloeSlotMenu) menu = disk == NULL ? NULL : floe_slot_menu_open (boot, error);
  const FloeSlotMenuEntry *next = menu == NULL ? NULL : floe_slot_menu_next (menu);
  g_autoptr (GBytes) uki = NULL;
  FloeDigest root_hash;

  if (menu == NULL)
    return FALSE;
  if (next == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the boot partition has no entry");
  uki = floe_file_read_at (menu->dir, next->name, FLOE_APPLIANCE_UKI_MAX, error);
  if (uki == NULL || !read_root_hash (uki, &root_hash, error) || !check_slot (disk, &root_hash, next->entry.version, error)) {
    g_prefix_error (error, "%s: ", next->name);
    return FALSE;
  }
  *version = next->entry.version;
  return TRUE;
}
