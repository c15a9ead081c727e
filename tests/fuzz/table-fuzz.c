/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-table.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What is accepted is found again by its digest, and written again it is the same. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (FloeTable) table = floe_table_parse (bytes, "fuzz", NULL);
  g_autofree FloeTableEntry *entries = NULL;
  g_autoptr (GBytes) again = NULL;

  if (table == NULL)
    return 0;
  entries = g_new (FloeTableEntry, floe_table_count (table) + 1);
  for (size_t i = 0; i < floe_table_count (table); i++) {
    FloeTableEntry found;

    floe_table_entry (table, i, &entries[i]);
    g_assert (floe_table_find (table, &entries[i].digest, &found));
    g_assert (found.raw_size == entries[i].raw_size && found.raw_size <= FLOE_CHUNK_SIZE);
    g_assert (found.compressed_size <= FLOE_CHUNK_COMPRESSED_MAX);
  }
  again = floe_table_build (entries, floe_table_count (table));
  g_assert (g_bytes_equal (bytes, again));
  return 0;
}
