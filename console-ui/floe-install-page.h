/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-install-link.h"

#include <gtk/gtk.h>

/* The first screen of a computer that runs from a USB key: try Floe, or install it; then the disk, its name typed, and how far it is.
 * Signals: "try": it goes on from the key; "language" (code). */
#define FLOE_TYPE_INSTALL_PAGE (floe_install_page_get_type ())
G_DECLARE_FINAL_TYPE (FloeInstallPage, floe_install_page, FLOE, INSTALL_PAGE, GtkBox)

GtkWidget *floe_install_page_new (FloeInstallLink *link);
/* Escape: one step back, where there is one. */
void floe_install_page_escape (FloeInstallPage *page);
void floe_install_page_focus (FloeInstallPage *page);
