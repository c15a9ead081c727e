/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-private.h"

static void
free_counter (gpointer data)
{
  FloeNetCounter *counter = data;

  g_free (counter->rule);
  g_free (counter);
}

void
floe_net_statistics_free (FloeNetStatistics *statistics)
{
  if (statistics == NULL)
    return;
  g_clear_pointer (&statistics->rules, g_ptr_array_unref);
  g_free (statistics);
}

/* The entry of this id and effect: both directions' "default" are one line to people. KNOWN: to entries, by effect and id. */
static FloeNetCounter *
entry_of (FloeNetStatistics *statistics, GHashTable *known, const FloeCounter *counter)
{
  g_autofree char *key = g_strdup_printf ("%d %s", counter->allowed, counter->id);
  FloeNetCounter *entry = g_hash_table_lookup (known, key);

  if (entry != NULL)
    return entry;
  entry = g_new0 (FloeNetCounter, 1);
  entry->rule = g_strdup (counter->id);
  entry->allowed = counter->allowed;
  g_ptr_array_add (statistics->rules, entry);
  g_hash_table_insert (known, g_steal_pointer (&key), entry);
  return entry;
}

static gboolean
read_table (FloeNetCard *card, const FloeTable *table, GHashTable *known, FloeNetStatistics *statistics, GError **error)
{
  g_autoptr (GPtrArray) counters = floe_rules_counters (card->net->filter, table->netdev, table->name, error);
  g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);

  if (counters == NULL)
    return FALSE;
  for (guint i = 0; i < counters->len; i++) {
    FloeRulesCounter *counter = g_ptr_array_index (counters, i);

    g_hash_table_insert (by_name, counter->name, counter);
  }
  for (guint i = 0; i < table->counters->len; i++) {
    const FloeCounter *counter = g_ptr_array_index (table->counters, i);
    const FloeRulesCounter *counted = g_hash_table_lookup (by_name, counter->name);
    FloeNetCounter *entry;

    if (counted == NULL || counter->internal)
      continue;
    entry = entry_of (statistics, known, counter);
    entry->packets += counted->packets;
    entry->bytes += counted->bytes;
    if (counter->final)
      *(counter->allowed ? &statistics->allowed_packets : &statistics->dropped_packets) += counted->packets;
  }
  return TRUE;
}

FloeNetStatistics *
floe_net_card_statistics (FloeNetCard *card, GError **error)
{
  g_autoptr (FloeNetStatistics) statistics = g_new0 (FloeNetStatistics, 1);
  g_autoptr (GHashTable) known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  statistics->rules = g_ptr_array_new_with_free_func (free_counter);
  if (!read_table (card, card->ruleset->link, known, statistics, error)
      || !read_table (card, card->ruleset->flow, known, statistics, error))
    return NULL;
  return g_steal_pointer (&statistics);
}
