/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-trust-http.h"

#include <curl/curl.h>
#include <string.h>

#define MAX_REDIRECTS 4L
#define MIN_SPEED 256L
#define PATIENCE 30 /* seconds */

typedef struct {
  FloeTrustTransport base;
  CURL *curl;
  struct curl_slist *headers;
  char *metadata_url, *targets_url; /* each ending in '/' */
  long patience;
  char message[CURL_ERROR_SIZE];
} Http;

typedef struct {
  FloeTrustSink sink;
  gpointer context;
  GCancellable *cancellable;
  guint64 left;
  gboolean overrun;
  GError *error;
} Transfer;

static size_t
on_data (char *data, size_t size, size_t n, void *user)
{
  Transfer *transfer = user;

  size *= n;
  transfer->overrun = size > transfer->left;
  if (transfer->overrun || !transfer->sink (data, size, transfer->context, &transfer->error))
    return size + 1; /* anything but SIZE ends the transfer */
  transfer->left -= size;
  return size;
}

static int
on_progress (void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
  Transfer *transfer = user;

  (void) total, (void) now, (void) up_total, (void) up_now;
  return g_cancellable_is_cancelled (transfer->cancellable);
}

/* -- Errors ---------------------------------------------------------------------------------------------------------- */

static gboolean
fail_status (Http *self, const char *url, GError **error)
{
  long status = 0;

  curl_easy_getinfo (self->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 403 || status == 404 || status == 410)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: the server has no such object (%ld)", url, status);
  return floe_error_set (error, FLOE_ERROR_PEER, "%s: the server answered %ld; try again later", url, status);
}

static gboolean
fail_timeout (Http *self, const char *url, GError **error)
{
  curl_off_t connected = 0;

  curl_easy_getinfo (self->curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
  if (connected == 0)
    return floe_error_set (error, FLOE_ERROR_IO, "%s: no connection in %ld seconds; check network and server", url,
                           self->patience);
  return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: slower than %ld bytes a second for %ld seconds; transfer ended", url, MIN_SPEED,
                         self->patience);
}

static gboolean
fail (Http *self, const char *url, CURLcode code, const Transfer *transfer, guint64 max, GError **error)
{
  const char *message = *self->message != '\0' ? self->message : curl_easy_strerror (code);

  if (transfer->overrun || code == CURLE_FILESIZE_EXCEEDED)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: more than the %" G_GUINT64_FORMAT " bytes that it may have", url, max);
  switch (code) {
  case CURLE_HTTP_RETURNED_ERROR:
    return fail_status (self, url, error);
  case CURLE_OPERATION_TIMEDOUT:
    return fail_timeout (self, url, error);
  case CURLE_ABORTED_BY_CALLBACK:
    return floe_error_set (error, FLOE_ERROR_CANCELLED, "%s: cancelled", url);
  case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: the server's key is not the pinned one; if it was replaced, change the pin",
                           url);
  case CURLE_PEER_FAILED_VERIFICATION:
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: %s", url, message);
  case CURLE_UNSUPPORTED_PROTOCOL:
    return floe_error_set (error, FLOE_ERROR_REFUSED, "%s: %s; only the protocol of the configured URL is used", url, message);
  default:
    return floe_error_set (error, code == CURLE_TOO_MANY_REDIRECTS ? FLOE_ERROR_PEER : FLOE_ERROR_IO, "%s: %s", url, message);
  }
}

/* -- The transport --------------------------------------------------------------------------------------------------- */

static char *
make_url (Http *self, const char *path)
{
  if (g_str_has_prefix (path, "metadata/"))
    return g_strconcat (self->metadata_url, path + strlen ("metadata/"), NULL);
  if (g_str_has_prefix (path, "targets/"))
    return g_strconcat (self->targets_url, path + strlen ("targets/"), NULL);
  return NULL;
}

static gboolean
http_fetch (FloeTrustTransport *base, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
            GCancellable *cancellable, GError **error)
{
  Http *self = (Http *) base;
  g_autofree char *url = make_url (self, path);
  Transfer transfer = { .sink = sink, .context = context, .cancellable = cancellable, .left = max };
  CURLcode code;

  if (url == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "'%s' is no path in a repository", path);
  *self->message = '\0';
  curl_easy_setopt (self->curl, CURLOPT_URL, url);
  curl_easy_setopt (self->curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt (self->curl, CURLOPT_XFERINFODATA, &transfer);
  code = curl_easy_perform (self->curl);
  if (code == CURLE_OK)
    return TRUE;
  if (transfer.error != NULL) {
    g_propagate_error (error, transfer.error);
    return FALSE;
  }
  return fail (self, url, code, &transfer, max, error);
}

static void
http_free (FloeTrustTransport *base)
{
  Http *self = (Http *) base;

  curl_easy_cleanup (self->curl);
  curl_slist_free_all (self->headers);
  g_free (self->metadata_url);
  g_free (self->targets_url);
  g_free (self);
}

static const char *
protocol_of (const char *url)
{
  if (g_str_has_prefix (url, "https://"))
    return "https";
  return g_str_has_prefix (url, "http://") ? "http" : NULL;
}

static gboolean
set_urls (Http *self, const FloeTrustHttpOptions *options, GError **error)
{
  const char *metadata = options->metadata_url != NULL ? options->metadata_url : options->url;
  const char *targets = options->targets_url != NULL ? options->targets_url : options->url;
  const char *protocol = metadata != NULL ? protocol_of (metadata) : NULL;

  if (protocol == NULL || (targets != NULL && g_strcmp0 (protocol, protocol_of (targets)) != 0))
    return floe_error_set (error, FLOE_ERROR_INVALID, "'%s': a URL that begins with https:// or http:// wanted, the same for metadata and targets",
                           metadata != NULL ? metadata : "");
  self->metadata_url = g_strconcat (metadata, g_str_has_suffix (metadata, "/") ? "" : "/",
                                    options->metadata_url != NULL ? "" : "metadata/", NULL);
  if (targets == NULL)
    targets = metadata;
  self->targets_url = g_strconcat (targets, g_str_has_suffix (targets, "/") ? "" : "/",
                                   options->targets_url != NULL ? "" : "targets/", NULL);
  curl_easy_setopt (self->curl, CURLOPT_PROTOCOLS_STR, protocol);
  curl_easy_setopt (self->curl, CURLOPT_REDIR_PROTOCOLS_STR, protocol);
  return TRUE;
}

/* A pin takes the place of certificate authorities and names: the server makes its own certificate, and only its key counts. */
static gboolean
set_security (Http *self, const FloeTrustHttpOptions *options, GError **error)
{
  curl_easy_setopt (self->curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
  if (options->pin == NULL)
    return TRUE;
  if (!g_str_has_prefix (options->pin, "sha256//") || !g_str_has_prefix (self->metadata_url, "https://"))
    return floe_error_set (error, FLOE_ERROR_INVALID, "pin '%s': sha256//BASE64 wanted, and an https:// URL", options->pin);
  curl_easy_setopt (self->curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt (self->curl, CURLOPT_SSL_VERIFYHOST, 0L);
  if (curl_easy_setopt (self->curl, CURLOPT_PINNEDPUBLICKEY, options->pin) != CURLE_OK)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "this libcurl cannot pin a server's key");
  return TRUE;
}

static void
set_limits (Http *self)
{
  curl_easy_setopt (self->curl, CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt (self->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt (self->curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt (self->curl, CURLOPT_ERRORBUFFER, self->message);
  curl_easy_setopt (self->curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt (self->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (self->curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt (self->curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt (self->curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
  curl_easy_setopt (self->curl, CURLOPT_CONNECTTIMEOUT, self->patience);
  curl_easy_setopt (self->curl, CURLOPT_LOW_SPEED_LIMIT, MIN_SPEED);
  curl_easy_setopt (self->curl, CURLOPT_LOW_SPEED_TIME, self->patience);
  curl_easy_setopt (self->curl, CURLOPT_USERAGENT, "floe/" FLOE_VERSION);
}

FloeTrustTransport *
floe_trust_transport_http (const FloeTrustHttpOptions *options, GError **error)
{
  Http *self = g_new0 (Http, 1);
  g_autoptr (FloeTrustTransport) transport = &self->base;

  self->base.fetch = http_fetch;
  self->base.free = http_free;
  self->patience = options->patience != 0 ? (long) options->patience : PATIENCE;
  self->curl = curl_easy_init ();
  if (self->curl == NULL) {
    floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for a network connection");
    return NULL;
  }
  set_limits (self);
  if (!set_urls (self, options, error) || !set_security (self, options, error))
    return NULL;
  for (size_t i = 0; options->headers != NULL && options->headers[i] != NULL; i++)
    self->headers = curl_slist_append (self->headers, options->headers[i]);
  curl_easy_setopt (self->curl, CURLOPT_HTTPHEADER, self->headers);
  return g_steal_pointer (&transport);
}
