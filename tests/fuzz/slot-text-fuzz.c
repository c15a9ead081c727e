/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-entry.h"
#include "appliance/floe-slot-host.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Names on the boot partition, the command line, os-release, floe.conf. The first byte chooses. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = size > 0 ? g_strndup ((const char *) data + 1, size - 1) : NULL;
  g_autoptr (FloeSlotConfig) config = NULL;
  g_autofree char *again = NULL;
  FloeSlotEntry entry, back;
  FloeDigest digest;
  int64_t version;

  if (text == NULL)
    return 0;
  switch (data[0] % 4) {
  case 0:
    if (!floe_slot_entry_parse (text, &entry))
      break;
    g_assert (entry.version > 0 && entry.left >= -1 && entry.done >= 0);
    again = floe_slot_entry_name (entry.version, entry.left);
    g_assert (floe_slot_entry_parse (again, &back) && back.version == entry.version && back.left == entry.left);
    break;
  case 1:
    if (floe_slot_parse_command_line (text, &digest, NULL))
      g_assert (strstr (text, "roothash=") != NULL);
    break;
  case 2:
    if (floe_slot_parse_os_release (text, &version, NULL))
      g_assert (version > 0);
    break;
  default:
    config = floe_slot_config_parse (text, strlen (text), "fuzz", NULL);
    g_assert (config == NULL || (config->state[0] == '/' && config->root[0] == '/' && config->boot[0] == '/'));
  }
  return 0;
}
