/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-endpoint-key.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

#define NAME "endpoint.key"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)

static gboolean
read_private (int agent_dir, FloeEndpointKey *key, GError **error)
{
  floe_autofd file = floe_file_open_at (agent_dir, NAME, error);
  struct stat st;

  if (file < 0)
    return FALSE;
  if (fstat (file, &st) < 0)
    return floe_error_set_errno (error, errno, "stat " NAME);
  if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, NAME ": mode %04o lets others at this endpoint's key: 0600 wanted", st.st_mode & 07777);
  if (st.st_size != FLOE_ENROL_KEY_SIZE)
    return floe_error_set (error, FLOE_ERROR_INVALID, NAME ": %d bytes wanted", FLOE_ENROL_KEY_SIZE);
  return floe_pread_all (file, key->private_half, sizeof key->private_half, 0, error);
}

static gboolean
make_private (int agent_dir, FloeEndpointKey *key, GError **error)
{
  if (RAND_priv_bytes (key->private_half, sizeof key->private_half) != 1)
    return floe_error_set (error, FLOE_ERROR_FAILED, "OpenSSL has no random bytes");
  return floe_file_replace_at (agent_dir, NAME, key->private_half, sizeof key->private_half, 0600, error);
}

gboolean
floe_endpoint_key_load (int agent_dir, FloeEndpointKey *key, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (EVP_PKEY) pair = NULL;
  size_t size = FLOE_ENROL_KEY_SIZE;

  if (!read_private (agent_dir, key, &problem)) {
    if (!g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
    if (!make_private (agent_dir, key, error))
      return FALSE;
  }
  pair = EVP_PKEY_new_raw_private_key (EVP_PKEY_ED25519, NULL, key->private_half, FLOE_ENROL_KEY_SIZE);
  return (pair != NULL && EVP_PKEY_get_raw_public_key (pair, key->public_half, &size) == 1 && size == FLOE_ENROL_KEY_SIZE) ||
         floe_error_set (error, FLOE_ERROR_INVALID, NAME ": no Ed25519 key");
}

void
floe_endpoint_key_clear (FloeEndpointKey *key)
{
  OPENSSL_cleanse (key, sizeof *key);
}
