/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/server/floe-server-commands.h"
#include "server-sync/server/floe-server.h"

#include <errno.h>
#include <glib-unix.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_SECONDS 60

#define USAGE "--data DIR [--listen ADDRESS:PORT] [--user NAME]; --help shows more"
#define SUMMARY                                                                                                                \
  "Serves a repository over HTTPS, and enrols endpoints. Commands for these: floe-server code, codes, withdraw, endpoints, "   \
  "recovery-key, each with --data DIR and --help."

typedef struct {
  char *data;
  char *user;
  char *listen;
  int ready_fd;
  int max_connections;
  int max_per_address;
  int request_seconds;
  gboolean print_pin;
} Arguments;

static gboolean
parse_arguments (Arguments *arguments, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &arguments->data, "the data directory: repo/ is served, tls/ made", "DIR" },
    { "listen", 0, 0, G_OPTION_ARG_STRING, &arguments->listen, "where to listen (0.0.0.0:8443)", "ADDRESS:PORT" },
    { "user", 0, 0, G_OPTION_ARG_STRING, &arguments->user, "what root becomes before serving (nobody)", "NAME" },
    { "ready-fd", 0, 0, G_OPTION_ARG_INT, &arguments->ready_fd, "write the address to this descriptor once serving", "N" },
    { "max-connections", 0, 0, G_OPTION_ARG_INT, &arguments->max_connections, "connections in all (1024)", "N" },
    { "max-per-address", 0, 0, G_OPTION_ARG_INT, &arguments->max_per_address, "connections from one address (128)", "N" },
    { "request-seconds", 0, 0, G_OPTION_ARG_INT, &arguments->request_seconds, "time for one request's head (30)", "N" },
    { "print-pin", 0, 0, G_OPTION_ARG_NONE, &arguments->print_pin, "print the pin for floe.conf and exit", NULL },
    { NULL },
  };

  if (!floe_cli_parse_options ("floe-server", USAGE, SUMMARY, entries, argc, argv, error))
    return FALSE;
  if (arguments->data == NULL) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "--data is needed; usage: floe-server " USAGE);
    return FALSE;
  }
  if (arguments->max_connections < 1 || arguments->max_connections > 100000 || arguments->max_per_address < 1 ||
      arguments->max_per_address > 100000 || arguments->request_seconds < 1 || arguments->request_seconds > 3600) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "connections are 1 to 100000, --request-seconds is 1 to 3600");
    return FALSE;
  }
  return TRUE;
}

/* The user to become; uid -1 for none. */
static gboolean
find_user (const char *user, uid_t *uid, gid_t *gid, GError **error)
{
  const struct passwd *entry;

  *uid = (uid_t) -1;
  *gid = (gid_t) -1;
  if (user == NULL && geteuid () == 0)
    user = "nobody";
  if (user == NULL)
    return TRUE;
  entry = getpwnam (user);
  if (entry == NULL || entry->pw_uid == 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "--user %s: no such unprivileged user", user);
  *uid = entry->pw_uid;
  *gid = entry->pw_gid;
  return TRUE;
}

/* Root reads the key, opens the database and binds the port; bytes from the network are only ever read by the user. */
static gboolean
become (uid_t uid, gid_t gid, GError **error)
{
  if (uid != (uid_t) -1 && (setgroups (0, NULL) < 0 || setgid (gid) < 0 || setuid (uid) < 0))
    return floe_error_set_errno (error, errno, "become user %u", uid);
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return floe_error_set_errno (error, errno, "give up new privileges");
  return TRUE;
}

static void
log_counts (FloeServer *server)
{
  FloeServerCounts counts;
  g_autofree char *requests = NULL, *bytes = NULL, *missing = NULL, *refused = NULL, *failed = NULL, *cut_off = NULL;

  floe_server_take_counts (server, &counts);
  if (counts.requests == 0 && counts.cut_off == 0)
    return;
  requests = g_strdup_printf ("%" G_GUINT64_FORMAT, counts.requests);
  bytes = g_strdup_printf ("%" G_GUINT64_FORMAT, counts.bytes);
  missing = g_strdup_printf ("%" G_GUINT64_FORMAT, counts.missing);
  refused = g_strdup_printf ("%" G_GUINT64_FORMAT, counts.refused);
  failed = g_strdup_printf ("%" G_GUINT64_FORMAT, counts.failed);
  cut_off = g_strdup_printf ("%" G_GUINT64_FORMAT, counts.cut_off);
  floe_log (G_LOG_LEVEL_MESSAGE, "served", "REQUESTS", requests, "BYTES", bytes, "MISSING", missing, "REFUSED", refused, "FAILED",
            failed, "CUT_OFF", cut_off, NULL);
}

typedef struct {
  FloeServer *server;
  FloeRegistry *registry; /* NULL: nobody can enrol */
  gboolean complained;
} Ticking;

static gboolean
on_second (gpointer data)
{
  Ticking *ticking = data;
  g_autoptr (GError) error = NULL;
  gboolean ok = ticking->registry == NULL || floe_registry_flush (ticking->registry, &error);

  floe_server_tick (ticking->server);
  if (!ok && !ticking->complained)
    floe_log (G_LOG_LEVEL_WARNING, "failed attempts to enrol cannot be written down", "REASON", error->message, NULL);
  ticking->complained = !ok;
  return G_SOURCE_CONTINUE;
}

/* A repository is worth serving also where nothing can be written: then nobody enrols here, and the log says so. */
static FloeRegistry *
open_registry (const char *data, uid_t uid, gid_t gid)
{
  g_autoptr (GError) error = NULL;
  FloeRegistry *registry = floe_registry_open (data, uid, gid, &error);

  if (registry == NULL)
    floe_log (G_LOG_LEVEL_WARNING, "endpoints cannot enrol", "REASON", error->message, NULL);
  return registry;
}

static gboolean
on_minute (gpointer data)
{
  log_counts (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_end (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
tell_ready (int fd, const char *address, GError **error)
{
  g_autofree char *line = g_strconcat (address, "\n", NULL);
  floe_autofd owned = fd;

  return owned < 0 || floe_write_all (owned, line, strlen (line), error);
}

static gboolean
serve (const Arguments *arguments, int data_dir, FloeServerIdentity *identity, GError **error)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  floe_autofd repo_dir = openat (data_dir, "repo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (FloeRegistry) registry = NULL; /* before the server, to go after it */
  g_autoptr (FloeServer) server = NULL;
  Ticking ticking = { 0 };
  uid_t uid;
  gid_t gid;
  const FloeServerOptions options = {
    .listen = arguments->listen != NULL ? arguments->listen : "0.0.0.0:8443",
    .max_connections = (unsigned) arguments->max_connections,
    .max_per_address = (unsigned) arguments->max_per_address,
    .request_seconds = (unsigned) arguments->request_seconds,
    .threads = CLAMP (g_get_num_processors (), 2, 8),
  };

  if (repo_dir < 0)
    return floe_error_set_errno (error, errno, "open %s/repo (floe-policy init and floe-image publish make it)", arguments->data);
  if (!find_user (arguments->user, &uid, &gid, error))
    return FALSE;
  server = floe_server_new (repo_dir, &options, error);
  if (server == NULL)
    return FALSE;
  registry = open_registry (arguments->data, uid, gid);
  floe_server_set_registry (server, registry);
  if (!become (uid, gid, error) || !floe_server_start (server, identity, error))
    return FALSE;
  ticking = (Ticking){ server, registry, FALSE };
  g_timeout_add_seconds (1, on_second, &ticking);
  g_timeout_add_seconds (LOG_SECONDS, on_minute, server);
  g_unix_signal_add (SIGTERM, on_end, loop);
  g_unix_signal_add (SIGINT, on_end, loop);
  floe_log (G_LOG_LEVEL_MESSAGE, "serving", "ADDRESS", floe_server_address (server), "PIN", floe_server_identity_pin (identity),
            NULL);
  if (!tell_ready (arguments->ready_fd, floe_server_address (server), error))
    return FALSE;
  g_main_loop_run (loop);
  log_counts (server);
  return TRUE;
}

static gboolean
run (const Arguments *arguments, GError **error)
{
  g_autoptr (FloeServerIdentity) identity = NULL;
  floe_autofd data_dir = floe_dir_open (arguments->data, error);

  if (data_dir < 0)
    return FALSE;
  identity = floe_server_identity_load (data_dir, g_get_real_time () / G_USEC_PER_SEC, error);
  if (identity == NULL)
    return FALSE;
  if (arguments->print_pin) {
    g_print ("%s\n", floe_server_identity_pin (identity));
    return TRUE;
  }
  return serve (arguments, data_dir, identity, error);
}

int
main (int argc, char **argv)
{
  Arguments arguments = { .ready_fd = -1, .max_connections = 1024, .max_per_address = 128, .request_seconds = 30 };
  g_autoptr (GError) error = NULL;
  gboolean ok;

  floe_log_init ("floe-server");
  umask (077);
  if (argc > 1 && floe_server_is_command (argv[1]))
    return floe_server_command (argc, argv);
  ok = parse_arguments (&arguments, argc, argv, &error) && run (&arguments, &error);
  g_free (arguments.data);
  g_free (arguments.user);
  g_free (arguments.listen);
  return ok ? 0 : floe_cli_fail ("floe-server", error);
}
