/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-digest.h"

#include <openssl/evp.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

struct _FloeDigester {
  EVP_MD_CTX *context;
};

/* A missing SHA-256 is a broken installation, not input: nothing could be verified, so nothing may go on. */
static void
must (int ok)
{
  if (ok != 1)
    g_error ("OpenSSL has no working SHA-256");
}

void
floe_digest_of (const void *data, size_t size, FloeDigest *digest)
{
  must (EVP_Digest (data, size, digest->bytes, NULL, EVP_sha256 (), NULL));
}

gboolean
floe_digest_equal (const FloeDigest *a, const FloeDigest *b)
{
  return memcmp (a->bytes, b->bytes, FLOE_DIGEST_SIZE) == 0;
}

guint
floe_digest_hash (gconstpointer digest)
{
  guint hash;

  memcpy (&hash, ((const FloeDigest *) digest)->bytes, sizeof hash);
  return hash;
}

gboolean
floe_digest_equal_func (gconstpointer a, gconstpointer b)
{
  return floe_digest_equal (a, b);
}

static void
write_hex (const uint8_t *bytes, size_t size, char *hex)
{
  static const char digits[] = "0123456789abcdef";

  for (size_t i = 0; i < size; i++) {
    hex[2 * i] = digits[bytes[i] >> 4];
    hex[2 * i + 1] = digits[bytes[i] & 15];
  }
  hex[2 * size] = '\0';
}

char *
floe_hex_encode (const void *data, size_t size)
{
  char *hex = g_malloc (2 * size + 1);

  write_hex (data, size, hex);
  return hex;
}

gboolean
floe_hex_decode (const char *text, void *data, size_t size)
{
  uint8_t *bytes = data;

  if (strspn (text, "0123456789abcdef") != 2 * size || text[2 * size] != '\0')
    return FALSE;
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t) (g_ascii_xdigit_value (text[2 * i]) << 4 | g_ascii_xdigit_value (text[2 * i + 1]));
  return TRUE;
}

void
floe_digest_to_hex (const FloeDigest *digest, char hex[FLOE_DIGEST_HEX_SIZE])
{
  write_hex (digest->bytes, FLOE_DIGEST_SIZE, hex);
}

gboolean
floe_digest_from_hex (const char *hex, FloeDigest *digest, GError **error)
{
  return floe_hex_decode (hex, digest->bytes, FLOE_DIGEST_SIZE) ||
         floe_error_set (error, FLOE_ERROR_INVALID, "not a SHA-256 digest: 64 lower-case hexadecimal digits wanted");
}

FloeDigester *
floe_digester_new (void)
{
  FloeDigester *digester = g_new0 (FloeDigester, 1);

  digester->context = EVP_MD_CTX_new ();
  must (digester->context != NULL && EVP_DigestInit_ex (digester->context, EVP_sha256 (), NULL));
  return digester;
}

void
floe_digester_update (FloeDigester *digester, const void *data, size_t size)
{
  must (EVP_DigestUpdate (digester->context, data, size));
}

void
floe_digester_finish (FloeDigester *digester, FloeDigest *digest)
{
  must (EVP_DigestFinal_ex (digester->context, digest->bytes, NULL));
}

void
floe_digester_free (FloeDigester *digester)
{
  if (digester == NULL)
    return;
  EVP_MD_CTX_free (digester->context);
  g_free (digester);
}

gboolean
floe_digest_of_file (int fd, FloeDigest *digest, GError **error)
{
  g_autoptr (FloeDigester) digester = floe_digester_new ();
  uint8_t block[65536];
  off_t at = 0;

  for (;;) {
    ssize_t got = pread (fd, block, sizeof block, at);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return floe_error_set_errno (error, errno, "read");
    if (got == 0)
      break;
    floe_digester_update (digester, block, (size_t) got);
    at += got;
  }
  floe_digester_finish (digester, digest);
  return TRUE;
}
