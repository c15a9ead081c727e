/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-index.h"

/* Chunk table (.table): what is signed about each distinct chunk of an image. Little-endian:
 *   8 bytes "FLOETBL1", u32 count, u32 72 (bytes an entry),
 *   then count entries {digest[32], compressed digest[32], u32 compressed size, u32 raw size}, strictly ascending by
 * digest. */
#define FLOE_TABLE_HEAD 16
#define FLOE_TABLE_ENTRY 72
#define FLOE_TABLE_MAX_BYTES (FLOE_TABLE_HEAD + FLOE_TABLE_ENTRY * (size_t) FLOE_IMAGE_MAX_CHUNKS)

/* Immutable; may be read by any number of threads. */
typedef struct _FloeTable FloeTable;

/* Takes a reference to BYTES and reads in place. INVALID for anything that is not exactly such a table. */
FloeTable *floe_table_parse (GBytes *bytes, const char *source, GError **error) FLOE_WARN_UNUSED;
void floe_table_free (FloeTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeTable, floe_table_free)

size_t floe_table_count (const FloeTable *table);
/* The entry NUMBER in the order of digests. */
void floe_table_entry (const FloeTable *table, size_t number, FloeTableEntry *entry);
/* Finds DIGEST by binary search, allocation-free. FALSE when there is none. */
gboolean floe_table_find (const FloeTable *table, const FloeDigest *digest, FloeTableEntry *entry);
/* The same, with the entry's number. */
gboolean floe_table_find_number (const FloeTable *table, const FloeDigest *digest, size_t *number, FloeTableEntry *entry);
/* Sum of the compressed sizes: what the image costs to fetch whole. */
uint64_t floe_table_compressed_total (const FloeTable *table);
/* Whether each chunk of INDEX is in TABLE with its size, and TABLE has no others: the two belong together. INVALID if not.
 */
gboolean floe_table_matches (const FloeTable *table, const FloeIndex *index, GError **error) FLOE_WARN_UNUSED;

/* Makes a table of ENTRIES (sorted in place; at most FLOE_IMAGE_MAX_CHUNKS, no digest twice). */
GBytes *floe_table_build (FloeTableEntry *entries, size_t count);
