/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/signing/floe-repository.h"

#include <openssl/evp.h>

/* The private key that URI (RFC 7512, pkcs11:...) names, in a token: through OpenSSL's provider `pkcs11` where one is configured,
 * else through the engine `pkcs11`. The token's PIN is PASSPHRASE's unless URI brings a pin-source. UNSUPPORTED when OpenSSL has
 * neither. Free with EVP_PKEY_free(). */
EVP_PKEY *floe_token_open (const char *uri, FloePassphrase *passphrase, GError **error) FLOE_WARN_UNUSED;
