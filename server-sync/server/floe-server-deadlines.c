/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-deadlines.h"

#include <sys/socket.h>

struct _FloeServerDeadline {
  int fd;
  gint64 at;
};

struct _FloeServerDeadlines {
  GMutex lock;
  GHashTable *entries; /* set of FloeServerDeadline, owned */
};

FloeServerDeadlines *
floe_server_deadlines_new (void)
{
  FloeServerDeadlines *deadlines = g_new0 (FloeServerDeadlines, 1);

  g_mutex_init (&deadlines->lock);
  deadlines->entries = g_hash_table_new_full (NULL, NULL, g_free, NULL);
  return deadlines;
}

void
floe_server_deadlines_free (FloeServerDeadlines *deadlines)
{
  if (deadlines == NULL)
    return;
  g_hash_table_unref (deadlines->entries);
  g_mutex_clear (&deadlines->lock);
  g_free (deadlines);
}

FloeServerDeadline *
floe_server_deadlines_add (FloeServerDeadlines *deadlines, int fd, gint64 at)
{
  FloeServerDeadline *entry = g_new0 (FloeServerDeadline, 1);

  entry->fd = fd;
  entry->at = at;
  g_mutex_lock (&deadlines->lock);
  g_hash_table_add (deadlines->entries, entry);
  g_mutex_unlock (&deadlines->lock);
  return entry;
}

void
floe_server_deadlines_move (FloeServerDeadlines *deadlines, FloeServerDeadline *entry, gint64 at)
{
  g_mutex_lock (&deadlines->lock);
  entry->at = at;
  g_mutex_unlock (&deadlines->lock);
}

void
floe_server_deadlines_remove (FloeServerDeadlines *deadlines, FloeServerDeadline *entry)
{
  g_mutex_lock (&deadlines->lock);
  g_hash_table_remove (deadlines->entries, entry);
  g_mutex_unlock (&deadlines->lock);
}

unsigned
floe_server_deadlines_expire (FloeServerDeadlines *deadlines, gint64 now)
{
  GHashTableIter iterator;
  gpointer key;
  unsigned expired = 0;

  /* Under the lock the descriptor cannot be closed and given to another connection. */
  g_mutex_lock (&deadlines->lock);
  g_hash_table_iter_init (&iterator, deadlines->entries);
  while (g_hash_table_iter_next (&iterator, &key, NULL)) {
    FloeServerDeadline *entry = key;

    if (entry->at > now)
      continue;
    shutdown (entry->fd, SHUT_RDWR);
    entry->at = G_MAXINT64;
    expired++;
  }
  g_mutex_unlock (&deadlines->lock);
  return expired;
}

unsigned
floe_server_deadlines_count (FloeServerDeadlines *deadlines)
{
  unsigned count;

  g_mutex_lock (&deadlines->lock);
  count = g_hash_table_size (deadlines->entries);
  g_mutex_unlock (&deadlines->lock);
  return count;
}
