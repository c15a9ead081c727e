/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb-node.h"

/* Block devices that the host's storage driver makes of a USB device, found below that very device in sysfs:
 * INTERFACE/hostN/targetN:C:T/N:C:T:L/block/NAME. */

#define FLOE_USB_DISKS_MAX 8 /* LUNs: a card reader has four */

typedef enum {
  FLOE_USB_DISKS_READY,
  FLOE_USB_DISKS_WAITING,   /* the kernel is not done yet: look again */
  FLOE_USB_DISKS_NO_MEDIUM, /* there are some, and nothing is in any of them */
  FLOE_USB_DISKS_FAILED,
} FloeUsbDisks;

/* Opens each disk of RAW that has a medium, read-only, after having the kernel refuse every writing to it (BLKROSET). FDS gets at
 * most FLOE_USB_DISKS_MAX of them, the caller's, with READY. WAITING too while disks go on appearing: *SEEN, 0 at first, is what
 * the last call saw. FAILED sets ERROR. */
FloeUsbDisks floe_usb_disks_open (const FloeUsbRaw *raw, const FloeUsbfs *usbfs, int *fds, unsigned *n, unsigned *seen,
                                  GError **error) FLOE_WARN_UNUSED;
