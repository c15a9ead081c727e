/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-scheduler.h"
#include "server-sync/image/floe-chunk-socket.h"

#include <sys/types.h>

/* The agent's end of the chunk socket (docs/architecture.md, "Chunk socket"), on the main loop. A peer is served when ACCEPTS
 * knows its uid; one that sends anything but a request, or does not take its replies, is disconnected. */

#define FLOE_CHUNK_PEERS_MAX 64
/* Of these, of one user: a plugin has one connection, and perhaps one that is just ending. */
#define FLOE_CHUNK_PEERS_OF_ONE 8
/* Requests of one peer that wait for their reply: more are left in the socket. */
#define FLOE_CHUNK_PENDING_MAX 64

typedef struct _FloeChunkListener FloeChunkListener;

typedef struct {
  gboolean (*accepts) (uid_t uid, gpointer data);
  void (*need) (const FloeWaiter *waiter, const FloeDigest *digest, gpointer data);
  /* No reply to this peer's requests will be taken any more. */
  void (*left) (guint64 peer, gpointer data);
} FloeChunkHandlers;

/* Listens on NAME in the directory DIR (a safe name; what was there is replaced). HANDLERS must live as long. */
FloeChunkListener *floe_chunk_listener_new (int dir, const char *name, const FloeChunkHandlers *handlers, gpointer data,
                                            GError **error) FLOE_WARN_UNUSED;
void floe_chunk_listener_free (FloeChunkListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeChunkListener, floe_chunk_listener_free)

/* Answers one request; nothing happens when its peer has gone. */
void floe_chunk_listener_reply (FloeChunkListener *listener, const FloeWaiter *waiter, FloeChunkStatus status);
