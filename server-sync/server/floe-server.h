/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/server/floe-registry.h"
#include "server-sync/server/floe-server-identity.h"

/* The HTTPS server over a repository directory: GET and HEAD of what floe_server_path_check() allows; GET and POST of /enrol, POST of /checkin; nothing else. */

typedef struct {
  const char *listen;        /* "192.0.2.1:8443", "[::]:8443": a literal address; port 0 takes a free one */
  unsigned max_connections;  /* in all */
  unsigned max_per_address;  /* from one address */
  unsigned request_seconds;  /* a connection's time for its handshake and a whole request */
  unsigned threads;          /* 2 or more */
} FloeServerOptions;

/* Counts since the last call of floe_server_take_counts(). */
typedef struct {
  guint64 requests;
  guint64 bytes;   /* of bodies queued */
  guint64 missing; /* 404 */
  guint64 refused; /* other 4xx */
  guint64 failed;  /* 5xx */
  guint64 cut_off; /* connections past their deadline */
} FloeServerCounts;

typedef struct _FloeServer FloeServer;

/* Listens, serving nothing yet. UNSUPPORTED when the kernel has no openat2(), REFUSED when others may write the repository. */
FloeServer *floe_server_new (int repo_dir, const FloeServerOptions *options, GError **error) FLOE_WARN_UNUSED;
/* Endpoints may enrol in REGISTRY, which must live as long. Before the start. */
void floe_server_set_registry (FloeServer *server, FloeRegistry *registry);
/* Serves on threads of its own until freed. */
gboolean floe_server_start (FloeServer *server, FloeServerIdentity *identity, GError **error) FLOE_WARN_UNUSED;
void floe_server_free (FloeServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeServer, floe_server_free)

/* Cuts off who has had its time; to be called about once a second. */
void floe_server_tick (FloeServer *server);
void floe_server_take_counts (FloeServer *server, FloeServerCounts *counts);
/* "ADDRESS:PORT" bound; borrowed. */
const char *floe_server_address (FloeServer *server);
