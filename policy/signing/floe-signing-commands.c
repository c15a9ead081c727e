/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-signing-commands.h"

#include "common/floe-fd.h"
#include "policy/document/floe-policy.h"
#include "policy/signing/floe-roles.h"
#include "policy/signing/floe-status.h"

#include <string.h>
#include <unistd.h>

#define PEM_MAX 16384

/* What every command takes. Strings are GOption's, freed by options_clear(). */
typedef struct {
  char *repo, *keys, *passphrase_file;
  FloePassphrase *passphrase;
  FloeRepository *repository;
  gint64 now;
} Options;

static void
options_clear (Options *options)
{
  g_clear_pointer (&options->repository, floe_repository_free);
  g_clear_pointer (&options->passphrase, floe_passphrase_free);
  g_free (options->repo);
  g_free (options->keys);
  g_free (options->passphrase_file);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

#define COMMON_ENTRIES(options)                                                                                         \
  { "repo", 0, 0, G_OPTION_ARG_FILENAME, &(options).repo, "the repository (DATA/repo)", "DIR" },                         \
  { "keys", 0, 0, G_OPTION_ARG_FILENAME, &(options).keys, "where the keys are that sign", "DIR" },                       \
  { "passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &(options).passphrase_file,                                         \
    "first line: passphrase of the private keys (default: ask)", "FILE" }

/* Parses ARGC and ARGV of the command NAME, with EXTRA entries if any. */
static gboolean
parse (const char *name, Options *options, const GOptionEntry *extra, int positional, int *argc, char ***argv, GError **error)
{
  GOptionEntry entries[12] = { COMMON_ENTRIES (*options) };
  const FloeCommand *command = floe_signing_commands;

  for (size_t i = 0, at = 3; extra != NULL && extra[i].long_name != NULL && at + 1 < G_N_ELEMENTS (entries); i++, at++)
    entries[at] = extra[i];
  while (strcmp (command->name, name) != 0)
    command++;
  if (!floe_cli_parse (command, entries, positional, argc, argv, error))
    return FALSE;
  options->passphrase = floe_passphrase_new (options->passphrase_file);
  options->now = g_get_real_time () / G_USEC_PER_SEC;
  return TRUE;
}

/* The same, and opens the repository to sign in it. */
static gboolean
parse_and_open (const char *name, Options *options, const GOptionEntry *extra, int positional, int *argc, char ***argv,
                GError **error)
{
  if (!parse (name, options, extra, positional, argc, argv, error))
    return FALSE;
  if (options->repo == NULL || options->keys == NULL)
    return floe_cli_usage (error, "--repo DIR and --keys DIR are needed");
  options->repository = floe_repository_open (options->repo, options->keys, options->passphrase, error);
  return options->repository != NULL;
}

/* Says whether what was done to ROLE is in force, and warns of what will expire. */
static void
report (const Options *options, const char *role)
{
  g_autofree char *warnings = floe_repository_warnings (options->repository, options->now, NULL);

  if (floe_repository_has_draft (options->repository, role)) {
    g_autofree char *changes = floe_repository_changes (options->repository, role);
    g_autofree char *waiting = floe_repository_waiting (options->repository, role);

    g_print ("%s: a draft, not in force yet\n%s%s", role, changes, waiting);
  } else {
    g_print ("%s: in force\n", role);
  }
  g_printerr ("%s", warnings);
}

/* Roles whose draft a change of ROLE's keys may leave behind. */
static void
report_keys (const Options *options, const char *role)
{
  const char *delegator = g_strv_contains ((const char *const[]){ "root", "timestamp", "snapshot", "targets", NULL }, role)
                            ? "root"
                            : "targets";

  report (options, delegator);
  if (strcmp (delegator, role) != 0 && floe_repository_has_draft (options->repository, role))
    report (options, role);
}

/* -- Keys and repository -------------------------------------------------------------------------------------------- */

static gboolean
parse_type (const char *name, FloeSignerType *type, GError **error)
{
  *type = g_strcmp0 (name, "ecdsa") == 0 ? FLOE_SIGNER_ECDSA_P256 : FLOE_SIGNER_ED25519;
  return name == NULL || strcmp (name, "ed25519") == 0 || strcmp (name, "ecdsa") == 0 ||
         floe_cli_usage (error, "--key-type: ed25519 or ecdsa wanted");
}

static gboolean
init_with (const Options *options, char **roles, char **days, FloeSignerType type, GError **error)
{
  g_autoptr (FloeRoleSpec) specs = floe_role_specs_new ();

  for (size_t i = 0; roles != NULL && roles[i] != NULL; i++)
    if (!floe_role_specs_set_keys (specs, roles[i], error))
      return FALSE;
  for (size_t i = 0; days != NULL && days[i] != NULL; i++)
    if (!floe_role_specs_set_days (specs, days[i], error))
      return FALSE;
  return floe_repository_init (options->repo, options->keys, specs, type, options->passphrase, options->now, error);
}

static gboolean
run_init (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_auto (GStrv) roles = NULL, days = NULL;
  g_autofree char *type_name = NULL;
  const GOptionEntry extra[] = {
    { "role", 0, 0, G_OPTION_ARG_STRING_ARRAY, &roles, "keys of a role and how many must sign", "ROLE=M:KEY[,KEY...]" },
    { "expires", 0, 0, G_OPTION_ARG_STRING_ARRAY, &days, "how long a version of a role is valid", "ROLE=DAYS" },
    { "key-type", 0, 0, G_OPTION_ARG_STRING, &type_name, "of new keys (default ed25519)", "ed25519|ecdsa" },
    { NULL },
  };
  FloeSignerType type;

  if (!parse ("init", &options, extra, 0, &argc, &argv, error) || !parse_type (type_name, &type, error))
    return FALSE;
  if (options.repo == NULL || options.keys == NULL)
    return floe_cli_usage (error, "--repo DIR and --keys DIR are needed");
  if (!init_with (&options, roles, days, type, error))
    return FALSE;
  g_print ("%s: a repository; endpoints begin with %s/root.json\n", options.repo, options.keys);
  return TRUE;
}

static gboolean
run_key (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_autofree char *type_name = NULL, *token = NULL;
  floe_autofd keys = -1;
  const GOptionEntry extra[] = {
    { "key-type", 0, 0, G_OPTION_ARG_STRING, &type_name, "ed25519 (default) or ecdsa", "TYPE" },
    { "token", 0, 0, G_OPTION_ARG_STRING, &token, "take the key in this PKCS#11 token instead of making one", "pkcs11:..." },
    { NULL },
  };
  FloeSignerType type;

  if (!parse ("key", &options, extra, 1, &argc, &argv, error) || !parse_type (type_name, &type, error))
    return FALSE;
  if (options.keys == NULL)
    return floe_cli_usage (error, "--keys DIR is needed");
  keys = floe_dir_make (options.keys, 0700, error);
  if (keys < 0)
    return FALSE;
  if (token != NULL ? !floe_signer_adopt_token (keys, argv[1], token, options.passphrase, error)
                    : !floe_signer_generate (keys, argv[1], type, options.passphrase, error))
    return FALSE;
  g_print ("%s/%s.pub: give this file to who keeps the repository\n", options.keys, argv[1]);
  return TRUE;
}

/* What a public key file is called in status: its name without the ending. */
static char *
name_of_file (const char *path)
{
  char *name = g_path_get_basename (path);

  if (g_str_has_suffix (name, ".pub"))
    name[strlen (name) - strlen (".pub")] = '\0';
  return name;
}

static gboolean
run_add_key (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_autoptr (GBytes) pem = NULL;
  g_autofree char *name = NULL;

  if (!parse_and_open ("add-key", &options, NULL, 2, &argc, &argv, error))
    return FALSE;
  name = name_of_file (argv[2]);
  pem = floe_file_read (argv[2], PEM_MAX, error);
  if (pem == NULL || !floe_repository_add_key (options.repository, argv[1], pem, name, options.now, error))
    return FALSE;
  report_keys (&options, argv[1]);
  return TRUE;
}

static gboolean
run_remove_key (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };

  if (!parse_and_open ("remove-key", &options, NULL, 2, &argc, &argv, error) ||
      !floe_repository_remove_key (options.repository, argv[1], argv[2], options.now, error))
    return FALSE;
  report_keys (&options, argv[1]);
  return TRUE;
}

static gboolean
run_rotate (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_autoptr (GBytes) pem = NULL;
  g_autofree char *name = NULL;

  if (!parse_and_open ("rotate", &options, NULL, 3, &argc, &argv, error))
    return FALSE;
  name = name_of_file (argv[3]);
  pem = floe_file_read (argv[3], PEM_MAX, error);
  if (pem == NULL || !floe_repository_rotate (options.repository, argv[1], argv[2], pem, name, options.now, error))
    return FALSE;
  report_keys (&options, argv[1]);
  return TRUE;
}

static gboolean
run_threshold (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  guint64 threshold;

  if (!parse_and_open ("threshold", &options, NULL, 2, &argc, &argv, error))
    return FALSE;
  if (!g_ascii_string_to_unsigned (argv[2], 10, 1, 256, &threshold, NULL))
    return floe_cli_usage (error, "threshold: a number of signatures, 1 to 256, wanted");
  if (!floe_repository_set_threshold (options.repository, argv[1], (guint) threshold, options.now, error))
    return FALSE;
  report_keys (&options, argv[1]);
  return TRUE;
}

/* -- Drafts and force ----------------------------------------------------------------------------------------------- */

static gboolean
run_sign (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_autofree char *changes = NULL;

  if (!parse_and_open ("sign", &options, NULL, 1, &argc, &argv, error))
    return FALSE;
  /* What is signed is shown, also where the passphrase comes from a file. */
  changes = floe_repository_changes (options.repository, argv[1]);
  g_print ("%s", changes);
  if (!floe_repository_sign_draft (options.repository, argv[1], options.now, error))
    return FALSE;
  report (&options, argv[1]);
  return TRUE;
}

static gboolean
run_discard (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };

  return parse_and_open ("discard", &options, NULL, 1, &argc, &argv, error) &&
         floe_repository_discard_draft (options.repository, argv[1], error);
}

static gboolean
run_extend (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };

  if (!parse_and_open ("extend", &options, NULL, 1, &argc, &argv, error) ||
      !floe_repository_extend (options.repository, argv[1], options.now, error))
    return FALSE;
  report (&options, argv[1]);
  return TRUE;
}

static gboolean
run_refresh (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };

  if (!parse_and_open ("refresh", &options, NULL, 0, &argc, &argv, error) ||
      !floe_repository_refresh (options.repository, options.now, error))
    return FALSE;
  report (&options, "timestamp");
  return TRUE;
}

/* Sets `policy/GROUP.json` from FILE if the document is right. */
static gboolean
set_policy (const Options *options, const char *file, GError **error)
{
  g_autoptr (GBytes) text = floe_file_read (file, FLOE_POLICY_SIZE_MAX, error);
  g_autoptr (FloePolicyDocument) document = text == NULL ? NULL : floe_policy_parse (text, file, error);
  g_autofree char *name = NULL;

  if (document == NULL)
    return FALSE;
  name = g_strdup_printf ("policy/%s.json", floe_policy_document_content (document)->group);
  return floe_repository_set_target (options->repository, "policy", name, text, error);
}

static gboolean
run_publish_policy (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };

  if (!parse_and_open ("publish-policy", &options, NULL, -1, &argc, &argv, error))
    return FALSE;
  if (argc < 2)
    return floe_cli_usage (error, "publish-policy: a policy document or more wanted");
  for (int i = 1; i < argc; i++)
    if (!set_policy (&options, argv[i], error))
      return FALSE;
  if (!floe_repository_publish (options.repository, "policy", options.now, NULL, error))
    return FALSE;
  report (&options, "policy");
  return TRUE;
}

static gboolean
run_withdraw_policy (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_autofree char *name = NULL;

  if (!parse_and_open ("withdraw-policy", &options, NULL, 1, &argc, &argv, error))
    return FALSE;
  name = g_strdup_printf ("policy/%s.json", argv[1]);
  if (!floe_repository_remove_target (options.repository, "policy", name, error) ||
      !floe_repository_publish (options.repository, "policy", options.now, NULL, error))
    return FALSE;
  report (&options, "policy");
  return TRUE;
}

static gboolean
run_status (int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_autofree char *text = NULL, *warnings = NULL;
  gboolean expired;

  if (!parse ("status", &options, NULL, 0, &argc, &argv, error))
    return FALSE;
  if (options.repo == NULL)
    return floe_cli_usage (error, "--repo DIR is needed");
  /* With --keys it also tells which private keys are here; nothing is signed. */
  options.repository = floe_repository_open (options.repo, options.keys, NULL, error);
  if (options.repository == NULL)
    return FALSE;
  text = floe_repository_status (options.repository, options.now);
  warnings = floe_repository_warnings (options.repository, options.now, &expired);
  g_print ("%s", text);
  return !expired || floe_error_set (error, FLOE_ERROR_EXPIRED, "some of this repository has expired");
}

#define WHERE "--repo DIR --keys DIR"

const FloeCommand floe_signing_commands[] = {
  { "init", WHERE " [--role ROLE=M:KEY,...] [--expires ROLE=DAYS]", "make a repository and its keys", run_init },
  { "key", "NAME --keys DIR [--key-type TYPE | --token pkcs11:...]", "make a key pair, or take one in a token", run_key },
  { "status", "--repo DIR [--keys DIR]", "versions, expiries, keys, who signed, and drafts", run_status },
  { "publish-policy", "FILE... " WHERE, "check policy documents and put them in force", run_publish_policy },
  { "withdraw-policy", "GROUP " WHERE, "take a group's policy out of force", run_withdraw_policy },
  { "sign", "ROLE " WHERE, "add signatures to the draft of a role", run_sign },
  { "discard", "ROLE " WHERE, "drop the draft of a role", run_discard },
  { "extend", "ROLE " WHERE, "sign a role again as it is, for a further term", run_extend },
  { "refresh", WHERE, "new timestamp and snapshot, by the online key alone", run_refresh },
  { "add-key", "ROLE FILE.pub " WHERE, "let a further key sign for a role", run_add_key },
  { "remove-key", "ROLE KEY " WHERE, "let a key no longer sign for a role", run_remove_key },
  { "rotate", "ROLE OLD-KEY NEW.pub " WHERE, "replace a key of a role", run_rotate },
  { "threshold", "ROLE M " WHERE, "how many keys must sign a role", run_threshold },
  { NULL },
};
