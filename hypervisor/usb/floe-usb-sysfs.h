/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb-descriptors.h"

/* One device as sysfs shows it at one moment (Documentation/ABI/stable/sysfs-bus-usb). Its directory is opened once: what
 * is read and what is switched are the same device, even when another has meanwhile taken its place on the port. */

typedef struct {
  int dir;
  char *path; /* "1-2.4", or "usb1" for a root hub */
  gboolean root_hub;
  unsigned number; /* devnum: another one after each reconnect */
  GBytes *bytes;   /* of `descriptors`; empty when it could not be read */
  char *serial;    /* without its newline; NULL when there is none */
  size_t serial_size;
  char *name; /* fit to show */
  FloeUsbDescriptors descriptors;
} FloeUsbRaw;

/* "1-2.4" or "usb1"; interfaces ("1-2:1.0") and all else are not. */
gboolean floe_usb_is_device_name (const char *name, gboolean *root_hub);
/* Opens and reads device NAME below DEVICES (bus/usb/devices). NULL when it went away meanwhile. */
FloeUsbRaw *floe_usb_raw_read (int devices, const char *name);
void floe_usb_raw_free (FloeUsbRaw *raw);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsbRaw, floe_usb_raw_free)

/* The kernel's switch `authorized`, or `authorized_default` of a controller: 0, 1 or another number it has, -1 when
 * unreadable. */
int floe_usb_switch_read (const FloeUsbRaw *raw, const char *name);
/* Sets it and reads it back. */
gboolean floe_usb_switch_set (const FloeUsbRaw *raw, const char *name, int value, GError **error) FLOE_WARN_UNUSED;

/* TEXT of any bytes as one line fit to be shown: valid UTF-8, no control, formatting or unassigned characters, blanks
 * joined. */
char *floe_usb_displayable (const char *text, size_t size);
