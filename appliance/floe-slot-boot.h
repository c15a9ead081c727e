/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* The boot partition is mounted read-only while nobody works on it. Where it is at BOOT, it is made writable, and a child goes on from here: TRUE there.
 * This process waits for it, makes it read-only again, and ends with the child's status; so what can mount neither reads nor parses
 * anything. Where it is writable already, TRUE and no child. */
gboolean floe_slot_boot_writable (const char *boot, GError **error) FLOE_WARN_UNUSED;
