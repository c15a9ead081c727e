/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-json.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Reads a value as everything that it could be, to a bounded depth, and asks for lines and paths on the way. */
static void
read_all (FloeJson *value, int depth)
{
  static const char *const names[] = { "a", "b", NULL };

  floe_json_line (value);
  if (depth > 8)
    return;
  if (floe_json_is_object (value)) {
    g_autofree const char **keys = floe_json_keys (value, 64);

    for (size_t i = 0; keys[i] != NULL; i++)
      if (keys[i][0] != 'x')
        read_all (floe_json_member (value, keys[i]), depth + 1);
  } else if (floe_json_is_array (value)) {
    for (size_t i = 0; i < floe_json_length (value, 64); i++)
      read_all (floe_json_at (value, i), depth + 1);
  } else {
    g_assert_cmpuint (strlen (floe_json_string (value, 32)), <=, 32);
    floe_json_enum (value, names);
    floe_json_int (value, -5, 5);
    floe_json_bool (value);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) text = g_bytes_new (data, size);
  g_autoptr (GError) error = NULL, mistake = NULL;
  g_autoptr (FloeJsonDocument) document = floe_json_parse (text, "fuzz", 65536, &error);

  g_assert_true ((document == NULL) == (error != NULL));
  if (document == NULL)
    return 0;
  read_all (floe_json_root (document), 0);
  g_assert_true (floe_json_finish (document, &mistake) == (mistake == NULL));
  return 0;
}
