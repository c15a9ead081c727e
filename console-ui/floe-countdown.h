/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* Says over whatever is on screen that the computer restarts for an update in some seconds. It takes no input: floe-idle-restart.h does. */
#define FLOE_TYPE_COUNTDOWN (floe_countdown_get_type ())
G_DECLARE_FINAL_TYPE (FloeCountdown, floe_countdown, FLOE, COUNTDOWN, GtkEventBox)

GtkWidget *floe_countdown_new (guint seconds);
void floe_countdown_set (FloeCountdown *countdown, guint seconds);
