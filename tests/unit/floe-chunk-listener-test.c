/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-chunk-listener.h"

#include "common/floe-fd.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Peers that a guest has taken over: none may take the others' places, nor the main loop's time. */

#define STOP_AFTER 1000

typedef struct {
  char *path;
  FloeChunkListener *listener;
  int client;   /* of the peer that never stops */
  guint needed; /* requests that were handed over */
} Fixture;

static int
dial (Fixture *fixture)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_snprintf (address.sun_path, sizeof address.sun_path, "%s/socket", fixture->path);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  return fd;
}

static void
ask (int fd)
{
  FloeChunkRequest request = { .tag = 1 };
  uint8_t packet[FLOE_CHUNK_REQUEST_SIZE];

  floe_chunk_request_encode (&request, packet);
  g_assert_cmpint (send (fd, packet, sizeof packet, MSG_NOSIGNAL), ==, sizeof packet);
}

/* Whether the other end still holds FD's connection. */
static gboolean
is_served (int fd)
{
  char byte;

  while (g_main_context_iteration (NULL, FALSE))
    ;
  return recv (fd, &byte, 1, MSG_DONTWAIT) < 0;
}

static gboolean
accepts (uid_t uid G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  return TRUE;
}

static void
need (const FloeWaiter *waiter, const FloeDigest *digest G_GNUC_UNUSED, gpointer data)
{
  Fixture *fixture = data;
  uint8_t packet[FLOE_CHUNK_REPLY_SIZE];

  floe_chunk_listener_reply (fixture->listener, waiter, FLOE_CHUNK_UNKNOWN);
  g_assert_cmpint (recv (fixture->client, packet, sizeof packet, 0), ==, sizeof packet);
  if (++fixture->needed < STOP_AFTER)
    ask (fixture->client);
}

static void
left (guint64 peer G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
}

static const FloeChunkHandlers handlers = { accepts, need, left };

static void
set_up (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  floe_autofd dir = -1;

  fixture->path = g_dir_make_tmp ("floe-listener-XXXXXX", NULL);
  g_assert_cmpint (g_chmod (fixture->path, 0755), ==, 0);
  dir = floe_dir_open (fixture->path, NULL);
  fixture->listener = floe_chunk_listener_new (dir, "socket", &handlers, fixture, NULL);
  g_assert_nonnull (fixture->listener);
  fixture->client = -1;
}

static void
tear_down (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *name = g_build_filename (fixture->path, "socket", NULL);

  floe_chunk_listener_free (fixture->listener);
  floe_fd_clear (&fixture->client);
  g_unlink (name);
  g_rmdir (fixture->path);
  g_free (fixture->path);
}

/* A peer that asks as fast as it is answered does not keep the loop from whatever else waits. */
static void
test_ceaseless (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  fixture->client = dial (fixture);
  ask (fixture->client);
  g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (fixture->needed, >, 0);
  g_assert_cmpuint (fixture->needed, <=, FLOE_CHUNK_PENDING_MAX);
  /* And it is served on, in its turn. */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (fixture->needed, ==, STOP_AFTER);
}

/* One plugin cannot take the places of the others. The uid of this thread alone changes: the kernel notes it at connect(). */
static void
test_one_user (Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (int));
  guint served = 0;
  floe_autofd other = -1;

  if (geteuid () != 0) {
    g_test_skip ("root is needed to be two users");
    return;
  }
  for (guint i = 0; i < 2 * FLOE_CHUNK_PEERS_MAX; i++) {
    int fd = dial (fixture);

    g_array_append_val (fds, fd);
  }
  g_assert_cmpint (syscall (SYS_setresuid, -1, 65534, -1), ==, 0);
  other = dial (fixture);
  g_assert_cmpint (syscall (SYS_setresuid, -1, 0, -1), ==, 0);
  g_assert_true (is_served (other));
  for (guint i = 0; i < fds->len; i++) {
    served += is_served (g_array_index (fds, int, i));
    close (g_array_index (fds, int, i));
  }
  g_assert_cmpuint (served, ==, FLOE_CHUNK_PEERS_OF_ONE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Refusals are warnings, as they should be. */
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  g_test_add ("/chunk-listener/ceaseless", Fixture, NULL, set_up, test_ceaseless, tear_down);
  g_test_add ("/chunk-listener/one-user", Fixture, NULL, set_up, test_one_user, tear_down);
  return g_test_run ();
}
