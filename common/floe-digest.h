/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* SHA-256 (FIPS 180-4), the one digest of chunks, indexes and targets. */
#define FLOE_DIGEST_SIZE 32
#define FLOE_DIGEST_HEX_SIZE (2 * FLOE_DIGEST_SIZE + 1)

typedef struct {
  uint8_t bytes[FLOE_DIGEST_SIZE];
} FloeDigest;

/* Digest of SIZE bytes. Allocation-free but for OpenSSL's own; aborts only if OpenSSL has no SHA-256. */
void floe_digest_of (const void *data, size_t size, FloeDigest *digest);
gboolean floe_digest_equal (const FloeDigest *a, const FloeDigest *b);
/* For GHashTable: hash and equality of FloeDigest *. */
guint floe_digest_hash (gconstpointer digest);
gboolean floe_digest_equal_func (gconstpointer a, gconstpointer b);
/* Lower-case hexadecimal with a terminating NUL. */
void floe_digest_to_hex (const FloeDigest *digest, char hex[FLOE_DIGEST_HEX_SIZE]);
/* Exactly 64 lower-case hexadecimal digits, or INVALID. */
gboolean floe_digest_from_hex (const char *hex, FloeDigest *digest, GError **error) FLOE_WARN_UNUSED;

/* SIZE bytes of DATA in lower-case hexadecimal, to be freed. */
char *floe_hex_encode (const void *data, size_t size);
/* Exactly 2 * SIZE lower-case hexadecimal digits into SIZE bytes of DATA; FALSE, with DATA as it was, for anything else. */
gboolean floe_hex_decode (const char *text, void *data, size_t size) FLOE_WARN_UNUSED;

/* Digest of all that the open file FD has, read from its beginning. IO. */
gboolean floe_digest_of_file (int fd, FloeDigest *digest, GError **error) FLOE_WARN_UNUSED;

/* Running digest, for data that arrives in pieces. */
typedef struct _FloeDigester FloeDigester;
FloeDigester *floe_digester_new (void);
void floe_digester_update (FloeDigester *digester, const void *data, size_t size);
/* Ends the digest; the digester can only be freed afterwards. */
void floe_digester_finish (FloeDigester *digester, FloeDigest *digest);
void floe_digester_free (FloeDigester *digester);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeDigester, floe_digester_free)
