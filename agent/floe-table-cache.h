/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-table.h"

/* Chunk tables that were verified, kept in the agent's own state: a machine that still runs an image's last version needs chunks
 * that no metadata vouches for any more. Files are NAME.VERSION.table. */

#define FLOE_TABLE_CACHE_VERSIONS 3 /* of one image */

/* Keeps TABLE for image ID ("NAME/VERSION"), and of that image only the newest few. */
gboolean floe_table_cache_keep (int dir, const char *id, GBytes *table, GError **error) FLOE_WARN_UNUSED;
/* Removes the table of image ID; one that is not there is success. */
gboolean floe_table_cache_forget (int dir, const char *id, GError **error) FLOE_WARN_UNUSED;
/* Calls EACH (which takes TABLE over) with every table kept; what cannot be read as one is removed. */
gboolean floe_table_cache_load (int dir, void (*each) (const char *id, FloeTable *table, gpointer data), gpointer data,
                                GError **error) FLOE_WARN_UNUSED;
