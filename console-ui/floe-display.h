/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-hotkey.h"
#include "console-ui/floe-machine.h"

#include <gtk/gtk.h>

/* The SPICE display of one machine: connected through descriptors from OpenDisplay while it is wanted and the machine has one, and
 * connected anew, for as long as that holds, when it breaks. Only main, display, inputs, cursor and (by policy) audio channels are
 * ever opened; USB redirection, shared folders, smart cards and ports never. Signal: "changed". */
#define FLOE_TYPE_DISPLAY (floe_display_get_type ())
G_DECLARE_FINAL_TYPE (FloeDisplay, floe_display, FLOE, DISPLAY, GObject)

typedef enum {
  FLOE_DISPLAY_OFF,        /* not wanted, or the machine has none */
  FLOE_DISPLAY_CONNECTING, /* for the first time since the machine started */
  FLOE_DISPLAY_READY,      /* the guest's picture is in the widget */
  FLOE_DISPLAY_LOST,       /* it was ready; connecting again */
} FloeDisplayStatus;

/* Puts its widget into HOLDER when there is one. */
FloeDisplay *floe_display_new (FloeMachine *machine, GtkContainer *holder);
FloeDisplayStatus floe_display_get_status (FloeDisplay *display);
/* Connect, and stay connected. */
void floe_display_set_wanted (FloeDisplay *display);
/* Whether it is the one on screen: it then has the keyboard, and takes part in the clipboard. */
void floe_display_set_active (FloeDisplay *display, gboolean active);
/* Passes a key event on to the guest; FALSE when there is none. */
gboolean floe_display_key (FloeDisplay *display, GdkEventKey *event);
/* Releases these keys (hardware codes) in the guest. */
void floe_display_release (FloeDisplay *display, const guint32 *codes);
