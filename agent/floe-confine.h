/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Gives up for good what this process never does: new privileges, other programs, other processes' memory, mounts, namespaces, kernel
 * modules, clocks. A process taken over through the network is left with its own files and sockets. */
gboolean floe_confine (GError **error) FLOE_WARN_UNUSED;
