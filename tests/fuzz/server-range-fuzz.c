/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-range.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A range that is answered lies within the object, whatever its size. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const guint64 sizes[] = { 0, 1, 10, 500, 131072, G_MAXINT64 };
  g_autofree char *header = g_strndup ((const char *)data, size);

  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint64 first = 0, last = 0;

    if (floe_server_range_parse (header, sizes[i], &first, &last) == FLOE_SERVER_RANGE_GOOD
        && (first > last || last >= sizes[i]))
      abort ();
  }
  return 0;
}
