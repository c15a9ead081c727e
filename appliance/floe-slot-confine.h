/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* floe-slot needs to be root for the disk and the boot partition, and nothing else of it: no capability, no socket, no program, no mount.
 * Called before anything is read. Ends what a mistake in a parser could reach at the files that it writes to. */
gboolean floe_slot_confine (GError **error) FLOE_WARN_UNUSED;
