/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolver-events.h"

#include <string.h>

#define MINUTE (60 * G_USEC_PER_SEC)
#define DISTINCT_MAX 256

typedef struct {
  FloeResolverEvent event; /* its name is the table's key; count: not told yet */
} Entry;

struct _FloeResolverEvents {
  void (*tell) (const FloeResolverEvent *event, gpointer data);
  gpointer data;
  GHashTable *entries; /* "KIND NAME" to Entry, of this minute */
  gint64 began;
  unsigned told, left_out;
};

FloeResolverEvents *
floe_resolver_events_new (void (*tell) (const FloeResolverEvent *event, gpointer data), gpointer data)
{
  FloeResolverEvents *events = g_new0 (FloeResolverEvents, 1);

  events->tell = tell;
  events->data = data;
  events->entries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return events;
}

void
floe_resolver_events_free (FloeResolverEvents *events)
{
  if (events == NULL)
    return;
  g_hash_table_unref (events->entries);
  g_free (events);
}

static void
tell (FloeResolverEvents *events, FloeResolverEvent event)
{
  if (events->told >= FLOE_RESOLVER_EVENTS_PER_MINUTE) {
    events->left_out += event.count;
    return;
  }
  event.left_out = events->left_out;
  events->left_out = 0;
  events->told++;
  events->tell (&event, events->data);
}

gboolean
floe_resolver_events_tick (FloeResolverEvents *events, gint64 now)
{
  g_autoptr (GHashTable) over = NULL;
  GHashTableIter iter;
  gpointer key, value;

  if (now - events->began < MINUTE)
    return g_hash_table_size (events->entries) > 0;
  over = events->entries;
  events->entries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  events->began = now;
  events->told = 0;
  g_hash_table_iter_init (&iter, over);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    Entry *entry = value;

    entry->event.name = strchr (key, ' ') + 1;
    if (entry->event.count > 0)
      tell (events, entry->event);
  }
  return g_hash_table_size (events->entries) > 0 || events->left_out > 0;
}

void
floe_resolver_events_add (FloeResolverEvents *events, const FloeResolverEvent *event, gint64 now)
{
  g_autofree char *key = g_strdup_printf ("%u %s", event->kind, event->name);
  Entry *entry;

  floe_resolver_events_tick (events, now);
  events->left_out += event->left_out;
  entry = g_hash_table_lookup (events->entries, key);
  if (entry != NULL) {
    entry->event.count += event->count;
  } else if (g_hash_table_size (events->entries) >= DISTINCT_MAX) {
    events->left_out += event->count;
  } else {
    entry = g_new0 (Entry, 1);
    entry->event = *event;
    entry->event.name = NULL;
    entry->event.count = 0;
    g_hash_table_insert (events->entries, g_steal_pointer (&key), entry);
    tell (events, *event);
  }
}
