/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdbool.h>
#include <stdint.h>

/* Reads an image: from what is kept already, else from the local store, else by asking the agent, for as long as it takes.
 * Every byte was verified against the index and table before it is given out. */

typedef struct {
  const char *index, *table; /* files */
  const char *store;         /* directory */
  const char *agent;         /* chunk socket; NULL: what the store lacks is an error */
  const char
      *trace; /* file to which digests are added, a line each, in the order in which chunks are first read; or NULL */
  const char *cache;   /* directory for a file of verified chunks, without a name; NULL: 2 MiB of memory alone */
  int cache_fd;        /* such a file already open, without a name and empty (for a jail that writes nowhere); -1 */
  uint64_t cache_size; /* bytes of that file at most */
} FloeReaderOptions;

typedef struct FloeReader FloeReader;

FloeReader *floe_reader_new (const FloeReaderOptions *options, GError **error) FLOE_WARN_UNUSED;
void floe_reader_free (FloeReader *reader);
uint64_t floe_reader_size (const FloeReader *reader);

/* How the caller is told and asked; called from whichever thread reads. */
typedef struct {
  void (*log) (const char *format, ...) G_GNUC_PRINTF (1, 2);
  /* Sleeps; false when there is no point in going on. */
  bool (*sleep) (unsigned milliseconds);
} FloeReaderHost;

/* Reads SIZE bytes at OFFSET, which the caller has checked to lie within the image. 0, or an errno: EIO for a chunk that no
 * image has (or that is not here, without an agent), ESHUTDOWN when the host said stop. Any thread. */
int floe_reader_read (FloeReader *reader, const FloeReaderHost *host, void *buffer, size_t size, uint64_t offset);
/* Whether the chunk that holds OFFSET is all zero, and how many bytes from OFFSET on it covers. */
bool floe_reader_is_zero (const FloeReader *reader, uint64_t offset, uint64_t *length);
