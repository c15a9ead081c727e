/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-address.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
judge (GBytes *description)
{
  g_autoptr (GPtrArray) refused = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *address = floe_address_parse_dhcp (description, refused, &error), *url = NULL;

  if ((address == NULL) != (error != NULL))
    abort ();
  /* It is offered to a person as if typed: it must be an address. */
  if (address != NULL && (url = floe_address_parse (address, NULL)) == NULL)
    abort ();
  /* What is said of the rest goes to a log and is bounded, whatever a server sends. */
  for (guint i = 0; i < refused->len; i++)
    if (strlen (g_ptr_array_index (refused, i)) > 512)
      abort ();
}

/* As what networkd says, and as what a server sent, which networkd tells in its own words. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) description = g_bytes_new (data, size), told = NULL;
  g_autoptr (GString) text = g_string_new ("{\"Interfaces\":[{\"Name\":\"eth0\",\"DHCPv4Client\":{\"PrivateOptions\":[{\"Option\":236,\"PrivateOptionData\":\"");

  judge (description);
  for (size_t i = 0; i < size; i++)
    g_string_append_printf (text, "%02x", data[i]);
  g_string_append (text, "\"}]}}]}");
  told = g_string_free_to_bytes (g_steal_pointer (&text));
  judge (told);
  return 0;
}
