/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-metadata.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A pattern, a NUL and a path, both UTF-8 as out of JSON. A path without wildcards matches itself, and none across components. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *pattern = g_strndup ((const char *) data, size);
  size_t length = strlen (pattern);
  g_autofree char *path = length < size ? g_strndup ((const char *) data + length + 1, size - length - 1) : g_strdup ("");

  if (!g_utf8_validate (pattern, -1, NULL) || !g_utf8_validate (path, -1, NULL))
    return 0;
  if (floe_path_matches (pattern, path)) {
    size_t slashes = 0;

    for (const char *at = path; *at != '\0'; at++)
      slashes += *at == '/';
    for (const char *at = pattern; *at != '\0'; at++)
      slashes -= *at == '/';
    g_assert_cmpuint (slashes, ==, 0);
  }
  if (strpbrk (path, "*?[") == NULL)
    g_assert_true (floe_path_matches (path, path));
  return 0;
}
