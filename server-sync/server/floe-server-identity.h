/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* The server's TLS key and certificate. The key is the identity: endpoints pin its public half (RFC 7469's form, as libcurl
 * takes it), so the certificate is only its envelope and is made anew from the key when it nears its end. */

typedef struct _FloeServerIdentity FloeServerIdentity;

/* Loads key.pem and cert.pem below DATA_DIR/tls, making what is missing (ECDSA P-256, self-signed). A key that others than
 * its owner can read is REFUSED; a certificate of another key is INVALID. */
FloeServerIdentity *floe_server_identity_load (int data_dir, gint64 now, GError **error) FLOE_WARN_UNUSED;
void floe_server_identity_free (FloeServerIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeServerIdentity, floe_server_identity_free)

/* PEM, as libmicrohttpd takes them; borrowed. */
const char *floe_server_identity_key (FloeServerIdentity *identity);
const char *floe_server_identity_certificate (FloeServerIdentity *identity);
/* "sha256//BASE64" of the DER SubjectPublicKeyInfo; borrowed. */
const char *floe_server_identity_pin (FloeServerIdentity *identity);
/* The same SHA-256. */
void floe_server_identity_digest (FloeServerIdentity *identity, FloeDigest *digest);
