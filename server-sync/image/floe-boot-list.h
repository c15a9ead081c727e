/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-table.h"

/* Boot list (.boot): digests of chunks in the order in which a boot first reads them. Little-endian:
 *   8 bytes "FLOEBOT1", u32 count, u32 32 (bytes a digest), then count digests, none twice. */
#define FLOE_BOOT_LIST_HEAD 16
/* 64 GiB worth of chunks: no boot reads more. */
#define FLOE_BOOT_LIST_MAX_CHUNKS 524288u
#define FLOE_BOOT_LIST_MAX_BYTES (FLOE_BOOT_LIST_HEAD + FLOE_DIGEST_SIZE * (size_t) FLOE_BOOT_LIST_MAX_CHUNKS)

typedef struct _FloeBootList FloeBootList;

/* INVALID for anything that is not exactly such a list. */
FloeBootList *floe_boot_list_parse (GBytes *bytes, const char *source, GError **error) FLOE_WARN_UNUSED;
void floe_boot_list_free (FloeBootList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeBootList, floe_boot_list_free)
size_t floe_boot_list_count (const FloeBootList *list);
void floe_boot_list_digest (const FloeBootList *list, size_t number, FloeDigest *digest);

/* From the plugin's trace (a line of 64 hexadecimal digits for each chunk first read, a repeated one is left out). Chunks
 * that TABLE lacks are left out too, so that the trace of one version serves the next. INVALID for anything else. */
GBytes *floe_boot_list_from_trace (GBytes *trace, const char *source, const FloeTable *table,
                                   GError **error) FLOE_WARN_UNUSED;

/* The list of these DIGESTS, none of them twice, FLOE_BOOT_LIST_MAX_CHUNKS at most. */
GBytes *floe_boot_list_build (const FloeDigest *digests, size_t count);
