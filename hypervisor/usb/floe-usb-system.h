/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb-sysfs.h"

/* The USB devices without which the root file system is not there: the disk that it lies on, and the hubs on the way to it. Found once, as the gate
 * begins, through the kernel's own links from the file system's device down to the port; a device is one of them by port and number of its
 * connection (none after it was pulled out, and no other that says the same of itself), and only as long as the root still lies on it. */
typedef struct _FloeUsbSystem FloeUsbSystem;

/* ROOT: the device of the root file system, as in /sys/dev/block ("253:0"); NULL: nothing is kept open. */
FloeUsbSystem *floe_usb_system_new (const char *sysfs, const char *root);
void floe_usb_system_free (FloeUsbSystem *system);
gboolean floe_usb_system_has (const FloeUsbSystem *system, const FloeUsbRaw *raw);
