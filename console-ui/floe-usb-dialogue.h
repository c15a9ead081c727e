/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-usb-words.h"

#include <gtk/gtk.h>

/* Asks, inside the window, what a USB device may be used for. Signal: "answer" (choice, remember), once. */
#define FLOE_TYPE_USB_DIALOGUE (floe_usb_dialogue_get_type ())
G_DECLARE_FINAL_TYPE (FloeUsbDialogue, floe_usb_dialogue, FLOE, USB_DIALOGUE, GtkEventBox)

/* It comes unasked, while the person may be typing to a guest: until no key has come for this long it takes no answer. */
#define FLOE_USB_DIALOGUE_DEAF_MS 800

/* A key has come: while DIALOGUE takes no answer yet, it goes on taking none. */
void floe_usb_dialogue_defer (FloeUsbDialogue *dialogue);
/* FRONT, TITLE and DATA as floe_usb_choice_words() has them, used at once only. */
GtkWidget *floe_usb_dialogue_new (const FloeUsbQuestion *question, const char *front, FloeUsbTitle title, gpointer data);
