/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-install-disks.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Whatever a disk calls itself comes out as one line that can be shown. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *copy = g_memdup2 (data, size);
  g_autofree char *label = floe_install_udev_value (copy != NULL ? copy : "", size, "ID_FS_LABEL_ENC");

  g_assert (g_utf8_validate (label, -1, NULL) && g_utf8_strlen (label, -1) <= 80);
  for (const char *at = label; *at != '\0'; at = g_utf8_next_char (at))
    g_assert (g_unichar_isprint (g_utf8_get_char (at)));
  return 0;
}
