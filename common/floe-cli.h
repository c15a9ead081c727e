/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* How our programs take subcommands and say what went wrong: one line on standard error, exit status 1; 2 for usage. */

typedef struct {
  const char *name;      /* what is typed */
  const char *arguments; /* what follows it, for usage: "IMAGE.caibx --store DIR" */
  const char *summary;   /* one line */
  /* ARGV[0] is the subcommand's name. FALSE with *error set on failure. */
  gboolean (*run) (int argc, char **argv, GError **error);
} FloeCommand;

/* Runs the subcommand that ARGV[1] names from COMMANDS (ended by a NULL name); prints help for none, `help`, -h and --help.
 * Returns the process's exit status. */
int floe_cli_run (const char *program, const char *summary, const FloeCommand *commands, int argc, char **argv);

/* Parses ENTRIES out of a subcommand's ARGC and ARGV, leaving its positional arguments; exactly POSITIONAL of these must
 * remain besides ARGV[0], or any number when it is -1. */
gboolean floe_cli_parse (const FloeCommand *command, const GOptionEntry *entries, int positional, int *argc, char ***argv,
                         GError **error) FLOE_WARN_UNUSED;

/* The same for a program without subcommands, PROGRAM, that takes options alone; ARGUMENTS of them for usage. Prints the version
 * and exits on --version, as on --help. */
gboolean floe_cli_parse_options (const char *program, const char *arguments, const char *summary, const GOptionEntry *entries,
                                 int argc, char **argv, GError **error) FLOE_WARN_UNUSED;

/* Sets *error to MESSAGE as one of usage, for which programs end with status 2. Returns FALSE. */
gboolean floe_cli_usage (GError **error, const char *message);

/* Where the configuration of an endpoint lies unless --config names another; what to do where there is none. */
#define FLOE_CLI_CONFIG "/etc/floe/floe.conf"
#define FLOE_CLI_NO_CONFIG "--config names another; docs/architecture.md, 'Endpoint', says what it holds"
/* Adds what to do to the message of an error CODE: "MESSAGE; HINT". Returns FALSE. */
gboolean floe_cli_hint (GError **error, FloeError code, const char *hint);

/* Prints "PROGRAM: message" and returns 1, or 2 when the error is one of usage. */
int floe_cli_fail (const char *program, const GError *error);
