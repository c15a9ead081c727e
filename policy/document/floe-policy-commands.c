/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-commands.h"

#include "policy/document/floe-policy-commands-private.h"
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"


enum { COMMAND_LINT, COMMAND_COMPILE, COMMAND_EXPLAIN, COMMAND_SCHEMA, COMMAND_IMPORT_USBGUARD };

static const GOptionEntry no_options[] = { { NULL } };

FloePolicyDocument *
floe_policy_load (const char *path, GError **error)
{
  g_autoptr (GBytes) text = floe_file_read (path, FLOE_POLICY_SIZE_MAX, error);

  return text != NULL ? floe_policy_parse (text, path, error) : NULL;
}

/* -- lint, compile, schema ---------------------------------------------------------------------------------------------- */

/* TEXT gets what is to be said; whether the document is good. */
static gboolean
lint_one (const char *path, GString *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloePolicyDocument) document = floe_policy_load (path, &error);
  g_auto (GStrv) notes = NULL;

  if (document == NULL) {
    g_string_append_printf (text, "%s\n", error->message);
    return FALSE;
  }
  notes = floe_policy_notes (floe_policy_document_content (document));
  for (char **note = notes; *note != NULL; note++)
    g_string_append_printf (text, "%s: note: %s\n", path, *note);
  g_string_append_printf (text, "%s: ok\n", path);
  return TRUE;
}

static gboolean
run_lint (int argc, char **argv, GError **error)
{
  int refused = 0;

  if (!floe_cli_parse (&floe_document_commands[COMMAND_LINT], no_options, -1, &argc, &argv, error))
    return FALSE;
  if (argc < 2)
    return usage (error, "lint FILE... wanted", NULL);
  for (int i = 1; i < argc; i++) {
    g_autoptr (GString) text = g_string_new (NULL);

    refused += !lint_one (argv[i], text);
    if (!print (text->str, error))
      return FALSE;
  }
  if (refused > 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%d of %d documents refused", refused, argc - 1);
  return TRUE;
}

static gboolean
run_compile (int argc, char **argv, GError **error)
{
  g_autoptr (FloePolicyDocument) document = NULL;
  g_autofree char *text = NULL;

  if (!floe_cli_parse (&floe_document_commands[COMMAND_COMPILE], no_options, 1, &argc, &argv, error))
    return FALSE;
  document = floe_policy_load (argv[1], error);
  if (document == NULL)
    return FALSE;
  text = floe_policy_dump (floe_policy_document_content (document));
  return print (text, error);
}

static gboolean
run_schema (int argc, char **argv, GError **error)
{
  if (!floe_cli_parse (&floe_document_commands[COMMAND_SCHEMA], no_options, 0, &argc, &argv, error))
    return FALSE;
  return print (floe_policy_schema, error);
}

/* -- explain ------------------------------------------------------------------------------------------------------------ */

static gboolean
explain_machine (const FloePolicyContent *content, char **words, int n, GError **error)
{
  const FloePolicyMachine *machine = n == 1 ? floe_policy_find_machine (content, words[0]) : NULL;
  g_autofree char *text = NULL;

  if (n != 1)
    return usage (error, "machine ID wanted", NULL);
  if (machine == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the policy has no machine '%s'", words[0]);
  text = floe_policy_explain_machine (content, machine);
  return print (text, error);
}

static gboolean
run_explain (int argc, char **argv, GError **error)
{
  g_autoptr (FloePolicyDocument) document = NULL;
  const FloePolicyContent *content;

  /* Each of them has options of its own. */
  if (argc >= 3 && strcmp (argv[2], "usb") == 0)
    return floe_policy_explain_usb_command (&floe_document_commands[COMMAND_EXPLAIN], argc, argv, error);
  if (argc >= 3 && strcmp (argv[2], "packet") == 0)
    return floe_policy_explain_packet_command (&floe_document_commands[COMMAND_EXPLAIN], argc, argv, error);
  if (!floe_cli_parse (&floe_document_commands[COMMAND_EXPLAIN], no_options, -1, &argc, &argv, error))
    return FALSE;
  if (argc < 3)
    return usage (error, "explain FILE machine|packet|usb ... wanted", NULL);
  document = floe_policy_load (argv[1], error);
  if (document == NULL)
    return FALSE;
  content = floe_policy_document_content (document);
  if (strcmp (argv[2], "machine") == 0)
    return explain_machine (content, argv + 3, argc - 3, error);
  return usage (error, "machine, packet or usb wanted", argv[2]);
}

static gboolean
run_import_usbguard (int argc, char **argv, GError **error)
{
  return floe_policy_import_usbguard_command (&floe_document_commands[COMMAND_IMPORT_USBGUARD], argc, argv, error);
}

const FloeCommand floe_document_commands[] = {
  [COMMAND_LINT] = { "lint", "FILE...", "check policy documents, and note what deserves a second look", run_lint },
  [COMMAND_COMPILE] = { "compile", "FILE", "print what the document comes to, defaults filled in", run_compile },
  [COMMAND_EXPLAIN] = { "explain",
                        "FILE machine ID | FILE packet MACHINE egress|ingress PROTOCOL ADDRESS[:PORT] [OPTION...] | "
                        "FILE usb VENDOR:PRODUCT[:SERIAL] [OPTION...] INTERFACE...",
                        "say what would happen to this machine, packet or device, and by which rule", run_explain },
  [COMMAND_SCHEMA] = { "schema", "", "print the JSON Schema of policy documents", run_schema },
  [COMMAND_IMPORT_USBGUARD] = { "import-usbguard", "FILE [--machine ID]",
                                "print the rules of a USBGuard rule file as a usb list, and say which cannot be translated",
                                run_import_usbguard },
  { NULL },
};
