/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "policy/document/floe-policy.h"

#include <string.h>
#include <unistd.h>

/* Between the files that hold floe-policy's offline commands. */

/* WHAT was given instead; NULL when something is missing or too much. */
static inline gboolean
usage (GError **error, const char *message, const char *what)
{
  g_autofree char *instead = what != NULL ? g_strdup_printf (", not '%s'", what) : g_strdup ("");

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s%s", message, instead);
  return FALSE;
}

/* Past g_print(), which would turn what the locale lacks into question marks, and hide a full disk. */
static inline gboolean
print (const char *text, GError **error)
{
  return floe_write_all (STDOUT_FILENO, text, strlen (text), error);
}

static inline gboolean
parse_number (const char *text, guint64 max, guint64 *number)
{
  return g_ascii_string_to_unsigned (text, 10, 0, max, number, NULL);
}

FloePolicyDocument *floe_policy_load (const char *path, GError **error) FLOE_WARN_UNUSED;

/* `explain FILE packet ...`: ARGV as floe_cli_parse() takes it. */
gboolean floe_policy_explain_packet_command (const FloeCommand *command, int argc, char **argv, GError **error);

/* `import-usbguard FILE`: the list on standard output, what became of each rule that is not wholly there on standard error; an error when
 * some rule could not be translated. */
gboolean floe_policy_import_usbguard_command (const FloeCommand *command, int argc, char **argv, GError **error);

/* `explain FILE usb ...`: ARGV as floe_cli_parse() takes it. */
gboolean floe_policy_explain_usb_command (const FloeCommand *command, int argc, char **argv, GError **error);
