/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* The chunk socket (docs/architecture.md): AF_UNIX SOCK_SEQPACKET, one message a packet. A plugin asks the agent for a
 * chunk; the agent answers when the chunk is in the store. Plain C throughout: the plugin's callbacks use it. */

#define FLOE_CHUNK_MAGIC UINT32_C (0x31534346) /* "FCS1", little-endian */
#define FLOE_CHUNK_REQUEST_SIZE 48
#define FLOE_CHUNK_REPLY_SIZE 16
#define FLOE_CHUNK_OP_NEED 1

typedef enum {
  FLOE_CHUNK_HERE = 0,    /* the chunk is in the store */
  FLOE_CHUNK_UNKNOWN = 1, /* no known image has such a chunk */
  FLOE_CHUNK_NOT_NOW = 2, /* server away, disk full: ask again */
} FloeChunkStatus;

typedef struct {
  uint64_t tag; /* the asker's; comes back in the reply */
  FloeDigest digest;
} FloeChunkRequest;

typedef struct {
  uint64_t tag;
  FloeChunkStatus status;
} FloeChunkReply;

void floe_chunk_request_encode (const FloeChunkRequest *request, uint8_t packet[FLOE_CHUNK_REQUEST_SIZE]);
void floe_chunk_reply_encode (const FloeChunkReply *reply, uint8_t packet[FLOE_CHUNK_REPLY_SIZE]);
/* 0, or -1 when the SIZE bytes are not exactly such a message. Receive with MSG_TRUNC, so that SIZE is the packet's own. */
int floe_chunk_request_decode (const void *packet, size_t size, FloeChunkRequest *request);
int floe_chunk_reply_decode (const void *packet, size_t size, FloeChunkReply *reply);

/* The asking side: one connection for all threads, made when first needed and again after it broke. */
typedef struct _FloeChunkClient FloeChunkClient;

/* PATH of the socket; nothing is connected yet (so it may be made before a fork). NULL with errno set for a path that is
 * too long. */
FloeChunkClient *floe_chunk_client_new (const char *path);
/* Ends the connection; no call may be under way. */
void floe_chunk_client_free (FloeChunkClient *client);
/* Asks for DIGEST and waits for the answer. -1 with errno: ECONNREFUSED, ENOENT and others when the agent is not there,
 * ECONNRESET when it went away or broke the protocol meanwhile, ECANCELED when STOP(DATA), asked five times a second, says
 * so. Any thread. */
int floe_chunk_client_need (FloeChunkClient *client, const FloeDigest *digest, FloeChunkStatus *status,
                            gboolean (*stop) (void *data), void *data);
