/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-code.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autofree char *shown = floe_code_group (text), *again = floe_code_group (shown);
  FloeCode code;

  if (strcmp (shown, again) != 0 || strlen (shown) > FLOE_CODE_CHARS + 3)
    abort ();
  if (floe_code_parse (text, &code, NULL) && strlen (code.text) != FLOE_CODE_CHARS)
    abort ();
  return 0;
}
