/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* What a client trusts, on disk: `root.json`, `timestamp.json`, `snapshot.json`, `targets.json` and a file for each delegated role that
 * was ever needed, byte for byte as the repository sent them. Each is replaced durably; whoever loads one verifies it again.
 *
 * One change concerns two files: a root that takes a key away from timestamp or snapshot also ends the trust in those two files
 * (5.3.11), for good, also if the power fails in between. So the intent goes first: a file `.recover` with the new root's version is
 * written, then the root replaced, then the two removed, then the intent. floe_state_settle() finishes an intent that was
 * interrupted if its root is there already, and drops it if not. */

typedef struct _FloeState FloeState;

/* DIR is duplicated and locked against other processes (BUSY). Removes what an interrupted write left. */
FloeState *floe_state_open (int dir, GError **error) FLOE_WARN_UNUSED;
void floe_state_free (FloeState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeState, floe_state_free)

/* NOT_FOUND when there is none. */
GBytes *floe_state_load (FloeState *state, const char *role, GError **error) FLOE_WARN_UNUSED;
gboolean floe_state_store (FloeState *state, const char *role, GBytes *content, GError **error) FLOE_WARN_UNUSED;
/* Replaces the root by CONTENT, of VERSION; RECOVER also ends the trust in timestamp and snapshot, as one change. */
gboolean floe_state_store_root (FloeState *state, GBytes *content, gint64 version, gboolean recover,
                                GError **error) FLOE_WARN_UNUSED;
/* Ends an intent that was interrupted; the caller has read the root and knows its VERSION (0: there is none). */
gboolean floe_state_settle (FloeState *state, gint64 version, GError **error) FLOE_WARN_UNUSED;
