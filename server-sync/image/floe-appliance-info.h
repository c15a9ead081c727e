/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-index.h"

/* The target appliance/CHANNEL.json: which version of the appliance a channel is at, and of what it is made.
 * docs/appliance-update.md shows one. */

/* A version is a decimal number that only grows; a partition's label has room for eighteen digits of it. */
#define FLOE_APPLIANCE_VERSION_MAX INT64_C (999999999999999999)
/* Nothing larger is fetched, read into memory or written, whoever signed it. */
#define FLOE_APPLIANCE_ROOT_MAX (UINT64_C (4) << 30)
#define FLOE_APPLIANCE_VERITY_MAX (UINT64_C (64) << 20)
#define FLOE_APPLIANCE_UKI_MAX (UINT64_C (256) << 20)

/* The root file system, dm-verity's hash tree over it, and the unified kernel image whose command line has the tree's root hash. */
typedef enum { FLOE_APPLIANCE_ROOT, FLOE_APPLIANCE_VERITY, FLOE_APPLIANCE_UKI } FloeAppliancePieceKind;
#define FLOE_APPLIANCE_PIECES 3
/* "root", "verity", "uki"; NULL-terminated. */
extern const char *const floe_appliance_piece_names[];

typedef struct {
  uint64_t size;
  FloeDigest digest;       /* of its bytes */
  FloeDigest index, table; /* of these targets' bytes */
} FloeAppliancePiece;

typedef struct {
  gint64 version;
  gint64 replaces;      /* it may replace this version and those after it; 1: any */
  gboolean allow_older; /* it may also replace versions that are newer than it */
  FloeDigest root_hash; /* of dm-verity */
  FloeAppliancePiece pieces[FLOE_APPLIANCE_PIECES];
} FloeApplianceInfo;

#define FLOE_APPLIANCE_INFO_MAX_BYTES 16384

/* INVALID for anything else than such a file of form 1: unknown keys, other architectures, sizes that are 0 or beyond the limits. */
FloeApplianceInfo *floe_appliance_info_parse (GBytes *bytes, const char *source, GError **error) FLOE_WARN_UNUSED;
/* Writes it; the same INFO always gives the same bytes. */
GBytes *floe_appliance_info_build (const FloeApplianceInfo *info);
void floe_appliance_info_free (FloeApplianceInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeApplianceInfo, floe_appliance_info_free)

/* Target names: appliance/CHANNEL.json, and appliance/PIECE.ID.SUFFIX for SUFFIX "caibx" and "table", where ID is the first 16 digits of the
 * digest of the piece's index: a piece that two versions share is there once. */
char *floe_appliance_channel_target (const char *channel);
char *floe_appliance_target (const FloeApplianceInfo *info, FloeAppliancePieceKind kind, const char *suffix);
/* ".appliance-PIECE/ID": no image of a desktop may be called so (floe_name_is_safe()), and none be taken for it. */
char *floe_appliance_piece_id (const FloeApplianceInfo *info, FloeAppliancePieceKind kind);

/* Whether INFO may take the place of version RUNNING. ROLLBACK or REFUSED otherwise. The same version is refused, too. Pure. */
gboolean floe_appliance_may_replace (const FloeApplianceInfo *info, gint64 running, GError **error) FLOE_WARN_UNUSED;

/* The names by which the firmware's and the kernel's side know a version's partitions (Discoverable Partitions Specification): the UUID of
 * the root partition is the first half of the root hash, that of the tree's partition the second. */
#define FLOE_UUID_SIZE 37
void floe_appliance_uuid (const FloeDigest *root_hash, FloeAppliancePieceKind kind, char uuid[FLOE_UUID_SIZE]);

/* Whether the unified kernel image UKI has "roothash=" and this root hash on its command line: another one would boot another root, or
 * none. INVALID otherwise. Signatures are the firmware's to check. */
gboolean floe_appliance_uki_names (GBytes *uki, const FloeDigest *root_hash, const char *source, GError **error) FLOE_WARN_UNUSED;
