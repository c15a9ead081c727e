/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk-agent SOCKET TABLE FROM TO: the agent's end of the chunk socket, for tests of the plugin: whatever TABLE names is
 * copied from the store FROM into the store TO, replacing what is there; 1 for what TABLE does not name, 2 for what FROM
 * lacks. Prints the digest of each request. Requests that arrive together are answered last first: replies come in any
 * order. */
#include "common/floe-fd.h"
#include "server-sync/image/floe-chunk-socket.h"
#include "server-sync/image/floe-store.h"
#include "server-sync/image/floe-table.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLIENTS 8
#define MAX_TOGETHER 64

typedef struct {
  FloeTable *table;
  int from;
  FloeStore *to;
} Agent;

static void
must (gboolean ok, GError *error, const char *what)
{
  if (ok)
    return;
  fprintf (stderr, "chunk-agent: %s: %s\n", what, error != NULL ? error->message : strerror (errno));
  exit (1);
}

static FloeChunkStatus
provide (Agent *agent, const FloeDigest *digest)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) frame = NULL;
  g_autofree char *path = NULL;
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeTableEntry entry;
  gsize size;
  const void *data;

  floe_digest_to_hex (digest, hex);
  printf ("%s\n", hex);
  fflush (stdout);
  if (!floe_table_find (agent->table, digest, &entry))
    return FLOE_CHUNK_UNKNOWN;
  path = g_strdup_printf ("/proc/self/fd/%d/%.4s/%s.cacnk", agent->from, hex, hex);
  frame = floe_file_read (path, FLOE_CHUNK_COMPRESSED_MAX, &error);
  if (frame == NULL)
    return FLOE_CHUNK_NOT_NOW;
  data = g_bytes_get_data (frame, &size);
  return floe_store_put (agent->to, &entry, data, size, FLOE_STORE_FAST, &error) ? FLOE_CHUNK_HERE : FLOE_CHUNK_NOT_NOW;
}

/* Answers what has arrived on FD; FALSE when the peer is gone or breaks the protocol. */
static gboolean
serve (Agent *agent, int fd)
{
  FloeChunkRequest requests[MAX_TOGETHER];
  uint8_t packet[FLOE_CHUNK_REQUEST_SIZE + 1], answer[FLOE_CHUNK_REPLY_SIZE];
  size_t n = 0;

  while (n < MAX_TOGETHER) {
    ssize_t got = recv (fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);

    if (got < 0 && errno == EAGAIN)
      break;
    if (got <= 0 || floe_chunk_request_decode (packet, (size_t) got, &requests[n++]) < 0)
      return FALSE;
  }
  while (n-- > 0) {
    FloeChunkReply reply = { .tag = requests[n].tag, .status = provide (agent, &requests[n].digest) };

    floe_chunk_reply_encode (&reply, answer);
    if (send (fd, answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t) sizeof answer)
      return FALSE;
  }
  return TRUE;
}

static int
listen_at (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  unlink (path);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  must (fd >= 0 && bind (fd, (struct sockaddr *) &address, sizeof address) == 0 && listen (fd, MAX_CLIENTS) == 0, NULL,
        path);
  return fd;
}

int
main (int argc, char **argv)
{
  struct pollfd fds[1 + MAX_CLIENTS];
  nfds_t n = 1;
  Agent agent = { NULL, -1, NULL };
  GError *error = NULL;
  GBytes *table;
  int to;

  must (argc == 5, NULL, "usage: chunk-agent SOCKET TABLE FROM TO");
  table = floe_file_read (argv[2], FLOE_TABLE_MAX_BYTES, &error);
  must (table != NULL && (agent.table = floe_table_parse (table, argv[2], &error)) != NULL, error, argv[2]);
  must ((agent.from = floe_dir_open (argv[3], &error)) >= 0 && (to = floe_dir_make (argv[4], 0755, &error)) >= 0
            && (agent.to = floe_store_open_writing (to, &error)) != NULL,
        error, "stores");
  fds[0] = (struct pollfd){ .fd = listen_at (argv[1]), .events = POLLIN };
  for (;;) {
    must (poll (fds, n, -1) > 0 || errno == EINTR, NULL, "poll");
    for (nfds_t i = n - 1; i > 0; i--)
      if (fds[i].revents != 0 && !serve (&agent, fds[i].fd)) {
        close (fds[i].fd);
        fds[i] = fds[--n];
      }
    if (fds[0].revents != 0 && n <= MAX_CLIENTS)
      fds[n++] = (struct pollfd){ .fd = accept4 (fds[0].fd, NULL, NULL, SOCK_CLOEXEC), .events = POLLIN };
  }
}
