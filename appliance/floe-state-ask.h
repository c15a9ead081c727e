/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#define FLOE_STATE_KEY_DIGITS 64

/* Asks on the screen for the recovery key of the state partition, because of REASON; keyboards on USB are open for that time. NULL when
 * nobody answers. What comes back has the right form and is not yet known to be right. Free with floe_state_key_free(). */
char *floe_state_ask_key (const char *reason, GError **error) FLOE_WARN_UNUSED;
void floe_state_key_free (char *key);

/* What typed C does to the DIGITS that KEY has so far (room for FLOE_STATE_KEY_DIGITS and a NUL): the new number of digits. */
size_t floe_state_key_type (char *key, size_t digits, char c);
