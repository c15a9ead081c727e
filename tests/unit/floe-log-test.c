/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-log.h"

#include <string.h>

static void
child_logs (void)
{
  floe_log_init ("floe-test");
  floe_warning ("chunk refused", "VM", "office", "DIGEST", NULL, "DEVICE", "stick\n error: forged RULE=none");
  floe_debug ("not shown");
}

static void
test_one_line (void)
{
  if (g_test_subprocess ()) {
    child_logs ();
    return;
  }
  g_unsetenv ("FLOE_DEBUG");
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  /* A hostile string stays inside its field and its line. */
  g_test_trap_assert_stderr ("floe-test: warning: chunk refused VM=office DEVICE=stick\\x0a error: forged RULE=none\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/log/one-line", test_one_line);
  return g_test_run ();
}
