/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/server/floe-server-checkin.h"
#include "server-sync/server/floe-server-deadlines.h"
#include "server-sync/server/floe-server-enrol.h"
#include "server-sync/server/floe-server-path.h"
#include "server-sync/server/floe-server-range.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Theory of operation: libmicrohttpd's threads call on_uri (request line read), on_request (headers read, then again when the
 * body has ended; only POST of /enrol and /checkin has one, taken in pieces) and on_completed. The request target is judged in on_uri, on the
 * raw bytes, since what comes later has been cut at '?'. Each connection has a Connection and a deadline, moved at each of these steps. */

#define BACKLOG 256
#define SPARE_DESCRIPTORS 64
#define IDLE_SECONDS 60
#define NEXT_REQUEST_SECONDS 120
#define SLOWEST_BYTES_PER_SECOND (16 * 1024)
#define ENROL_PATH "/enrol"
#define CHECKIN_PATH "/checkin"
#define RANGE_MAX 72 /* "bytes ", three numbers and what stands between them */
#define TLS_PRIORITIES                                                                                                         \
  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"

typedef struct {
  _Atomic guint64 requests, bytes, missing, refused, failed, cut_off;
} Counters;

struct _FloeServer {
  int repo_dir;
  int listen_fd;
  char *address;
  FloeServerOptions options;
  FloeServerDeadlines *deadlines;
  Counters counters;
  FloeRegistry *registry; /* borrowed; NULL: nobody can enrol */
  FloeDigest key;         /* SHA-256 of the TLS key's SubjectPublicKeyInfo */
  struct MHD_Daemon *daemon;
};

typedef enum { FOR_FILE, FOR_ENROL, FOR_CHECKIN } RequestFor;

typedef struct {
  FloeServerDeadline *deadline;
  FloeServerPath verdict; /* of the request under way */
  gboolean headers_seen;
  RequestFor is_for;
  GByteArray *body;       /* what POST brings; NULL for all other methods */
  gsize body_size;        /* as its head says */
  char path[FLOE_SERVER_PATH_MAX + 1]; /* below the repository; set when the verdict is good */
} Connection;

static gint64
seconds_from_now (gint64 seconds)
{
  return g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
}

/* -- Opening -------------------------------------------------------------------------------------------------------- */

/* The regular file at PATH below the repository, whatever anybody has put on the way: openat2(2) itself refuses links. */
static int
open_beneath (int dir, const char *path, struct stat *st)
{
  struct open_how how = {
    .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  floe_autofd fd = (int) syscall (SYS_openat2, dir, path, &how, sizeof how);

  if (fd < 0)
    return -1;
  if (fstat (fd, st) < 0 || !S_ISREG (st->st_mode)) {
    errno = ENOENT;
    return -1;
  }
  return floe_fd_steal (&fd);
}

static gboolean
check_repository (int dir, GError **error)
{
  struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
  floe_autofd self = (int) syscall (SYS_openat2, dir, ".", &how, sizeof how);
  struct stat st;

  if (self < 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "openat2() below the repository: %s: Linux 5.6 or newer is needed",
                           g_strerror (errno));
  if (fstat (dir, &st) < 0)
    return floe_error_set_errno (error, errno, "stat the repository");
  if ((st.st_mode & S_IWOTH) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "everybody may write the repository (mode %04o): chmod o-w it",
                           st.st_mode & 07777);
  return TRUE;
}

/* -- Responses ------------------------------------------------------------------------------------------------------ */

static void
count_status (FloeServer *server, unsigned status)
{
  server->counters.requests++;
  if (status == MHD_HTTP_NOT_FOUND)
    server->counters.missing++;
  else if (status >= 500)
    server->counters.failed++;
  else if (status >= 400)
    server->counters.refused++;
}

static enum MHD_Result
queue (FloeServer *server, struct MHD_Connection *connection, unsigned status, struct MHD_Response *response)
{
  enum MHD_Result result;

  if (response == NULL)
    return MHD_NO;
  count_status (server, status);
  MHD_add_response_header (response, "X-Content-Type-Options", "nosniff");
  result = MHD_queue_response (connection, status, response);
  MHD_destroy_response (response);
  return result;
}

static enum MHD_Result
refuse (FloeServer *server, struct MHD_Connection *connection, unsigned status)
{
  char text[64];
  int size = snprintf (text, sizeof text, "%u %s\n", status, MHD_get_reason_phrase_for (status));
  struct MHD_Response *response = MHD_create_response_from_buffer ((size_t) size, text, MHD_RESPMEM_MUST_COPY);

  if (response != NULL && status == MHD_HTTP_METHOD_NOT_ALLOWED)
    MHD_add_response_header (response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  return queue (server, connection, status, response);
}

/* -- Enrolment, check-in --------------------------------------------------------------------------------------------- */

static enum MHD_Result
respond_json (FloeServer *server, struct MHD_Connection *connection, unsigned status, GBytes *body, const char *proof)
{
  gsize size;
  const void *data = g_bytes_get_data (body, &size);
  struct MHD_Response *response = MHD_create_response_from_buffer (size, (void *) data, MHD_RESPMEM_MUST_COPY);

  if (response != NULL) {
    MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (proof != NULL)
      MHD_add_response_header (response, FLOE_ENROL_PROOF_HEADER, proof);
  }
  return queue (server, connection, status, response);
}

/* The head of a POST to ENROL_PATH or CHECKIN_PATH: whether its body may come. */
static enum MHD_Result
begin_post (FloeServer *server, struct MHD_Connection *connection, const char *method, Connection *state)
{
  const char *length = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  guint64 size;

  if (strcmp (method, MHD_HTTP_METHOD_POST) != 0)
    return refuse (server, connection, MHD_HTTP_METHOD_NOT_ALLOWED);
  if (length == NULL || MHD_lookup_connection_value (connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
    return refuse (server, connection, MHD_HTTP_LENGTH_REQUIRED);
  if (!g_ascii_string_to_unsigned (length, 10, 1, state->is_for == FOR_ENROL ? FLOE_ENROL_REQUEST_MAX : FLOE_CHECKIN_MAX, &size, NULL))
    return refuse (server, connection, MHD_HTTP_CONTENT_TOO_LARGE);
  state->body = g_byte_array_sized_new ((guint) size);
  state->body_size = (gsize) size;
  return MHD_YES;
}

static enum MHD_Result
take_body (Connection *state, const char *upload, size_t *size)
{
  if (*size > state->body_size - state->body->len)
    return MHD_NO;
  g_byte_array_append (state->body, (const guint8 *) upload, (guint) *size);
  *size = 0;
  return MHD_YES;
}

static enum MHD_Result
respond_enrol (FloeServer *server, struct MHD_Connection *connection, Connection *state)
{
  g_autoptr (GBytes) request = g_byte_array_free_to_bytes (g_steal_pointer (&state->body));
  FloeServerEnrolled enrolled;
  enum MHD_Result result;

  floe_server_enrol (server->registry, &server->key, request,
                     MHD_lookup_connection_value (connection, MHD_HEADER_KIND, FLOE_ENROL_PROOF_HEADER),
                     MHD_lookup_connection_value (connection, MHD_HEADER_KIND, FLOE_ENROL_SIGNATURE_HEADER),
                     g_get_real_time () / G_USEC_PER_SEC, &enrolled);
  result = respond_json (server, connection, enrolled.status, enrolled.body, enrolled.proof);
  g_bytes_unref (enrolled.body);
  g_free (enrolled.proof);
  return result;
}

static enum MHD_Result
respond_checkin (FloeServer *server, struct MHD_Connection *connection, Connection *state)
{
  g_autoptr (GBytes) body = g_byte_array_free_to_bytes (g_steal_pointer (&state->body));
  g_autoptr (GBytes) answer = NULL;
  unsigned status;

  answer = floe_server_check_in (server->registry, &server->key, body,
                                 MHD_lookup_connection_value (connection, MHD_HEADER_KIND, FLOE_ENROL_SIGNATURE_HEADER),
                                 g_get_real_time () / G_USEC_PER_SEC, &status);
  return respond_json (server, connection, status, answer, NULL);
}

static enum MHD_Result
respond_hello (FloeServer *server, struct MHD_Connection *connection)
{
  g_autoptr (GBytes) body = floe_enrol_hello_write (g_get_real_time () / G_USEC_PER_SEC);

  return respond_json (server, connection, MHD_HTTP_OK, body, NULL);
}

/* -- Files ---------------------------------------------------------------------------------------------------------- */

static const char *
cache_control (const char *path)
{
  /* The one name whose bytes change; all others carry a version or a digest. */
  return strcmp (path, "metadata/timestamp.json") == 0 ? "no-cache" : "public, max-age=31536000, immutable";
}

static enum MHD_Result
respond_range (FloeServer *server, struct MHD_Connection *connection, FloeServerRange verdict, int fd, guint64 size,
               guint64 first, guint64 last, const char *path)
{
  gboolean whole = verdict == FLOE_SERVER_RANGE_NONE;
  struct MHD_Response *response;
  char range[RANGE_MAX];

  if (verdict == FLOE_SERVER_RANGE_UNSATISFIABLE) {
    close (fd);
    response = MHD_create_response_from_buffer (0, (char[]){ "" }, MHD_RESPMEM_PERSISTENT);
    snprintf (range, sizeof range, "bytes */%" G_GUINT64_FORMAT, size);
    if (response != NULL)
      MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_RANGE, range);
    return queue (server, connection, MHD_HTTP_RANGE_NOT_SATISFIABLE, response);
  }
  if (whole) {
    first = 0;
    last = size - 1; /* wraps for an empty file, and back below */
  }
  response = MHD_create_response_from_fd_at_offset64 (last - first + 1, fd, first);
  if (response == NULL) {
    close (fd);
    return MHD_NO;
  }
  if (!whole) {
    snprintf (range, sizeof range, "bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, first, last, size);
    MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_RANGE, range);
  }
  MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE,
                           g_str_has_suffix (path, ".json") ? "application/json" : "application/octet-stream");
  MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, cache_control (path));
  MHD_add_response_header (response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
  server->counters.bytes += last - first + 1;
  return queue (server, connection, whole ? MHD_HTTP_OK : MHD_HTTP_PARTIAL_CONTENT, response);
}

static enum MHD_Result
respond_file (FloeServer *server, struct MHD_Connection *connection, Connection *state)
{
  const char *header = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_RANGE);
  floe_autofd fd = -1;
  struct stat st;
  guint64 size, first = 0, last = 0;
  FloeServerRange verdict;

  fd = open_beneath (server->repo_dir, state->path, &st);
  if (fd < 0) {
    /* Out of descriptors or memory is ours to mend; everything else looks to the client like nothing there. */
    gboolean ours = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO;

    return refuse (server, connection, ours ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_NOT_FOUND);
  }
  size = (guint64) st.st_size;
  verdict = floe_server_range_parse (header, size, &first, &last);
  floe_server_deadlines_move (
      server->deadlines, state->deadline,
      seconds_from_now ((gint64) server->options.request_seconds + (gint64) (size / SLOWEST_BYTES_PER_SECOND)));
  return respond_range (server, connection, verdict, floe_fd_steal (&fd), size, first, last, state->path);
}

/* -- libmicrohttpd's callbacks -------------------------------------------------------------------------------------- */

static Connection *
connection_state (struct MHD_Connection *connection)
{
  return MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void
on_connection (void *data, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
  FloeServer *server = data;

  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    Connection *state = g_new0 (Connection, 1);

    state->deadline = floe_server_deadlines_add (server->deadlines,
                                                 MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
                                                 seconds_from_now (server->options.request_seconds));
    *context = state;
  } else if (*context != NULL) {
    Connection *state = *context;

    floe_server_deadlines_remove (server->deadlines, state->deadline);
    g_clear_pointer (&state->body, g_byte_array_unref);
    g_free (state);
    *context = NULL;
  }
}

static void *
on_uri (void *data, const char *uri, struct MHD_Connection *connection)
{
  FloeServer *server = data;
  Connection *state = connection_state (connection);

  state->headers_seen = FALSE;
  g_clear_pointer (&state->body, g_byte_array_unref);
  state->is_for = server->registry == NULL          ? FOR_FILE
                  : strcmp (uri, ENROL_PATH) == 0   ? FOR_ENROL
                  : strcmp (uri, CHECKIN_PATH) == 0 ? FOR_CHECKIN
                                                    : FOR_FILE;
  state->verdict = floe_server_path_check (uri);
  if (state->verdict == FLOE_SERVER_PATH_GOOD)
    g_strlcpy (state->path, uri + 1, sizeof state->path);
  floe_server_deadlines_move (server->deadlines, state->deadline, seconds_from_now (server->options.request_seconds));
  return state;
}

static gboolean
has_body (struct MHD_Connection *connection)
{
  const char *length = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

  return (length != NULL && strcmp (length, "0") != 0) ||
         MHD_lookup_connection_value (connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* The request's head is there. Answering before the body is read makes libmicrohttpd close the connection instead of reading it. */
static enum MHD_Result
on_head (FloeServer *server, struct MHD_Connection *connection, const char *method, Connection *state)
{
  if (strcmp (method, MHD_HTTP_METHOD_GET) == 0 || strcmp (method, MHD_HTTP_METHOD_HEAD) == 0)
    return has_body (connection) ? refuse (server, connection, MHD_HTTP_CONTENT_TOO_LARGE) : MHD_YES;
  return state->is_for != FOR_FILE ? begin_post (server, connection, method, state) : refuse (server, connection, MHD_HTTP_METHOD_NOT_ALLOWED);
}

static enum MHD_Result
on_request (void *data, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
            const char *upload, size_t *upload_size, void **context)
{
  FloeServer *server = data;
  Connection *state = *context;

  (void) url;
  (void) version;
  if (!state->headers_seen) {
    state->headers_seen = TRUE;
    return on_head (server, connection, method, state);
  }
  if (*upload_size != 0)
    return state->body != NULL ? take_body (state, upload, upload_size) : MHD_NO;
  if (state->is_for == FOR_ENROL)
    return state->body != NULL ? respond_enrol (server, connection, state) : respond_hello (server, connection);
  if (state->is_for == FOR_CHECKIN)
    return state->body != NULL ? respond_checkin (server, connection, state) : refuse (server, connection, MHD_HTTP_METHOD_NOT_ALLOWED);
  if (state->verdict == FLOE_SERVER_PATH_TOO_LONG)
    return refuse (server, connection, MHD_HTTP_URI_TOO_LONG);
  if (state->verdict != FLOE_SERVER_PATH_GOOD)
    return refuse (server, connection, MHD_HTTP_NOT_FOUND);
  return respond_file (server, connection, state);
}

static void
on_completed (void *data, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
  FloeServer *server = data;
  Connection *state = *context;

  (void) connection;
  (void) code;
  if (state != NULL)
    floe_server_deadlines_move (server->deadlines, state->deadline, seconds_from_now (NEXT_REQUEST_SECONDS));
}

/* Nothing in the grammar is escaped; leaving the bytes alone keeps '%' a byte that the grammar refuses. */
static size_t
leave_escaped (void *data, struct MHD_Connection *connection, char *text)
{
  (void) data;
  (void) connection;
  return strlen (text);
}

static void on_log (void *data, const char *format, va_list arguments) G_GNUC_PRINTF (2, 0);

static void
on_log (void *data, const char *format, va_list arguments)
{
  g_autofree char *text = g_strdup_vprintf (format, arguments);

  (void) data;
  floe_debug (g_strchomp (text));
}

/* -- Life ----------------------------------------------------------------------------------------------------------- */

static GSocketAddress *
parse_listen (const char *listen, GError **error)
{
  const char *colon = strrchr (listen, ':');
  g_autofree char *host = NULL;
  GSocketAddress *address = NULL;
  guint64 port = 0;

  if (colon != NULL && g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL)) {
    gboolean bracketed = *listen == '[' && colon > listen && colon[-1] == ']';

    host = bracketed ? g_strndup (listen + 1, (gsize) (colon - listen) - 2) : g_strndup (listen, (gsize) (colon - listen));
    if (bracketed == (strchr (host, ':') != NULL))
      address = g_inet_socket_address_new_from_string (host, (guint) port);
  }
  if (address == NULL)
    floe_error_set (error, FLOE_ERROR_INVALID, "--listen %s: ADDRESS:PORT or [ADDRESS]:PORT with a literal address wanted", listen);
  return address;
}

static char *
bound_address (int fd)
{
  struct sockaddr_storage storage;
  socklen_t size = sizeof storage;
  g_autoptr (GSocketAddress) address = NULL;

  if (getsockname (fd, (struct sockaddr *) &storage, &size) < 0)
    return NULL;
  address = g_socket_address_new_from_native (&storage, size);
  return g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
}

static gboolean
listen_on (FloeServer *server, GError **error)
{
  g_autoptr (GSocketAddress) address = parse_listen (server->options.listen, error);
  struct sockaddr_storage storage;
  gssize size;
  int on = 1;

  if (address == NULL)
    return FALSE;
  size = g_socket_address_get_native_size (address);
  if (!g_socket_address_to_native (address, &storage, sizeof storage, error))
    return FALSE;
  server->listen_fd = socket (storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (server->listen_fd < 0 || setsockopt (server->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      bind (server->listen_fd, (struct sockaddr *) &storage, (socklen_t) size) < 0 || listen (server->listen_fd, BACKLOG) < 0)
    return floe_error_set_errno (error, errno, "listen on %s", server->options.listen);
  server->address = bound_address (server->listen_fd);
  return TRUE;
}

/* Each connection may need two descriptors: its socket and the file that it is being sent. */
static unsigned
bound_connections (unsigned wanted)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    return MIN (wanted, 256);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit (RLIMIT_NOFILE, &limit) < 0)
    getrlimit (RLIMIT_NOFILE, &limit);
  return (unsigned) CLAMP ((gint64) MIN (limit.rlim_cur, G_MAXINT32) - SPARE_DESCRIPTORS, 2, 2 * (gint64) wanted) / 2;
}

FloeServer *
floe_server_new (int repo_dir, const FloeServerOptions *options, GError **error)
{
  g_autoptr (FloeServer) server = g_new0 (FloeServer, 1);

  server->listen_fd = -1;
  server->repo_dir = -1;
  server->options = *options;
  server->options.max_connections = bound_connections (options->max_connections);
  server->deadlines = floe_server_deadlines_new ();
  if (!check_repository (repo_dir, error))
    return NULL;
  server->repo_dir = fcntl (repo_dir, F_DUPFD_CLOEXEC, 3);
  if (server->repo_dir < 0) {
    floe_error_set_errno (error, errno, "duplicate the repository's descriptor");
    return NULL;
  }
  return listen_on (server, error) ? g_steal_pointer (&server) : NULL;
}

gboolean
floe_server_start (FloeServer *server, FloeServerIdentity *identity, GError **error)
{
  unsigned flags = MHD_USE_TLS | MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG;

  floe_server_identity_digest (identity, &server->key);
  server->daemon = MHD_start_daemon (
      flags, 0, NULL, NULL, on_request, server,                                       /* */
      MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,                                       /* first, for what follows may log */
      MHD_OPTION_LISTEN_SOCKET, server->listen_fd,                                    /* */
      MHD_OPTION_THREAD_POOL_SIZE, MAX (server->options.threads, 2),                  /* */
      MHD_OPTION_HTTPS_MEM_KEY, floe_server_identity_key (identity),                  /* */
      MHD_OPTION_HTTPS_MEM_CERT, floe_server_identity_certificate (identity),         /* */
      MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES,                                    /* */
      MHD_OPTION_CONNECTION_LIMIT, server->options.max_connections,                   /* */
      MHD_OPTION_PER_IP_CONNECTION_LIMIT, server->options.max_per_address,            /* */
      MHD_OPTION_CONNECTION_TIMEOUT, MIN (IDLE_SECONDS, server->options.request_seconds * 2), /* */
      MHD_OPTION_STRICT_FOR_CLIENT, 1,                                                /* */
      MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,                              /* */
      MHD_OPTION_URI_LOG_CALLBACK, on_uri, server,                                    /* */
      MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,                            /* */
      MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
  if (server->daemon == NULL)
    return floe_error_set (error, FLOE_ERROR_FAILED, "libmicrohttpd did not start: FLOE_DEBUG=1 shows why");
  server->listen_fd = -1; /* the daemon closes it */
  return TRUE;
}

void
floe_server_set_registry (FloeServer *server, FloeRegistry *registry)
{
  server->registry = registry;
}

void
floe_server_free (FloeServer *server)
{
  if (server == NULL)
    return;
  if (server->daemon != NULL)
    MHD_stop_daemon (server->daemon);
  floe_fd_clear (&server->listen_fd);
  floe_fd_clear (&server->repo_dir);
  floe_server_deadlines_free (server->deadlines);
  g_free (server->address);
  g_free (server);
}

void
floe_server_tick (FloeServer *server)
{
  server->counters.cut_off += floe_server_deadlines_expire (server->deadlines, g_get_monotonic_time ());
}

void
floe_server_take_counts (FloeServer *server, FloeServerCounts *counts)
{
  counts->requests = atomic_exchange (&server->counters.requests, 0);
  counts->bytes = atomic_exchange (&server->counters.bytes, 0);
  counts->missing = atomic_exchange (&server->counters.missing, 0);
  counts->refused = atomic_exchange (&server->counters.refused, 0);
  counts->failed = atomic_exchange (&server->counters.failed, 0);
  counts->cut_off = atomic_exchange (&server->counters.cut_off, 0);
}

const char *
floe_server_address (FloeServer *server)
{
  return server->address;
}
