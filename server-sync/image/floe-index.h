/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-chunk.h"

/* A casync blob index (.caibx): casync's src/caformat.h, CaFormatIndex and CaFormatTable. Little-endian; a head of 48
 * bytes, the header of the table, an item of end offset and digest for each chunk in the image's order, a tail. Only what
 * Floe publishes is taken: SHA-256 (no SHA512/256 flag), no archive features, minimal = average = maximal chunk size = 128
 * KiB. */

/* The largest index file. */
#define FLOE_INDEX_MAX_BYTES (104 + 40 * (size_t) FLOE_IMAGE_MAX_CHUNKS)

/* Immutable; may be read by any number of threads. */
typedef struct _FloeIndex FloeIndex;

/* Takes a reference to BYTES and reads in place. INVALID for anything that is not exactly such an index (each chunk but the
 * last is whole, nothing follows the tail); LIMIT for an image that is too large. SOURCE names it in errors. */
FloeIndex *floe_index_parse (GBytes *bytes, const char *source, GError **error) FLOE_WARN_UNUSED;
void floe_index_free (FloeIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeIndex, floe_index_free)

/* Bytes of the image. */
uint64_t floe_index_size (const FloeIndex *index);
size_t floe_index_chunks (const FloeIndex *index);
/* The chunk NUMBER (below floe_index_chunks(), or it is the caller's bug): its digest and its size. It begins at NUMBER *
 * FLOE_CHUNK_SIZE. Allocation-free. */
void floe_index_chunk (const FloeIndex *index, size_t number, FloeDigest *digest, uint32_t *size);

/* The index of an image of SIZE bytes (at most FLOE_IMAGE_MAX_SIZE) whose chunks have these DIGESTS: as many as SIZE asks
 * for. Byte for byte what `casync make --digest=sha256 --chunk-size=131072:131072:131072` writes. */
GBytes *floe_index_build (const FloeDigest *digests, uint64_t size);
/* The number of chunks of an image of SIZE bytes. */
size_t floe_index_chunks_for (uint64_t size);

/* VERSION in target names: the first 16 hexadecimal digits of the index's SHA-256. */
#define FLOE_VERSION_SIZE 17
void floe_index_version (GBytes *bytes, char version[FLOE_VERSION_SIZE]);
