/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-source.h"

#include "common/floe-fd.h"
#include "server-sync/image/floe-boot-list.h"

typedef struct {
  FloeDigest digest; /* first: a place is its own key */
  int fd;
  off_t offset;
  uint32_t size;
} Place;

struct _FloeSlotSource {
  FloeStore *store;
  GHashTable *places; /* of Place */
};

FloeSlotSource *
floe_slot_source_new (FloeStore *store)
{
  FloeSlotSource *source = g_new0 (FloeSlotSource, 1);

  source->store = store;
  source->places = g_hash_table_new_full (floe_digest_hash, floe_digest_equal_func, g_free, NULL);
  return source;
}

void
floe_slot_source_free (FloeSlotSource *source)
{
  if (source == NULL)
    return;
  g_hash_table_unref (source->places);
  g_free (source);
}

gboolean
floe_slot_source_add (FloeSlotSource *source, int fd, off_t offset, uint64_t size, GError **error)
{
  g_autofree uint8_t *raw = g_malloc (FLOE_CHUNK_SIZE);

  for (uint64_t at = 0; at < size; at += FLOE_CHUNK_SIZE) {
    Place place = { .fd = fd, .offset = offset + (off_t) at, .size = (uint32_t) MIN (size - at, FLOE_CHUNK_SIZE) };

    if (!floe_pread_all (fd, raw, place.size, place.offset, error))
      return FALSE;
    floe_digest_of (raw, place.size, &place.digest);
    if (!g_hash_table_contains (source->places, &place))
      g_hash_table_add (source->places, g_memdup2 (&place, sizeof place));
  }
  return TRUE;
}

gboolean
floe_slot_source_has (FloeSlotSource *source, const FloeTableEntry *entry)
{
  return g_hash_table_contains (source->places, &entry->digest) || floe_store_has (source->store, entry);
}

gboolean
floe_slot_source_get (FloeSlotSource *source, FloeChunkCodec *codec, const FloeTableEntry *entry, void *raw, GError **error)
{
  const Place *place = g_hash_table_lookup (source->places, &entry->digest);
  FloeDigest found;

  if (place != NULL && place->size == entry->raw_size && floe_pread_all (place->fd, raw, place->size, place->offset, NULL)) {
    floe_digest_of (raw, place->size, &found);
    if (floe_digest_equal (&found, &entry->digest))
      return TRUE;
  }
  return floe_store_get (source->store, codec, entry, raw, error);
}

GBytes *
floe_slot_source_list (FloeSlotSource *source)
{
  g_autoptr (GArray) digests = g_array_new (FALSE, FALSE, sizeof (FloeDigest));
  GHashTableIter iter;
  gpointer place;

  g_hash_table_iter_init (&iter, source->places);
  while (digests->len < FLOE_BOOT_LIST_MAX_CHUNKS && g_hash_table_iter_next (&iter, &place, NULL))
    g_array_append_val (digests, ((const Place *) place)->digest);
  return floe_boot_list_build ((const FloeDigest *) (gpointer) digests->data, digests->len);
}
