/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-dbx.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* To nothing, and to what it is itself: nothing is lost, and nothing is there twice that was not. */
static void
appends (GBytes *lists, GBytes *update)
{
  g_autoptr (GBytes) nothing = g_bytes_new_static ("", 0), first = floe_dbx_appended (nothing, update, NULL), again = floe_dbx_appended (lists, update, NULL);
  g_autoptr (FloeDbx) list = floe_dbx_parse (first, NULL), wanted = floe_dbx_parse_update (update, NULL);

  g_assert (list != NULL && floe_dbx_missing (list, wanted) == 0);
  g_assert (g_bytes_equal (again, lists));
}

/* As firmware's list and as an update of it: no more images than there is room for, none is missing from itself, and what an update has, its lists have. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (FloeDbx) list = floe_dbx_parse (bytes, NULL), update = floe_dbx_parse_update (bytes, NULL);

  if (list != NULL) {
    g_assert (floe_dbx_count (list) * 48u <= size);
    g_assert (floe_dbx_missing (list, list) == 0);
  }
  if (update != NULL) {
    size_t head = 16u + (data[16] | (size_t) data[17] << 8 | (size_t) data[18] << 16 | (size_t) data[19] << 24);
    g_autoptr (GBytes) lists = g_bytes_new (data + head, size - head);
    g_autoptr (FloeDbx) found = floe_dbx_parse (lists, NULL);

    g_assert (found != NULL && floe_dbx_count (update) > 0 && floe_dbx_count (found) == floe_dbx_count (update));
    g_assert (floe_dbx_missing (found, update) == 0 && floe_dbx_missing (update, found) == 0);
    appends (lists, bytes);
  }
  return 0;
}
