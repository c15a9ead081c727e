/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-agent.h"
#include "agent/floe-confine.h"
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <curl/curl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_MAX_BYTES 65536

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
                               "Fetches policy, images and chunks for this endpoint.", entries, argc, argv, error))
    return FALSE;
  if (arguments->interval < 1 || arguments->interval > 7 * 24 * 3600 || arguments->background_rate < 0) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "--interval is 1 to 604800 seconds, --background-rate 0 (no bound) or KiB a second");
    return FALSE;
  }
  return TRUE;
}

static FloeAgentConfig *
read_config (const char *path, GError **error)
{
  g_autoptr (GBytes) text = floe_file_read (path, CONFIG_MAX_BYTES, error);
  gsize size;
  const char *data;

  if (text == NULL) {
    floe_cli_hint (error, FLOE_ERROR_NOT_FOUND, FLOE_CLI_NO_CONFIG);
    return NULL;
  }
  data = g_bytes_get_data (text, &size);
  return floe_agent_config_parse (data != NULL ? data : "", size, path, error);
}

static gboolean
run (const Arguments *arguments, GError **error)
{
  const FloeAgentOptions options = {
    .interval_seconds = (guint) arguments->interval,
    .background_rate = (guint64) arguments->background_rate * 1024,
  };
  g_autoptr (FloeAgentConfig) config = NULL;
  g_autoptr (FloeAgent) agent = NULL;

  if (geteuid () == 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "it does not run as root: start it as user floe-agent");
  config = read_config (arguments->config != NULL ? arguments->config : FLOE_CLI_CONFIG, error);
  if (config == NULL || !floe_confine (error))
    return FALSE;
  agent = floe_agent_new (config, &options, error);
  if (agent == NULL)
    return FALSE;
  floe_log (G_LOG_LEVEL_MESSAGE, "serving chunks", "URL", config->url, "GROUP", config->group, NULL);
  floe_agent_run (agent);
  return TRUE;
}

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
  ok = parse_arguments (&arguments, argc, argv, &error) && run (&arguments, &error);
  g_free (arguments.config);
  curl_global_cleanup ();
  return ok ? 0 : floe_cli_fail ("floe-agent", error);
}
