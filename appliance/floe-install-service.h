/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-install.h"

/* org.floe.Install1 (org.floe.Install1.xml) on the system bus, until the bus goes or SIGTERM comes. OPTIONS.now is read anew for each
 * installation. FALSE when it could not be. */
gboolean floe_install_serve (const FloeInstallOptions *options, GError **error) FLOE_WARN_UNUSED;
