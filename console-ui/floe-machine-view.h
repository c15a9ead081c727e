/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-display.h"
#include "console-ui/floe-link.h"

/* One machine, filling the window: a frame in its colour, a strip that says whose desktop this is, and inside its display, or
 * in plain words why there is none. Signals: "act" (FloeAction), "list" (the user wants the list). */
#define FLOE_TYPE_MACHINE_VIEW (floe_machine_view_get_type ())
G_DECLARE_FINAL_TYPE (FloeMachineView, floe_machine_view, FLOE, MACHINE_VIEW, GtkBox)

GtkWidget *floe_machine_view_new (FloeMachine *machine, FloeLink *link);
FloeDisplay *floe_machine_view_get_display (FloeMachineView *view);
/* On screen or not. The first time connects the display, which then stays connected. */
void floe_machine_view_set_active (FloeMachineView *view, gboolean active);
/* Says everything anew: the language changed. */
void floe_machine_view_update (FloeMachineView *view);
