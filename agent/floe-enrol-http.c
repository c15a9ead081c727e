/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-enrol-http.h"

#include "server-sync/enrol/floe-enrol-proof.h"

#include <curl/curl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#define CONNECT_SECONDS 15L
#define SECONDS 30L
#define ANSWER_MAX (64 * 1024) /* metadata that is compared is fetched by this, too */

typedef struct curl_slist CurlList;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CURL, curl_easy_cleanup)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CurlList, curl_slist_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509, X509_free)

typedef struct {
  GByteArray *body;
  GCancellable *cancellable;
  gboolean overrun;
} Transfer;

void
floe_enrol_response_clear (FloeEnrolResponse *response)
{
  g_clear_pointer (&response->body, g_bytes_unref);
  g_clear_pointer (&response->proof, g_free);
}

char *
floe_enrol_pin (const FloeDigest *server)
{
  g_autofree char *base64 = g_base64_encode (server->bytes, sizeof server->bytes);

  return g_strconcat ("sha256//", base64, NULL);
}

static size_t
on_data (char *data, size_t size, size_t n, void *user)
{
  Transfer *transfer = user;

  size *= n;
  transfer->overrun = size > ANSWER_MAX - transfer->body->len;
  if (transfer->overrun)
    return size + 1; /* anything but SIZE ends the transfer */
  g_byte_array_append (transfer->body, (const guint8 *) data, (guint) size);
  return size;
}

static int
on_progress (void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
  Transfer *transfer = user;

  (void) total, (void) now, (void) up_total, (void) up_now;
  return g_cancellable_is_cancelled (transfer->cancellable);
}

/* The first certificate of the chain is the server's own. */
static gboolean
read_key (CURL *curl, FloeDigest *server)
{
  struct curl_certinfo *chain = NULL;
  const char *pem = NULL;
  g_autoptr (BIO) bio = NULL;
  g_autoptr (X509) certificate = NULL;
  unsigned char *der = NULL;
  int size;

  if (curl_easy_getinfo (curl, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == NULL || chain->num_of_certs < 1)
    return FALSE;
  for (const struct curl_slist *at = chain->certinfo[0]; at != NULL; at = at->next)
    if (g_str_has_prefix (at->data, "Cert:"))
      pem = at->data + strlen ("Cert:");
  bio = pem == NULL ? NULL : BIO_new_mem_buf (pem, -1);
  certificate = bio == NULL ? NULL : PEM_read_bio_X509 (bio, NULL, NULL, NULL);
  size = certificate == NULL ? -1 : i2d_X509_PUBKEY (X509_get_X509_PUBKEY (certificate), &der);
  if (size > 0)
    floe_digest_of (der, (size_t) size, server);
  OPENSSL_free (der);
  return size > 0;
}

static gboolean
fail (const char *url, CURLcode code, const char *message, const Transfer *transfer, GError **error)
{
  message = *message != '\0' ? message : curl_easy_strerror (code);
  if (transfer->overrun)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: an answer of more than %d bytes", url, ANSWER_MAX);
  if (code == CURLE_ABORTED_BY_CALLBACK)
    return floe_error_set (error, FLOE_ERROR_CANCELLED, "%s: cancelled", url);
  if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: another server answers than a moment ago", url);
  /* Reached, and then it did not speak TLS or HTTP as we do. */
  if (code == CURLE_SSL_CONNECT_ERROR || code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_GOT_NOTHING || code == CURLE_UNSUPPORTED_PROTOCOL ||
      code == CURLE_HTTP2 || code == CURLE_RECV_ERROR)
    return floe_error_set (error, FLOE_ERROR_PEER, "%s: %s", url, message);
  return floe_error_set (error, FLOE_ERROR_IO, "%s: %s", url, message);
}

static void
set_up (CURL *curl, const char *url, Transfer *transfer, char *message)
{
  curl_easy_setopt (curl, CURLOPT_URL, url);
  curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt (curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
  /* Names and authorities say nothing of a server that makes its own certificate; what proves it is the code. */
  curl_easy_setopt (curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt (curl, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt (curl, CURLOPT_CERTINFO, 1L);
  curl_easy_setopt (curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt (curl, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt (curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt (curl, CURLOPT_XFERINFODATA, transfer);
  curl_easy_setopt (curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
  curl_easy_setopt (curl, CURLOPT_TIMEOUT, SECONDS);
  curl_easy_setopt (curl, CURLOPT_USERAGENT, "floe/" FLOE_VERSION);
}

static gboolean
perform (CURL *curl, const char *url, Transfer *transfer, const char *message, FloeEnrolResponse *response, GError **error)
{
  CURLcode code = curl_easy_perform (curl);
  struct curl_header *header;
  FloeDigest server;

  if (code != CURLE_OK)
    return fail (url, code, message, transfer, error);
  if (!read_key (curl, &server))
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s: this libcurl does not tell the server's certificate", url);
  response->server = server;
  curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, &response->status);
  if (curl_easy_header (curl, FLOE_ENROL_PROOF_HEADER, 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
    response->proof = g_strdup (header->value);
  response->body = g_bytes_new (transfer->body->data, transfer->body->len);
  return TRUE;
}

gboolean
floe_enrol_get (const char *url, GCancellable *cancellable, FloeEnrolResponse *response, GError **error)
{
  g_autoptr (CURL) curl = curl_easy_init ();
  g_autoptr (GByteArray) body = g_byte_array_new ();
  Transfer transfer = { body, cancellable, FALSE };
  char message[CURL_ERROR_SIZE] = "";

  if (curl == NULL)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for a network connection");
  set_up (curl, url, &transfer, message);
  return perform (curl, url, &transfer, message, response, error);
}

static CurlList *
make_headers (const char *proof, const char *signature)
{
  g_autofree char *proof_line = proof != NULL ? g_strconcat (FLOE_ENROL_PROOF_HEADER ": ", proof, NULL) : NULL;
  g_autofree char *signature_line = g_strconcat (FLOE_ENROL_SIGNATURE_HEADER ": ", signature, NULL);
  CurlList *headers = curl_slist_append (NULL, "Content-Type: application/json");

  headers = curl_slist_append (headers, "Expect:");
  if (proof_line != NULL)
    headers = curl_slist_append (headers, proof_line);
  return curl_slist_append (headers, signature_line);
}

gboolean
floe_enrol_post (const char *url, const FloeDigest *server, GBytes *body, const char *proof, const char *signature, GCancellable *cancellable,
                 FloeEnrolResponse *response, GError **error)
{
  g_autoptr (CURL) curl = curl_easy_init ();
  g_autoptr (GByteArray) answer = g_byte_array_new ();
  g_autoptr (CurlList) headers = make_headers (proof, signature);
  g_autofree char *pin = floe_enrol_pin (server);
  Transfer transfer = { answer, cancellable, FALSE };
  char message[CURL_ERROR_SIZE] = "";
  gsize size;
  const void *data = g_bytes_get_data (body, &size);

  if (curl == NULL)
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for a network connection");
  set_up (curl, url, &transfer, message);
  if (curl_easy_setopt (curl, CURLOPT_PINNEDPUBLICKEY, pin) != CURLE_OK)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "this libcurl cannot pin a server's key");
  curl_easy_setopt (curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt (curl, CURLOPT_POSTFIELDSIZE, (long) size);
  curl_easy_setopt (curl, CURLOPT_POSTFIELDS, data);
  return perform (curl, url, &transfer, message, response, error);
}
