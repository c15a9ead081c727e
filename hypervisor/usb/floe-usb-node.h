/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb-sysfs.h"

/* The kernel's own switches for one device, and its node (Documentation/usb/authorization.rst; Documentation/driver-api/usb:
 * usbfs). With `interface_authorized_default` of each controller at 0, a device that is authorised has interfaces that no
 * driver can bind to and nobody can claim, until each is authorised too, which by itself makes no driver look at it. */

/* How the node of a device is reached: the kernel's, or a test's. */
typedef struct {
  const char *devices;                                              /* "/dev" */
  int (*control) (int fd, unsigned long request, void *argument); /* ioctl(2) */
} FloeUsbfs;

extern const FloeUsbfs floe_usbfs_kernel;

/* No driver and no open descriptor of anyone's gets at the device's interfaces any more. */
gboolean floe_usb_close_device (const FloeUsbRaw *raw, GError **error) FLOE_WARN_UNUSED;
/* Authorises the device and those interfaces that GRANT gives (floe_policy_usb_grant_gives()), shuts the others, and has drivers of the host's look at them
 * (SYSFS/bus/usb/drivers_probe). */
gboolean floe_usb_open_for_host (const FloeUsbRaw *raw, const FloePolicyUsbGrant *grant, const char *sysfs,
                                 GError **error) FLOE_WARN_UNUSED;

/* The device's node, open for reading and writing and held by no driver of the host's: its covered interfaces are claimed by
 * this descriptor, the right to any other is given up (USBDEVFS_DROP_PRIVILEGES), and with it the right to have host drivers
 * bind. What is opened is RAW's device or it fails, whatever now has its number. On failure, the device is closed. -1 then. */
int floe_usb_open_for_machine (const FloeUsbRaw *raw, const FloePolicyUsbGrant *grant, const FloeUsbfs *usbfs,
                               GError **error) FLOE_WARN_UNUSED;

/* A driver of the host's that holds an interface of RAW, or NULL: for devices that machines have. To be freed. */
char *floe_usb_foreign_driver (const FloeUsbRaw *raw);
