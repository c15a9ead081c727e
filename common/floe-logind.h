/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <gio/gio.h>

/* Restarts this computer by logind (org.freedesktop.login1), which ends what runs in its order. Waits for its word, ten seconds at most. UNSUPPORTED, with logind's
 * reason, when it does not. */
gboolean floe_logind_restart (GDBusConnection *bus, GError **error) FLOE_WARN_UNUSED;
