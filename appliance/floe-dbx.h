/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* What Secure Boot forbids, whoever signed it: the variable dbx, a row of EFI_SIGNATURE_LISTs (UEFI 2.10, 32.4.1). It is everybody's: the maker of the
 * machine, other systems' updates and ours add to it. Of interest here are images by their SHA-256 (floe_pe_digest()). Pure. */

#define FLOE_DBX_MAX (1u << 20)
/* Of an update of ours. */
#define FLOE_DBX_UPDATE_MAX (64u << 10)

typedef struct _FloeDbx FloeDbx;

/* LISTS as the variable holds them. Entries of other kinds (certificates, other digests) are passed over, whole. INVALID when sizes do not come out
 * even, LIMIT above FLOE_DBX_MAX. */
FloeDbx *floe_dbx_parse (GBytes *lists, GError **error) FLOE_WARN_UNUSED;
/* What UPDATE would add: an EFI_VARIABLE_AUTHENTICATION_2 (8.2.2), whose signature is the firmware's to judge, and lists that have nothing but images by
 * their SHA-256, one at least. INVALID, LIMIT. */
FloeDbx *floe_dbx_parse_update (GBytes *update, GError **error) FLOE_WARN_UNUSED;
void floe_dbx_free (FloeDbx *dbx);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeDbx, floe_dbx_free)

guint floe_dbx_count (const FloeDbx *dbx);
gboolean floe_dbx_has (const FloeDbx *dbx, const FloeDigest *image);
/* How many of WANTED are not in DBX. */
guint floe_dbx_missing (const FloeDbx *dbx, const FloeDbx *wanted);

/* What the variable holds after UPDATE was appended to LISTS, as the firmware of EDK II does it (AuthVariableLib): entries that are there already, owner and all, are
 * left out, and lists of which nothing is left. Errors are those of the parsers above. */
GBytes *floe_dbx_appended (GBytes *lists, GBytes *update, GError **error) FLOE_WARN_UNUSED;
