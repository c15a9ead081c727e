/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-log.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A logged packet: what comes out is whole, and can be added up and told. */

static void
tell (int slot, const FloeNetLogEntry *entry, guint64 count, gpointer data)
{
  g_assert (slot >= 0 && count > 0 && (entry == NULL || entry->slot == slot));
  (*(guint *)data)++;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FloeNetLogEntry entry;
  guint told = 0;

  if (!floe_net_log_decode (data, size, &entry))
    return 0;
  g_assert (memchr (entry.rule, '\0', sizeof entry.rule) != NULL && entry.rule[0] != '\0');
  g_assert (entry.source.family == 0 || entry.source.family == 4 || entry.source.family == 6);
  {
    g_autoptr (FloeNetLogSum) sum = floe_net_log_sum_new ();

    floe_net_log_sum_add (sum, &entry);
    floe_net_log_sum_add (sum, &entry);
    floe_net_log_sum_take (sum, tell, &told);
    g_assert (told == 1);
  }
  return 0;
}
