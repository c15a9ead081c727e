/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/pe-forge.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#define HEADER 512u
#define COFF 128u
#define OPTIONAL (COFF + 24)
#define SECTIONS (OPTIONAL + 240)
#define CERTIFICATES (OPTIONAL + 144)
#define SPC_INDIRECT_DATA "1.3.6.1.4.1.311.2.1.4"

struct _PeSigner {
  EVP_PKEY *key;
  X509 *certificate;
};

PeSigner *
pe_signer_new (const char *name)
{
  PeSigner *signer = g_new0 (PeSigner, 1);
  X509_NAME *subject;

  signer->key = EVP_RSA_gen (2048);
  signer->certificate = X509_new ();
  g_assert_nonnull (signer->key);
  X509_set_version (signer->certificate, 2);
  ASN1_INTEGER_set (X509_get_serialNumber (signer->certificate), 1);
  X509_gmtime_adj (X509_getm_notBefore (signer->certificate), 0);
  X509_gmtime_adj (X509_getm_notAfter (signer->certificate), 3600);
  subject = X509_get_subject_name (signer->certificate);
  X509_NAME_add_entry_by_txt (subject, "CN", MBSTRING_ASC, (const unsigned char *) name, -1, -1, 0);
  X509_set_issuer_name (signer->certificate, subject);
  X509_set_pubkey (signer->certificate, signer->key);
  g_assert_cmpint (X509_sign (signer->certificate, signer->key, EVP_sha256 ()), >, 0);
  return signer;
}

void
pe_signer_free (PeSigner *signer)
{
  if (signer == NULL)
    return;
  EVP_PKEY_free (signer->key);
  X509_free (signer->certificate);
  g_free (signer);
}

GBytes *
pe_signer_certificate (const PeSigner *signer)
{
  BIO *bio = BIO_new (BIO_s_mem ());
  char *data;
  GBytes *bytes;
  long size;

  g_assert_cmpint (PEM_write_bio_X509 (bio, signer->certificate), ==, 1);
  size = BIO_get_mem_data (bio, &data);
  bytes = g_bytes_new (data, (gsize) size);
  BIO_free (bio);
  return bytes;
}

static void
put (guint8 *at, guint32 value, int size)
{
  for (int i = 0; i < size; i++)
    at[i] = (guint8) (value >> (8 * i));
}

static void
section (guint8 *at, const char *name, guint32 size, guint32 place)
{
  memcpy (at, name, strlen (name));
  put (at + 8, size, 4);
  put (at + 12, place, 4);
  put (at + 16, size, 4);
  put (at + 20, place, 4);
}

static guint
round_up (guint size)
{
  return (size + 511) / 512 * 512;
}

/* SHA-256 of all but the checksum and the entry of the certificates' table. */
static void
digest_of (const guint8 *image, guint size, guint8 digest[32])
{
  EVP_MD_CTX *context = EVP_MD_CTX_new ();

  EVP_DigestInit_ex (context, EVP_sha256 (), NULL);
  EVP_DigestUpdate (context, image, OPTIONAL + 64);
  EVP_DigestUpdate (context, image + OPTIONAL + 68, CERTIFICATES - OPTIONAL - 68);
  EVP_DigestUpdate (context, image + CERTIFICATES + 8, size - CERTIFICATES - 8);
  EVP_DigestFinal_ex (context, digest, NULL);
  EVP_MD_CTX_free (context);
}

/* SpcIndirectDataContent: SpcPeImageData with no flags and an empty link, and the digest. */
static guint
make_content (const guint8 digest[32], guint8 *out)
{
  static const guint8 head[] = { 0x30, 0x4c, 0x30, 0x17, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0f, 0x30, 0x09, 0x03, 0x01,
                                 0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
                                 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };

  memcpy (out, head, sizeof head);
  memcpy (out + sizeof head, digest, 32);
  return sizeof head + 32;
}

static guint8 *
sign (const PeSigner *signer, const guint8 digest[32], int *size)
{
  guint8 content[128], *der = NULL;
  guint length = make_content (digest, content);
  PKCS7 *signature = PKCS7_new (), *inner = PKCS7_new ();
  PKCS7_SIGNER_INFO *info;
  BIO *bio;

  g_assert_cmpuint (length, ==, 2u + content[1]);
  PKCS7_set_type (signature, NID_pkcs7_signed);
  info = PKCS7_sign_add_signer (signature, signer->certificate, signer->key, EVP_sha256 (), PKCS7_BINARY);
  g_assert_nonnull (info);
  PKCS7_content_new (signature, NID_pkcs7_data);
  PKCS7_add_signed_attribute (info, NID_pkcs9_contentType, V_ASN1_OBJECT, OBJ_txt2obj (SPC_INDIRECT_DATA, 1));
  bio = PKCS7_dataInit (signature, NULL);
  BIO_write (bio, content + 2, (int) length - 2);
  (void) BIO_flush (bio);
  g_assert_cmpint (PKCS7_dataFinal (signature, bio), ==, 1);
  BIO_free_all (bio);
  inner->type = OBJ_txt2obj (SPC_INDIRECT_DATA, 1);
  inner->d.other = ASN1_TYPE_new ();
  inner->d.other->type = V_ASN1_SEQUENCE;
  inner->d.other->value.sequence = ASN1_STRING_new ();
  ASN1_STRING_set (inner->d.other->value.sequence, content, (int) length);
  g_assert_cmpint (PKCS7_set_content (signature, inner), ==, 1);
  *size = i2d_PKCS7 (signature, &der);
  g_assert_cmpint (*size, >, 0);
  PKCS7_free (signature);
  return der;
}

GBytes *
pe_forge (const char *command_line, guint size, const PeSigner *signer)
{
  guint line = round_up ((guint) strlen (command_line)), other = round_up (size), total = HEADER + line + other;
  g_autoptr (GByteArray) image = g_byte_array_sized_new (total);
  guint8 *data, digest[32];

  g_byte_array_set_size (image, total);
  data = image->data;
  memset (data, 0, total);
  memcpy (data, "MZ", 2);
  put (data + 60, COFF, 4);
  memcpy (data + COFF, "PE\0\0", 4);
  put (data + COFF + 4, 0x8664, 2);
  put (data + COFF + 6, 2, 2);
  put (data + COFF + 20, SECTIONS - OPTIONAL, 2);
  put (data + OPTIONAL, 0x20b, 2);
  put (data + OPTIONAL + 60, HEADER, 4);
  put (data + OPTIONAL + 108, 16, 4);
  section (data + SECTIONS, ".cmdline", line, HEADER);
  put (data + SECTIONS + 8, (guint32) strlen (command_line), 4);
  section (data + SECTIONS + 40, ".linux", other, HEADER + line);
  memcpy (data + HEADER, command_line, strlen (command_line));
  for (guint i = 0; i < size; i++)
    data[HEADER + line + i] = (guint8) (i * 7 + i / 256);
  if (signer != NULL) {
    g_autofree guint8 *padded = NULL;
    guint8 *der, head[8] = { 0, 0, 0, 0, 0, 2, 2, 0 };
    int length;

    digest_of (data, total, digest);
    der = sign (signer, digest, &length);
    put (head, (guint32) length + 8, 4);
    put (data + CERTIFICATES, total, 4);
    put (data + CERTIFICATES + 4, ((guint32) length + 8 + 7) / 8 * 8, 4);
    padded = g_malloc0 (((gsize) length + 8 + 7) / 8 * 8);
    memcpy (padded, head, 8);
    memcpy (padded + 8, der, (gsize) length);
    g_byte_array_append (image, padded, ((guint) length + 8 + 7) / 8 * 8);
    OPENSSL_free (der);
  }
  return g_byte_array_free_to_bytes (g_steal_pointer (&image));
}
