/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-console-text.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Whatever a device calls itself: valid, bounded, one line, nothing that moves the cursor. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  size_t max = size > 0 ? data[0] : 0;
  g_autofree char *text = size > 0 ? g_strndup ((const char *) data + 1, size - 1) : g_strdup ("");
  g_autofree char *plain = floe_text_plain (text, max);

  g_assert_true (g_utf8_validate (plain, -1, NULL));
  g_assert_cmpint (g_utf8_strlen (plain, -1), <=, (glong) max);
  for (const char *at = plain; *at != '\0'; at = g_utf8_next_char (at))
    g_assert_false (g_unichar_iscntrl (g_utf8_get_char (at)));
  return 0;
}
