/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Variables of UEFI firmware, as files of efivarfs (the kernel's Documentation/filesystems/efivarfs.rst): four bytes of attributes, then the value. */

#define FLOE_EFIVARS "/sys/firmware/efi/efivars"

/* Whether firmware checks what it starts. DIR is where efivarfs is mounted; where there is none, or no such variable, it does not. */
gboolean floe_efivar_secure_boot (const char *dir, gboolean *in_force, GError **error) FLOE_WARN_UNUSED;
/* Value of dbx; empty where there is none. */
GBytes *floe_efivar_read_dbx (const char *dir, GError **error) FLOE_WARN_UNUSED;

/* dbx, to be read and appended to, and made where there is none; -1 on failure. The kernel keeps such files immutable: the mark is taken off for the time
 * of the call, for which CAP_LINUX_IMMUTABLE is needed, and here alone. Reads nothing. */
int floe_efivar_open_dbx (const char *dir, GError **error) FLOE_WARN_UNUSED;
/* Its value now. */
GBytes *floe_efivar_get (int dbx, GError **error) FLOE_WARN_UNUSED;
/* Hands UPDATE to the firmware, which verifies it against its KEKs and appends. Errors are the firmware's: REFUSED when none of its keys signed it,
 * NO_SPACE when it has no room, IO. */
gboolean floe_efivar_append (int dbx, GBytes *update, GError **error) FLOE_WARN_UNUSED;
