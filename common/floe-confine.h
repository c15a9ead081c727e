/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Gives up for good what none of our daemons does that reads what others wrote: new privileges, other programs, other processes' memory,
 * mounts, namespaces, kernel modules, clocks; and the system calls of MORE, a list of names that ends with NULL, or NULL for none. A
 * process taken over is left with its own files and, unless MORE has them, sockets. Refused calls fail with EPERM. */
gboolean floe_confine (const char *const *more, GError **error) FLOE_WARN_UNUSED;
