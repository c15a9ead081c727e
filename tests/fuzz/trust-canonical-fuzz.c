/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-canonical.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The canonical form of any JSON; where that is JSON again, it is its own canonical form. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  json_t *value = json_loadb ((const char *) data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL), *again;
  g_autoptr (GBytes) once = NULL, twice = NULL;

  if (value == NULL)
    return 0;
  once = floe_canonical_encode (value, NULL);
  json_decref (value);
  if (once == NULL)
    return 0;
  again = json_loadb (g_bytes_get_data (once, NULL), g_bytes_get_size (once), JSON_DECODE_ANY, NULL);
  if (again == NULL)
    return 0;
  twice = floe_canonical_encode (again, NULL);
  json_decref (again);
  g_assert_true (g_bytes_equal (once, twice));
  return 0;
}
