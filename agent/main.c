/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-agent.h"
#include "agent/floe-enrol.h"
#include "agent/floe-setup.h"
#include "common/floe-cli.h"
#include "common/floe-confine.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_MAX_BYTES 65536
#define CODE_LINE_MAX 128

typedef struct {
  char *config;
  int interval;
  int background_rate; /* KiB a second */
} Arguments;

static gboolean
parse_arguments (Arguments *arguments, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &arguments->config, "configuration (/etc/floe/floe.conf)", "FILE" },
    { "interval", 0, 0, G_OPTION_ARG_INT, &arguments->interval, "seconds between refreshes (300); SIGHUP is one at once", "N" },
    { "background-rate", 0, 0, G_OPTION_ARG_INT, &arguments->background_rate, "bound of background fetching, KiB a second (none)",
      "N" },
    { NULL },
  };

  if (!floe_cli_parse_options ("floe-agent", "[--config FILE] [--interval SECONDS] [--background-rate KIB]",
                               "Fetches policy, images and chunks for this endpoint. Another command: floe-agent enrol --help.",
                               entries, argc, argv, error))
    return FALSE;
  if (arguments->interval < 1 || arguments->interval > 7 * 24 * 3600 || arguments->background_rate < 0) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "--interval is 1 to 604800 seconds, --background-rate 0 (no bound) or KiB a second");
    return FALSE;
  }
  return TRUE;
}

/* Where there is no file, and none was asked for by name, all is as it is by default: an appliance has none. */
static FloeAgentConfig *
read_config (const char *path, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) text = floe_file_read (path != NULL ? path : FLOE_CLI_CONFIG, CONFIG_MAX_BYTES, &problem);
  g_autoptr (FloeAgentConfig) config = NULL;
  gsize size = 0;
  const char *data = text != NULL ? g_bytes_get_data (text, &size) : NULL;

  if (text == NULL && (path != NULL || !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))) {
    floe_cli_hint (&problem, FLOE_ERROR_NOT_FOUND, FLOE_CLI_NO_CONFIG);
    g_propagate_error (error, g_steal_pointer (&problem));
    return NULL;
  }
  config = floe_agent_config_parse (data != NULL ? data : "", size, path != NULL ? path : FLOE_CLI_CONFIG, error);
  if (config == NULL || config->url != NULL)
    return g_steal_pointer (&config);
  g_clear_error (&problem);
  if (!floe_enrol_resume (config, &problem) && !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return NULL;
  }
  return g_steal_pointer (&config);
}

static gboolean
refuse_root (GError **error)
{
  return geteuid () != 0 || floe_error_set (error, FLOE_ERROR_REFUSED, "it does not run as root: start it as user floe-agent");
}

static gboolean
run (const Arguments *arguments, GError **error)
{
  const FloeAgentOptions options = {
    .interval_seconds = (guint) arguments->interval,
    .background_rate = (guint64) arguments->background_rate * 1024,
  };
  g_autoptr (FloeAgentConfig) config = NULL;
  g_autoptr (FloeSetup) setup = NULL;
  g_autoptr (FloeAgent) agent = NULL;

  if (!refuse_root (error))
    return FALSE;
  config = read_config (arguments->config, error);
  if (config == NULL || !floe_confine (NULL, error))
    return FALSE;
  setup = floe_setup_new (config);
  if (config->url == NULL && !floe_setup_run (setup))
    return TRUE;
  agent = floe_agent_new (config, &options, error);
  if (agent == NULL)
    return FALSE;
  floe_log (G_LOG_LEVEL_MESSAGE, "serving chunks", "URL", config->url, "GROUP", config->group, NULL);
  floe_agent_run (agent);
  return TRUE;
}

/* -- enrol ---------------------------------------------------------------------------------------------------------- */

/* "-" is a line on standard input: there a code stays out of the list of processes. */
static char *
read_code (const char *argument, GError **error)
{
  char line[CODE_LINE_MAX];

  if (strcmp (argument, "-") != 0)
    return g_strdup (argument);
  if (fgets (line, sizeof line, stdin) == NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "no code on standard input");
    return NULL;
  }
  return g_strdup (g_strstrip (line));
}

static gboolean
enrol_directly (const char *path, const char *address, const char *code, GError **error)
{
  FloeEnrolOptions options = { .address = address, .code = code, .name = g_get_host_name () };
  g_autoptr (FloeAgentConfig) config = NULL;
  FloeEnrolProblem problem;

  if (!refuse_root (error))
    return FALSE;
  config = read_config (path, error);
  if (config == NULL)
    return FALSE;
  if (config->url != NULL)
    return floe_error_set (error, FLOE_ERROR_BUSY, "this endpoint has a server already: %s", config->url);
  if (!floe_confine (NULL, error) || !floe_enrol (config, &options, NULL, &problem, error))
    return FALSE;
  g_print ("enrolled  %s\ngroup     %s\nserver    %s\n", config->id, config->group, config->url);
  return TRUE;
}

static gboolean
run_enrol (int argc, char **argv, GError **error)
{
  g_autofree char *config = NULL, *code = NULL, *endpoint = NULL, *group = NULL;
  gboolean direct = FALSE;
  const GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &config, "configuration (/etc/floe/floe.conf)", "FILE" },
    { "direct", 0, 0, G_OPTION_ARG_NONE, &direct, "in this process, as user floe-agent, instead of by the agent that runs", NULL },
    { NULL },
  };
  const FloeCommand self = { "enrol", "[--direct] ADDRESS CODE|-", "enrol this endpoint with a server, by a one-time code", NULL };

  if (!floe_cli_parse (&self, entries, 2, &argc, &argv, error))
    return FALSE;
  code = read_code (argv[2], error);
  if (code == NULL)
    return FALSE;
  if (direct)
    return enrol_directly (config, argv[1], code, error);
  if (!floe_setup_ask (argv[1], code, &endpoint, &group, error))
    return FALSE;
  g_print ("enrolled  %s\ngroup     %s\n", endpoint, group);
  return TRUE;
}

static const FloeCommand commands[] = {
  { "enrol", "[--direct] ADDRESS CODE|-", "enrol this endpoint with a server, by a one-time code", run_enrol },
  { NULL },
};

int
main (int argc, char **argv)
{
  Arguments arguments = { .interval = 300 };
  g_autoptr (GError) error = NULL;
  gboolean ok;

  floe_log_init ("floe-agent");
  umask (022);
  /* Few threads that allocate little: one arena instead of one each. */
  mallopt (M_ARENA_MAX, 1);
  curl_global_init (CURL_GLOBAL_DEFAULT);
  if (argc > 1 && strcmp (argv[1], commands[0].name) == 0)
    return floe_cli_run ("floe-agent", "the endpoint's side of the network", commands, argc, argv);
  ok = parse_arguments (&arguments, argc, argv, &error) && run (&arguments, &error);
  g_free (arguments.config);
  curl_global_cleanup ();
  return ok ? 0 : floe_cli_fail ("floe-agent", error);
}
