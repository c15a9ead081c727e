/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "console-ui/floe-hotkey.h"

/* Real modifiers that a chord can ask for (GdkModifierType): Shift, Control, Alt and Super. Locks and level shifts never count. */
#define FLOE_ACCELERATOR_MODIFIERS (1u << 0 | 1u << 2 | 1u << 3 | 1u << 6)

/* A GTK accelerator ("<Control><Alt>Right") as a chord; "" is no chord and TRUE. INVALID for what GTK cannot read, for a lone
 * modifier, and for a key that types text without Control, Alt or Super: it could not be typed in any guest any more. */
gboolean floe_accelerator_parse (const char *text, FloeHotkeyChord *chord, GError **error) FLOE_WARN_UNUSED;
/* As it is shown to people ("Ctrl+Alt+Right"); "" for no chord. */
char *floe_accelerator_label (const FloeHotkeyChord *chord);
