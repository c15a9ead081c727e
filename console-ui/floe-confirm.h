/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-machine.h"

#include <gtk/gtk.h>

/* Asks, inside the window, before something that can lose data. Signal: "answer" (gboolean), once. */
#define FLOE_TYPE_CONFIRM (floe_confirm_get_type ())
G_DECLARE_FINAL_TYPE (FloeConfirm, floe_confirm, FLOE, CONFIRM, GtkEventBox)

GtkWidget *floe_confirm_new (const FloeMachineInfo *info, FloeAction action);
/* Puts the keyboard on Cancel. */
void floe_confirm_focus (FloeConfirm *confirm);
