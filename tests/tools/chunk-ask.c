/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "server-sync/image/floe-chunk-socket.h"
#include "server-sync/image/floe-store.h"
#include "server-sync/image/floe-table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A plugin without its NBD half: asks the agent for chunks and judges what the store then has. */

typedef struct {
  const char *socket;
  FloeTable *table;
  gint next;     /* atomic: the next entry to ask for */
  gint statuses[3];
  gint failures; /* the connection broke */
} All;

static gboolean
never (void *data)
{
  (void) data;
  return FALSE;
}

static FloeTable *
load_table (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = floe_file_read (path, FLOE_TABLE_MAX_BYTES, error);

  return bytes != NULL ? floe_table_parse (bytes, path, error) : NULL;
}

/* Asks until the chunk is there, as the plugin does: the agent may come back, too. */
static void
ask_until_here (All *all, FloeChunkClient *client, const FloeDigest *digest)
{
  FloeChunkStatus status;

  for (;;) {
    if (floe_chunk_client_need (client, digest, &status, never, NULL) < 0) {
      g_atomic_int_inc (&all->failures);
    } else {
      g_atomic_int_inc (&all->statuses[status]);
      if (status != FLOE_CHUNK_NOT_NOW)
        return;
    }
    g_usleep (100000);
  }
}

static gpointer
ask_some (gpointer data)
{
  All *all = data;
  FloeChunkClient *client = floe_chunk_client_new (all->socket);

  for (;;) {
    size_t number = (size_t) g_atomic_int_add (&all->next, 1);
    FloeTableEntry entry;

    if (number >= floe_table_count (all->table))
      break;
    floe_table_entry (all->table, number, &entry);
    ask_until_here (all, client, &entry.digest);
  }
  floe_chunk_client_free (client);
  return NULL;
}

/* all SOCKET TABLE THREADS: every chunk of TABLE. */
static gboolean
run_all (int argc, char **argv, GError **error)
{
  g_autoptr (GPtrArray) threads = g_ptr_array_new ();
  All all = { .socket = argv[1] };
  int count = argc == 4 ? atoi (argv[3]) : 0;

  if (count < 1)
    return floe_error_set (error, FLOE_ERROR_INVALID, "all SOCKET TABLE THREADS");
  all.table = load_table (argv[2], error);
  if (all.table == NULL)
    return FALSE;
  for (int i = 0; i < count; i++)
    g_ptr_array_add (threads, g_thread_new ("ask", ask_some, &all));
  for (int i = 0; i < count; i++)
    g_thread_join (threads->pdata[i]);
  g_print ("here %d unknown %d not-now %d broken %d\n", all.statuses[0], all.statuses[1], all.statuses[2], all.failures);
  floe_table_free (all.table);
  return TRUE;
}

/* need SOCKET DIGEST...: asks once for each. */
static gboolean
run_need (int argc, char **argv, GError **error)
{
  FloeChunkClient *client = floe_chunk_client_new (argv[1]);
  gboolean ok = TRUE;

  for (int i = 2; ok && i < argc; i++) {
    FloeChunkStatus status;
    FloeDigest digest;

    ok = floe_digest_from_hex (argv[i], &digest, error);
    if (ok && floe_chunk_client_need (client, &digest, &status, never, NULL) < 0)
      ok = floe_error_set_errno (error, errno, "ask the agent");
    if (ok)
      g_print ("%d\n", (int) status);
  }
  floe_chunk_client_free (client);
  return ok;
}

typedef enum { WHOLE, ALTERED, ABSENT } State;

/* Calls EACH for every chunk of the table ARGV[2] with what the store ARGV[1] has of it. */
static gboolean
judge (int argc, char **argv, void (*each) (const FloeTableEntry *entry, State state, size_t *counts), size_t *counts, GError **error)
{
  g_autoptr (FloeTable) table = argc == 3 ? load_table (argv[2], error) : NULL;
  floe_autofd dir = table != NULL ? floe_dir_open (argv[1], error) : -1;
  g_autoptr (FloeStore) store = dir >= 0 ? floe_store_open (dir, error) : NULL;

  if (store == NULL)
    return FALSE;
  for (size_t i = 0; i < floe_table_count (table); i++) {
    g_autoptr (GError) problem = NULL;
    FloeTableEntry entry;

    floe_table_entry (table, i, &entry);
    if (floe_store_verify (store, &entry, &problem))
      each (&entry, WHOLE, counts);
    else
      each (&entry, g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND) ? ABSENT : ALTERED, counts);
  }
  return TRUE;
}

static void
count (const FloeTableEntry *entry, State state, size_t *counts)
{
  (void) entry;
  counts[state]++;
}

/* count STORE TABLE: how many chunks are there whole, altered, absent. */
static gboolean
run_count (int argc, char **argv, GError **error)
{
  size_t counts[3] = { 0 };

  if (!judge (argc, argv, count, counts, error))
    return FALSE;
  g_print ("good %zu altered %zu absent %zu\n", counts[WHOLE], counts[ALTERED], counts[ABSENT]);
  return TRUE;
}

static void
print_whole (const FloeTableEntry *entry, State state, size_t *counts)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  (void) counts;
  floe_digest_to_hex (&entry->digest, hex);
  if (state == WHOLE)
    g_print ("%s\n", hex);
}

/* whole STORE TABLE: the digests of those that are there whole. */
static gboolean
run_whole (int argc, char **argv, GError **error)
{
  return judge (argc, argv, print_whole, NULL, error);
}

/* list TABLE: a line of digest and compressed size for each chunk. */
static gboolean
run_list (int argc, char **argv, GError **error)
{
  g_autoptr (FloeTable) table = argc == 2 ? load_table (argv[1], error) : NULL;

  if (table == NULL)
    return FALSE;
  for (size_t i = 0; i < floe_table_count (table); i++) {
    char hex[FLOE_DIGEST_HEX_SIZE];
    FloeTableEntry entry;

    floe_table_entry (table, i, &entry);
    floe_digest_to_hex (&entry.digest, hex);
    g_print ("%s %u\n", hex, entry.compressed_size);
  }
  return TRUE;
}

static int
connect_to (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  if (fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
    g_error ("connect to %s: %s", path, g_strerror (errno));
  return fd;
}

/* hostile SOCKET: packets that are no requests end the connection, and only that. */
static gboolean
run_hostile (int argc, char **argv, GError **error)
{
  static const size_t sizes[] = { 1, 15, 16, 47, 49, 64, 4096, 60000 };
  g_autofree uint8_t *packet = g_malloc0 (65536);

  for (size_t i = 0; argc == 2 && i < G_N_ELEMENTS (sizes); i++) {
    floe_autofd fd = connect_to (argv[1]);
    uint8_t reply[64];

    memset (packet, (int) i * 37, sizes[i]);
    if (send (fd, packet, sizes[i], MSG_NOSIGNAL) < 0 || recv (fd, reply, sizeof reply, 0) > 0)
      return floe_error_set (error, FLOE_ERROR_FAILED, "a packet of %zu bytes was answered", sizes[i]);
  }
  return TRUE;
}

/* flood SOCKET DIGEST: asks on and on and takes no reply; ends when it is disconnected, or held back for two seconds. */
static gboolean
run_flood (int argc, char **argv, GError **error)
{
  floe_autofd fd = connect_to (argv[1]);
  struct timeval patience = { .tv_sec = 2 };
  uint8_t packet[FLOE_CHUNK_REQUEST_SIZE];
  FloeChunkRequest request = { 0 };
  unsigned sent = 0;

  if (argc != 3 || !floe_digest_from_hex (argv[2], &request.digest, error))
    return FALSE;
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  floe_chunk_request_encode (&request, packet);
  for (; sent < 1000000 && send (fd, packet, sizeof packet, MSG_NOSIGNAL) > 0; sent++)
    ;
  g_print ("%u\n", sent);
  return sent < 1000000 || floe_error_set (error, FLOE_ERROR_FAILED, "a million requests were taken");
}

int
main (int argc, char **argv)
{
  const FloeCommand commands[] = {
    { "all", "SOCKET TABLE THREADS", "ask for every chunk", run_all },
    { "need", "SOCKET DIGEST...", "ask for some", run_need },
    { "count", "STORE TABLE", "what the store has", run_count },
    { "whole", "STORE TABLE", "what the store has whole", run_whole },
    { "list", "TABLE", "digests and sizes", run_list },
    { "hostile", "SOCKET", "send what is no request", run_hostile },
    { "flood", "SOCKET DIGEST", "ask without end", run_flood },
    { NULL },
  };

  return floe_cli_run ("chunk-ask", "a client of the chunk socket", commands, argc, argv);
}
