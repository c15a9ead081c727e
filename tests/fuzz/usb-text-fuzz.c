/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-monitor.h"
#include "hypervisor/usb/floe-usb-sysfs.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The same bytes as a uevent, as the name of a directory in sysfs, and as a device's own name for itself. What is shown is valid
 * UTF-8 of one line, whatever the device says. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);
  g_autofree char *shown = floe_usb_displayable ((const char *)data, size);
  gboolean root_hub;

  if (!g_utf8_validate (shown, -1, NULL) || g_utf8_strlen (shown, -1) > 2 * 80)
    abort ();
  for (const char *at = shown; *at != '\0'; at++)
    if (g_ascii_iscntrl (*at))
      abort ();
  if (floe_usb_is_device_name (text, &root_hub) && strspn (text, "usb0123456789-.") != strlen (text))
    abort ();
  (void)floe_usb_uevent_matters ((const char *)data, size);
  return 0;
}
