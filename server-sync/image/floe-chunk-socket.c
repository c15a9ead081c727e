/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-chunk-socket.h"

#include "server-sync/image/floe-wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Theory of operation: there is no thread of the client's own. Each caller sends its request and waits; one of those who
 * wait reads the socket for all (`reading`), hands out replies by tag, and gives the reading up when its own reply has
 * come. Everything is under `lock`, which is not held while polling. Only the reader closes the descriptor, or whoever
 * holds the lock while nobody reads: nobody polls a number that is some other file by then. */

#define STOP_INTERVAL_MS 200

void
floe_chunk_request_encode (const FloeChunkRequest *request, uint8_t packet[FLOE_CHUNK_REQUEST_SIZE])
{
  uint8_t *at = packet;

  floe_write_u32 (&at, FLOE_CHUNK_MAGIC);
  floe_write_u32 (&at, FLOE_CHUNK_OP_NEED);
  floe_write_u64 (&at, request->tag);
  floe_write_bytes (&at, request->digest.bytes, FLOE_DIGEST_SIZE);
}

void
floe_chunk_reply_encode (const FloeChunkReply *reply, uint8_t packet[FLOE_CHUNK_REPLY_SIZE])
{
  uint8_t *at = packet;

  floe_write_u32 (&at, FLOE_CHUNK_MAGIC);
  floe_write_u32 (&at, (uint32_t) reply->status);
  floe_write_u64 (&at, reply->tag);
}

int
floe_chunk_request_decode (const void *packet, size_t size, FloeChunkRequest *request)
{
  const uint8_t *at = packet;

  if (size != FLOE_CHUNK_REQUEST_SIZE || floe_read_u32 (at) != FLOE_CHUNK_MAGIC
      || floe_read_u32 (at + 4) != FLOE_CHUNK_OP_NEED)
    return -1;
  request->tag = floe_read_u64 (at + 8);
  memcpy (request->digest.bytes, at + 16, FLOE_DIGEST_SIZE);
  return 0;
}

int
floe_chunk_reply_decode (const void *packet, size_t size, FloeChunkReply *reply)
{
  const uint8_t *at = packet;

  if (size != FLOE_CHUNK_REPLY_SIZE || floe_read_u32 (at) != FLOE_CHUNK_MAGIC
      || floe_read_u32 (at + 4) > FLOE_CHUNK_NOT_NOW)
    return -1;
  reply->status = (FloeChunkStatus) floe_read_u32 (at + 4);
  reply->tag = floe_read_u64 (at + 8);
  return 0;
}

/* One call under way; lives on its caller's stack. */
typedef struct Waiter {
  struct Waiter *next;
  uint64_t tag;
  bool done;
  FloeChunkStatus status; /* when done and error is 0 */
  int error;
} Waiter;

struct _FloeChunkClient {
  struct sockaddr_un address;
  pthread_mutex_t lock;
  pthread_cond_t changed; /* a waiter is done, or nobody reads any more */
  int fd;
  bool reading;
  uint64_t next_tag;
  Waiter *waiters;
};

FloeChunkClient *
floe_chunk_client_new (const char *path)
{
  FloeChunkClient *client = calloc (1, sizeof *client);
  pthread_condattr_t attributes;

  if (client == NULL)
    return NULL;
  if (strlen (path) >= sizeof client->address.sun_path) {
    free (client);
    errno = ENAMETOOLONG;
    return NULL;
  }
  client->address.sun_family = AF_UNIX;
  memcpy (client->address.sun_path, path, strlen (path) + 1);
  client->fd = -1;
  pthread_mutex_init (&client->lock, NULL);
  pthread_condattr_init (&attributes);
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
  pthread_cond_init (&client->changed, &attributes);
  pthread_condattr_destroy (&attributes);
  return client;
}

void
floe_chunk_client_free (FloeChunkClient *client)
{
  if (client == NULL)
    return;
  if (client->fd >= 0)
    close (client->fd);
  pthread_cond_destroy (&client->changed);
  pthread_mutex_destroy (&client->lock);
  free (client);
}

/* Under the lock. */
static int
connect_if_needed (FloeChunkClient *client)
{
  int fd;

  if (client->fd >= 0)
    return 0;
  /* Not blocking: an agent that accepts nothing must not keep a caller from being stopped. */
  fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -1;
  if (connect (fd, (const struct sockaddr *) &client->address, sizeof client->address) < 0) {
    int saved = errno;

    close (fd);
    errno = saved;
    return -1;
  }
  client->fd = fd;
  return 0;
}

/* Under the lock, by the reader or while nobody reads: whoever waits learns that the answer will not come. */
static void
disconnect (FloeChunkClient *client)
{
  close (client->fd);
  client->fd = -1;
  for (Waiter *waiter = client->waiters; waiter != NULL; waiter = waiter->next)
    if (!waiter->done) {
      waiter->done = true;
      waiter->error = ECONNRESET;
    }
  pthread_cond_broadcast (&client->changed);
}

/* Under the lock, but for pauses while the socket's buffer is full. */
static int
send_request (FloeChunkClient *client, const FloeChunkRequest *request, gboolean (*stop) (void *), void *data)
{
  uint8_t packet[FLOE_CHUNK_REQUEST_SIZE];
  const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

  floe_chunk_request_encode (request, packet);
  for (;;) {
    if (connect_if_needed (client) < 0)
      return -1;
    if (send (client->fd, packet, sizeof packet, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t) sizeof packet)
      return 0;
    if (errno != EAGAIN && errno != EINTR) {
      if (client->reading)
        shutdown (client->fd, SHUT_RDWR); /* the reader sees the end, and closes */
      else
        disconnect (client);
      errno = ECONNRESET;
      return -1;
    }
    pthread_mutex_unlock (&client->lock);
    nanosleep (&pause, NULL);
    pthread_mutex_lock (&client->lock);
    if (stop != NULL && stop (data)) {
      errno = ECANCELED;
      return -1;
    }
  }
}

static void
hand_out (FloeChunkClient *client, const FloeChunkReply *reply)
{
  for (Waiter *waiter = client->waiters; waiter != NULL; waiter = waiter->next)
    if (waiter->tag == reply->tag && !waiter->done) {
      waiter->done = true;
      waiter->status = reply->status;
    }
  /* A tag that nobody waits for belongs to a call that was stopped. */
  pthread_cond_broadcast (&client->changed);
}

/* Takes one turn at reading for all; under the lock, which is released while polling. */
static void
read_turn (FloeChunkClient *client)
{
  struct pollfd poller = { .fd = client->fd, .events = POLLIN };
  uint8_t packet[FLOE_CHUNK_REPLY_SIZE + 1];
  FloeChunkReply reply;
  ssize_t got;

  client->reading = true;
  pthread_mutex_unlock (&client->lock);
  poll (&poller, 1, STOP_INTERVAL_MS);
  pthread_mutex_lock (&client->lock);
  client->reading = false;

  got = recv (client->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    pthread_cond_broadcast (&client->changed);
  else if (got > 0 && floe_chunk_reply_decode (packet, (size_t) got, &reply) == 0)
    hand_out (client, &reply);
  else
    disconnect (client);
}

static void
wait_for_change (FloeChunkClient *client)
{
  struct timespec until;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_nsec += STOP_INTERVAL_MS * 1000 * 1000;
  until.tv_sec += until.tv_nsec / (1000 * 1000 * 1000);
  until.tv_nsec %= 1000 * 1000 * 1000;
  pthread_cond_timedwait (&client->changed, &client->lock, &until);
}

static void
forget (FloeChunkClient *client, Waiter *waiter)
{
  Waiter **at = &client->waiters;

  while (*at != waiter)
    at = &(*at)->next;
  *at = waiter->next;
}

/* Sends and waits; under the lock. 0 or an errno. */
static int
ask (FloeChunkClient *client, const FloeDigest *digest, Waiter *waiter, gboolean (*stop) (void *), void *data)
{
  FloeChunkRequest request = { .tag = waiter->tag, .digest = *digest };

  if (send_request (client, &request, stop, data) < 0)
    return errno;
  while (!waiter->done) {
    if (stop != NULL && stop (data))
      return ECANCELED;
    if (client->reading)
      wait_for_change (client);
    else
      read_turn (client);
  }
  return waiter->error;
}

int
floe_chunk_client_need (FloeChunkClient *client, const FloeDigest *digest, FloeChunkStatus *status,
                        gboolean (*stop) (void *data), void *data)
{
  Waiter waiter = { 0 };
  int error;

  pthread_mutex_lock (&client->lock);
  waiter.tag = ++client->next_tag;
  waiter.next = client->waiters;
  client->waiters = &waiter;
  error = ask (client, digest, &waiter, stop, data);
  forget (client, &waiter);
  /* Someone else takes over the reading if this call did it. */
  pthread_cond_broadcast (&client->changed);
  pthread_mutex_unlock (&client->lock);
  if (error != 0) {
    errno = error;
    return -1;
  }
  *status = waiter.status;
  return 0;
}
