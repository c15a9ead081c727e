/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-probe.h"

gboolean
floe_net_probe (FloeNetCheck check, gpointer data, GError **error)
{
  g_autoptr (GString) missing = g_string_new (NULL);
  const char *feature;

  for (size_t i = 0;; i++) {
    g_autoptr (FloeRuleset) ruleset = floe_ruleset_probe (i, &feature);
    g_autoptr (GError) failure = NULL;

    if (ruleset == NULL)
      break;
    if (!check (ruleset, data, &failure))
      g_string_append_printf (missing, "%s%s [%s]", missing->len == 0 ? "" : "; ", feature, failure->message);
  }
  return missing->len == 0
         || floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "the packet filter of this kernel lacks: %s", missing->str);
}
