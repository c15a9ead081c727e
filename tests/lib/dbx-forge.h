/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* Lists of what is forbidden, as firmware keeps them, and updates of them, without our reader of them. */

/* Bytes of the signature in an update that is made here; it is none. */
#define DBX_FORGE_SIGNATURE 5

/* Adds a list of COUNT images; one of COUNT entries of another kind with SIZE bytes each. */
void dbx_forge_images (GByteArray *lists, const FloeDigest *images, guint count);
void dbx_forge_others (GByteArray *lists, guint count, guint size);
/* For COUNT images; 0: without a list. */
GBytes *dbx_forge_update (const FloeDigest *images, guint count);
