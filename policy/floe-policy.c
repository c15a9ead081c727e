/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-log.h"
#include "policy/document/floe-policy-commands.h"
#include "policy/signing/floe-signing-commands.h"

#include <string.h>

/* Both arrays in one, ended by a NULL name. */
static FloeCommand *
join_commands (void)
{
  const FloeCommand *const parts[] = { floe_document_commands, floe_signing_commands };
  GArray *all = g_array_new (TRUE, TRUE, sizeof (FloeCommand));

  for (size_t i = 0; i < G_N_ELEMENTS (parts); i++)
    for (const FloeCommand *command = parts[i]; command->name != NULL; command++)
      g_array_append_vals (all, command, 1);
  return (FloeCommand *) (void *) g_array_free (all, FALSE);
}

int
main (int argc, char **argv)
{
  g_autofree FloeCommand *commands = join_commands ();

  floe_log_init ("floe-policy");
  return floe_cli_run ("floe-policy", "policy documents, and the signed repository that carries them", commands, argc, argv);
}
