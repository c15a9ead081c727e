/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-install.h"

/* The two tables that an installation writes, each as both ends of a disk: made by libfdisk in memory, put on the disk in our order. */

#define FLOE_INSTALL_TABLE_SECTORS 34u /* protective MBR, header, 128 entries; at the end the same without the MBR */

typedef struct {
  uint8_t start[FLOE_INSTALL_TABLE_SECTORS * 512];
  uint8_t end[(FLOE_INSTALL_TABLE_SECTORS - 1) * 512];
} FloeInstallTable;

/* One partition, FLOE_INSTALL_MARK, over all of a disk of SIZE bytes. */
gboolean floe_install_table_mark (uint64_t size, FloeInstallTable *table, GError **error) FLOE_WARN_UNUSED;
/* Floe's partitions, with VERSION in the first slot. */
gboolean floe_install_table_make (uint64_t size, const FloeInstallPlan *plan, int64_t version, const FloeDigest *root_hash, FloeInstallTable *table,
                                  GError **error) FLOE_WARN_UNUSED;
