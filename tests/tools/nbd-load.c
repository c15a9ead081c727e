/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nbd-load URI seq|random SECONDS: reads with 16 requests in flight, as QEMU's NBD client would; prints requests and bytes
 * a second. seq reads the export once in 128 KiB requests (SECONDS is ignored); random reads 4 KiB anywhere. */
#include <glib.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT 16
#define SEQUENTIAL_SIZE (128u * 1024)
#define RANDOM_SIZE 4096u

typedef struct {
  struct nbd_handle *nbd;
  uint64_t size, next, done, bytes;
  guint64 state; /* of a small generator: the same offsets for every server measured */
  gboolean random;
  gint64 end;
  void *buffers[IN_FLIGHT];
  int64_t cookies[IN_FLIGHT];
  size_t lengths[IN_FLIGHT];
} Load;

static void
must (gboolean ok, const char *what)
{
  if (ok)
    return;
  fprintf (stderr, "nbd-load: %s: %s\n", what, nbd_get_error () == NULL ? "" : nbd_get_error ());
  exit (1);
}

/* The offset of the next request; FALSE when there is none. */
static gboolean
next_offset (Load *load, uint64_t *offset, size_t *length)
{
  if (load->random) {
    /* xorshift64 */
    load->state ^= load->state << 13;
    load->state ^= load->state >> 7;
    load->state ^= load->state << 17;
    *offset = load->state % (load->size / RANDOM_SIZE) * RANDOM_SIZE;
    *length = RANDOM_SIZE;
    return g_get_monotonic_time () < load->end;
  }
  *offset = load->next;
  *length = (size_t) MIN (SEQUENTIAL_SIZE, load->size - load->next);
  load->next += *length;
  return *length > 0;
}

static void
issue (Load *load, int slot)
{
  uint64_t offset;

  load->cookies[slot] = 0;
  if (!next_offset (load, &offset, &load->lengths[slot]))
    return;
  load->cookies[slot] = nbd_aio_pread (load->nbd, load->buffers[slot], load->lengths[slot], offset, NBD_NULL_COMPLETION, 0);
  must (load->cookies[slot] > 0, "read");
}

/* Whether anything is still in flight. */
static gboolean
reap (Load *load)
{
  gboolean any = FALSE;

  for (int i = 0; i < IN_FLIGHT; i++) {
    int status;

    if (load->cookies[i] == 0)
      continue;
    status = nbd_aio_command_completed (load->nbd, (uint64_t) load->cookies[i]);
    must (status >= 0, "read");
    if (status > 0) {
      load->done++;
      load->bytes += load->lengths[i];
      issue (load, i);
    }
    any |= load->cookies[i] != 0;
  }
  return any;
}

int
main (int argc, char **argv)
{
  Load load = { .state = 88172645463325252u };
  gint64 start;
  double seconds;

  if (argc != 4) {
    fprintf (stderr, "usage: nbd-load URI seq|random SECONDS\n");
    return 2;
  }
  load.nbd = nbd_create ();
  must (load.nbd != NULL && nbd_connect_uri (load.nbd, argv[1]) == 0, "connect");
  load.size = (uint64_t) nbd_get_size (load.nbd);
  load.random = strcmp (argv[2], "random") == 0;
  start = g_get_monotonic_time ();
  load.end = start + (gint64) (g_ascii_strtod (argv[3], NULL) * G_USEC_PER_SEC);
  for (int i = 0; i < IN_FLIGHT; i++) {
    load.buffers[i] = g_malloc (SEQUENTIAL_SIZE);
    issue (&load, i);
  }
  while (reap (&load))
    must (nbd_poll (load.nbd, -1) >= 0, "poll");
  seconds = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  printf ("%.0f %.0f\n", (double) load.done / seconds, (double) load.bytes / seconds);
  nbd_shutdown (load.nbd, 0);
  nbd_close (load.nbd);
  for (int i = 0; i < IN_FLIGHT; i++)
    g_free (load.buffers[i]);
  return 0;
}
