/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <jansson.h>

/* Public keys of TUF metadata (specification 4.2): keytype and scheme `ed25519`; `ecdsa` (or the older
 * `ecdsa-sha2-nistp256`) with scheme `ecdsa-sha2-nistp256`; `rsa` with scheme `rsassa-pss-sha256`, 2,048 to 8,192 bits. Ed25519 keys
 * are 64 hexadecimal digits, the others PEM (SubjectPublicKeyInfo). */

typedef struct _FloeKey FloeKey;

/* Reads a key that KEYID names from its JSON object. INVALID only if the object is not of the form that every key has. A key of
 * another type or scheme, with a value that is no key, or whose KEYID is not the digest of its canonical form (which the
 * specification has clients check) is read too, but verifies nothing: floe_key_is_usable() is FALSE. NO_SPACE when OpenSSL had no memory. */
FloeKey *floe_key_parse (const char *keyid, const json_t *key, GError **error) FLOE_WARN_UNUSED;
FloeKey *floe_key_ref (FloeKey *key);
void floe_key_unref (FloeKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeKey, floe_key_unref)

const char *floe_key_id (const FloeKey *key);
const char *floe_key_scheme (const FloeKey *key);
gboolean floe_key_is_usable (const FloeKey *key);
/* Why it is not usable, in a few words; NULL if it is. */
const char *floe_key_problem (const FloeKey *key);
/* Whether both hold the same public key, whatever their ids, spelling or encoding. Unusable keys are equal to nothing. */
gboolean floe_key_equal (const FloeKey *a, const FloeKey *b);

/* Whether SIGNATURE (hexadecimal, either case) over SIZE bytes of DATA is this key's. Anything wrong with it is FALSE. */
gboolean floe_key_verify (const FloeKey *key, const void *data, size_t size, const char *signature) FLOE_WARN_UNUSED;

/* The key id that the specification gives a key: SHA-256 of its canonical form, 64 lower-case hexadecimal digits, free with g_free(). */
char *floe_key_make_id (const json_t *key, GError **error) FLOE_WARN_UNUSED;
