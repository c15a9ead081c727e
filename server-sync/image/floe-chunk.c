/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-chunk.h"

#include <zstd.h>

G_STATIC_ASSERT (FLOE_CHUNK_COMPRESSED_MAX >= ZSTD_COMPRESSBOUND (FLOE_CHUNK_SIZE));

/* The contexts are made when first used: a reader never compresses, and compression state is the larger by far. */
struct _FloeChunkCodec {
  ZSTD_CCtx *compressor;
  ZSTD_DCtx *decompressor;
  uint8_t buffer[FLOE_CHUNK_COMPRESSED_MAX];
};

FloeChunkCodec *
floe_chunk_codec_new (void)
{
  return g_new0 (FloeChunkCodec, 1);
}

void
floe_chunk_codec_free (FloeChunkCodec *codec)
{
  if (codec == NULL)
    return;
  ZSTD_freeCCtx (codec->compressor);
  ZSTD_freeDCtx (codec->decompressor);
  g_free (codec);
}

uint8_t *
floe_chunk_codec_buffer (FloeChunkCodec *codec)
{
  return codec->buffer;
}

gboolean
floe_chunk_compress (FloeChunkCodec *codec, const void *raw, size_t size, int level, FloeTableEntry *entry, GError **error)
{
  size_t written;

  g_return_val_if_fail (size >= 1 && size <= FLOE_CHUNK_SIZE, FALSE);
  if (codec->compressor == NULL && (codec->compressor = ZSTD_createCCtx ()) == NULL)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for zstd");
  written = ZSTD_compressCCtx (codec->compressor, codec->buffer, sizeof codec->buffer, raw, size, level);
  if (ZSTD_isError (written))
    return floe_error_set (error, FLOE_ERROR_FAILED, "zstd: %s", ZSTD_getErrorName (written));
  floe_digest_of (raw, size, &entry->digest);
  floe_digest_of (codec->buffer, written, &entry->compressed_digest);
  entry->compressed_size = (uint32_t) written;
  entry->raw_size = (uint32_t) size;
  return TRUE;
}

static gboolean
unverified (const FloeTableEntry *entry, GError **error, const char *what)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (&entry->digest, hex);
  return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "chunk %s refused: %s", hex, what);
}

gboolean
floe_chunk_verify (const FloeTableEntry *entry, const void *frame, size_t size, GError **error)
{
  FloeDigest digest;

  if (size != entry->compressed_size)
    return unverified (entry, error, "its compressed size is not the signed one");
  floe_digest_of (frame, size, &digest);
  return floe_digest_equal (&digest, &entry->compressed_digest)
         || unverified (entry, error, "its compressed bytes do not have the signed digest");
}

gboolean
floe_chunk_decompress (FloeChunkCodec *codec, const FloeTableEntry *entry, const void *frame, size_t size, void *raw,
                       GError **error)
{
  FloeDigest digest;
  size_t written;

  g_return_val_if_fail (entry->raw_size <= FLOE_CHUNK_SIZE, FALSE);
  if (!floe_chunk_verify (entry, frame, size, error))
    return FALSE;
  if (codec->decompressor == NULL && (codec->decompressor = ZSTD_createDCtx ()) == NULL)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for zstd");
  /* One frame and nothing behind it; written straight into RAW, so no window is allocated whatever the frame's header asks
   * for, and not a byte more than raw_size is written. */
  if (ZSTD_findFrameCompressedSize (frame, size) != size)
    return unverified (entry, error, "not exactly one zstd frame");
  written = ZSTD_decompressDCtx (codec->decompressor, raw, entry->raw_size, frame, size);
  if (ZSTD_isError (written))
    return unverified (entry, error, ZSTD_getErrorName (written));
  if (written != entry->raw_size)
    return unverified (entry, error, "it decompresses to too few bytes");
  floe_digest_of (raw, written, &digest);
  return floe_digest_equal (&digest, &entry->digest) || unverified (entry, error, "its bytes do not have its digest");
}
