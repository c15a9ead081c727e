/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-private.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* FAT rounds up, and its directory needs room for a name or two. */
#define BOOT_SPARE (1u << 20)

FloeVerityPart
floe_slot_part (const FloeSlotDisk *disk, const FloeSlotPartition *partition, uint64_t size)
{
  return (FloeVerityPart){ disk->fd, (off_t) partition->offset, size };
}

static FloeSlotPartition *
other (FloeSlot *slot, FloeAppliancePieceKind kind)
{
  return kind == FLOE_APPLIANCE_VERITY ? &slot->disk->verity[1 - slot->running_verity] : &slot->disk->root[1 - slot->running_root];
}

static gboolean
check_whole (FloeSlot *slot, const FloeSlotOffer *offer, GError **error)
{
  const FloeApplianceInfo *info = offer->info;
  FloeVerityPart root = floe_slot_part (slot->disk, other (slot, FLOE_APPLIANCE_ROOT), info->pieces[FLOE_APPLIANCE_ROOT].size);
  FloeVerityPart tree = floe_slot_part (slot->disk, other (slot, FLOE_APPLIANCE_VERITY), info->pieces[FLOE_APPLIANCE_VERITY].size);

  return floe_verity_check (&root, &tree, &info->root_hash, error);
}

gboolean
floe_slot_holds (FloeSlot *slot, const FloeSlotOffer *offer)
{
  for (FloeAppliancePieceKind kind = FLOE_APPLIANCE_ROOT; kind <= FLOE_APPLIANCE_VERITY; kind++) {
    g_autofree char *label = floe_slot_label (offer->info->version, kind == FLOE_APPLIANCE_VERITY);
    char uuid[FLOE_UUID_SIZE];

    floe_appliance_uuid (&offer->info->root_hash, kind, uuid);
    if (strcmp (other (slot, kind)->label, label) != 0 || strcmp (other (slot, kind)->uuid, uuid) != 0
        || other (slot, kind)->size < offer->info->pieces[kind].size)
      return FALSE;
  }
  return check_whole (slot, offer, NULL);
}

gboolean
floe_slot_entry_is (FloeSlot *slot, const char *name, const FloeSlotOffer *offer)
{
  floe_autofd fd = floe_slot_menu_open_entry (slot->menu, name, NULL);
  FloeDigest found;

  return fd >= 0 && floe_slot_menu_size (slot->menu, name) == offer->info->pieces[FLOE_APPLIANCE_UKI].size
         && floe_digest_of_file (fd, &found, NULL)
         && floe_digest_equal (&found, &offer->info->pieces[FLOE_APPLIANCE_UKI].digest);
}

/* -- Room ------------------------------------------------------------------------------------------------------------ */

static gboolean
check_room (FloeSlot *slot, const FloeSlotOffer *offer, GError **error)
{
  uint64_t room, needed = offer->info->pieces[FLOE_APPLIANCE_UKI].size + BOOT_SPARE;

  for (FloeAppliancePieceKind kind = FLOE_APPLIANCE_ROOT; kind <= FLOE_APPLIANCE_VERITY; kind++)
    if (offer->info->pieces[kind].size > other (slot, kind)->size)
      return floe_error_set (error, FLOE_ERROR_LIMIT,
                             "version %" PRIi64 ": its %s has %" PRIu64 " bytes, and the slot's partition %" PRIu64
                             ": this disk has to be installed anew",
                             offer->info->version, floe_appliance_piece_names[kind], offer->info->pieces[kind].size,
                             other (slot, kind)->size);
  if (!floe_slot_menu_room (slot->menu, &room, error))
    return FALSE;
  for (guint i = 0; i < slot->menu->entries->len; i++) {
    const FloeSlotMenuEntry *one = &g_array_index (slot->menu->entries, FloeSlotMenuEntry, i);

    if (one->entry.version != slot->options->running)
      room += floe_slot_menu_size (slot->menu, one->name);
  }
  return room >= needed
         || floe_error_set (error, FLOE_ERROR_NO_SPACE,
                            "version %" PRIi64 ": its kernel image needs %" PRIu64 " bytes on the boot partition, which has %" PRIu64
                            " free",
                            offer->info->version, needed, room);
}

/* -- Steps ----------------------------------------------------------------------------------------------------------- */

/* Entries of all versions but the running one. */
static gboolean
remove_entries (FloeSlot *slot, GError **error)
{
  if (!floe_slot_menu_give_up (slot->menu, error))
    return FALSE;
  for (guint i = 0; i < slot->menu->entries->len;) {
    const FloeSlotMenuEntry *one = &g_array_index (slot->menu->entries, FloeSlotMenuEntry, i);
    char name[FLOE_SLOT_NAME_SIZE];

    i++;
    if (one->entry.version == slot->options->running)
      continue;
    g_strlcpy (name, one->name, sizeof name);
    if (!floe_slot_menu_remove (slot->menu, name, error))
      return FALSE;
    i = 0; /* read again */
  }
  return TRUE;
}

static gboolean
name_other (FloeSlot *slot, const FloeSlotNames *names, GError **error)
{
  return floe_slot_disk_name (slot->disk, 1 - slot->running_root, 1 - slot->running_verity, names, error);
}

static gboolean
name_empty (FloeSlot *slot, GError **error)
{
  FloeSlotNames names = { .label = { FLOE_SLOT_EMPTY, FLOE_SLOT_EMPTY } };

  for (size_t i = 0; i < 2; i++) {
    g_autofree char *uuid = g_uuid_string_random ();

    g_strlcpy (names.uuid[i], uuid, FLOE_UUID_SIZE);
  }
  return name_other (slot, &names, error);
}

static gboolean
name_version (FloeSlot *slot, const FloeApplianceInfo *info, GError **error)
{
  g_autofree char *root = floe_slot_label (info->version, FALSE), *tree = floe_slot_label (info->version, TRUE);
  FloeSlotNames names = { .label = { root, tree } };

  floe_appliance_uuid (&info->root_hash, FLOE_APPLIANCE_ROOT, names.uuid[0]);
  floe_appliance_uuid (&info->root_hash, FLOE_APPLIANCE_VERITY, names.uuid[1]);
  return name_other (slot, &names, error);
}

static gboolean
write_at (int fd, const uint8_t *data, size_t size, uint64_t at, GError **error)
{
  while (size > 0) {
    ssize_t put = pwrite (fd, data, size, (off_t) at);

    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return floe_error_set_errno (error, errno, "write");
    data += put;
    size -= (size_t) put;
    at += (uint64_t) put;
  }
  return TRUE;
}

/* The piece, chunk after chunk, to FD from OFFSET on. */
static gboolean
write_piece (FloeSlot *slot, const FloeSlotOffer *offer, FloeAppliancePieceKind kind, int fd, uint64_t offset, GError **error)
{
  g_autoptr (FloeChunkCodec) codec = floe_chunk_codec_new ();
  g_autofree uint8_t *raw = g_malloc (FLOE_CHUNK_SIZE);

  for (size_t i = 0; i < floe_index_chunks (offer->index[kind]); i++) {
    FloeTableEntry entry;
    FloeDigest digest;
    uint32_t size;

    floe_index_chunk (offer->index[kind], i, &digest, &size);
    if (!floe_table_find (offer->table[kind], &digest, &entry))
      return floe_error_set (error, FLOE_ERROR_INVALID, "chunk %zu is not in the table", i);
    if (!floe_slot_source_get (slot->source, codec, &entry, raw, error)
        || !write_at (fd, raw, size, offset + (uint64_t) i * FLOE_CHUNK_SIZE, error)) {
      g_prefix_error (error, "%s: ", floe_appliance_piece_names[kind]);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
write_slot (FloeSlot *slot, const FloeSlotOffer *offer, GError **error)
{
  for (FloeAppliancePieceKind kind = FLOE_APPLIANCE_ROOT; kind <= FLOE_APPLIANCE_VERITY; kind++) {
    const FloeSlotPartition *partition = other (slot, kind);

    if (!write_piece (slot, offer, kind, slot->disk->fd, partition->offset, error)
        || !floe_slot_disk_sync (slot->disk, partition, error))
      return FALSE;
  }
  return check_whole (slot, offer, error);
}

static gboolean
check_uki (int fd, const FloeSlotOffer *offer, GError **error)
{
  g_autoptr (GMappedFile) mapped = g_mapped_file_new_from_fd (fd, FALSE, NULL);
  g_autoptr (GBytes) bytes = mapped == NULL ? NULL : g_mapped_file_get_bytes (mapped);

  if (bytes == NULL)
    return floe_error_set (error, FLOE_ERROR_IO, "the kernel image cannot be read back");
  return floe_appliance_uki_names (bytes, &offer->info->root_hash, "the kernel image", error);
}

GBytes *
floe_slot_kernel (FloeSlot *slot, const FloeSlotOffer *offer, const char *name, GError **error)
{
  floe_autofd fd = name != NULL ? floe_slot_menu_open_entry (slot->menu, name, error) : memfd_create ("kernel", MFD_CLOEXEC);
  g_autoptr (GMappedFile) mapped = NULL;

  if (fd < 0 && name == NULL)
    floe_error_set_errno (error, errno, "memory for a kernel image");
  if (fd < 0 || (name == NULL && !write_piece (slot, offer, FLOE_APPLIANCE_UKI, fd, 0, error)))
    return NULL;
  mapped = g_mapped_file_new_from_fd (fd, FALSE, error);
  return mapped == NULL ? NULL : g_mapped_file_get_bytes (mapped);
}

static gboolean
write_entry (FloeSlot *slot, const FloeSlotOffer *offer, GError **error)
{
  g_autofree char *name = floe_slot_entry_name (offer->info->version, FLOE_SLOT_TRIES);
  floe_autofd fd = floe_slot_menu_begin (slot->menu, error);

  return fd >= 0 && write_piece (slot, offer, FLOE_APPLIANCE_UKI, fd, 0, error) && check_uki (fd, offer, error)
         && floe_slot_menu_finish (slot->menu, fd, &offer->info->pieces[FLOE_APPLIANCE_UKI].digest, name, error);
}

gboolean
floe_slot_write (FloeSlot *slot, const FloeSlotOffer *offer, GError **error)
{
  if (!check_room (slot, offer, error) || !remove_entries (slot, error))
    return FALSE;
  /* Whoever lost the power after step 5 goes on from there. */
  if (!floe_slot_holds (slot, offer)
      && (!name_empty (slot, error) || !write_slot (slot, offer, error) || !name_version (slot, offer->info, error)))
    return FALSE;
  return write_entry (slot, offer, error);
}
