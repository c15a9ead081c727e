/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-pe.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <string.h>

/* Offsets within the optional header of PE32+. */
#define OPTIONAL_MAGIC 0x20b
#define OPTIONAL_CHECKSUM 64
#define OPTIONAL_DIRECTORIES 108
#define OPTIONAL_CERTIFICATES 144
#define OPTIONAL_MIN 152
#define MACHINE_X86_64 0x8664
#define SECTION_SIZE 40
#define SECTIONS_MAX 96
#define WIN_CERTIFICATE 8
#define REVISION 0x0200
#define TYPE_PKCS 0x0002

#define SPC_INDIRECT_DATA "1.3.6.1.4.1.311.2.1.4"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_SIG, X509_SIG_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PKCS7, PKCS7_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_MD_CTX, EVP_MD_CTX_free)

typedef struct {
  const uint8_t *data;
  size_t size;
  size_t optional;           /* where the optional header begins */
  size_t sections, n_sections; /* where their table begins */
  size_t signature, signature_size; /* the table of certificates; size 0: none */
} Image;

static unsigned
read16 (const uint8_t *at)
{
  return at[0] | (unsigned) at[1] << 8;
}

static uint32_t
read32 (const uint8_t *at)
{
  return read16 (at) | (uint32_t) read16 (at + 2) << 16;
}

static gboolean
is_not (GError **error, const char *why)
{
  return floe_error_set (error, FLOE_ERROR_INVALID, "no PE image for x86-64: %s", why);
}

static gboolean
read_headers (GBytes *bytes, Image *image, GError **error)
{
  size_t coff, optional_size;

  image->data = g_bytes_get_data (bytes, &image->size);
  if (image->size < 64 || image->size > FLOE_PE_MAX || memcmp (image->data, "MZ", 2) != 0)
    return is_not (error, "size or first bytes are not right");
  coff = read32 (image->data + 60);
  if (coff > image->size || image->size - coff < 24 + OPTIONAL_MIN || memcmp (image->data + coff, "PE\0\0", 4) != 0)
    return is_not (error, "its header is not there");
  image->optional = coff + 24;
  optional_size = read16 (image->data + coff + 20);
  image->n_sections = read16 (image->data + coff + 6);
  image->sections = image->optional + optional_size;
  if (read16 (image->data + coff + 4) != MACHINE_X86_64 || optional_size < OPTIONAL_MIN ||
      read16 (image->data + image->optional) != OPTIONAL_MAGIC || read32 (image->data + image->optional + OPTIONAL_DIRECTORIES) < 5)
    return is_not (error, "its optional header is another one's");
  if (image->n_sections == 0 || image->n_sections > SECTIONS_MAX || image->sections > image->size ||
      image->size - image->sections < image->n_sections * SECTION_SIZE)
    return is_not (error, "its table of sections is cut off");
  image->signature = read32 (image->data + image->optional + OPTIONAL_CERTIFICATES);
  image->signature_size = read32 (image->data + image->optional + OPTIONAL_CERTIFICATES + 4);
  return TRUE;
}

/* Whether the signature ends the file, behind all that it is for. */
static gboolean
check_signature_place (const Image *image, GError **error)
{
  if (image->signature_size == 0)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "it is not signed");
  if (image->signature < image->sections + image->n_sections * SECTION_SIZE || image->signature % 8 != 0 || image->signature > image->size ||
      image->size - image->signature != image->signature_size || image->signature_size < WIN_CERTIFICATE)
    return is_not (error, "its signature is not at its end");
  return TRUE;
}

GBytes *
floe_pe_section (GBytes *bytes, const char *name, GError **error)
{
  Image image;
  const uint8_t *found = NULL;
  char padded[9] = "";
  uint32_t at, size;

  g_strlcpy (padded, name, sizeof padded);
  if (!read_headers (bytes, &image, error))
    return NULL;
  for (size_t i = 0; i < image.n_sections; i++) {
    const uint8_t *section = image.data + image.sections + i * SECTION_SIZE;

    if (strncmp ((const char *) section, padded, 8) != 0)
      continue;
    if (found != NULL) {
      floe_error_set (error, FLOE_ERROR_INVALID, "section %s is there twice", name);
      return NULL;
    }
    found = section;
  }
  if (found == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "there is no section %s", name);
    return NULL;
  }
  /* The smaller of both sizes is what is there and what is meant. */
  size = MIN (read32 (found + 8), read32 (found + 16));
  at = read32 (found + 20);
  if (at > image.size || size > image.size - at) {
    floe_error_set (error, FLOE_ERROR_INVALID, "section %s is not within the image", name);
    return NULL;
  }
  return g_bytes_new_from_bytes (bytes, at, size);
}

/* -- Signature ------------------------------------------------------------------------------------------------------ */

/* The digest that the signature is over: all bytes but the checksum, the entry that says where the signature is, and the signature. A gap between
 * sections, which the firmware would pass over, is in it too: an image that has one is refused. */
static void
digest_image (const Image *image, FloeDigest *digest)
{
  g_autoptr (FloeDigester) digester = floe_digester_new ();
  size_t checksum = image->optional + OPTIONAL_CHECKSUM, entry = image->optional + OPTIONAL_CERTIFICATES;

  floe_digester_update (digester, image->data, checksum);
  floe_digester_update (digester, image->data + checksum + 4, entry - checksum - 4);
  floe_digester_update (digester, image->data + entry + 8, image->signature - entry - 8);
  floe_digester_finish (digester, digest);
}

gboolean
floe_pe_digest (GBytes *bytes, FloeDigest *digest, GError **error)
{
  Image image;

  if (!read_headers (bytes, &image, error) || !check_signature_place (&image, error))
    return FALSE;
  digest_image (&image, digest);
  return TRUE;
}

static PKCS7 *
read_pkcs7 (const Image *image, GError **error)
{
  const uint8_t *entry = image->data + image->signature, *at = entry + WIN_CERTIFICATE;
  size_t length = read32 (entry);
  g_autoptr (PKCS7) signature = NULL;

  /* One, and padding to eight bytes. */
  if (length < WIN_CERTIFICATE || length > image->signature_size || image->signature_size - length >= 8 || read16 (entry + 4) != REVISION ||
      read16 (entry + 6) != TYPE_PKCS) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "its signature is none of the kind that firmware knows, or not the only one");
    return NULL;
  }
  signature = d2i_PKCS7 (NULL, &at, (long) (length - WIN_CERTIFICATE));
  if (signature == NULL || !PKCS7_type_is_signed (signature) || signature->d.sign == NULL || signature->d.sign->contents == NULL) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "its signature cannot be read");
    return NULL;
  }
  return g_steal_pointer (&signature);
}

/* Steps into a SEQUENCE of DER at *AT, which ends at END: FALSE when there is none. *BODY is its content's size. */
static gboolean
enter_sequence (const uint8_t **at, const uint8_t *end, long *body)
{
  int tag, class, result;

  if (*at >= end)
    return FALSE;
  result = ASN1_get_object (at, body, &tag, &class, end - *at);
  return (result & 0x80) == 0 && result == V_ASN1_CONSTRUCTED && tag == V_ASN1_SEQUENCE && class == V_ASN1_UNIVERSAL && *body <= end - *at;
}

/* SpcIndirectDataContent: what kind of thing it is, and its digest. CONTENT is what is signed; DIGEST what it says of the image. */
static gboolean
read_content (const PKCS7 *signature, GBytes **content, FloeDigest *digest, GError **error)
{
  const PKCS7 *inner = signature->d.sign->contents;
  const ASN1_TYPE *other = inner->d.other;
  const uint8_t *at, *end;
  g_autoptr (X509_SIG) said = NULL;
  const X509_ALGOR *algorithm;
  const ASN1_OCTET_STRING *value;
  char oid[64];
  long body, ignored;

  if (OBJ_obj2txt (oid, sizeof oid, inner->type, 1) <= 0 || strcmp (oid, SPC_INDIRECT_DATA) != 0 || other == NULL || other->type != V_ASN1_SEQUENCE)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "its signature is for something else than an image");
  at = other->value.sequence->data;
  end = at + other->value.sequence->length;
  if (!enter_sequence (&at, end, &body) || body != end - at)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "its signature's content cannot be read");
  *content = g_bytes_new (at, (gsize) body);
  if (!enter_sequence (&at, end, &ignored))
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "its signature's content cannot be read");
  at += ignored;
  said = d2i_X509_SIG (NULL, &at, end - at);
  if (said == NULL)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "its signature has no digest");
  X509_SIG_get0 (said, &algorithm, &value);
  if (OBJ_obj2nid (algorithm->algorithm) != NID_sha256 || ASN1_STRING_length (value) != FLOE_DIGEST_SIZE)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "its signature is over another digest than SHA-256");
  memcpy (digest->bytes, ASN1_STRING_get0_data (value), FLOE_DIGEST_SIZE);
  return TRUE;
}

static gboolean
is_type (const ASN1_TYPE *value, const char *wanted)
{
  char oid[64];

  return value != NULL && value->type == V_ASN1_OBJECT && OBJ_obj2txt (oid, sizeof oid, value->value.object, 1) > 0 && strcmp (oid, wanted) == 0;
}

/* What is signed are attributes, of which one is the content's digest and one says what the content is. */
static gboolean
check_attributes (const PKCS7_SIGNER_INFO *signer, GBytes *content)
{
  const ASN1_OCTET_STRING *said = signer->auth_attr == NULL ? NULL : PKCS7_digest_from_attributes (signer->auth_attr);
  FloeDigest found;

  floe_digest_of (g_bytes_get_data (content, NULL), g_bytes_get_size (content), &found);
  return said != NULL && ASN1_STRING_length (said) == FLOE_DIGEST_SIZE && memcmp (ASN1_STRING_get0_data (said), found.bytes, FLOE_DIGEST_SIZE) == 0 &&
         is_type (PKCS7_get_signed_attribute (signer, NID_pkcs9_contentType), SPC_INDIRECT_DATA);
}

/* Whoever signed, by whatever certificates are inside: the key of ours is the only one that is tried. */
static gboolean
check_signer (const PKCS7 *signature, GBytes *content, X509 *certificate, GError **error)
{
  PKCS7_SIGNER_INFO *signer = sk_PKCS7_SIGNER_INFO_num (signature->d.sign->signer_info) == 1 ? sk_PKCS7_SIGNER_INFO_value (signature->d.sign->signer_info, 0) : NULL;
  g_autoptr (EVP_MD_CTX) context = EVP_MD_CTX_new ();
  unsigned char *attributes = NULL;
  gboolean good = FALSE;
  int size;

  if (context == NULL)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory to check a signature");
  if (signer != NULL && signer->enc_digest != NULL && check_attributes (signer, content)) {
    size = ASN1_item_i2d ((const ASN1_VALUE *) signer->auth_attr, &attributes, ASN1_ITEM_rptr (PKCS7_ATTR_VERIFY));
    good = size > 0 && EVP_DigestVerifyInit (context, NULL, EVP_sha256 (), NULL, X509_get0_pubkey (certificate)) == 1 &&
           EVP_DigestVerify (context, ASN1_STRING_get0_data (signer->enc_digest), (size_t) ASN1_STRING_length (signer->enc_digest), attributes,
                             (size_t) size) == 1;
    OPENSSL_free (attributes);
  }
  ERR_clear_error ();
  return good || floe_error_set (error, FLOE_ERROR_UNVERIFIED, "it was not signed with the key of this version of Floe");
}

gboolean
floe_pe_verify (GBytes *bytes, GBytes *pem, GError **error)
{
  g_autoptr (BIO) source = BIO_new_mem_buf (g_bytes_get_data (pem, NULL), (int) g_bytes_get_size (pem));
  g_autoptr (X509) certificate = source != NULL ? PEM_read_bio_X509 (source, NULL, NULL, NULL) : NULL;
  g_autoptr (PKCS7) signature = NULL;
  g_autoptr (GBytes) content = NULL;
  FloeDigest said, found;
  Image image;
  gboolean good;

  if (certificate == NULL) {
    ERR_clear_error ();
    return floe_error_set (error, FLOE_ERROR_INVALID, "the certificate to check with cannot be read");
  }
  if (!read_headers (bytes, &image, error) || !check_signature_place (&image, error))
    return FALSE;
  signature = read_pkcs7 (&image, error);
  good = signature != NULL && read_content (signature, &content, &said, error);
  ERR_clear_error ();
  if (!good || !check_signer (signature, content, certificate, error))
    return FALSE;
  digest_image (&image, &found);
  return floe_digest_equal (&said, &found) || floe_error_set (error, FLOE_ERROR_UNVERIFIED, "it was changed after it was signed");
}
