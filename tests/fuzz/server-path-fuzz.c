/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-path.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Whatever is accepted can be handed to openat() as it is: an independent, duller look at the same bytes. */
static void
check_accepted (const char *path)
{
  static const char *const forbidden[] = { "//", "/.", "%", "?", "#", "\\", " ", "~", ":" };

  for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
    if (strstr (path, forbidden[i]) != NULL)
      abort ();
  for (const char *at = path; *at != '\0'; at++)
    if (*at <= 0x20 || *at >= 0x7f)
      abort ();
  if (path[0] != '/' || path[strlen (path) - 1] == '/' || strlen (path) > FLOE_SERVER_PATH_MAX)
    abort ();
  if (strncmp (path, "/metadata/", 10) != 0 && strncmp (path, "/targets/", 9) != 0 && strncmp (path, "/chunks/", 8) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *target = g_strndup ((const char *) data, size);

  if (floe_server_path_check (target) == FLOE_SERVER_PATH_GOOD)
    check_accepted (target);
  return 0;
}
