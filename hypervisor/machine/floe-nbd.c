/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-nbd.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/machine/floe-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SOCKET_NAME "socket"
/* The plugin keeps at most 1 GiB of decompressed chunks, in a file without a name that ends with it. */
#define CACHE_FILE_MAX ((rlim_t)1 << 30)
/* A second death right after the first is likely to be followed by a third: the waits double up to the longest. */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_LONGEST_MS 5000
/* Alive for so long, it counts as well again. */
#define WELL_AFTER_US (30 * G_USEC_PER_SEC)

struct _FloeNbd {
  FloeNbdOptions options;
  char *cache;
  int listener; /* -1 after adoption, until nbdkit has to be started */
  FloeProcess *process;
  guint deaths, backoff_ms, timer;
  gint64 born;
};

char **
floe_nbd_argv (const char *nbdkit, const char *plugin)
{
  GStrvBuilder *builder = g_strv_builder_new ();
  char **argv;

  /* One request at a time would make QEMU wait for a chunk of another request. */
  g_strv_builder_add_many (builder, nbdkit, "--foreground", "--readonly", "--log=stderr", "--threads=8", plugin,
                           "index=/image/index", "table=/image/table", "store=/chunks", "agent=/agent/chunks.sock",
                           "cache-fd=4", NULL);
  argv = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return argv;
}

static FloeJail *
make_jail (FloeNbd *nbd, int cache, GError **error)
{
  /* One malloc arena: eight threads that mostly use buffers made beforehand would each keep megabytes of their own. */
  static const char *const environment[] = { "LISTEN_FDS=1", "LISTEN_PID=1", "MALLOC_ARENA_MAX=1", NULL };
  const FloeHostConfig *config = nbd->options.host->config;
  g_autoptr (FloeJail) jail = floe_jail_new (nbd->options.host->staging, nbd->options.uid, nbd->options.uid);
  g_autofree char *chunks = g_build_filename (config->state, "chunks", NULL);
  g_autofree char *agent = g_build_filename (config->run, "agent", NULL);

  if (!floe_jail_bind_program (jail, config->nbdkit, error)
      || !floe_jail_bind (jail, FLOE_JAIL_PROGRAM, config->plugin, "/plugin.so", error)
      || !floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, floe_library_image_index (nbd->options.image), "/image/index", error)
      || !floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, floe_library_image_table (nbd->options.image), "/image/table", error)
      || !floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, chunks, "/chunks", error)
      || !floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, agent, "/agent", error))
    return NULL;
  floe_jail_pass (jail, nbd->listener, 3);
  floe_jail_pass (jail, cache, 4);
  floe_jail_set_environment (jail, environment);
  floe_jail_set_limit (jail, RLIMIT_NPROC, 64);
  floe_jail_set_limit (jail, RLIMIT_NOFILE, 256);
  floe_jail_set_limit (jail, RLIMIT_FSIZE, CACHE_FILE_MAX);
  return g_steal_pointer (&jail);
}

/* A file without a name, open: who takes nbdkit over has this one to write to, up to its limit, and can leave nothing behind. */
static int
open_cache (const char *path, GError **error)
{
  floe_autofd dir = floe_dir_make (path, 0700, error);
  int fd;

  if (dir < 0)
    return -1;
  fd = openat (dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EOPNOTSUPP) {
    fd = openat (dir, "cache", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    unlinkat (dir, "cache", 0);
  }
  if (fd < 0)
    floe_error_set_errno (error, errno, "make a file in %s", path);
  return fd;
}

static void on_ended (FloeProcess *process, gpointer data);

static gboolean
launch (FloeNbd *nbd, GError **error)
{
  g_auto (GStrv) argv = floe_nbd_argv (nbd->options.host->config->nbdkit, "/plugin.so");
  g_autoptr (FloeJail) jail = NULL;
  floe_autofd cache = open_cache (nbd->cache, error);

  if (cache < 0)
    return FALSE;
  if (nbd->listener < 0)
    nbd->listener = floe_socket_listen_at (nbd->options.directory_fd, SOCKET_NAME, nbd->options.qemu_uid, error);
  if (nbd->listener < 0)
    return FALSE;
  jail = make_jail (nbd, cache, error);
  if (jail == NULL)
    return FALSE;
  nbd->process = floe_process_spawn (jail, argv, error);
  if (nbd->process == NULL)
    return FALSE;
  nbd->born = g_get_monotonic_time ();
  floe_process_watch (nbd->process, on_ended, nbd);
  return TRUE;
}

static void schedule (FloeNbd *nbd);

static gboolean
on_timer (gpointer data)
{
  FloeNbd *nbd = data;
  g_autoptr (GError) error = NULL;

  nbd->timer = 0;
  if (!launch (nbd, &error)) {
    floe_log (G_LOG_LEVEL_WARNING, "nbdkit cannot be started, trying again", "REASON", error->message, NULL);
    schedule (nbd);
  } else {
    nbd->options.restarted (nbd->options.data);
  }
  return G_SOURCE_REMOVE;
}

static void
schedule (FloeNbd *nbd)
{
  nbd->timer = g_timeout_add (nbd->backoff_ms, on_timer, nbd);
  nbd->backoff_ms = CLAMP (nbd->backoff_ms * 2, BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS);
}

static void
on_ended (FloeProcess *process, gpointer data)
{
  FloeNbd *nbd = data;
  g_autofree char *words = floe_process_last_words (process);

  g_clear_pointer (&nbd->process, floe_process_free);
  nbd->deaths++;
  if (g_get_monotonic_time () - nbd->born > WELL_AFTER_US)
    nbd->backoff_ms = 0;
  schedule (nbd);
  nbd->options.died (words, nbd->deaths, nbd->options.data);
}

FloeNbd *
floe_nbd_new (const FloeNbdOptions *options, FloeProcess *adopt, GError **error)
{
  FloeNbd *nbd = g_new0 (FloeNbd, 1);

  nbd->options = *options;
  nbd->options.image = floe_library_image_ref (options->image);
  nbd->cache = g_strdup (options->cache);
  nbd->listener = -1;
  if (adopt != NULL) {
    nbd->process = adopt;
    nbd->born = g_get_monotonic_time ();
    floe_process_watch (adopt, on_ended, nbd);
  } else if (!launch (nbd, error)) {
    floe_nbd_free (nbd, FALSE);
    return NULL;
  }
  return nbd;
}

void
floe_nbd_free (FloeNbd *nbd, gboolean keep)
{
  if (nbd == NULL)
    return;
  if (nbd->timer != 0)
    g_source_remove (nbd->timer);
  if (nbd->process != NULL && !keep) {
    floe_process_unwatch (nbd->process);
    floe_process_kill (nbd->process);
  }
  floe_process_free (nbd->process);
  floe_fd_clear (&nbd->listener);
  floe_library_image_unref (nbd->options.image);
  g_free (nbd->cache);
  g_free (nbd);
}

const FloeProcess *
floe_nbd_process (const FloeNbd *nbd)
{
  return nbd->process;
}
