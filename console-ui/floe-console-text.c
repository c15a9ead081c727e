/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-console-text.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#define MARKS_IN_A_ROW 2
#define REPLACEMENT 0xfffd
#define ELLIPSIS 0x2026

/* The character to show for C; 0 when nothing. */
static gunichar
shown (gunichar c, unsigned *marks)
{
  switch (g_unichar_type (c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_FORMAT:
  case G_UNICODE_UNASSIGNED:
  case G_UNICODE_PRIVATE_USE:
  case G_UNICODE_SURROGATE:
  case G_UNICODE_LINE_SEPARATOR:
  case G_UNICODE_PARAGRAPH_SEPARATOR:
    return REPLACEMENT;
  case G_UNICODE_NON_SPACING_MARK:
  case G_UNICODE_ENCLOSING_MARK:
  case G_UNICODE_SPACING_MARK:
    return (*marks)++ < MARKS_IN_A_ROW ? c : 0;
  case G_UNICODE_SPACE_SEPARATOR:
    *marks = 0;
    return ' ';
  default:
    *marks = 0;
    return c;
  }
}

char *
floe_text_plain (const char *text, size_t max)
{
  g_autoptr (GString) plain = g_string_new (NULL);
  size_t length = 0;
  unsigned marks = 0;
  gboolean blank = TRUE;

  text = text != NULL ? text : "";
  for (const char *at = text, *end = text + strlen (text); at < end;) {
    gunichar c = g_utf8_get_char_validated (at, end - at);
    gboolean valid = c != (gunichar) -1 && c != (gunichar) -2;

    at = valid ? g_utf8_next_char (at) : at + 1;
    c = valid ? shown (c, &marks) : REPLACEMENT;
    if (c == 0 || (c == ' ' && blank))
      continue;
    if (length >= max) {
      const char *last = g_utf8_find_prev_char (plain->str, plain->str + plain->len);

      g_string_truncate (plain, last != NULL ? (gsize) (last - plain->str) : 0);
      if (max > 0)
        g_string_append_unichar (plain, ELLIPSIS);
      return g_string_free (g_steal_pointer (&plain), FALSE);
    }
    blank = c == ' ';
    length++;
    g_string_append_unichar (plain, c);
  }
  if (plain->len > 0 && plain->str[plain->len - 1] == ' ')
    g_string_truncate (plain, plain->len - 1);
  return g_string_free (g_steal_pointer (&plain), FALSE);
}

char *
floe_text_size (guint64 bytes)
{
  if (bytes < 1000000)
    /* Translators: a size in kilobytes. */
    return g_strdup_printf (_ ("%u kB"), (unsigned) (bytes / 1000));
  if (bytes < 1000000000)
    /* Translators: a size in megabytes. */
    return g_strdup_printf (_ ("%u MB"), (unsigned) (bytes / 1000000));
  /* Translators: a size in gigabytes: whole ones, decimal mark, tenths. Rounded down: what is here is never overstated. */
  return g_strdup_printf (_ ("%1$u.%2$u GB"), (unsigned) (bytes / 1000000000), (unsigned) (bytes / 100000000 % 10));
}

gboolean
floe_colour_parse (const char *text, FloeColour *colour)
{
  guint8 part[3];

  *colour = (FloeColour){ 0x60, 0x6c, 0x7a };
  if (text == NULL || strlen (text) != 7 || text[0] != '#' || strspn (text + 1, "0123456789abcdefABCDEF") != 6)
    return FALSE;
  for (int i = 0; i < 3; i++)
    part[i] = (guint8) (g_ascii_xdigit_value (text[1 + 2 * i]) * 16 + g_ascii_xdigit_value (text[2 + 2 * i]));
  *colour = (FloeColour){ part[0], part[1], part[2] };
  return TRUE;
}

static double
linear (guint8 component)
{
  double value = component / 255.0;

  return value <= 0.04045 ? value / 12.92 : pow ((value + 0.055) / 1.055, 2.4);
}

gboolean
floe_colour_wants_black (const FloeColour *colour)
{
  double luminance = 0.2126 * linear (colour->red) + 0.7152 * linear (colour->green) + 0.0722 * linear (colour->blue);

  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05);
}
