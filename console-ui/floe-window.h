/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-install-link.h"
#include "console-ui/floe-link.h"
#include "console-ui/floe-setup-link.h"

#include <gtk/gtk.h>

/* The whole screen: list and machines, who of them has the keyboard, switch keys, notices, questions. */
#define FLOE_TYPE_WINDOW (floe_window_get_type ())
G_DECLARE_FINAL_TYPE (FloeWindow, floe_window, FLOE, WINDOW, GtkWindow)

GtkWidget *floe_window_new (FloeSetupLink *setup, FloeInstallLink *install, FloeLink *link);
