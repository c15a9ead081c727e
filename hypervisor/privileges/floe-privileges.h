/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Gives up for good what floe-hypervisord, which stays root, never needs: every capability but the few that
 * floe-privileges.c gives a reason for (effective, permitted and bounding set; none inheritable or ambient), and the way
 * to more (no_new_privs). Before the first thread is made: the kernel keeps these a thread. REFUSED, naming the
 * capability, when one of the few was not given to us. */
gboolean floe_privileges_drop (GError **error) FLOE_WARN_UNUSED;
