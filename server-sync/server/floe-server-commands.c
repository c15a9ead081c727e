/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-commands.h"

#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "server-sync/server/floe-recovery.h"
#include "server-sync/server/floe-registry.h"

#include <jansson.h>
#include <string.h>

#define DAY (24 * 3600)
#define DAYS_MAX 365
#define USES_MAX 10000
#define NEW_CODES 16 /* tries to find a public part that no code has */
#define KEY_MAX 65536
#define PORT "8443"

static FloeRegistry *
open_data (const char *data, GError **error)
{
  if (data == NULL) {
    floe_cli_usage (error, "--data DIR is needed: the server's data directory");
    return NULL;
  }
  return floe_registry_open (data, (uid_t) -1, (gid_t) -1, error);
}

static char *
time_text (gint64 seconds)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (seconds);

  return time != NULL ? g_date_time_format (time, "%FT%TZ") : g_strdup ("?");
}

static gint64
now (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

/* -- Codes ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  char *data, *group, *address;
  int days, uses;
} CodeOptions;

static void
code_options_clear (CodeOptions *options)
{
  g_free (options->data);
  g_free (options->group);
  g_free (options->address);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CodeOptions, code_options_clear)

static gboolean
check_code_options (const CodeOptions *options, GError **error)
{
  if (!floe_name_is_safe (options->group) || strlen (options->group) > FLOE_ENROL_GROUP_MAX)
    return floe_cli_usage (error, "--group: the name of a policy group wanted (which policy/GROUP.json)");
  if (options->days < 1 || options->days > DAYS_MAX)
    return floe_cli_usage (error, "--days: 1 to " G_STRINGIFY (DAYS_MAX) " wanted");
  return (options->uses >= 1 && options->uses <= USES_MAX) || floe_cli_usage (error, "--uses: 1 to " G_STRINGIFY (USES_MAX) " wanted");
}

static gboolean
make_code (FloeRegistry *registry, const CodeOptions *options, FloeCode *code, FloeRegistryCode *entry, GError **error)
{
  for (unsigned tries = 0; tries < NEW_CODES; tries++) {
    g_autoptr (GError) taken = NULL;
    FloeDigest key;

    if (!floe_code_make (code, error) || !floe_code_key (code, &key, error))
      return FALSE;
    entry->group = options->group;
    entry->created = now ();
    entry->expires = entry->created + (gint64) options->days * DAY;
    entry->uses = options->uses;
    floe_code_id (code, entry->id);
    if (floe_registry_add_code (registry, entry, &key, &taken))
      return TRUE;
    if (!g_error_matches (taken, FLOE_ERROR, FLOE_ERROR_BUSY) || tries == NEW_CODES - 1) {
      g_propagate_error (error, g_steal_pointer (&taken));
      return FALSE;
    }
  }
  return FALSE;
}

static gboolean
run_code (int argc, char **argv, GError **error)
{
  g_auto (CodeOptions) options = { .days = 7, .uses = 1 };
  const GOptionEntry entries[] = {
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &options.data, "the server's data directory", "DIR" },
    { "group", 0, 0, G_OPTION_ARG_STRING, &options.group, "the policy group that endpoints join (office)", "NAME" },
    { "days", 0, 0, G_OPTION_ARG_INT, &options.days, "how long it may be used (7)", "N" },
    { "uses", 0, 0, G_OPTION_ARG_INT, &options.uses, "how many endpoints may use it (1)", "N" },
    { "address", 0, 0, G_OPTION_ARG_STRING, &options.address, "the address to print beside it (this host's name)", "ADDRESS" },
    { NULL },
  };
  const FloeCommand self = { "code", "--data DIR [--group NAME] [--days N] [--uses N]", "make a one-time code for setting up endpoints", NULL };
  g_autoptr (FloeRegistry) registry = NULL;
  g_autofree char *shown = NULL, *until = NULL;
  FloeRegistryCode entry = { 0 };
  FloeCode code;

  if (!floe_cli_parse (&self, entries, 0, &argc, &argv, error))
    return FALSE;
  if (options.group == NULL)
    options.group = g_strdup ("office");
  if (!check_code_options (&options, error))
    return FALSE;
  registry = open_data (options.data, error);
  if (registry == NULL || !make_code (registry, &options, &code, &entry, error))
    return FALSE;
  shown = floe_code_show (&code);
  until = time_text (entry.expires);
  g_print ("code     %s\n", shown);
  if (options.address != NULL)
    g_print ("address  %s\n", options.address);
  else
    g_print ("address  %s:" PORT " (as this host calls itself)\n", g_get_host_name ());
  g_print ("group    %s\nuses     %d\nuntil    %s\n", options.group, options.uses, until);
  return TRUE;
}

static const char *
code_state (const FloeRegistryCode *code)
{
  if (code->used >= code->uses)
    return "used";
  if (code->failures >= FLOE_REGISTRY_FAILURES_MAX)
    return "locked: typed wrongly too often";
  return code->expires <= now () ? "expired" : "open";
}

static gboolean
parse_data (const FloeCommand *self, int positional, int *argc, char ***argv, FloeRegistry **registry, GError **error)
{
  g_autofree char *data = NULL;
  const GOptionEntry entries[] = {
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &data, "the server's data directory", "DIR" },
    { NULL },
  };

  if (!floe_cli_parse (self, entries, positional, argc, argv, error))
    return FALSE;
  *registry = open_data (data, error);
  return *registry != NULL;
}

static gboolean
run_codes (int argc, char **argv, GError **error)
{
  const FloeCommand self = { "codes", "--data DIR", "all codes, by their public part", NULL };
  g_autoptr (FloeRegistry) registry = NULL;
  g_autoptr (GPtrArray) codes = NULL;

  if (!parse_data (&self, 0, &argc, &argv, &registry, error))
    return FALSE;
  codes = floe_registry_list_codes (registry, error);
  for (guint i = 0; codes != NULL && i < codes->len; i++) {
    const FloeRegistryCode *code = g_ptr_array_index (codes, i);
    g_autofree char *until = time_text (code->expires);

    g_print ("%s  group %s  used %d of %d  wrong %d  until %s  %s\n", code->id, code->group, code->used, code->uses, code->failures, until,
             code_state (code));
  }
  return codes != NULL;
}

static gboolean
run_withdraw (int argc, char **argv, GError **error)
{
  const FloeCommand self = { "withdraw", "--data DIR CODE", "end a code, by its first five characters", NULL };
  g_autoptr (FloeRegistry) registry = NULL;
  g_autofree char *id = NULL;

  if (!parse_data (&self, 1, &argc, &argv, &registry, error))
    return FALSE;
  id = floe_code_group (argv[1]);
  id[strcspn (id, "-")] = '\0';
  if (!floe_code_id_is_valid (id))
    return floe_cli_usage (error, "CODE: the first five characters of a code wanted");
  return floe_registry_withdraw_code (registry, id, error);
}

/* -- Endpoints ------------------------------------------------------------------------------------------------------ */

static json_t *
endpoint_object (const FloeRegistryEndpoint *endpoint)
{
  g_autofree char *key = floe_hex_encode (endpoint->key, sizeof endpoint->key);
  g_autofree char *enrolled = time_text (endpoint->enrolled);
  g_autofree char *seen = endpoint->seen != 0 ? time_text (endpoint->seen) : NULL;
  json_t *appliance = endpoint->appliance != NULL ? json_loads (endpoint->appliance, 0, NULL) : NULL;

  return json_pack ("{s:s, s:s, s:s, s:s, s:s, s:b, s:o*, s:s*, s:s*, s:o*}", "endpoint", endpoint->id, "name", endpoint->name, "group",
                    endpoint->group, "enrolled", enrolled, "key", key, "recovery_key", endpoint->has_recovery, "facts",
                    json_loads (endpoint->facts, 0, NULL), "seen", seen, "version", endpoint->version, "appliance", appliance);
}

static void
print_json (GPtrArray *endpoints)
{
  json_t *list = json_array ();
  char *text;

  for (guint i = 0; i < endpoints->len; i++)
    json_array_append_new (list, endpoint_object (g_ptr_array_index (endpoints, i)));
  text = json_dumps (list, JSON_INDENT (2));
  g_print ("%s\n", text);
  free (text);
  json_decref (list);
}

/* What it said last: one line beneath the endpoint's own. Everything in it has been read strictly before it was kept. */
static void
print_checkin (const FloeRegistryEndpoint *endpoint)
{
  g_autofree char *seen = time_text (endpoint->seen);
  g_autoptr (GBytes) text = endpoint->appliance != NULL ? g_bytes_new (endpoint->appliance, strlen (endpoint->appliance)) : NULL;
  FloeApplianceReport report;

  if (endpoint->seen == 0)
    return;
  g_print ("  seen %s  Floe %s", seen, endpoint->version);
  if (text != NULL && floe_appliance_report_parse (text, &report, NULL)) {
    g_print ("  appliance %" G_GINT64_FORMAT, report.running);
    if (report.offered != 0 && report.offered != report.running)
      g_print ("  offered %" G_GINT64_FORMAT, report.offered);
    if (floe_appliance_report_ready (&report) != 0)
      g_print ("  starts next %" G_GINT64_FORMAT, report.next);
    for (size_t i = 0; i < report.n_failed; i++)
      g_print ("%s%" G_GINT64_FORMAT, i == 0 ? "  failed " : ",", report.failed[i]);
    if (report.problem[0] != '\0')
      g_print ("  problem: %s", report.problem);
  }
  g_print ("\n");
}

static gboolean
run_endpoints (int argc, char **argv, GError **error)
{
  const FloeCommand self = { "endpoints", "--data DIR [--json]", "all endpoints that enrolled, and what they said last", NULL };
  g_autofree char *data = NULL;
  gboolean json = FALSE;
  const GOptionEntry entries[] = {
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &data, "the server's data directory", "DIR" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "as JSON, with public keys and what their hardware checks said", NULL },
    { NULL },
  };
  g_autoptr (FloeRegistry) registry = NULL;
  g_autoptr (GPtrArray) endpoints = NULL;

  if (!floe_cli_parse (&self, entries, 0, &argc, &argv, error))
    return FALSE;
  registry = open_data (data, error);
  endpoints = registry == NULL ? NULL : floe_registry_list_endpoints (registry, error);
  if (endpoints == NULL)
    return FALSE;
  if (json)
    print_json (endpoints);
  for (guint i = 0; !json && i < endpoints->len; i++) {
    const FloeRegistryEndpoint *endpoint = g_ptr_array_index (endpoints, i);
    g_autofree char *enrolled = time_text (endpoint->enrolled);

    g_print ("%s  %s  group %s  enrolled %s  recovery key %s\n", endpoint->id, endpoint->name, endpoint->group, enrolled,
             endpoint->has_recovery ? "yes" : "no");
    print_checkin (endpoint);
  }
  return TRUE;
}

static GBytes *
open_sealed (const char *key_file, GBytes *sealed, GError **error)
{
  g_autoptr (GBytes) pem = NULL;

  if (key_file == NULL) {
    floe_error_set (error, FLOE_ERROR_REFUSED,
                    "it is encrypted to the organisation's key (enrol/recovery.pem): --key FILE wants the private half, where you keep it");
    return NULL;
  }
  pem = floe_file_read (key_file, KEY_MAX, error);
  return pem == NULL ? NULL : floe_recovery_open (pem, sealed, error);
}

static gboolean
run_recovery_key (int argc, char **argv, GError **error)
{
  const FloeCommand self = { "recovery-key", "--data DIR [--key FILE] ENDPOINT", "the key that opens an endpoint's state partition", NULL };
  g_autofree char *data = NULL, *key_file = NULL;
  const GOptionEntry entries[] = {
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &data, "the server's data directory", "DIR" },
    { "key", 0, 0, G_OPTION_ARG_FILENAME, &key_file, "the organisation's private key (PEM)", "FILE" },
    { NULL },
  };
  g_autoptr (FloeRegistry) registry = NULL;
  g_autoptr (GBytes) kept = NULL, plain = NULL;
  gboolean sealed = FALSE;
  gsize size;
  const char *text;

  if (!floe_cli_parse (&self, entries, 1, &argc, &argv, error))
    return FALSE;
  registry = open_data (data, error);
  kept = registry == NULL ? NULL : floe_registry_recovery_key (registry, argv[1], &sealed, error);
  if (kept == NULL)
    return FALSE;
  plain = sealed ? open_sealed (key_file, kept, error) : g_bytes_ref (kept);
  if (plain == NULL)
    return FALSE;
  text = g_bytes_get_data (plain, &size);
  g_print ("%.*s\n", (int) size, text);
  return TRUE;
}

static const FloeCommand commands[] = {
  { "code", "--data DIR [--group NAME] [--days N] [--uses N]", "make a one-time code for setting up endpoints", run_code },
  { "codes", "--data DIR", "all codes, by their public part", run_codes },
  { "withdraw", "--data DIR CODE", "end a code, by its first five characters", run_withdraw },
  { "endpoints", "--data DIR [--json]", "all endpoints that enrolled, and what they said last", run_endpoints },
  { "recovery-key", "--data DIR [--key FILE] ENDPOINT", "the key that opens an endpoint's state partition", run_recovery_key },
  { NULL },
};

gboolean
floe_server_is_command (const char *name)
{
  for (const FloeCommand *command = commands; command->name != NULL; command++)
    if (strcmp (command->name, name) == 0)
      return TRUE;
  return FALSE;
}

int
floe_server_command (int argc, char **argv)
{
  return floe_cli_run ("floe-server", "codes and endpoints", commands, argc, argv);
}
