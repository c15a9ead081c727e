/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-image-library.h"
#include "policy/document/floe-policy.h"

/* From the agent's spool, which anything may be in, to a policy that may be enforced. Nothing is taken that the trust
 * client did not verify against this process's own state, at a time that never goes back. Any one thread at a time. */
typedef struct _FloeLoader FloeLoader;

typedef struct {
  const char *state; /* STATE of floe.conf; spool/ and hypervisor/ are below it */
  const char *root;  /* the root metadata to begin with */
  const char *group;
  /* Seconds since 1970, which a user may set, and seconds since boot with sleep, which nobody can. NULL: the system's. */
  gint64 (*wall) (void), (*boot) (void);
} FloeLoaderOptions;

FloeLoader *floe_loader_new (const FloeLoaderOptions *options, GError **error) FLOE_WARN_UNUSED;
void floe_loader_free (FloeLoader *loader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeLoader, floe_loader_free)

/* What is in force: never changed after it was made. */
typedef struct {
  gatomicrefcount references;
  FloePolicy *policy;
  GHashTable *images;   /* "NAME/CHANNEL" -> FloeLibraryImage */
  GHashTable *problems; /* "NAME/CHANNEL" -> why there is none */
  gint64 refreshed;     /* when the newest timestamp was first seen, seconds since 1970: what a lease counts from */
} FloeInForce;
FloeInForce *floe_in_force_ref (FloeInForce *in_force);
void floe_in_force_unref (FloeInForce *in_force);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeInForce, floe_in_force_unref)

/* At start, offline: what was in force goes on being so. NOT_FOUND when nothing ever was. */
FloeInForce *floe_loader_resume (FloeLoader *loader, GError **error) FLOE_WARN_UNUSED;
/* After the spool changed. On failure what was in force stays. */
FloeInForce *floe_loader_refresh (FloeLoader *loader, GError **error) FLOE_WARN_UNUSED;
/* Whether ERROR, of one of the two above, says no more than that nobody has fetched anything yet: no metadata of the server's was ever accepted, and
 * none is there. */
gboolean floe_loader_waits (FloeLoader *loader, const GError *error);
/* Now, or the highest time ever seen if that is later, which goes on while we run; written down at most once a minute. */
gint64 floe_loader_time (FloeLoader *loader);
