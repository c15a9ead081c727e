/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-key.h"

#include "policy/trust/floe-canonical.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#define ED25519_SIZE 32
#define MIN_RSA_BITS 2048
#define MAX_RSA_BITS 8192
#define MAX_SIGNATURE (MAX_RSA_BITS / 8)
#define MAX_PEM 4096

typedef EVP_MD_CTX Digesting;
typedef EVP_PKEY PublicKey;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Digesting, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PublicKey, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free)

typedef enum { KIND_UNKNOWN, KIND_ED25519, KIND_ECDSA, KIND_RSA } Kind;

static const struct {
  const char *type, *scheme;
  Kind kind;
} kinds[] = {
  { "ed25519", "ed25519", KIND_ED25519 },
  { "ecdsa", "ecdsa-sha2-nistp256", KIND_ECDSA },
  { "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", KIND_ECDSA },
  { "rsa", "rsassa-pss-sha256", KIND_RSA },
};

struct _FloeKey {
  gatomicrefcount references;
  char *id, *scheme;
  Kind kind;
  EVP_PKEY *public;    /* NULL: unusable */
  const char *problem; /* why it is; static */
};

/* Decodes hexadecimal TEXT of either case into at most ROOM bytes; FALSE for anything else. */
static gboolean
from_hex (const char *text, guint8 *data, size_t room, size_t *size)
{
  size_t digits = strlen (text);

  if (digits % 2 != 0 || digits / 2 > room)
    return FALSE;
  for (size_t i = 0; i < digits; i += 2) {
    int high = g_ascii_xdigit_value (text[i]), low = g_ascii_xdigit_value (text[i + 1]);

    if (high < 0 || low < 0)
      return FALSE;
    data[i / 2] = (guint8) (high << 4 | low);
  }
  *size = digits / 2;
  return TRUE;
}

static EVP_PKEY *
read_ed25519 (const char *text)
{
  guint8 raw[ED25519_SIZE];
  size_t size;

  if (!from_hex (text, raw, sizeof raw, &size) || size != sizeof raw)
    return NULL;
  return EVP_PKEY_new_raw_public_key (EVP_PKEY_ED25519, NULL, raw, size);
}

/* An RSA key under the RSASSA-PSS identifier is refused: as another type it would not compare equal to itself as RSA. */
static gboolean
is_allowed (EVP_PKEY *key, Kind kind)
{
  char group[32] = "";

  if (kind == KIND_RSA)
    return EVP_PKEY_is_a (key, "RSA") && EVP_PKEY_get_bits (key) >= MIN_RSA_BITS && EVP_PKEY_get_bits (key) <= MAX_RSA_BITS;
  return EVP_PKEY_is_a (key, "EC") && EVP_PKEY_get_group_name (key, group, sizeof group, NULL) == 1
         && strcmp (group, "prime256v1") == 0;
}

static EVP_PKEY *
read_pem (const char *text, Kind kind)
{
  g_autoptr (BIO) source = NULL;
  g_autoptr (PublicKey) key = NULL;
  size_t size = strlen (text);

  if (size > MAX_PEM)
    return NULL;
  source = BIO_new_mem_buf (text, (int) size);
  if (source != NULL)
    key = PEM_read_bio_PUBKEY (source, NULL, NULL, NULL);
  return key != NULL && is_allowed (key, kind) ? g_steal_pointer (&key) : NULL;
}

static Kind
find_kind (const char *type, const char *scheme)
{
  for (size_t i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].type, type) == 0 && strcmp (kinds[i].scheme, scheme) == 0)
      return kinds[i].kind;
  return KIND_UNKNOWN;
}

/* Whether OpenSSL's queue tells of exhausted memory; empties it, as every call here must leave it. */
static gboolean
take_memory_failure (void)
{
  gboolean exhausted = FALSE;
  unsigned long code;

  while ((code = ERR_get_error ()) != 0)
    exhausted = exhausted || ERR_GET_REASON (code) == ERR_R_MALLOC_FAILURE;
  return exhausted;
}

/* Reads the value of a key whose id is right. FALSE only when memory ran out. */
static gboolean
read_value (FloeKey *key, const char *public)
{
  if (key->kind == KIND_UNKNOWN) {
    key->problem = "its type or scheme is not one that Floe knows";
    return TRUE;
  }
  ERR_clear_error ();
  key->public = key->kind == KIND_ED25519 ? read_ed25519 (public) : read_pem (public, key->kind);
  if (key->public == NULL)
    key->problem = "its value is no key of its type, or one too short";
  return !take_memory_failure () || key->public != NULL;
}

FloeKey *
floe_key_parse (const char *keyid, const json_t *json, GError **error)
{
  const char *type = json_string_value (json_object_get (json, "keytype"));
  const char *scheme = json_string_value (json_object_get (json, "scheme"));
  const char *public = json_string_value (json_object_get (json_object_get (json, "keyval"), "public"));
  g_autoptr (FloeKey) key = NULL;
  g_autofree char *id = NULL;

  if (type == NULL || scheme == NULL || public == NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "key %s: keytype, scheme and keyval.public must be there, as strings", keyid);
    return NULL;
  }
  id = floe_key_make_id (json, error);
  if (id == NULL)
    return NULL;
  key = g_new0 (FloeKey, 1);
  g_atomic_ref_count_init (&key->references);
  key->id = g_strdup (keyid);
  key->scheme = g_strdup (scheme);
  key->kind = find_kind (type, scheme);
  if (strcmp (id, keyid) != 0) {
    key->problem = "its id is not the digest of the key";
  } else if (!read_value (key, public)) {
    floe_error_set (error, FLOE_ERROR_NO_SPACE, "key %s: no memory to read it", keyid);
    return NULL;
  }
  return g_steal_pointer (&key);
}

FloeKey *
floe_key_ref (FloeKey *key)
{
  g_atomic_ref_count_inc (&key->references);
  return key;
}

void
floe_key_unref (FloeKey *key)
{
  if (key == NULL || !g_atomic_ref_count_dec (&key->references))
    return;
  EVP_PKEY_free (key->public);
  g_free (key->id);
  g_free (key->scheme);
  g_free (key);
}

const char *
floe_key_id (const FloeKey *key)
{
  return key->id;
}

const char *
floe_key_scheme (const FloeKey *key)
{
  return key->scheme;
}

gboolean
floe_key_is_usable (const FloeKey *key)
{
  return key->public != NULL;
}

const char *
floe_key_problem (const FloeKey *key)
{
  return key->problem;
}

gboolean
floe_key_equal (const FloeKey *a, const FloeKey *b)
{
  gboolean equal = a->public != NULL && b->public != NULL && EVP_PKEY_eq (a->public, b->public) == 1;

  ERR_clear_error ();
  return equal;
}

static gboolean
verify (const FloeKey *key, const void *data, size_t size, const guint8 *signature, size_t signature_size)
{
  g_autoptr (Digesting) context = EVP_MD_CTX_new ();
  const EVP_MD *digest = key->kind == KIND_ED25519 ? NULL : EVP_sha256 ();
  EVP_PKEY_CTX *parameters;

  if (context == NULL || EVP_DigestVerifyInit (context, &parameters, digest, NULL, key->public) != 1)
    return FALSE;
  /* Any salt length: securesystemslib has signed with the longest and with the digest's. */
  if (key->kind == KIND_RSA
      && (EVP_PKEY_CTX_set_rsa_padding (parameters, RSA_PKCS1_PSS_PADDING) != 1
          || EVP_PKEY_CTX_set_rsa_pss_saltlen (parameters, RSA_PSS_SALTLEN_AUTO) != 1))
    return FALSE;
  return EVP_DigestVerify (context, signature, signature_size, data, size) == 1;
}

gboolean
floe_key_verify (const FloeKey *key, const void *data, size_t size, const char *signature)
{
  guint8 raw[MAX_SIGNATURE];
  size_t raw_size;
  gboolean right;

  if (key->public == NULL || !from_hex (signature, raw, sizeof raw, &raw_size))
    return FALSE;
  right = verify (key, data, size, raw, raw_size);
  ERR_clear_error ();
  return right;
}

char *
floe_key_make_id (const json_t *key, GError **error)
{
  g_autoptr (GBytes) canonical = floe_canonical_encode (key, error);

  return canonical != NULL ? g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, canonical) : NULL;
}
