/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* A chunk: 128 KiB of an image at a multiple of 128 KiB (the last one may be shorter), named by the SHA-256 of its bytes,
 * kept and carried as one zstd frame, whose own SHA-256 is signed too: nothing unverified reaches the decompressor. */
#define FLOE_CHUNK_SIZE 131072u
/* One zstd frame of a chunk that does not compress, with room to spare (ZSTD_COMPRESSBOUND is 131,584). */
#define FLOE_CHUNK_COMPRESSED_MAX 132096u
/* The largest image: its index is 80 MiB, its table 144 MiB at the most. */
#define FLOE_IMAGE_MAX_SIZE (UINT64_C (256) << 30)
#define FLOE_IMAGE_MAX_CHUNKS (FLOE_IMAGE_MAX_SIZE / FLOE_CHUNK_SIZE)
/* Of 1 to 19; 3 by measurement (docs/images.md). */
#define FLOE_CHUNK_LEVEL 3

/* What is signed about one distinct chunk. */
typedef struct {
  FloeDigest digest;            /* of the chunk's bytes: its name */
  FloeDigest compressed_digest; /* of its zstd frame */
  uint32_t compressed_size;     /* 1 to FLOE_CHUNK_COMPRESSED_MAX */
  uint32_t raw_size;            /* 1 to FLOE_CHUNK_SIZE */
} FloeTableEntry;

/* zstd's state and one buffer for a frame, about 300 KiB once both ways were used. For one thread at a time. */
typedef struct _FloeChunkCodec FloeChunkCodec;
FloeChunkCodec *floe_chunk_codec_new (void);
void floe_chunk_codec_free (FloeChunkCodec *codec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeChunkCodec, floe_chunk_codec_free)
/* FLOE_CHUNK_COMPRESSED_MAX bytes that the caller may fill with a frame; floe_chunk_compress() leaves its result here. */
uint8_t *floe_chunk_codec_buffer (FloeChunkCodec *codec);

/* Compresses SIZE bytes (1 to FLOE_CHUNK_SIZE) into the codec's buffer and describes the chunk in *entry. */
gboolean floe_chunk_compress (FloeChunkCodec *codec, const void *raw, size_t size, int level, FloeTableEntry *entry,
                              GError **error) FLOE_WARN_UNUSED;
/* Checks that FRAME is what ENTRY says: its size, then its digest. UNVERIFIED otherwise. */
gboolean floe_chunk_verify (const FloeTableEntry *entry, const void *frame, size_t size, GError **error) FLOE_WARN_UNUSED;
/* Verifies FRAME, decompresses exactly entry->raw_size bytes into RAW and checks their digest. UNVERIFIED otherwise, with
 * RAW's content then undefined. FRAME may be the codec's buffer. */
gboolean floe_chunk_decompress (FloeChunkCodec *codec, const FloeTableEntry *entry, const void *frame, size_t size,
                                void *raw, GError **error) FLOE_WARN_UNUSED;
