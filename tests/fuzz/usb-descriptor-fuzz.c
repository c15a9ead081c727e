/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-descriptors.h"

#include <stdlib.h>

/* Whatever a device says: bounded, and an interface is in the list only if its bytes are in the input. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static FloeUsbDescriptors out;

  floe_usb_decode (data, size, &out);
  if (out.n_interfaces > FLOE_USB_INTERFACES_MAX || out.n_interfaces * 9 > size)
    abort ();
  if (out.problem == NULL && (size < 18 + 9 || data[17] == 0))
    abort ();
  return 0;
}
