/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-fetcher.h"

#include <curl/curl.h>
#include <glib-unix.h>
#include <string.h>

/* Theory of operation: curl's multi interface says which sockets to watch (on_socket_wanted) and when to be called again (on_timer_wanted);
 * GLib sources do both. Ended transfers are taken from curl only in an idle source, so that no callback of ours runs inside
 * one of curl's and a transfer can be started from any of them. Easy handles are kept for reuse: with the same handle count as
 * connections, each new chunk finds a warm connection. */

#define CONNECT_SECONDS 10L
#define SLOW_SECONDS 15L
#define SLOW_BYTES_PER_SECOND 1024L
#define WHOLE_SECONDS 180L
#define RECEIVE_BUFFER 32768L

typedef struct {
  FloeFetcher *fetcher; /* borrowed */
  CURL *easy;
  FloeTableEntry entry;
  FloeFetchClass fetch_class;
  uint8_t *frame;
  size_t received;
  gboolean too_long;
  gboolean held;
  FloeDigester *digester;
} Transfer;

typedef struct {
  FloeFetcher *fetcher;
  curl_socket_t fd;
  guint source;
} Watch;

struct _FloeFetcher {
  char *url;
  char *pin;
  guint max_transfers;
  FloeFetcherDone done;
  gpointer done_data;
  CURLM *multi;
  GPtrArray *transfers; /* under way; of Transfer */
  GPtrArray *spare;     /* easy handles not in use; of CURL */
  GHashTable *watches;  /* fd -> Watch */
  guint timer;
  guint reaper;
  gboolean hold_background;
};

static void schedule_reaping (FloeFetcher *fetcher);

/* -- curl on the main loop ------------------------------------------------------------------------------------------ */

static void
act (FloeFetcher *fetcher, curl_socket_t fd, int mask)
{
  int running;

  curl_multi_socket_action (fetcher->multi, fd, mask, &running);
  schedule_reaping (fetcher);
}

static gboolean
on_socket_ready (gint fd, GIOCondition condition, gpointer data)
{
  Watch *watch = data;
  int mask = 0;

  if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
    mask |= CURL_CSELECT_IN;
  if (condition & (G_IO_OUT | G_IO_ERR))
    mask |= CURL_CSELECT_OUT;
  /* May remove this very watch: nothing of it is touched afterwards, and GLib sees the source destroyed. */
  act (watch->fetcher, fd, mask);
  return G_SOURCE_CONTINUE;
}

static void
watch_free (gpointer data)
{
  Watch *watch = data;

  g_source_remove (watch->source);
  g_free (watch);
}

static int
on_socket_wanted (CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
  FloeFetcher *fetcher = data;
  GIOCondition condition = 0;
  Watch *watch;

  (void) easy;
  (void) socket_data;
  g_hash_table_remove (fetcher->watches, GINT_TO_POINTER (fd));
  if (what == CURL_POLL_REMOVE)
    return 0;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
    condition |= G_IO_IN;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
    condition |= G_IO_OUT;
  watch = g_new0 (Watch, 1);
  watch->fetcher = fetcher;
  watch->fd = fd;
  watch->source = g_unix_fd_add (fd, condition | G_IO_HUP | G_IO_ERR, on_socket_ready, watch);
  g_hash_table_insert (fetcher->watches, GINT_TO_POINTER (fd), watch);
  return 0;
}

static gboolean
on_timer (gpointer data)
{
  FloeFetcher *fetcher = data;

  fetcher->timer = 0;
  act (fetcher, CURL_SOCKET_TIMEOUT, 0);
  return G_SOURCE_REMOVE;
}

static int
on_timer_wanted (CURLM *multi, long milliseconds, void *data)
{
  FloeFetcher *fetcher = data;

  (void) multi;
  if (fetcher->timer != 0)
    g_source_remove (fetcher->timer);
  fetcher->timer = milliseconds < 0 ? 0 : g_timeout_add ((guint) MIN (milliseconds, G_MAXINT32), on_timer, fetcher);
  return 0;
}

/* -- One transfer --------------------------------------------------------------------------------------------------- */

static size_t
on_data (char *data, size_t size, size_t count, void *context)
{
  Transfer *transfer = context;
  size_t bytes = size * count;

  if (transfer->fetch_class == FLOE_FETCH_BACKGROUND && transfer->fetcher->hold_background) {
    transfer->held = TRUE;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (bytes > transfer->entry.compressed_size - transfer->received) {
    transfer->too_long = TRUE;
    return 0;
  }
  memcpy (transfer->frame + transfer->received, data, bytes);
  floe_digester_update (transfer->digester, data, bytes);
  transfer->received += bytes;
  return bytes;
}

static void
transfer_free (gpointer data)
{
  Transfer *transfer = data;
  FloeFetcher *fetcher = transfer->fetcher;

  if (transfer->easy != NULL) {
    curl_multi_remove_handle (fetcher->multi, transfer->easy);
    g_ptr_array_add (fetcher->spare, transfer->easy);
  }
  floe_digester_free (transfer->digester);
  g_free (transfer->frame);
  g_free (transfer);
}

/* An easy handle with all that is the same for every chunk. The connection and TLS session caches are the multi handle's. */
static CURL *
easy_new (FloeFetcher *fetcher)
{
  CURL *easy = curl_easy_init ();

  if (easy == NULL)
    return NULL;
  curl_easy_setopt (easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (easy, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt (easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
  curl_easy_setopt (easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
  /* The pin is the identity; a certificate authority's word would add whom to trust, not take away. */
  curl_easy_setopt (easy, CURLOPT_PINNEDPUBLICKEY, fetcher->pin);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt (easy, CURLOPT_PROXY, "");
  curl_easy_setopt (easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
  curl_easy_setopt (easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
  curl_easy_setopt (easy, CURLOPT_USERAGENT, "floe-agent/" FLOE_VERSION);
  curl_easy_setopt (easy, CURLOPT_WRITEFUNCTION, on_data);
  return easy;
}

static gboolean
configure (Transfer *transfer)
{
  g_autofree char *url = NULL;
  char hex[FLOE_DIGEST_HEX_SIZE];
  /* While the background is held, curl's speed check rests but its clock for the whole does not. */
  long whole = transfer->fetch_class == FLOE_FETCH_BACKGROUND ? 0 : WHOLE_SECONDS;

  floe_digest_to_hex (&transfer->entry.digest, hex);
  url = g_strdup_printf ("%s/chunks/%.4s/%s.cacnk", transfer->fetcher->url, hex, hex);
  return curl_easy_setopt (transfer->easy, CURLOPT_URL, url) == CURLE_OK &&
         curl_easy_setopt (transfer->easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
         curl_easy_setopt (transfer->easy, CURLOPT_PRIVATE, transfer) == CURLE_OK &&
         curl_easy_setopt (transfer->easy, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES_PER_SECOND) == CURLE_OK &&
         curl_easy_setopt (transfer->easy, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS) == CURLE_OK &&
         curl_easy_setopt (transfer->easy, CURLOPT_TIMEOUT, whole) == CURLE_OK;
}

gboolean
floe_fetcher_start (FloeFetcher *fetcher, const FloeTableEntry *entry, FloeFetchClass fetch_class, GError **error)
{
  Transfer *transfer;

  if (fetcher->transfers->len >= fetcher->max_transfers)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%u transfers under way", fetcher->transfers->len);
  transfer = g_new0 (Transfer, 1);
  transfer->fetcher = fetcher;
  transfer->entry = *entry;
  transfer->fetch_class = fetch_class;
  transfer->frame = g_malloc (entry->compressed_size);
  transfer->digester = floe_digester_new ();
  transfer->easy = fetcher->spare->len > 0 ? g_ptr_array_steal_index_fast (fetcher->spare, fetcher->spare->len - 1)
                                           : easy_new (fetcher);
  if (transfer->easy == NULL || !configure (transfer) || curl_multi_add_handle (fetcher->multi, transfer->easy) != CURLM_OK) {
    transfer_free (transfer);
    return floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for a transfer");
  }
  g_ptr_array_add (fetcher->transfers, transfer);
  return TRUE;
}

/* What RESULT means. PROBLEM is a constant or curl's own. */
static FloeFetchOutcome
judge (Transfer *transfer, CURLcode result, const char **problem)
{
  FloeDigest digest;
  long status = 0;

  curl_easy_getinfo (transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  if (transfer->too_long && status == 200) {
    *problem = "the server sends more than was signed";
    return FLOE_FETCH_BAD;
  }
  *problem = curl_easy_strerror (result);
  if (result != CURLE_OK && result != CURLE_WRITE_ERROR)
    return FLOE_FETCH_AWAY;
  if (status == 404 || status == 410) {
    *problem = "the server does not have it";
    return FLOE_FETCH_BAD;
  }
  if (status != 200) {
    *problem = "the server does not serve it now";
    return FLOE_FETCH_AWAY;
  }
  floe_digester_finish (transfer->digester, &digest);
  if (transfer->received == transfer->entry.compressed_size && floe_digest_equal (&digest, &transfer->entry.compressed_digest))
    return FLOE_FETCH_STORED;
  *problem = transfer->received == transfer->entry.compressed_size ? "its digest is not the one signed"
                                                                   : "the server sends less than was signed";
  return FLOE_FETCH_BAD;
}

static void
finish (FloeFetcher *fetcher, Transfer *transfer, CURLcode result)
{
  g_autoptr (GBytes) frame = NULL;
  const char *problem = NULL;
  FloeTableEntry entry = transfer->entry;
  FloeFetchClass fetch_class = transfer->fetch_class;
  guint64 received = transfer->received;
  FloeFetchOutcome outcome = judge (transfer, result, &problem);

  if (outcome == FLOE_FETCH_STORED) {
    frame = g_bytes_new_take (g_steal_pointer (&transfer->frame), received);
    problem = NULL;
  }
  /* Freed first: the callback may start another one on the same connection. */
  g_ptr_array_remove_fast (fetcher->transfers, transfer);
  fetcher->done (&entry, fetch_class, outcome, frame, received, problem, fetcher->done_data);
}

static gboolean
reap (gpointer data)
{
  FloeFetcher *fetcher = data;
  CURLMsg *message;
  int left;

  fetcher->reaper = 0;
  while ((message = curl_multi_info_read (fetcher->multi, &left)) != NULL) {
    char *transfer = NULL;

    if (message->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, &transfer);
    finish (fetcher, (Transfer *) (gpointer) transfer, message->data.result);
  }
  return G_SOURCE_REMOVE;
}

static void
schedule_reaping (FloeFetcher *fetcher)
{
  if (fetcher->reaper == 0)
    fetcher->reaper = g_idle_add_full (G_PRIORITY_DEFAULT, reap, fetcher, NULL);
}

static void
release (Transfer *transfer)
{
  if (!transfer->held)
    return;
  transfer->held = FALSE;
  curl_easy_pause (transfer->easy, CURLPAUSE_CONT);
}

void
floe_fetcher_promote (FloeFetcher *fetcher, const FloeDigest *digest)
{
  for (guint i = 0; i < fetcher->transfers->len; i++) {
    Transfer *transfer = fetcher->transfers->pdata[i];

    if (!floe_digest_equal (&transfer->entry.digest, digest))
      continue;
    transfer->fetch_class = FLOE_FETCH_DEMAND;
    release (transfer);
  }
}

void
floe_fetcher_hold_background (FloeFetcher *fetcher, gboolean hold)
{
  if (fetcher->hold_background == hold)
    return;
  fetcher->hold_background = hold;
  for (guint i = 0; !hold && i < fetcher->transfers->len; i++)
    release (fetcher->transfers->pdata[i]);
}

/* -- Life ----------------------------------------------------------------------------------------------------------- */

FloeFetcher *
floe_fetcher_new (const char *url, const char *pin, guint max_transfers, FloeFetcherDone done, gpointer data, GError **error)
{
  g_autoptr (FloeFetcher) fetcher = g_new0 (FloeFetcher, 1);

  fetcher->url = g_strdup (url);
  fetcher->pin = g_strdup (pin);
  fetcher->max_transfers = max_transfers;
  fetcher->done = done;
  fetcher->done_data = data;
  fetcher->transfers = g_ptr_array_new_with_free_func (transfer_free);
  fetcher->spare = g_ptr_array_new_with_free_func (curl_easy_cleanup);
  fetcher->watches = g_hash_table_new_full (NULL, NULL, NULL, watch_free);
  fetcher->multi = curl_multi_init ();
  if (fetcher->multi == NULL) {
    floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for curl");
    return NULL;
  }
  curl_multi_setopt (fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
  curl_multi_setopt (fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
  curl_multi_setopt (fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
  curl_multi_setopt (fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
  curl_multi_setopt (fetcher->multi, CURLMOPT_MAXCONNECTS, (long) max_transfers);
  return g_steal_pointer (&fetcher);
}

void
floe_fetcher_free (FloeFetcher *fetcher)
{
  if (fetcher == NULL)
    return;
  g_ptr_array_unref (fetcher->transfers);
  g_ptr_array_unref (fetcher->spare);
  if (fetcher->multi != NULL)
    curl_multi_cleanup (fetcher->multi);
  g_hash_table_unref (fetcher->watches);
  if (fetcher->timer != 0)
    g_source_remove (fetcher->timer);
  if (fetcher->reaper != 0)
    g_source_remove (fetcher->reaper);
  g_free (fetcher->url);
  g_free (fetcher->pin);
  g_free (fetcher);
}
