/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/signing/floe-repository.h"

#include <jansson.h>

/* Keys that may be here to sign with: KEYS/NAME.pub (SubjectPublicKeyInfo in PEM) tells which key it is; the private half is
 * KEYS/NAME.key (PKCS#8 in PEM, encrypted with scrypt and AES-256) or wherever KEYS/NAME.uri (one line, pkcs11:...) points. A private
 * key is opened by the first signature and dropped by floe_signer_forget(). */

typedef struct _FloeSigner FloeSigner;

typedef enum {
  FLOE_SIGNER_ED25519,
  FLOE_SIGNER_ECDSA_P256,
} FloeSignerType;

/* Makes a key pair and writes KEYS/NAME.key (0600) and NAME.pub. BUSY when a key of that name is there already. */
gboolean floe_signer_generate (int keys_dir, const char *name, FloeSignerType type, FloePassphrase *passphrase,
                               GError **error) FLOE_WARN_UNUSED;
/* Makes KEYS/NAME.uri and NAME.pub for the token's key that URI names; asks the token for the public half. */
gboolean floe_signer_adopt_token (int keys_dir, const char *name, const char *uri, FloePassphrase *passphrase,
                                  GError **error) FLOE_WARN_UNUSED;

/* All keys below KEYS, sorted by name, as FloeSigner; a public half without a private one is listed and cannot sign. */
GPtrArray *floe_signer_list (int keys_dir, GError **error) FLOE_WARN_UNUSED;
void floe_signer_free (FloeSigner *signer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeSigner, floe_signer_free)

const char *floe_signer_name (const FloeSigner *signer);
const char *floe_signer_keyid (const FloeSigner *signer);
gboolean floe_signer_can_sign (const FloeSigner *signer);

/* Hexadecimal signature over DATA, free with g_free(). REFUSED when the private key file is readable by others, UNVERIFIED when the
 * passphrase is wrong or the private key is not the public one's. */
char *floe_signer_sign (FloeSigner *signer, FloePassphrase *passphrase, const void *data, size_t size,
                        GError **error) FLOE_WARN_UNUSED;
/* Wipes the private key from memory. */
void floe_signer_forget (FloeSigner *signer);

/* The TUF key object of a public key in PEM: Ed25519 or ECDSA P-256; UNSUPPORTED for others. New reference. */
json_t *floe_signer_public_from_pem (GBytes *pem, const char *source, GError **error) FLOE_WARN_UNUSED;

/* Borrowed from PASSPHRASE until it is freed; WHAT names the key in the question. */
const char *floe_passphrase_get (FloePassphrase *passphrase, const char *what, gboolean confirm,
                                 GError **error) FLOE_WARN_UNUSED;
