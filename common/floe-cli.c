/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"

#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static void
print_help (const char *program, const char *summary, const FloeCommand *commands)
{
  g_print ("%s: %s\n\n", program, summary);
  for (const FloeCommand *command = commands; command->name != NULL; command++)
    g_print ("  %s %s%s%s\n      %s\n", program, command->name, command->arguments[0] != '\0' ? " " : "", command->arguments,
             command->summary);
}

int
floe_cli_fail (const char *program, const GError *error)
{
  g_printerr ("%s: %s\n", program, error->message);
  return error->domain == G_OPTION_ERROR ? EXIT_USAGE : 1;
}

int
floe_cli_run (const char *program, const char *summary, const FloeCommand *commands, int argc, char **argv)
{
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;

  if (argc < 2 || strcmp (argv[1], "help") == 0 || strcmp (argv[1], "-h") == 0 || strcmp (argv[1], "--help") == 0) {
    print_help (program, summary, commands);
    return argc < 2 ? EXIT_USAGE : 0;
  }
  if (strcmp (argv[1], "--version") == 0) {
    g_print ("%s %s\n", program, FLOE_VERSION);
    return 0;
  }
  for (const FloeCommand *command = commands; command->name != NULL; command++) {
    if (strcmp (command->name, argv[1]) != 0)
      continue;
    name = g_strdup_printf ("%s %s", program, command->name);
    g_set_prgname (name);
    return command->run (argc - 1, argv + 1, &error) ? 0 : floe_cli_fail (program, error);
  }
  g_printerr ("%s: no command '%s'; '%s help' lists them\n", program, argv[1], program);
  return EXIT_USAGE;
}

gboolean
floe_cli_parse (const FloeCommand *command, const GOptionEntry *entries, int positional, int *argc, char ***argv,
                GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (command->arguments);

  g_option_context_set_summary (context, command->summary);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (*argc > 1 && strcmp ((*argv)[1], "--") == 0) {
    memmove (*argv + 1, *argv + 2, sizeof **argv * (size_t) (*argc - 1));
    (*argc)--;
  }
  if (positional >= 0 && *argc - 1 != positional) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "usage: %s%s%s", g_get_prgname (),
                 command->arguments[0] != '\0' ? " " : "", command->arguments);
    return FALSE;
  }
  return TRUE;
}

static gboolean
print_version (const char *option, const char *value, gpointer program, GError **error)
{
  (void) option, (void) value, (void) error;
  g_print ("%s %s\n", (const char *) program, FLOE_VERSION);
  exit (0);
}

gboolean
floe_cli_parse_options (const char *program, const char *arguments, const char *summary, const GOptionEntry *entries, int argc,
                        char **argv, GError **error)
{
  const GOptionEntry version[] = {
    { "version", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, (gpointer) print_version, "print the version and exit", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  GOptionGroup *group = g_option_group_new (program, program, program, (gpointer) program, NULL);

  g_option_group_add_entries (group, entries);
  g_option_group_add_entries (group, version);
  g_option_context_set_main_group (context, group);
  g_option_context_set_summary (context, summary);
  if (!g_option_context_parse (context, &argc, &argv, error))
    return FALSE;
  if (argc > 1) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "no argument '%s'; usage: %s %s", argv[1], program, arguments);
    return FALSE;
  }
  return TRUE;
}

gboolean
floe_cli_usage (GError **error, const char *message)
{
  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, message);
  return FALSE;
}

gboolean
floe_cli_hint (GError **error, FloeError code, const char *hint)
{
  if (error != NULL && g_error_matches (*error, FLOE_ERROR, (int) code)) {
    g_autofree char *message = (*error)->message;

    (*error)->message = g_strconcat (message, "; ", hint, NULL);
  }
  return FALSE;
}
