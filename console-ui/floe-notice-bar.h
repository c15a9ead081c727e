/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* A line at the foot of the screen that comes, says one thing for a while, and goes. Takes no keyboard, ever. */
#define FLOE_TYPE_NOTICE_BAR (floe_notice_bar_get_type ())
G_DECLARE_FINAL_TYPE (FloeNoticeBar, floe_notice_bar, FLOE, NOTICE_BAR, GtkRevealer)

GtkWidget *floe_notice_bar_new (void);
/* TEXT is plain. Waits its turn; when too many wait, the oldest is dropped. */
void floe_notice_bar_say (FloeNoticeBar *bar, const char *text);
