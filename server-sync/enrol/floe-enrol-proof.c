/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-enrol-proof.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

#define REQUEST_LABEL "floe enrol request 1\n"
#define ANSWER_LABEL "floe enrol answer 1\n"
#define CHECKIN_LABEL "floe check-in 1\n"
#define SEAL_LABEL "floe enrol seal 1\n"
#define GCM_NONCE 12
#define GCM_TAG 16

static void
mac (const FloeDigest *key, const void *data, size_t size, FloeDigest *result)
{
  unsigned length = FLOE_DIGEST_SIZE;

  if (HMAC (EVP_sha256 (), key->bytes, FLOE_DIGEST_SIZE, data, size, result->bytes, &length) == NULL)
    g_error ("OpenSSL has no working HMAC");
}

static void
append_digest (GByteArray *message, GBytes *bytes)
{
  FloeDigest digest;
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  floe_digest_of (data, size, &digest);
  g_byte_array_append (message, digest.bytes, FLOE_DIGEST_SIZE);
}

static GByteArray *
message_new (const char *label, const FloeDigest *server, GBytes *request)
{
  GByteArray *message = g_byte_array_new ();

  g_byte_array_append (message, (const guint8 *) label, (guint) strlen (label));
  g_byte_array_append (message, server->bytes, FLOE_DIGEST_SIZE);
  append_digest (message, request);
  return message;
}

void
floe_enrol_request_proof (const FloeDigest *key, const FloeDigest *server, GBytes *request, FloeDigest *proof)
{
  g_autoptr (GByteArray) message = message_new (REQUEST_LABEL, server, request);

  mac (key, message->data, message->len, proof);
}

void
floe_enrol_answer_proof (const FloeDigest *key, const FloeDigest *server, GBytes *request, GBytes *answer, FloeDigest *proof)
{
  g_autoptr (GByteArray) message = message_new (ANSWER_LABEL, server, request);

  append_digest (message, answer);
  mac (key, message->data, message->len, proof);
}

gboolean
floe_enrol_proof_is (const FloeDigest *proof, const char *text)
{
  FloeDigest given;

  return text != NULL && floe_digest_from_hex (text, &given, NULL) &&
         CRYPTO_memcmp (given.bytes, proof->bytes, FLOE_DIGEST_SIZE) == 0;
}

/* -- The endpoint's key --------------------------------------------------------------------------------------------- */

static char *
sign (const char *label, const uint8_t private_key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *request, GError **error)
{
  g_autoptr (GByteArray) message = message_new (label, server, request);
  g_autoptr (EVP_PKEY) key = EVP_PKEY_new_raw_private_key (EVP_PKEY_ED25519, NULL, private_key, FLOE_ENROL_KEY_SIZE);
  g_autoptr (EVP_MD_CTX) context = EVP_MD_CTX_new ();
  uint8_t signature[FLOE_ENROL_SIGNATURE_SIZE];
  size_t size = sizeof signature;

  if (key == NULL || context == NULL || EVP_DigestSignInit (context, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestSign (context, signature, &size, message->data, message->len) != 1) {
    floe_error_set (error, FLOE_ERROR_FAILED, "OpenSSL did not sign with the endpoint's key");
    return NULL;
  }
  return floe_hex_encode (signature, size);
}

static gboolean
signature_is (const char *label, const uint8_t key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *request, const char *signature)
{
  g_autoptr (GByteArray) message = message_new (label, server, request);
  g_autoptr (EVP_PKEY) public = EVP_PKEY_new_raw_public_key (EVP_PKEY_ED25519, NULL, key, FLOE_ENROL_KEY_SIZE);
  g_autoptr (EVP_MD_CTX) context = EVP_MD_CTX_new ();
  uint8_t raw[FLOE_ENROL_SIGNATURE_SIZE];

  return signature != NULL && floe_hex_decode (signature, raw, sizeof raw) && public != NULL && context != NULL &&
         EVP_DigestVerifyInit (context, NULL, NULL, NULL, public) == 1 &&
         EVP_DigestVerify (context, raw, sizeof raw, message->data, message->len) == 1;
}

char *
floe_enrol_sign (const uint8_t private_key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *request, GError **error)
{
  return sign (REQUEST_LABEL, private_key, server, request, error);
}

gboolean
floe_enrol_signature_is (const uint8_t key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *request, const char *signature)
{
  return signature_is (REQUEST_LABEL, key, server, request, signature);
}

char *
floe_checkin_sign (const uint8_t private_key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *checkin, GError **error)
{
  return sign (CHECKIN_LABEL, private_key, server, checkin, error);
}

gboolean
floe_checkin_signature_is (const uint8_t key[FLOE_ENROL_KEY_SIZE], const FloeDigest *server, GBytes *checkin, const char *signature)
{
  return signature_is (CHECKIN_LABEL, key, server, checkin, signature);
}

void
floe_enrol_endpoint_id (const uint8_t key[FLOE_ENROL_KEY_SIZE], char id[FLOE_ENROL_ID_SIZE])
{
  FloeDigest digest;
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_of (key, FLOE_ENROL_KEY_SIZE, &digest);
  floe_digest_to_hex (&digest, hex);
  g_strlcpy (id, hex, FLOE_ENROL_ID_SIZE);
}

/* -- Sealing -------------------------------------------------------------------------------------------------------- */

GBytes *
floe_enrol_seal (const FloeDigest *key, const void *secret, size_t size, GError **error)
{
  g_autoptr (EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new ();
  g_autofree uint8_t *sealed = g_malloc (GCM_NONCE + size + GCM_TAG);
  FloeDigest own;
  int length = 0, last = 0;
  gboolean ok;

  mac (key, SEAL_LABEL, strlen (SEAL_LABEL), &own);
  ok = context != NULL && size <= FLOE_ENROL_SEALED_MAX - GCM_NONCE - GCM_TAG && RAND_bytes (sealed, GCM_NONCE) == 1 &&
       EVP_EncryptInit_ex (context, EVP_aes_256_gcm (), NULL, own.bytes, sealed) == 1 &&
       EVP_EncryptUpdate (context, sealed + GCM_NONCE, &length, secret, (int) size) == 1 &&
       EVP_EncryptFinal_ex (context, sealed + GCM_NONCE + length, &last) == 1 &&
       EVP_CIPHER_CTX_ctrl (context, EVP_CTRL_GCM_GET_TAG, GCM_TAG, sealed + GCM_NONCE + size) == 1;
  OPENSSL_cleanse (&own, sizeof own);
  if (!ok) {
    floe_error_set (error, FLOE_ERROR_FAILED, "%zu bytes cannot be sealed", size);
    return NULL;
  }
  return g_bytes_new (sealed, GCM_NONCE + size + GCM_TAG);
}

GBytes *
floe_enrol_unseal (const FloeDigest *key, GBytes *sealed, GError **error)
{
  g_autoptr (EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new ();
  gsize size;
  const uint8_t *data = g_bytes_get_data (sealed, &size);
  size_t plain_size = size > GCM_NONCE + GCM_TAG && size <= FLOE_ENROL_SEALED_MAX ? size - GCM_NONCE - GCM_TAG : 0;
  g_autofree uint8_t *plain = g_malloc (plain_size + 1);
  FloeDigest own;
  int length = 0, last = 0;
  gboolean ok;

  mac (key, SEAL_LABEL, strlen (SEAL_LABEL), &own);
  ok = context != NULL && plain_size > 0 && EVP_DecryptInit_ex (context, EVP_aes_256_gcm (), NULL, own.bytes, data) == 1 &&
       EVP_DecryptUpdate (context, plain, &length, data + GCM_NONCE, (int) plain_size) == 1 &&
       EVP_CIPHER_CTX_ctrl (context, EVP_CTRL_GCM_SET_TAG, GCM_TAG, (void *) (data + GCM_NONCE + plain_size)) == 1 &&
       EVP_DecryptFinal_ex (context, plain + length, &last) == 1;
  OPENSSL_cleanse (&own, sizeof own);
  if (!ok) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "what was sealed does not open with this code");
    return NULL;
  }
  return g_bytes_new (plain, plain_size);
}
