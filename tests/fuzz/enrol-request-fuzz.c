/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-enrol-message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) body = g_bytes_new (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeEnrolRequest) request = floe_enrol_request_parse (body, &error);
  g_autoptr (GBytes) again = NULL;

  if ((request == NULL) != (error != NULL))
    abort ();
  /* What was taken can be written and taken again. */
  if (request != NULL && (again = floe_enrol_request_write (request, NULL)) == NULL)
    abort ();
  return 0;
}
