/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-private.h"

#include <string.h>

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

/* Adds to the entry of the same id and effect: both directions' "default" are one line to people. */
static void
add_up (FloeNetStatistics *statistics, const FloeRule *rule, const FloeRulesCounter *counted)
{
  gboolean allowed = rule->verdict == FLOE_VERDICT_ACCEPT;
  FloeNetCounter *entry = NULL;

  for (guint i = 0; i < statistics->rules->len; i++) {
    FloeNetCounter *known = g_ptr_array_index (statistics->rules, i);

    if (strcmp (known->rule, rule->comment) == 0 && known->allowed == allowed)
      entry = known;
  }
  if (entry == NULL) {
    entry = g_new0 (FloeNetCounter, 1);
    entry->rule = g_strdup (rule->comment);
    entry->allowed = allowed;
    g_ptr_array_add (statistics->rules, entry);
  }
  entry->packets += counted->packets;
  entry->bytes += counted->bytes;
  if (rule->final)
    *(allowed ? &statistics->allowed_packets : &statistics->dropped_packets) += counted->packets;
}

static gboolean
read_table (FloeNetCard *card, const FloeTable *table, FloeNetStatistics *statistics, GError **error)
{
  g_autoptr (GPtrArray) counters = floe_rules_counters (card->net->filter, table->netdev, table->name, error);
  g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);

  if (counters == NULL)
    return FALSE;
  for (guint i = 0; i < counters->len; i++) {
    FloeRulesCounter *counter = g_ptr_array_index (counters, i);

    g_hash_table_insert (by_name, counter->name, counter);
  }
  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    for (guint j = 0; j < chain->rules->len; j++) {
      const FloeRule *rule = g_ptr_array_index (chain->rules, j);
      gpointer counter;

      /* Rules that share a counter are one line: it is taken with the first. */
      if (rule->counter != NULL && g_hash_table_steal_extended (by_name, rule->counter, NULL, &counter))
        add_up (statistics, rule, counter);
    }
  }
  return TRUE;
}

FloeNetStatistics *
floe_net_card_statistics (FloeNetCard *card, GError **error)
{
  g_autoptr (FloeNetStatistics) statistics = g_new0 (FloeNetStatistics, 1);

  statistics->rules = g_ptr_array_new_with_free_func (free_counter);
  if (!read_table (card, card->ruleset->link, statistics, error)
      || !read_table (card, card->ruleset->flow, statistics, error))
    return NULL;
  return g_steal_pointer (&statistics);
}
