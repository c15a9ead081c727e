/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-identity.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_NAME "key.pem"
#define CERTIFICATE_NAME "cert.pem"
#define PEM_MAX 65536
#define DAY (24 * 60 * 60)
#define VALID_DAYS (10 * 365)
#define RENEW_DAYS 90
#define SERIAL_SIZE 16

struct _FloeServerIdentity {
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t certificate;
  char *key_pem;
  char *certificate_pem;
  char *pin;
  FloeDigest digest; /* what the pin says */
};

static gboolean
must (int status, const char *what, GError **error)
{
  return status >= 0 || floe_error_set (error, FLOE_ERROR_FAILED, "%s: %s", what, gnutls_strerror (status));
}

static char *
steal_datum (gnutls_datum_t *datum)
{
  char *text = g_strndup ((const char *) datum->data, datum->size);

  gnutls_free (datum->data);
  datum->data = NULL;
  return text;
}

static gboolean
make_key (FloeServerIdentity *identity, int tls_dir, GError **error)
{
  gnutls_datum_t pem = { NULL, 0 };

  if (!must (gnutls_x509_privkey_generate (identity->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0),
             "generate the server's key", error) ||
      !must (gnutls_x509_privkey_export2 (identity->key, GNUTLS_X509_FMT_PEM, &pem), "write the server's key", error))
    return FALSE;
  identity->key_pem = steal_datum (&pem);
  return floe_file_replace_at (tls_dir, KEY_NAME, identity->key_pem, strlen (identity->key_pem), 0600, error);
}

static gboolean
check_key_mode (int tls_dir, GError **error)
{
  floe_autofd fd = floe_file_open_at (tls_dir, KEY_NAME, error);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0)
    return FALSE;
  if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "tls/" KEY_NAME ": mode %04o lets others at the server's key: 0600 wanted",
                           st.st_mode & 07777);
  return TRUE;
}

static gboolean
load_key (FloeServerIdentity *identity, int tls_dir, GError **error)
{
  g_autoptr (GBytes) pem = floe_file_read_at (tls_dir, KEY_NAME, PEM_MAX, error);
  gnutls_datum_t datum;
  gsize size;

  if (pem == NULL || !check_key_mode (tls_dir, error))
    return FALSE;
  datum.data = (unsigned char *) g_bytes_get_data (pem, &size);
  datum.size = (unsigned) size;
  if (!must (gnutls_x509_privkey_import2 (identity->key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0), "tls/" KEY_NAME, error))
    return FALSE;
  identity->key_pem = g_strndup ((const char *) datum.data, size);
  return TRUE;
}

/* RFC 5280: a version 3 end-entity certificate with a random positive serial number. */
static gboolean
fill_certificate (FloeServerIdentity *identity, gint64 now, GError **error)
{
  gnutls_x509_crt_t certificate = identity->certificate;
  const char *host = g_get_host_name ();
  unsigned char serial[SERIAL_SIZE];
  const char *detail;

  if (!must (gnutls_rnd (GNUTLS_RND_NONCE, serial, sizeof serial), "random serial number", error))
    return FALSE;
  serial[0] = (unsigned char) ((serial[0] & 0x3f) | 0x40);
  return must (gnutls_x509_crt_set_version (certificate, 3), "certificate version", error) &&
         must (gnutls_x509_crt_set_serial (certificate, serial, sizeof serial), "certificate serial number", error) &&
         must (gnutls_x509_crt_set_dn (certificate, "CN=floe-server", &detail), "certificate name", error) &&
         must (gnutls_x509_crt_set_key (certificate, identity->key), "certificate key", error) &&
         must (gnutls_x509_crt_set_activation_time (certificate, now - DAY), "certificate start", error) &&
         must (gnutls_x509_crt_set_expiration_time (certificate, now + (gint64) VALID_DAYS * DAY), "certificate end", error) &&
         must (gnutls_x509_crt_set_basic_constraints (certificate, 0, -1), "certificate constraints", error) &&
         must (gnutls_x509_crt_set_key_usage (certificate, GNUTLS_KEY_DIGITAL_SIGNATURE), "certificate usage", error) &&
         must (gnutls_x509_crt_set_key_purpose_oid (certificate, GNUTLS_KP_TLS_WWW_SERVER, 0), "certificate purpose", error) &&
         must (gnutls_x509_crt_set_subject_alt_name (certificate, GNUTLS_SAN_DNSNAME, host, (unsigned) strlen (host),
                                                     GNUTLS_FSAN_SET),
               "certificate host name", error) &&
         must (gnutls_x509_crt_sign2 (certificate, certificate, identity->key, GNUTLS_DIG_SHA256, 0), "sign certificate", error);
}

static gboolean
make_certificate (FloeServerIdentity *identity, int tls_dir, gint64 now, GError **error)
{
  gnutls_datum_t pem = { NULL, 0 };

  gnutls_x509_crt_deinit (identity->certificate);
  identity->certificate = NULL;
  if (!must (gnutls_x509_crt_init (&identity->certificate), "certificate", error) || !fill_certificate (identity, now, error) ||
      !must (gnutls_x509_crt_export2 (identity->certificate, GNUTLS_X509_FMT_PEM, &pem), "write certificate", error))
    return FALSE;
  identity->certificate_pem = steal_datum (&pem);
  return floe_file_replace_at (tls_dir, CERTIFICATE_NAME, identity->certificate_pem, strlen (identity->certificate_pem), 0644,
                               error);
}

/* TRUE with *fresh FALSE when the certificate is near its end and has to be made again. */
static gboolean
load_certificate (FloeServerIdentity *identity, int tls_dir, gint64 now, gboolean *fresh, GError **error)
{
  g_autoptr (GBytes) pem = floe_file_read_at (tls_dir, CERTIFICATE_NAME, PEM_MAX, error);
  unsigned char of_key[64], of_certificate[64];
  size_t key_size = sizeof of_key, certificate_size = sizeof of_certificate;
  gnutls_datum_t datum;
  gsize size;

  if (pem == NULL)
    return FALSE;
  datum.data = (unsigned char *) g_bytes_get_data (pem, &size);
  datum.size = (unsigned) size;
  if (!must (gnutls_x509_crt_import (identity->certificate, &datum, GNUTLS_X509_FMT_PEM), "tls/" CERTIFICATE_NAME, error) ||
      !must (gnutls_x509_privkey_get_key_id (identity->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size), "tls/" KEY_NAME, error) ||
      !must (gnutls_x509_crt_get_key_id (identity->certificate, GNUTLS_KEYID_USE_SHA256, of_certificate, &certificate_size),
             "tls/" CERTIFICATE_NAME, error))
    return FALSE;
  if (key_size != certificate_size || memcmp (of_key, of_certificate, key_size) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID,
                           "tls/" CERTIFICATE_NAME " is of another key than tls/" KEY_NAME ": remove it to have it made again");
  *fresh = gnutls_x509_crt_get_expiration_time (identity->certificate) > now + (gint64) RENEW_DAYS * DAY;
  if (*fresh)
    identity->certificate_pem = g_strndup ((const char *) datum.data, size);
  return TRUE;
}

static gboolean
compute_pin (FloeServerIdentity *identity, GError **error)
{
  gnutls_pubkey_t key = NULL;
  gnutls_datum_t der = { NULL, 0 };
  gboolean ok = must (gnutls_pubkey_init (&key), "public key", error) &&
                must (gnutls_pubkey_import_x509 (key, identity->certificate, 0), "public key", error) &&
                must (gnutls_pubkey_export2 (key, GNUTLS_X509_FMT_DER, &der), "public key", error);

  if (ok) {
    g_autofree char *base64 = NULL;

    floe_digest_of (der.data, der.size, &identity->digest);
    base64 = g_base64_encode (identity->digest.bytes, sizeof identity->digest.bytes);
    identity->pin = g_strconcat ("sha256//", base64, NULL);
  }
  gnutls_free (der.data);
  gnutls_pubkey_deinit (key);
  return ok;
}

static gboolean
load_or_make_certificate (FloeServerIdentity *identity, int tls_dir, gint64 now, GError **error)
{
  g_autoptr (GError) problem = NULL;
  gboolean fresh = FALSE;

  if (!load_certificate (identity, tls_dir, now, &fresh, &problem) &&
      !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  return fresh || make_certificate (identity, tls_dir, now, error);
}

FloeServerIdentity *
floe_server_identity_load (int data_dir, gint64 now, GError **error)
{
  g_autoptr (FloeServerIdentity) identity = g_new0 (FloeServerIdentity, 1);
  g_autoptr (GError) problem = NULL;
  floe_autofd tls_dir = floe_dir_make_at (data_dir, "tls", 0700, error);

  if (tls_dir < 0 || !must (gnutls_x509_privkey_init (&identity->key), "key", error) ||
      !must (gnutls_x509_crt_init (&identity->certificate), "certificate", error))
    return NULL;
  if (!load_key (identity, tls_dir, &problem)) {
    if (!g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
      g_propagate_error (error, g_steal_pointer (&problem));
      return NULL;
    }
    if (!make_key (identity, tls_dir, error))
      return NULL;
  }
  if (!load_or_make_certificate (identity, tls_dir, now, error) || !compute_pin (identity, error))
    return NULL;
  return g_steal_pointer (&identity);
}

void
floe_server_identity_free (FloeServerIdentity *identity)
{
  if (identity == NULL)
    return;
  if (identity->key != NULL)
    gnutls_x509_privkey_deinit (identity->key);
  if (identity->certificate != NULL)
    gnutls_x509_crt_deinit (identity->certificate);
  if (identity->key_pem != NULL)
    gnutls_memset (identity->key_pem, 0, strlen (identity->key_pem));
  g_free (identity->key_pem);
  g_free (identity->certificate_pem);
  g_free (identity->pin);
  g_free (identity);
}

const char *
floe_server_identity_key (FloeServerIdentity *identity)
{
  return identity->key_pem;
}

const char *
floe_server_identity_certificate (FloeServerIdentity *identity)
{
  return identity->certificate_pem;
}

const char *
floe_server_identity_pin (FloeServerIdentity *identity)
{
  return identity->pin;
}

void
floe_server_identity_digest (FloeServerIdentity *identity, FloeDigest *digest)
{
  *digest = identity->digest;
}
