/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-private.h"

#include "common/floe-fd.h"

#include <inttypes.h>
#include <string.h>

#define ROOT_MAX_BYTES (1024 * 1024)
#define ROLE "appliance"

void
floe_slot_offer_free (FloeSlotOffer *offer)
{
  if (offer == NULL)
    return;
  floe_appliance_info_free (offer->info);
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++) {
    floe_index_free (offer->index[i]);
    floe_table_free (offer->table[i]);
  }
  g_free (offer);
}

/* The target that the description names by its digest: a mix of two publications is none. */
static GBytes *
take_target (FloeTrust *trust, const FloeSlotOffer *offer, FloeAppliancePieceKind kind, const char *suffix, const FloeDigest *digest,
             size_t max, GError **error)
{
  g_autofree char *name = floe_appliance_target (offer->info, kind, suffix);
  g_autoptr (FloeVerified) verified = floe_trust_target (trust, name, max, NULL, error);
  FloeDigest found;
  GBytes *bytes;
  gsize size;
  const void *data;

  if (verified == NULL)
    return NULL;
  bytes = floe_verified_bytes (verified);
  data = g_bytes_get_data (bytes, &size);
  floe_digest_of (data, size, &found);
  if (!floe_digest_equal (&found, digest)) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: not the one that its description names", name);
    return NULL;
  }
  return g_bytes_ref (bytes);
}

static gboolean
take_piece (FloeTrust *trust, FloeSlotOffer *offer, FloeAppliancePieceKind kind, GError **error)
{
  const FloeAppliancePiece *piece = &offer->info->pieces[kind];
  const char *name = floe_appliance_piece_names[kind];
  g_autoptr (GBytes) index = take_target (trust, offer, kind, "caibx", &piece->index, FLOE_INDEX_MAX_BYTES, error);
  g_autoptr (GBytes) table = NULL;

  if (index == NULL)
    return FALSE;
  table = take_target (trust, offer, kind, "table", &piece->table, FLOE_TABLE_MAX_BYTES, error);
  if (table == NULL)
    return FALSE;
  offer->index[kind] = floe_index_parse (index, name, error);
  offer->table[kind] = offer->index[kind] == NULL ? NULL : floe_table_parse (table, name, error);
  if (offer->table[kind] == NULL || !floe_table_matches (offer->table[kind], offer->index[kind], error))
    return FALSE;
  return floe_index_size (offer->index[kind]) == piece->size
         || floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: %" PRIu64 " bytes by its index, %" PRIu64 " by its description", name,
                            floe_index_size (offer->index[kind]), piece->size);
}

/* The clock of a machine that was kept offline may be set back; metadata that has expired stays so. */
static gboolean
note_time (FloeSlot *slot, GError **error)
{
  if (slot->options->now <= slot->record.clock)
    return TRUE;
  slot->record.clock = slot->options->now;
  return floe_slot_record_save (slot->dir, &slot->record, error);
}

static FloeSlotOffer *
read_offer (FloeSlot *slot, FloeTrust *trust, GError **error)
{
  g_autofree char *target = floe_appliance_channel_target (slot->options->channel);
  g_autoptr (FloeVerified) verified = floe_trust_target (trust, target, FLOE_APPLIANCE_INFO_MAX_BYTES, NULL, error);
  g_autoptr (FloeSlotOffer) offer = NULL;

  if (verified == NULL)
    return NULL;
  if (strcmp (floe_verified_role (verified), ROLE) != 0) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: signed by role %s, not by " ROLE, target, floe_verified_role (verified));
    return NULL;
  }
  offer = g_new0 (FloeSlotOffer, 1);
  offer->info = floe_appliance_info_parse (floe_verified_bytes (verified), target, error);
  if (offer->info == NULL)
    return NULL;
  slot->offered = offer->info->version;
  /* Nothing more is read for a version that runs already. */
  for (FloeAppliancePieceKind kind = 0; kind < FLOE_APPLIANCE_PIECES && slot->offered != slot->options->running; kind++)
    if (!take_piece (trust, offer, kind, error))
      return NULL;
  return g_steal_pointer (&offer);
}

FloeSlotOffer *
floe_slot_offer_read (FloeSlot *slot, GError **error)
{
  g_autofree char *spool = g_build_filename (slot->options->state, "spool", NULL);
  g_autoptr (FloeTrustTransport) transport = floe_trust_transport_directory (spool);
  g_autoptr (GBytes) root = floe_file_read (slot->options->root, ROOT_MAX_BYTES, error);
  g_autoptr (FloeTrust) trust = NULL;

  if (root == NULL || !note_time (slot, error) || !floe_trust_init (slot->trust_dir, root, error))
    return NULL;
  trust = floe_trust_open (slot->trust_dir, transport, error);
  if (trust == NULL || !floe_trust_refresh (trust, slot->record.clock, NULL, error))
    return NULL;
  return read_offer (slot, trust, error);
}
