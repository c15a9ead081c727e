/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-link.h"

#include <gtk/gtk.h>

/* Restarts into the update that LINK says is ready, when policy has it so and nobody used the screen (floe-idle.h), with a countdown on top of
 * OVERLAY before. Sees every event of this process before GTK does: there is one of it, on the main thread. */
typedef struct _FloeIdleRestart FloeIdleRestart;

/* Whether something is on screen that must not be cut short. */
typedef gboolean (*FloeIdleRestartHolds) (gpointer data);

/* OVERLAY and DATA are borrowed until it is freed. */
FloeIdleRestart *floe_idle_restart_new (FloeLink *link, GtkOverlay *overlay, FloeIdleRestartHolds holds, gpointer data);
void floe_idle_restart_free (FloeIdleRestart *restart);
