/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-chunk-socket.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void
test_messages (void)
{
  FloeChunkRequest request = { .tag = 0x1122334455667788, .digest = { "0123456789abcdef0123456789abcde" } }, request_back;
  FloeChunkReply reply = { .tag = 7, .status = FLOE_CHUNK_NOT_NOW }, reply_back;
  uint8_t packet[FLOE_CHUNK_REQUEST_SIZE], answer[FLOE_CHUNK_REPLY_SIZE];

  floe_chunk_request_encode (&request, packet);
  g_assert_cmpmem (packet, 16, "FCS1\1\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11", 16);
  g_assert_cmpint (floe_chunk_request_decode (packet, sizeof packet, &request_back), ==, 0);
  g_assert_cmpmem (&request, sizeof request, &request_back, sizeof request_back);
  g_assert_cmpint (floe_chunk_request_decode (packet, sizeof packet - 1, &request_back), ==, -1);
  g_assert_cmpint (floe_chunk_request_decode (packet, sizeof packet + 1, &request_back), ==, -1);
  packet[4] = 2;
  g_assert_cmpint (floe_chunk_request_decode (packet, sizeof packet, &request_back), ==, -1);
  packet[4] = 1;
  packet[0] = 'f';
  g_assert_cmpint (floe_chunk_request_decode (packet, sizeof packet, &request_back), ==, -1);

  floe_chunk_reply_encode (&reply, answer);
  g_assert_cmpint (floe_chunk_reply_decode (answer, sizeof answer, &reply_back), ==, 0);
  g_assert_cmpint (reply_back.status, ==, FLOE_CHUNK_NOT_NOW);
  g_assert_cmpint (floe_chunk_reply_decode (answer, sizeof answer - 1, &reply_back), ==, -1);
  answer[4] = 3;
  g_assert_cmpint (floe_chunk_reply_decode (answer, sizeof answer, &reply_back), ==, -1);
}

/* A peer that answers each connection's requests in one way. */
typedef enum { ANSWER, HANG_UP, GARBAGE, WRONG_TAG, SILENCE } Manner;

typedef struct {
  char *directory, *path;
  int listener;
  Manner manner;
  GThread *thread;
} Peer;

static gpointer
peer_thread (gpointer data)
{
  Peer *peer = data;
  int fd;

  while ((fd = accept (peer->listener, NULL, NULL)) >= 0) {
    uint8_t packet[FLOE_CHUNK_REQUEST_SIZE], answer[FLOE_CHUNK_REPLY_SIZE];
    FloeChunkRequest request;

    while (recv (fd, packet, sizeof packet, 0) == (ssize_t) sizeof packet
           && floe_chunk_request_decode (packet, sizeof packet, &request) == 0 && peer->manner != HANG_UP) {
      FloeChunkReply reply = { .tag = request.tag + (peer->manner == WRONG_TAG), .status = FLOE_CHUNK_HERE };
      size_t size = sizeof answer - (peer->manner == GARBAGE);

      floe_chunk_reply_encode (&reply, answer);
      if (peer->manner != SILENCE && send (fd, answer, size, MSG_NOSIGNAL) < 0)
        break;
    }
    close (fd);
  }
  return NULL;
}

static void
peer_start (Peer *peer, Manner manner)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  peer->directory = g_dir_make_tmp ("floe-socket-XXXXXX", NULL);
  peer->path = g_build_filename (peer->directory, "s", NULL);
  peer->manner = manner;
  g_strlcpy (address.sun_path, peer->path, sizeof address.sun_path);
  peer->listener = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (peer->listener, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_cmpint (listen (peer->listener, 8), ==, 0);
  peer->thread = g_thread_new ("peer", peer_thread, peer);
}

static void
peer_stop (Peer *peer)
{
  shutdown (peer->listener, SHUT_RDWR);
  g_thread_join (peer->thread);
  close (peer->listener);
  unlink (peer->path);
  rmdir (peer->directory);
  g_free (peer->path);
  g_free (peer->directory);
}

static gboolean
stop_now (void *data)
{
  (void) data;
  return TRUE;
}

static gpointer
ask_often (gpointer data)
{
  FloeDigest digest = { { 1 } };
  FloeChunkStatus status;

  for (int i = 0; i < 200; i++) {
    g_assert_cmpint (floe_chunk_client_need (data, &digest, &status, NULL, NULL), ==, 0);
    g_assert_cmpint (status, ==, FLOE_CHUNK_HERE);
  }
  return NULL;
}

static void
test_many_threads (void)
{
  GThread *threads[16];
  Peer peer;
  FloeChunkClient *client;

  peer_start (&peer, ANSWER);
  client = floe_chunk_client_new (peer.path);
  for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("ask", ask_often, client);
  for (size_t i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  floe_chunk_client_free (client);
  peer_stop (&peer);
}

static void
expect_error (Manner manner, gboolean (*stop) (void *), int error)
{
  FloeDigest digest = { { 1 } };
  FloeChunkStatus status;
  FloeChunkClient *client;
  Peer peer;

  peer_start (&peer, manner);
  client = floe_chunk_client_new (peer.path);
  g_assert_cmpint (floe_chunk_client_need (client, &digest, &status, stop, NULL), ==, -1);
  g_assert_cmpint (errno, ==, error);
  floe_chunk_client_free (client);
  peer_stop (&peer);
}

static void
test_bad_peers (void)
{
  FloeDigest digest = { { 1 } };
  FloeChunkStatus status;
  FloeChunkClient *client = floe_chunk_client_new ("/nonexistent/socket");
  char path[200];

  expect_error (HANG_UP, NULL, ECONNRESET);
  expect_error (GARBAGE, NULL, ECONNRESET);
  expect_error (SILENCE, stop_now, ECANCELED);
  expect_error (WRONG_TAG, stop_now, ECANCELED);
  g_assert_cmpint (floe_chunk_client_need (client, &digest, &status, NULL, NULL), ==, -1);
  g_assert_cmpint (errno, ==, ENOENT);
  floe_chunk_client_free (client);
  memset (path, 'x', sizeof path - 1);
  path[sizeof path - 1] = '\0';
  g_assert_null (floe_chunk_client_new (path));
  g_assert_cmpint (errno, ==, ENAMETOOLONG);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/chunk-socket/messages", test_messages);
  g_test_add_func ("/chunk-socket/many-threads", test_many_threads);
  g_test_add_func ("/chunk-socket/bad-peers", test_bad_peers);
  return g_test_run ();
}
