/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/document/floe-policy.h"

/* Decoder of what sysfs shows as `descriptors`: the device descriptor, then each configuration with all that belongs to it,
 * as the device sent them (USB 2.0, 9.6). Every byte is the device's own choice. Allocation-free, and reads nothing beyond
 * SIZE. */

#define FLOE_USB_DESCRIPTORS_MAX (18 + 8 * 65535) /* the kernel keeps 8 configurations (USB_MAXCONFIG) */
#define FLOE_USB_INTERFACES_MAX 256               /* interfaces and alternate settings of all configurations */

typedef struct {
  uint16_t vendor, product;
  FloePolicyUsbInterface device_class;
  FloePolicyUsbInterface interfaces[FLOE_USB_INTERFACES_MAX]; /* in the order met, duplicates left in */
  size_t n_interfaces;
  const char *problem; /* NULL: whole and consistent. A static sentence otherwise; what was decoded so far is there */
} FloeUsbDescriptors;

void floe_usb_decode (const uint8_t *data, size_t size, FloeUsbDescriptors *descriptors);
