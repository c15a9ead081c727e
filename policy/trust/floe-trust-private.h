/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-metadata.h"
#include "policy/trust/floe-state.h"
#include "policy/trust/floe-trust.h"

/* Shared by the files of the workflow only. */

struct _FloeTrust {
  FloeState *state;
  FloeTrustTransport *transport;
  FloeMetadata *root;                            /* always there, verified by its own keys */
  FloeMetadata *timestamp, *snapshot, *targets;  /* as far as the last refresh or resume came; all there: usable */
  GHashTable *delegated;                         /* role → FloeMetadata, of this snapshot; to be verified for each delegator */
  gint64 now;
  gboolean resumed;                              /* nothing is judged by the clock, local versions may be behind the snapshot's */
};

/* Opens RAW, counts ROLE's signatures, parses it as TYPE. */
FloeMetadata *floe_trust_judge (GBytes *raw, const char *source, const FloeRole *role, FloeRoleType type, GError **error);

/* What the state directory has for ROLE, if ROLE's keys signed it; NULL, for whatever reason, means nothing to build on. */
FloeMetadata *floe_trust_local (FloeTrust *trust, const FloeRole *role, FloeRoleType type);

/* The metadata that FILE names, for ROLE: from the state directory if that is it (*FETCHED FALSE), else from the repository. Verified,
 * of the version that FILE says, but neither judged by the clock nor stored. */
FloeMetadata *floe_trust_obtain (FloeTrust *trust, const FloeRole *role, FloeRoleType type, const FloeMetaFile *file,
                                 guint64 max, gboolean *fetched, GCancellable *cancellable, GError **error);

/* EXPIRED unless METADATA's time is after the trust's now. */
gboolean floe_trust_check_fresh (FloeTrust *trust, FloeMetadata *metadata, GError **error);

#define FLOE_TRUST_TARGETS_MAX (16u << 20) /* of targets metadata whose length is not said */
