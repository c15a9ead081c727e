/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-console-text.h"
#include "console-ui/floe-machine-info.h"

#include <gtk/gtk.h>

/* Small pieces that the pages share. Every text goes in as plain text. */

/* How much larger than on a screen of 768 lines everything is shown here: 1 to 2. */
double floe_screen_scale (void);
GtkWidget *floe_label_new (const char *style_class, float align);
/* Sets the text and hides the label when there is none. */
void floe_label_set (GtkWidget *label, const char *text);
/* A button with a mnemonic label, NAME for tests and style. */
GtkWidget *floe_button_new (const char *mnemonic, const char *name, const char *style_class);
/* Paints WIDGET itself in COLOUR ("#rrggbb"), its text black or white, whichever is easier to read. */
void floe_widget_paint (GtkWidget *widget, const char *colour);
/* Only the frame around it. */
void floe_widget_frame (GtkWidget *widget, const char *colour, int width);
/* DIALOGUE, an event box that covers what is behind it, has BOX in its middle, at least WIDTH wide, and is told as TITLE by a screen reader when it appears. */
void floe_dialogue_fill (GtkWidget *dialogue, GtkWidget *box, int width, const char *title);
/* The square with a machine's first letter. */
GtkWidget *floe_badge_new (const char *style_class);
void floe_badge_set (GtkWidget *badge, const FloeMachineInfo *info);
void floe_widget_set_class (GtkWidget *widget, const char *style_class, gboolean set);
