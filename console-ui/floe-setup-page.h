/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-link.h"
#include "console-ui/floe-setup-link.h"

#include <gtk/gtk.h>

/* The first screen of a computer that has no server yet: address, one-time code, and what its hardware is good for.
 * Signal: "language" (code). */
#define FLOE_TYPE_SETUP_PAGE (floe_setup_page_get_type ())
G_DECLARE_FINAL_TYPE (FloeSetupPage, floe_setup_page, FLOE, SETUP_PAGE, GtkBox)

GtkWidget *floe_setup_page_new (FloeSetupLink *setup, FloeLink *link);
/* Takes over what is typed in BEFORE, the same page in another language. */
void floe_setup_page_take (FloeSetupPage *page, FloeSetupPage *before);
/* Escape: ends an attempt that is under way. */
void floe_setup_page_escape (FloeSetupPage *page);
void floe_setup_page_focus (FloeSetupPage *page);

/* A button for each language but the one in use; a click is PAGE's signal "language" (code). */
GtkWidget *floe_setup_languages_new (GtkWidget *page);
