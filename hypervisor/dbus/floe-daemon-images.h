/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-host.h"
#include "hypervisor/policy-loader/floe-loader.h"

/* Which images this endpoint needs, and hypervisord's copies of what it does not need any more. Main thread. */
typedef struct _FloeDaemonImages FloeDaemonImages;

/* HOST is borrowed. */
FloeDaemonImages *floe_daemon_images_new (FloeHost *host);
void floe_daemon_images_free (FloeDaemonImages *images);

/* Labels (NAME/VERSION) of the images of IN_FORCE (NULL: none) and of all that is kept of machines. NULL, with an error, when some of that cannot be
 * read: whoever removes what is not in the list would remove too much. */
GStrv floe_daemon_images_in_use (FloeDaemonImages *images, FloeInForce *in_force, GError **error) FLOE_WARN_UNUSED;
/* Removes copies (floe-image-library.h) that are not in use, and were not when it was last called. */
void floe_daemon_images_prune (FloeDaemonImages *images, FloeInForce *in_force);
