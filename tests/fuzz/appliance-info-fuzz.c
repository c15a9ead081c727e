/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-appliance-info.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What is accepted, written and read again says the same. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (FloeApplianceInfo) info = floe_appliance_info_parse (bytes, "fuzz", NULL), back = NULL;
  g_autoptr (GBytes) written = NULL, again = NULL;

  if (info == NULL)
    return 0;
  written = floe_appliance_info_build (info);
  back = floe_appliance_info_parse (written, "written", NULL);
  g_assert (back != NULL);
  again = floe_appliance_info_build (back);
  g_assert (g_bytes_equal (written, again));
  g_assert (floe_appliance_may_replace (info, info->version, NULL) == FALSE);
  return 0;
}
