/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-boot-list.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The same bytes as a boot list and as a trace. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FloeTableEntry entry = { .compressed_size = 1, .raw_size = 1 };
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (GBytes) table_bytes = floe_table_build (&entry, 1);
  g_autoptr (FloeTable) table = floe_table_parse (table_bytes, "table", NULL);
  g_autoptr (FloeBootList) list = floe_boot_list_parse (bytes, "fuzz", NULL);
  g_autoptr (GBytes) made = floe_boot_list_from_trace (bytes, "fuzz", table, NULL);
  FloeDigest digest;

  for (size_t i = 0; list != NULL && i < floe_boot_list_count (list); i++)
    floe_boot_list_digest (list, i, &digest);
  if (made != NULL) {
    g_autoptr (FloeBootList) again = floe_boot_list_parse (made, "made", NULL);

    g_assert (again != NULL);
  }
  return 0;
}
