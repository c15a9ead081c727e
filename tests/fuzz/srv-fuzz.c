/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-address.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *address = floe_address_parse_srv (data, size, &error), *url = NULL;

  if ((address == NULL) != (error != NULL))
    abort ();
  /* What the DNS says is offered to a person, and typed by him: it must be an address. */
  if (address != NULL && (url = floe_address_parse (address, NULL)) == NULL)
    abort ();
  return 0;
}
