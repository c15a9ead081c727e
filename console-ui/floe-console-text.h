/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* Text from elsewhere (devices, guests, policy) made fit to be shown: plain, bounded, on one line. */

/* TEXT as valid UTF-8 of at most MAX characters (an ellipsis is the last when it was longer). Control, format (bidirectional
 * overrides among them), unassigned and private characters, line separators and invalid bytes become U+FFFD; blanks become single
 * spaces; a third combining mark in a row is dropped. NULL is "". Never markup: show it with gtk_label_set_text. */
char *floe_text_plain (const char *text, size_t max);

/* "1.2 GB", decimal units, in the user's language. */
char *floe_text_size (guint64 bytes);

typedef struct {
  guint8 red, green, blue;
} FloeColour;

/* "#rrggbb" and nothing else; otherwise a neutral grey and FALSE. */
gboolean floe_colour_parse (const char *text, FloeColour *colour);
/* Whether black text has more contrast on COLOUR than white (WCAG 2.1, relative luminance). */
gboolean floe_colour_wants_black (const FloeColour *colour);
