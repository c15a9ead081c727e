/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-trust.h"
#include "server-sync/image/floe-image-info.h"

/* hypervisord's own copies of what was verified about images: STATE/hypervisor/images/NAME/VERSION.json, .caibx, .table,
 * world-readable for the plugins. A version is never changed; it is kept while a machine may still need it. */

/* An image as a machine uses it. Immutable. */
typedef struct _FloeLibraryImage FloeLibraryImage;
FloeLibraryImage *floe_library_image_ref (FloeLibraryImage *image);
void floe_library_image_unref (FloeLibraryImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeLibraryImage, floe_library_image_unref)

const FloeImageInfo *floe_library_image_info (const FloeLibraryImage *image);
/* "NAME/VERSION" */
const char *floe_library_image_label (const FloeLibraryImage *image);
/* Paths of the copies. */
const char *floe_library_image_index (const FloeLibraryImage *image);
const char *floe_library_image_table (const FloeLibraryImage *image);

/* Takes the channel's verified image.json and fetches index and table through TRUST into IMAGES_PATH, unless they are
 * there. UNVERIFIED when index and table are not those that image.json names, or do not belong together. */
FloeLibraryImage *floe_library_take (const char *images_path, FloeTrust *trust, FloeVerified *info, const char *name,
                                     GCancellable *cancellable, GError **error) FLOE_WARN_UNUSED;
/* Removes the copies of versions whose labels are neither in IN_USE now nor were at the last call: *UNNEEDED, a set of strings that is empty at first, is what
 * it remembers for the next and replaces. In between, a start that has chosen its image and not written it down yet has the time to do so. */
gboolean floe_library_prune (const char *images_path, const char *const *in_use, GHashTable **unneeded, GError **error) FLOE_WARN_UNUSED;
/* The copy of "NAME/VERSION" taken earlier, checked again; NOT_FOUND when there is none. */
FloeLibraryImage *floe_library_find (const char *images_path, const char *label, GError **error) FLOE_WARN_UNUSED;
