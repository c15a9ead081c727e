/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-collector.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/image/floe-image-info.h"

/* Chunks are judged when they are about to be removed, by the catalogue of that moment, for a few milliseconds at a time: desktops read meanwhile. */

#define DIRECTORIES (UINT16_MAX + 1)
#define STEP_EVERY_MS 100
#define STEP_LASTS (5 * (G_USEC_PER_SEC / 1000))

struct _FloeCollector {
  FloeCatalogue *catalogue;
  FloeStore *store;
  char *images;
  gint64 grace;
  const FloeCollectorHandlers *handlers;
  gpointer data;
  gboolean known;   /* what machines need */
  gboolean begun;   /* a pass, at some time */
  guint next;       /* directory of the pass under way */
  guint source;     /* 0: none is */
  guint64 count, bytes;
  char *complaint;  /* id of an image that was last said to be missing */
};

FloeCollector *
floe_collector_new (FloeCatalogue *catalogue, FloeStore *store, const char *images, gint64 grace, const FloeCollectorHandlers *handlers,
                    gpointer data)
{
  FloeCollector *collector = g_new0 (FloeCollector, 1);

  collector->catalogue = catalogue;
  collector->store = store;
  collector->images = g_strdup (images);
  collector->grace = grace;
  collector->handlers = handlers;
  collector->data = data;
  return collector;
}

void
floe_collector_free (FloeCollector *collector)
{
  if (collector == NULL)
    return;
  g_clear_handle_id (&collector->source, g_source_remove);
  g_free (collector->images);
  g_free (collector->complaint);
  g_free (collector);
}

/* -- Chunks --------------------------------------------------------------------------------------------------------- */

static gboolean
is_wanted (const FloeDigest *digest, gpointer data)
{
  FloeCollector *collector = data;
  FloeTableEntry entry;

  return floe_catalogue_find (collector->catalogue, digest, &entry);
}

static void
tell_end (FloeCollector *collector, const GError *error)
{
  g_autofree char *count = g_strdup_printf ("%" G_GUINT64_FORMAT, collector->count);
  g_autofree char *bytes = g_strdup_printf ("%" G_GUINT64_FORMAT, collector->bytes);

  if (error != NULL)
    floe_log (G_LOG_LEVEL_WARNING, "chunks that no image has stay in the store", "REASON", error->message, NULL);
  if (collector->count > 0)
    floe_log (G_LOG_LEVEL_MESSAGE, "chunks that no image has were removed from the store", "COUNT", count, "BYTES", bytes, NULL);
  collector->count = collector->bytes = 0;
}

static gboolean
on_step (gpointer data)
{
  FloeCollector *collector = data;
  g_autoptr (GError) error = NULL;
  gint64 end = g_get_monotonic_time () + STEP_LASTS;
  gboolean swept = TRUE;

  if (!collector->known || !collector->handlers->may (collector->data))
    return G_SOURCE_CONTINUE;
  while (swept && collector->next < DIRECTORIES && g_get_monotonic_time () < end)
    swept = floe_store_sweep (collector->store, (uint16_t) collector->next++, is_wanted, collector, &collector->count, &collector->bytes, &error);
  if (swept && collector->next < DIRECTORIES)
    return G_SOURCE_CONTINUE;
  tell_end (collector, error);
  collector->source = 0;
  return G_SOURCE_REMOVE;
}

static void
begin_pass (FloeCollector *collector)
{
  collector->begun = TRUE;
  collector->next = 0;
  if (collector->source == 0)
    collector->source = g_timeout_add (STEP_EVERY_MS, on_step, collector);
}

/* -- Images --------------------------------------------------------------------------------------------------------- */

static FloeTable *
read_copy (FloeCollector *collector, const char *id, GError **error)
{
  g_auto (GStrv) parts = floe_image_label_split (id, error);
  g_autofree char *path = NULL, *file = NULL;
  g_autoptr (GBytes) bytes = NULL;
  floe_autofd dir = -1;

  if (parts == NULL)
    return NULL;
  path = g_build_filename (collector->images, parts[0], NULL);
  file = g_strconcat (parts[1], ".table", NULL);
  dir = floe_dir_open (path, error);
  bytes = dir < 0 ? NULL : floe_file_read_at (dir, file, FLOE_TABLE_MAX_BYTES, error);
  return bytes == NULL ? NULL : floe_table_parse (bytes, id, error);
}

/* A machine needs an image that no channel is at any more and that our last life has not known. */
static gboolean
learn (FloeCollector *collector, const char *id)
{
  g_autoptr (GError) error = NULL;
  FloeTable *table = read_copy (collector, id, &error);
  FloeCatalogueImage *image = table == NULL ? NULL : floe_catalogue_image_new (id, FALSE, table, NULL, collector->store, &error);

  if (image != NULL) {
    floe_catalogue_add (collector->catalogue, image);
    floe_log (G_LOG_LEVEL_MESSAGE, "image known by the machines that are on it", "IMAGE", id, NULL);
    return TRUE;
  }
  if (g_strcmp0 (collector->complaint, id) != 0)
    floe_log (G_LOG_LEVEL_WARNING, "a machine is on an image that is not known: no chunks are removed", "IMAGE", id, "REASON", error->message, NULL);
  g_free (collector->complaint);
  collector->complaint = g_strdup (id);
  return FALSE;
}

static void
on_dropped (const char *id, gpointer data)
{
  FloeCollector *collector = data;

  floe_log (G_LOG_LEVEL_MESSAGE, "image not needed any more", "IMAGE", id, NULL);
  collector->handlers->dropped (id, collector->data);
}

void
floe_collector_take_in_use (FloeCollector *collector, const char *const *ids, gint64 now)
{
  collector->known = ids != NULL;
  for (size_t i = 0; ids != NULL && ids[i] != NULL; i++)
    if (!floe_catalogue_has_image (collector->catalogue, ids[i]) && !learn (collector, ids[i]))
      collector->known = FALSE;
  if (!collector->known)
    return;
  g_clear_pointer (&collector->complaint, g_free);
  if (!collector->handlers->may (collector->data))
    return;
  if (floe_catalogue_retire (collector->catalogue, ids, now, collector->grace, on_dropped, collector) > 0 || !collector->begun)
    begin_pass (collector);
}

gboolean
floe_collector_knows (FloeCollector *collector)
{
  return collector->known;
}
