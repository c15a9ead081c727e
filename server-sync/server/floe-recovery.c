/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-recovery.h"

#include "common/floe-fd.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY_CTX, EVP_PKEY_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)

#define KEY_NAME "recovery.pem"
#define PEM_MAX 65536
#define BITS_MIN 2048

static EVP_PKEY *
read_key (GBytes *pem, gboolean private, const char *source, GError **error)
{
  gsize size;
  const void *data = g_bytes_get_data (pem, &size);
  g_autoptr (BIO) bio = BIO_new_mem_buf (data, (int) size);
  g_autoptr (EVP_PKEY) key = bio == NULL ? NULL : private ? PEM_read_bio_PrivateKey (bio, NULL, NULL, NULL) : PEM_read_bio_PUBKEY (bio, NULL, NULL, NULL);

  if (key == NULL || EVP_PKEY_get_base_id (key) != EVP_PKEY_RSA || EVP_PKEY_get_bits (key) < BITS_MIN) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%s: an RSA %s key of %d bits or more in PEM wanted", source, private ? "private" : "public", BITS_MIN);
    return NULL;
  }
  return g_steal_pointer (&key);
}

static gboolean
set_padding (EVP_PKEY_CTX *context)
{
  return EVP_PKEY_CTX_set_rsa_padding (context, RSA_PKCS1_OAEP_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_oaep_md (context, EVP_sha256 ()) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md (context, EVP_sha256 ()) == 1;
}

GBytes *
floe_recovery_keep (int directory, GBytes *recovery, gboolean *sealed, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) pem = floe_file_read_at (directory, KEY_NAME, PEM_MAX, &problem);
  g_autoptr (EVP_PKEY) key = NULL;
  g_autoptr (EVP_PKEY_CTX) context = NULL;
  gsize size;
  const void *data = g_bytes_get_data (recovery, &size);
  size_t length = 0;
  g_autofree unsigned char *result = NULL;

  *sealed = !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  if (!*sealed)
    return g_bytes_ref (recovery);
  if (pem == NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return NULL;
  }
  key = read_key (pem, FALSE, KEY_NAME, error);
  if (key == NULL)
    return NULL;
  context = EVP_PKEY_CTX_new (key, NULL);
  length = (size_t) EVP_PKEY_get_size (key);
  result = g_malloc (length);
  if (context == NULL || EVP_PKEY_encrypt_init (context) != 1 || !set_padding (context) ||
      EVP_PKEY_encrypt (context, result, &length, data, size) != 1) {
    floe_error_set (error, FLOE_ERROR_FAILED, "a recovery key cannot be encrypted to " KEY_NAME);
    return NULL;
  }
  return g_bytes_new (result, length);
}

GBytes *
floe_recovery_open (GBytes *private_pem, GBytes *sealed, GError **error)
{
  g_autoptr (EVP_PKEY) key = read_key (private_pem, TRUE, "--key", error);
  g_autoptr (EVP_PKEY_CTX) context = key == NULL ? NULL : EVP_PKEY_CTX_new (key, NULL);
  gsize size;
  const void *data = g_bytes_get_data (sealed, &size);
  size_t length = key == NULL ? 0 : (size_t) EVP_PKEY_get_size (key);
  g_autofree unsigned char *result = g_malloc (length + 1);

  if (key == NULL)
    return NULL;
  if (context == NULL || EVP_PKEY_decrypt_init (context) != 1 || !set_padding (context) ||
      EVP_PKEY_decrypt (context, result, &length, data, size) != 1) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "--key: not the private half of the key that this was encrypted to");
    return NULL;
  }
  return g_bytes_new (result, length);
}
