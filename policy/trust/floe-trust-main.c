/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "policy/trust/floe-metadata.h"
#include "policy/trust/floe-trust-http.h"

#include <string.h>

/* floe-trust: the client alone, with the command line by which TUF clients are tried against each other. Exit status 0 when
 * the workflow accepted, 1 otherwise. */

#define MAX_ROOT (1u << 20)
#define MAX_TARGET ((size_t) G_MAXINT32)

typedef struct {
  char *metadata_dir, *metadata_url, *target_url, *target_dir, *repository, *pin;
  char **target_names;
} Options;

static const FloeCommand usage = {
  "floe-trust",
  "--metadata-dir DIR init ROOT | refresh | download",
  "A client of The Update Framework: tracks the signed metadata of a repository and fetches what it vouches for.",
  NULL,
};

static gboolean
init (const Options *options, const char *path, GError **error)
{
  floe_autofd state = floe_dir_make (options->metadata_dir, 0755, error);
  g_autoptr (GBytes) root = state >= 0 ? floe_file_read (path, MAX_ROOT, error) : NULL;

  return root != NULL && floe_trust_init (state, root, error);
}

static FloeTrustTransport *
make_transport (const Options *options, GError **error)
{
  FloeTrustHttpOptions http = { .metadata_url = options->metadata_url, .targets_url = options->target_url, .pin = options->pin };

  if (options->repository != NULL)
    return floe_trust_transport_directory (options->repository);
  if (options->metadata_url != NULL)
    return floe_trust_transport_http (&http, error);
  floe_error_set (error, FLOE_ERROR_INVALID, "--metadata-url URL or --repository DIR is needed");
  return NULL;
}

/* One target: what is in the directory already is judged like a download, and kept when it is right. */
static gboolean
download_one (FloeTrust *trust, const char *name, int dir, GError **error)
{
  g_autofree char *encoded = floe_percent_encode (name, "");
  g_autofree char *file = g_strconcat (*encoded == '.' ? "%2E" : "", *encoded == '.' ? encoded + 1 : encoded, NULL);
  g_autoptr (GBytes) present = floe_file_read_at (dir, file, MAX_TARGET, NULL);
  g_autoptr (FloeVerified) verified = NULL;
  gsize size;
  const void *data;

  if (present != NULL)
    verified = floe_trust_adopt (trust, name, present, NULL, NULL);
  if (verified != NULL)
    return TRUE;
  verified = floe_trust_target (trust, name, MAX_TARGET, NULL, error);
  if (verified == NULL)
    return FALSE;
  data = g_bytes_get_data (floe_verified_bytes (verified), &size);
  return floe_file_replace_at (dir, file, data, size, 0644, error);
}

static gboolean
download (FloeTrust *trust, const Options *options, GError **error)
{
  floe_autofd dir = -1;

  if (options->target_names == NULL || options->target_dir == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "download needs --target-name NAME and --target-dir DIR");
  dir = floe_dir_make (options->target_dir, 0755, error);
  for (size_t i = 0; dir >= 0 && options->target_names[i] != NULL; i++)
    if (!download_one (trust, options->target_names[i], dir, error))
      return FALSE;
  return dir >= 0;
}

static gboolean
refresh (const Options *options, gboolean then_download, GError **error)
{
  floe_autofd state = floe_dir_open (options->metadata_dir, error);
  g_autoptr (FloeTrustTransport) transport = state >= 0 ? make_transport (options, error) : NULL;
  g_autoptr (FloeTrust) trust = transport != NULL ? floe_trust_open (state, transport, error) : NULL;

  return trust != NULL && floe_trust_refresh (trust, g_get_real_time () / G_USEC_PER_SEC, NULL, error)
         && (!then_download || download (trust, options, error));
}

static gboolean
run (const Options *options, int argc, char **argv, GError **error)
{
  if (options->metadata_dir == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--metadata-dir DIR is needed");
  if (argc == 3 && strcmp (argv[1], "init") == 0)
    return init (options, argv[2], error);
  if (argc == 2 && strcmp (argv[1], "refresh") == 0)
    return refresh (options, FALSE, error);
  if (argc == 2 && strcmp (argv[1], "download") == 0)
    return refresh (options, TRUE, error);
  return floe_error_set (error, FLOE_ERROR_INVALID, "one of 'init ROOT', 'refresh' and 'download' is needed; see --help");
}

static void
options_clear (Options *options)
{
  g_free (options->metadata_dir);
  g_free (options->metadata_url);
  g_free (options->target_url);
  g_free (options->target_dir);
  g_free (options->repository);
  g_free (options->pin);
  g_strfreev (options->target_names);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

int
main (int argc, char **argv)
{
  g_auto (Options) options = { 0 };
  g_autoptr (GError) error = NULL;
  const GOptionEntry entries[] = {
    { "metadata-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.metadata_dir, "what is trusted, kept between runs", "DIR" },
    { "metadata-url", 0, 0, G_OPTION_ARG_STRING, &options.metadata_url, "where the repository's metadata is", "URL" },
    { "target-base-url", 0, 0, G_OPTION_ARG_STRING, &options.target_url, "where its targets are", "URL" },
    { "repository", 0, 0, G_OPTION_ARG_FILENAME, &options.repository, "a repository in a directory, instead of the URLs", "DIR" },
    { "pin", 0, 0, G_OPTION_ARG_STRING, &options.pin, "the server's public key", "sha256//BASE64" },
    { "target-name", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.target_names, "a target to download; may repeat", "NAME" },
    { "target-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.target_dir, "where downloaded targets are put", "DIR" },
    { NULL },
  };

  floe_log_init ("floe-trust");
  if (floe_cli_parse (&usage, entries, -1, &argc, &argv, &error) && run (&options, argc, argv, &error))
    return 0;
  floe_cli_fail ("floe-trust", error);
  return 1;
}
