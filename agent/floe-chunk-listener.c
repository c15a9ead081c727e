/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-chunk-listener.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A peer's socket is watched only while it may have more requests pending: what it sends beyond that fills its own socket buffer.
 * Peers are looked up by number, never kept by pointer across calls out: a handler may answer, and an answer may disconnect. */

#define BACKLOG 16

typedef struct {
  guint64 number;
  int fd;
  uid_t uid;
  guint pending;
  guint source; /* 0: not watched */
  FloeChunkListener *listener;
} Peer;

struct _FloeChunkListener {
  const FloeChunkHandlers *handlers;
  gpointer data;
  int fd;
  guint source;
  guint64 last_number;
  GHashTable *peers;   /* &number -> Peer */
  uid_t last_refused;  /* so that a foreign process that tries on and on fills no log */
};

static void
peer_free (gpointer data)
{
  Peer *peer = data;

  if (peer->source != 0)
    g_source_remove (peer->source);
  floe_fd_clear (&peer->fd);
  g_free (peer);
}

static void
disconnect (FloeChunkListener *listener, guint64 number, const char *why)
{
  Peer *peer = g_hash_table_lookup (listener->peers, &number);
  g_autofree char *uid = NULL;

  if (peer == NULL)
    return;
  uid = g_strdup_printf ("%u", peer->uid);
  if (why != NULL)
    floe_log (G_LOG_LEVEL_WARNING, "chunk socket: peer disconnected", "REASON", why, "UID", uid, NULL);
  g_hash_table_remove (listener->peers, &number);
  listener->handlers->left (number, listener->data);
}

/* One packet. FALSE when there is no more to read now, or no more peer. */
static gboolean
receive (FloeChunkListener *listener, guint64 number)
{
  Peer *peer = g_hash_table_lookup (listener->peers, &number);
  uint8_t packet[FLOE_CHUNK_REQUEST_SIZE];
  FloeChunkRequest request;
  FloeWaiter waiter;
  ssize_t got;

  if (peer == NULL || peer->pending >= FLOE_CHUNK_PENDING_MAX)
    return FALSE;
  got = recv (peer->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return FALSE;
  if (got <= 0) {
    disconnect (listener, number, NULL);
    return FALSE;
  }
  if (floe_chunk_request_decode (packet, (size_t) got, &request) < 0) {
    disconnect (listener, number, "not a request");
    return FALSE;
  }
  peer->pending++;
  waiter = (FloeWaiter){ number, request.tag };
  listener->handlers->need (&waiter, &request.digest, listener->data);
  return TRUE;
}

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  Peer *peer = data;
  FloeChunkListener *listener = peer->listener;
  guint64 number = peer->number;
  guint taken = 0;

  (void) fd;
  (void) condition;
  /* A bounded number: a peer whose requests are answered at once could go on for ever, and nothing else would have its turn. */
  while (taken++ < FLOE_CHUNK_PENDING_MAX && receive (listener, number))
    ;
  peer = g_hash_table_lookup (listener->peers, &number);
  if (peer == NULL)
    return G_SOURCE_REMOVE; /* its source has been removed with it */
  if (peer->pending < FLOE_CHUNK_PENDING_MAX)
    return G_SOURCE_CONTINUE;
  peer->source = 0;
  return G_SOURCE_REMOVE;
}

static void
watch (Peer *peer)
{
  if (peer->source == 0)
    peer->source = g_unix_fd_add (peer->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, peer);
}

void
floe_chunk_listener_reply (FloeChunkListener *listener, const FloeWaiter *waiter, FloeChunkStatus status)
{
  Peer *peer = g_hash_table_lookup (listener->peers, &waiter->peer);
  const FloeChunkReply reply = { waiter->tag, status };
  uint8_t packet[FLOE_CHUNK_REPLY_SIZE];

  if (peer == NULL)
    return;
  floe_chunk_reply_encode (&reply, packet);
  /* As many small packets as may be pending fit any socket buffer: who lets it fill does not read. */
  if (send (peer->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t) sizeof packet) {
    disconnect (listener, waiter->peer, errno == EAGAIN ? "does not take its replies" : NULL);
    return;
  }
  peer->pending--;
  watch (peer);
}

static gboolean
peer_uid (int fd, uid_t *uid)
{
  struct ucred credentials;
  socklen_t size = sizeof credentials;

  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 || size != sizeof credentials)
    return FALSE;
  *uid = credentials.uid;
  return TRUE;
}

/* Peers of UID that are served already. */
static guint
count_peers (FloeChunkListener *listener, uid_t uid)
{
  GHashTableIter iter;
  gpointer peer;
  guint count = 0;

  g_hash_table_iter_init (&iter, listener->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    count += ((Peer *) peer)->uid == uid;
  return count;
}

static gboolean
may_stay (FloeChunkListener *listener, int fd, uid_t *uid)
{
  g_autofree char *text = NULL;

  if (!peer_uid (fd, uid))
    return FALSE;
  text = g_strdup_printf ("%u", *uid);
  if (!listener->handlers->accepts (*uid, listener->data)) {
    if (listener->last_refused != *uid)
      floe_log (G_LOG_LEVEL_WARNING, "chunk socket: refused, not the uid of a plugin", "UID", text, NULL);
    listener->last_refused = *uid;
    return FALSE;
  }
  /* A plugin that a guest took over must not take the places of other machines' plugins. */
  if (count_peers (listener, *uid) < FLOE_CHUNK_PEERS_OF_ONE && g_hash_table_size (listener->peers) < FLOE_CHUNK_PEERS_MAX)
    return TRUE;
  if (listener->last_refused != *uid)
    floe_log (G_LOG_LEVEL_WARNING, "chunk socket: refused, too many peers", "UID", text, NULL);
  listener->last_refused = *uid;
  return FALSE;
}

static gboolean
on_connection (gint listen_fd, GIOCondition condition, gpointer data)
{
  FloeChunkListener *listener = data;
  floe_autofd fd = accept4 (listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  Peer *peer;
  uid_t uid;

  (void) condition;
  if (fd < 0 || !may_stay (listener, fd, &uid))
    return G_SOURCE_CONTINUE;
  peer = g_new0 (Peer, 1);
  peer->number = ++listener->last_number;
  peer->fd = floe_fd_steal (&fd);
  peer->uid = uid;
  peer->listener = listener;
  g_hash_table_insert (listener->peers, &peer->number, peer);
  watch (peer);
  return G_SOURCE_CONTINUE;
}

/* The socket's mode lets every user connect: the uid decides, and the directory's owner is the agent. */
static gboolean
bind_in (int fd, int dir, const char *name, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (!floe_name_is_safe (name) ||
      snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir, name) >= (int) sizeof address.sun_path)
    return floe_error_set (error, FLOE_ERROR_INVALID, "socket name %s", name);
  if (unlinkat (dir, name, 0) < 0 && errno != ENOENT)
    return floe_error_set_errno (error, errno, "remove the old %s", name);
  if (bind (fd, (struct sockaddr *) &address, sizeof address) < 0 || fchmodat (dir, name, 0666, 0) < 0 ||
      listen (fd, BACKLOG) < 0)
    return floe_error_set_errno (error, errno, "listen on %s", name);
  return TRUE;
}

FloeChunkListener *
floe_chunk_listener_new (int dir, const char *name, const FloeChunkHandlers *handlers, gpointer data, GError **error)
{
  g_autoptr (FloeChunkListener) listener = g_new0 (FloeChunkListener, 1);

  listener->handlers = handlers;
  listener->data = data;
  listener->last_refused = (uid_t) -1;
  listener->peers = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, peer_free);
  listener->fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0) {
    floe_error_set_errno (error, errno, "make the chunk socket");
    return NULL;
  }
  if (!bind_in (listener->fd, dir, name, error))
    return NULL;
  listener->source = g_unix_fd_add (listener->fd, G_IO_IN, on_connection, listener);
  return g_steal_pointer (&listener);
}

void
floe_chunk_listener_free (FloeChunkListener *listener)
{
  if (listener == NULL)
    return;
  if (listener->source != 0)
    g_source_remove (listener->source);
  g_hash_table_unref (listener->peers);
  floe_fd_clear (&listener->fd);
  g_free (listener);
}
