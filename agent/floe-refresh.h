/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-agent-config.h"
#include "agent/floe-catalogue.h"

/* One round of the TUF client: metadata, the group's policy, and of each image that it names image.json, index, table and boot list.
 * Whatever comes over the network is left byte for byte in the spool for hypervisord to judge. Blocking: for a thread
 * of its own, one round at a time. */

typedef enum {
  FLOE_REFRESH_OFFLINE, /* what was accepted before, from the spool and our own state: at start */
  FLOE_REFRESH_ONLINE,
} FloeRefreshMode;

typedef struct {
  GPtrArray *images; /* of FloeCatalogueImage: those not in KNOWN, to be moved out */
  GStrv current;     /* ids of the images that the policy names; NULL when the policy could not be had */
  gboolean spooled;  /* metadata was refreshed: hypervisord should look */
  gint64 policy_version;
  gint64 appliance;  /* version that the appliance's channel is at; 0: none, or it could not be had */
  GBytes *running;   /* what floe-slot says the running version of the appliance has, a boot list; NULL: nothing */
  GError *error;     /* what went wrong first, as much as could be done was; NULL: nothing */
} FloeRefreshed;

typedef struct _FloeRefresher FloeRefresher;

/* CONFIG and STORE must live as long. Opens (and makes) state/agent and state/spool. BUSY when another agent has them. */
FloeRefresher *floe_refresher_new (const FloeAgentConfig *config, FloeStore *store, GError **error) FLOE_WARN_UNUSED;
void floe_refresher_free (FloeRefresher *refresher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeRefresher, floe_refresher_free)

/* KNOWN: ids of images that need not be read again. NOW in seconds since 1970. Never NULL. */
FloeRefreshed *floe_refresher_run (FloeRefresher *refresher, FloeRefreshMode mode, const char *const *known, gint64 now,
                                   GCancellable *cancellable);
/* Image ID is needed no more: its table need not be known in the next life. Not while a round is under way. */
gboolean floe_refresher_forget (FloeRefresher *refresher, const char *id, GError **error) FLOE_WARN_UNUSED;
void floe_refreshed_free (FloeRefreshed *refreshed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeRefreshed, floe_refreshed_free)
