/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* USB devices before floe-hypervisord judges them: plain C, for the program that the initrd has. Classes by USB 2.0, 9.6.5. */

#define FLOE_USB_HID 3
#define FLOE_USB_STORAGE 8

/* Whether every interface of every configuration of DEVICE, a name below /sys/bus/usb/devices, is of CLASS, and there is one. */
bool floe_usb_is_only (const char *device, uint8_t class);
/* Opens (authorises) all such devices, or closes those again that KEEP, a path below /sys/devices or NULL, does not lie below. Hubs stay closed: what is
 * looked for sits in a port of the machine itself. */
void floe_usb_authorise (uint8_t class, bool open_them, const char *keep);
