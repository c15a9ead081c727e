/* SPDX-License-Identifier: GPL-2.0-or-later */
#define NBDKIT_API_VERSION 2
#include "server-sync/plugin/floe-reader.h"

#include <errno.h>
#include <nbdkit-plugin.h>
#include <string.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
/* Of one request: nbdkit keeps a buffer of this size for each of its threads. */
#define MAX_REQUEST (256u * 1024)
#define DEFAULT_CACHE_SIZE "1G"

/* nbdkit calls plugins with no context of their own; this one is set up before the first client and read-only afterwards.
 */
static struct {
  char *index, *table, *store, *agent, *trace, *cache;
  int cache_fd; /* 0: none, as it is standard input */
  int64_t cache_size;
  FloeReader *reader;
} plugin;

static int
set_path (char **to, const char *key, const char *value)
{
  if (*to != NULL) {
    nbdkit_error ("%s= may be given once", key);
    return -1;
  }
  /* Before nbdkit changes its directory. A socket may not be there yet: not realpath(). */
  *to = nbdkit_absolute_path (value);
  return *to == NULL ? -1 : 0;
}

static int
floe_config (const char *key, const char *value)
{
  const struct {
    const char *key;
    char **to;
  } paths[] = {
    { "index", &plugin.index }, { "table", &plugin.table }, { "store", &plugin.store },
    { "agent", &plugin.agent }, { "trace", &plugin.trace }, { "cache", &plugin.cache },
  };

  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (strcmp (key, paths[i].key) == 0)
      return set_path (paths[i].to, key, value);
  if (strcmp (key, "cache-size") == 0) {
    plugin.cache_size = nbdkit_parse_size (value);
    return plugin.cache_size < 0 ? -1 : 0;
  }
  if (strcmp (key, "cache-fd") == 0)
    return nbdkit_parse_int (key, value, &plugin.cache_fd);
  nbdkit_error ("no parameter '%s'", key);
  return -1;
}

static int
floe_config_complete (void)
{
  if (plugin.index == NULL || plugin.table == NULL || plugin.store == NULL) {
    nbdkit_error ("index=, table= and store= are needed");
    return -1;
  }
  if (plugin.cache_fd < 0 || (plugin.cache_fd > 0 && plugin.cache != NULL)) {
    nbdkit_error ("cache-fd= is an inherited descriptor, and excludes cache=");
    return -1;
  }
  if (plugin.cache_size == 0)
    plugin.cache_size = nbdkit_parse_size (DEFAULT_CACHE_SIZE);
  return 0;
}

static int
floe_get_ready (void)
{
  g_autoptr (GError) error = NULL;
  FloeReaderOptions options = { .index = plugin.index,
                                .table = plugin.table,
                                .store = plugin.store,
                                .agent = plugin.agent,
                                .trace = plugin.trace,
                                .cache = plugin.cache,
                                .cache_fd = plugin.cache_fd > 0 ? plugin.cache_fd : -1,
                                .cache_size = (uint64_t) plugin.cache_size };

  plugin.reader = floe_reader_new (&options, &error);
  if (plugin.reader == NULL)
    nbdkit_error ("%s", error->message);
  return plugin.reader == NULL ? -1 : 0;
}

static void
floe_unload (void)
{
  floe_reader_free (plugin.reader);
  free (plugin.index);
  free (plugin.table);
  free (plugin.store);
  free (plugin.agent);
  free (plugin.trace);
  free (plugin.cache);
}

static bool
host_sleep (unsigned milliseconds)
{
  /* nbdkit has no other way to ask whether it is shutting down or the client has gone. */
  unsigned nanoseconds = milliseconds == 0 ? 1 : milliseconds % 1000 * 1000000;

  return nbdkit_nanosleep (milliseconds / 1000, nanoseconds) == 0;
}

static const FloeReaderHost host = { nbdkit_error, host_sleep };

static void *
floe_open (int readonly)
{
  (void) readonly;
  return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t
floe_get_size (void *handle)
{
  (void) handle;
  return (int64_t) floe_reader_size (plugin.reader);
}

static int
floe_block_size (void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
  (void) handle;
  *minimum = 1;
  *preferred = 4096;
  *maximum = MAX_REQUEST;
  return 0;
}

static int
floe_can_multi_conn (void *handle)
{
  (void) handle;
  return 1;
}

static int
floe_pread (void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
  int failed = floe_reader_read (plugin.reader, &host, buffer, count, offset);

  (void) handle;
  (void) flags;
  if (failed == 0)
    return 0;
  nbdkit_set_error (failed);
  return -1;
}

static int
floe_extents (void *handle, uint32_t count, uint64_t offset, uint32_t flags, struct nbdkit_extents *extents)
{
  uint64_t end = offset + count, length;

  (void) handle;
  while (offset < end) {
    bool zero = floe_reader_is_zero (plugin.reader, offset, &length);

    if (nbdkit_add_extent (extents, offset, length, zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0) < 0)
      return -1;
    if (flags & NBDKIT_FLAG_REQ_ONE)
      break;
    offset += length;
  }
  return 0;
}

static struct nbdkit_plugin floe = {
  .name = "floe",
  .longname = "Floe image",
  .version = FLOE_VERSION,
  .description = "a published image, verified chunk by chunk, fetched through the agent when it is not here",
  .config = floe_config,
  .config_complete = floe_config_complete,
  .config_help = "index=FILE       (required) casync index\n"
                 "table=FILE       (required) chunk table\n"
                 "store=DIR        (required) chunk store\n"
                 "agent=SOCKET     chunk socket of the agent\n"
                 "trace=FILE       append the digests of chunks as they are first read\n"
                 "cache=DIR        keep verified chunks in an unnamed file there beside 2 MiB of memory\n"
                 "cache-fd=N       the same in an empty, unnamed file that is open already\n"
                 "cache-size=SIZE  of that file at most (default " DEFAULT_CACHE_SIZE ")",
  .get_ready = floe_get_ready,
  .unload = floe_unload,
  .open = floe_open,
  .get_size = floe_get_size,
  .block_size = floe_block_size,
  .can_multi_conn = floe_can_multi_conn,
  .pread = floe_pread,
  .extents = floe_extents,
};

/* The macro defines it without declaring it. */
struct nbdkit_plugin *plugin_init (void);
NBDKIT_REGISTER_PLUGIN (floe)
