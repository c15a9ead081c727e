/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-session.h"
#include "common/floe-cli.h"

#include <errno.h>
#include <unistd.h>

#ifndef FLOE_MESA_DIR
#error "FLOE_MESA_DIR: where Mesa's drivers are"
#endif

/* What floe-console.service starts: cage, and in it the console. A program of ours, since an appliance has no shell. */
int
main (int argc, char **argv)
{
  static const GOptionEntry none[] = { { NULL } };
  char *compositor[] = { (char *)"cage", (char *)"-d", (char *)"--", (char *)"floe-console", NULL };
  g_autoptr (GError) error = NULL;

  if (!floe_cli_parse_options ("floe-session", "", "Starts cage with floe-console in it, on the seat of this service.", none, argc, argv,
                               &error))
    return floe_cli_fail ("floe-session", error);
  /* Set by somebody, it is left as it is. */
  if (!floe_session_has_gpu ("/sys", FLOE_MESA_DIR))
    g_setenv ("WLR_RENDERER", "pixman", FALSE);
  execvp (compositor[0], compositor);
  floe_error_set_errno (&error, errno, "start cage");
  return floe_cli_fail ("floe-session", error);
}
