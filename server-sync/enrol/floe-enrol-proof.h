/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/enrol/floe-enrol-message.h"

/* Theory of operation. Neither side knows the other; both know the code's key K (floe_code_key()). TLS gives the endpoint some server
 * key, S = SHA-256 of its SubjectPublicKeyInfo. With R and A the bytes of request and answer as they went over the wire,
 *
 *   request proof     HMAC-SHA-256 (K, "floe enrol request 1\n" S SHA-256 (R))
 *   request signature Ed25519 (the endpoint's key, "floe enrol request 1\n" S SHA-256 (R))
 *   answer proof      HMAC-SHA-256 (K, "floe enrol answer 1\n" S SHA-256 (R) SHA-256 (A))
 *
 * The real server computes with its own S: who stands in the middle with another key passes on a proof that is wrong there, and cannot
 * make the one that the endpoint waits for. R has a nonce of the endpoint's, so no answer of another day fits. */

#define FLOE_ENROL_PROOF_HEADER "Floe-Proof"
#define FLOE_ENROL_SIGNATURE_HEADER "Floe-Signature"
#define FLOE_ENROL_SIGNATURE_SIZE 64

void floe_enrol_request_proof (const FloeDigest *key, const FloeDigest *server, GBytes *request, FloeDigest *proof);
void floe_enrol_answer_proof (const FloeDigest *key, const FloeDigest *server, GBytes *request, GBytes *answer, FloeDigest *proof);
/* Whether TEXT is PROOF in lower-case hexadecimal, in time that does not depend on how much of it is right. TEXT may be NULL. */
gboolean floe_enrol_proof_is (const FloeDigest *proof, const char *text) FLOE_WARN_UNUSED;

/* Ed25519 over the request, with raw keys; SIGNATURE in hexadecimal, to be freed. */
char *floe_enrol_sign (const uint8_t private_key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *request,
                       GError **error) FLOE_WARN_UNUSED;
gboolean floe_enrol_signature_is (const uint8_t key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *request,
                                  const char *signature) FLOE_WARN_UNUSED;

/* The same over a check-in (floe-checkin.h), under a label of its own: neither can be taken for the other. */
char *floe_checkin_sign (const uint8_t private_key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *checkin,
                         GError **error) FLOE_WARN_UNUSED;
gboolean floe_checkin_signature_is (const uint8_t key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *checkin,
                                    const char *signature) FLOE_WARN_UNUSED;

/* The endpoint's id: the first 16 hexadecimal digits of its public key's SHA-256. */
void floe_enrol_endpoint_id (const uint8_t key[FLOE_ENROL_KEY_SIZE], char id[FLOE_ENROL_ID_SIZE]);

/* SECRET under a key made of K, so that only who has the code reads it: AES-256-GCM, a random nonce of 12 bytes before it and the tag of
 * 16 after it. */
GBytes *floe_enrol_seal (const FloeDigest *key, const void *secret, size_t size, GError **error) FLOE_WARN_UNUSED;
/* UNVERIFIED when it is no such thing. */
GBytes *floe_enrol_unseal (const FloeDigest *key, GBytes *sealed, GError **error) FLOE_WARN_UNUSED;
