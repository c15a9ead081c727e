/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-trust.h"

/* Fetches from NETWORK (owned from here on) and writes what came to SPOOL_DIR (borrowed), the directory at SPOOL_PATH. Targets carry their SHA-256 in
 * their path: one that the spool has whole is not fetched again.
 * The timestamp names all the rest, so it is written last, by floe_spool_commit: until then who reads the spool finds what it found before, never
 * metadata of which the targets are still to come. */
FloeTrustTransport *floe_spool_transport (const char *spool_path, int spool_dir, FloeTrustTransport *network);
/* Removes indexes, tables and boot lists that TRANSPORT was not asked for and that were not asked for before the last call either: *UNNEEDED, a set of strings
 * that is empty at first, is what it remembers for the next and replaces. Other targets are small, and older metadata may still lead to them. */
gboolean floe_spool_prune (FloeTrustTransport *transport, GHashTable **unneeded, GError **error) FLOE_WARN_UNUSED;
/* Writes the last timestamp that TRANSPORT (floe_spool_transport's) fetched; nothing, if it fetched none since the last commit. The caller's client
 * has accepted it. */
gboolean floe_spool_commit (FloeTrustTransport *transport, GError **error) FLOE_WARN_UNUSED;
