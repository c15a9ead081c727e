/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "appliance/floe-slot.h"

/* Older versions that firmware is to start no more. A version brings a signed update of Secure Boot's list of what is forbidden in its verified root, with
 * the digests of kernel images before it (floe-image build-appliance --revoke). It is handed to the firmware once the version was found good:
 * the state is closed to older ones from then on (floe-state), so what they lose is nothing that they could still have. While a version is on trial,
 * the one to fall back to must start. */

#define FLOE_SLOT_REVOCATIONS "/usr/share/floe/boot/dbx.auth"

/* What of the firmware there is to work with, opened before privileges were given up. */
typedef struct {
  gboolean secure_boot;
  int dbx;               /* floe_efivar_open_dbx(); -1 without Secure Boot, or for PROBLEM */
  const GError *problem; /* NULL: none */
  const char *sealed;    /* floe_seal_refuses(); NULL: nothing */
  gboolean (*append) (int dbx, GBytes *update, GError **error); /* floe_efivar_append() */
} FloeSlotFirmware;

/* UPDATE (NULL: this version revokes none) into the firmware's list, unless it has all of that already, Secure Boot is not in force, or the running version
 * was not found good: these are no errors, and MESSAGE (to be freed) says which. REFUSED when the running kernel image itself is in UPDATE, or the state's seal
 * is not prepared for it; the firmware's own errors; PEER when it says that it has taken the update and has not, or made of it what the seal does not know. What is in the way is kept for the reports and for floe_slot_status().
 * SLOT needs no disk. */
gboolean floe_slot_revoke (FloeSlot *slot, const FloeSlotFirmware *firmware, GBytes *update, char **message, GError **error) FLOE_WARN_UNUSED;
