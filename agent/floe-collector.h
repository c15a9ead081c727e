/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-catalogue.h"

/* Takes out of the catalogue the images that this endpoint needs no more, and out of the store the chunks that no image in the catalogue has. hypervisord says
 * what is needed beside what channels are at: machines stay on the version that their disk was begun on. Main thread. */
typedef struct _FloeCollector FloeCollector;

typedef struct {
  /* Image ID has gone from the catalogue. */
  void (*dropped) (const char *id, gpointer data);
  /* Whether images may go, and chunks be removed, now: not while tables are read elsewhere which the catalogue is still to have. */
  gboolean (*may) (gpointer data);
} FloeCollectorHandlers;

/* CATALOGUE and STORE must live as long. IMAGES: directory of hypervisord's verified copies (NAME/VERSION.table). GRACE: microseconds for which an image has to be
 * unneeded before it goes. */
FloeCollector *floe_collector_new (FloeCatalogue *catalogue, FloeStore *store, const char *images, gint64 grace,
                                   const FloeCollectorHandlers *handlers, gpointer data);
void floe_collector_free (FloeCollector *collector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeCollector, floe_collector_free)

/* Machines need IDS (NULL-terminated); with NULL, that is not known. Tables of those that the catalogue lacks are read from hypervisord's copies. As long as it is not known
 * what machines need, or one of these tables cannot be had, nothing is removed. After the first time, and when images went, the store is gone through in the background. */
void floe_collector_take_in_use (FloeCollector *collector, const char *const *ids, gint64 now);
/* Whether the catalogue has all that machines need. */
gboolean floe_collector_knows (FloeCollector *collector);
