/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-store.h"

/* Where the bytes of a new version come from: what the running one has already, read from its own partitions and boot entry, and the store that the
 * agent fills. Neither is trusted: a chunk is handed out when its bytes have the digest that was signed. */
typedef struct _FloeSlotSource FloeSlotSource;

/* STORE is borrowed. */
FloeSlotSource *floe_slot_source_new (FloeStore *store);
void floe_slot_source_free (FloeSlotSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSlotSource, floe_slot_source_free)

/* Reads SIZE bytes at OFFSET of FD (borrowed) and remembers what chunks they are. */
gboolean floe_slot_source_add (FloeSlotSource *source, int fd, off_t offset, uint64_t size, GError **error) FLOE_WARN_UNUSED;
/* Whether ENTRY can be had, as far as can be told without reading it. */
gboolean floe_slot_source_has (FloeSlotSource *source, const FloeTableEntry *entry);
/* The bytes of the chunk into RAW, entry->raw_size of them. NOT_FOUND, UNVERIFIED, IO. */
gboolean floe_slot_source_get (FloeSlotSource *source, FloeChunkCodec *codec, const FloeTableEntry *entry, void *raw,
                               GError **error) FLOE_WARN_UNUSED;
/* Digests of what was added, as a boot list (server-sync/image/floe-boot-list.h): the agent need not fetch these. */
GBytes *floe_slot_source_list (FloeSlotSource *source);
