/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-probe.h"

static void
append (GString *text, const char *feature, const char *why)
{
  if (text != NULL)
    g_string_append_printf (text, "%s%s [%s]", text->len == 0 ? "" : "; ", feature, why);
}

gboolean
floe_net_probe (FloeNetCheck check, gpointer data, unsigned *lacks, GString *missing, GError **error)
{
  g_autoptr (GString) needed = g_string_new (NULL);
  const char *feature;
  unsigned lack, all = 0;

  for (size_t i = 0;; i++) {
    g_autoptr (FloeRuleset) ruleset = floe_ruleset_probe (i, &feature, &lack);
    g_autoptr (GError) failure = NULL;

    if (ruleset == NULL)
      break;
    if (check (ruleset, data, &failure))
      continue;
    all |= lack;
    append (lack != 0 ? missing : needed, feature, failure->message);
  }
  if (needed->len > 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "the packet filter of this kernel lacks: %s", needed->str);
  *lacks = all;
  return TRUE;
}
