/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb-descriptors.h"

/* One device as sysfs shows it at one moment (Documentation/ABI/stable/sysfs-bus-usb). Its directory is opened once: what
 * is read and what is switched are the same device, even when another has meanwhile taken its place on the port. */

typedef struct {
  int dir;
  char *path; /* "1-2.4", or "usb1" for a root hub */
  gboolean root_hub;
  unsigned bus, number;     /* busnum, devnum; the pair is another one after each reconnect */
  FloePolicyUsbSpeed speed; /* 0: unknown */
  GBytes *bytes;   /* of `descriptors`; empty when it could not be read */
  char *serial;    /* without its newline; NULL when there is none */
  size_t serial_size;
  char *manufacturer, *product; /* the same: as sent, NULL when there is none */
  size_t manufacturer_size, product_size;
  char *name; /* fit to show */
  FloeUsbDescriptors descriptors;
} FloeUsbRaw;

/* "1-2.4" or "usb1"; interfaces ("1-2:1.0") and all else are not. */
gboolean floe_usb_is_device_name (const char *name, gboolean *root_hub);
/* Opens and reads device NAME below DEVICES (bus/usb/devices). NULL when it went away meanwhile. */
FloeUsbRaw *floe_usb_raw_read (int devices, const char *name);
void floe_usb_raw_free (FloeUsbRaw *raw);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsbRaw, floe_usb_raw_free)

/* RAW as the policy looks at it; borrowed from it. */
FloePolicyUsbDevice floe_usb_raw_device (const FloeUsbRaw *raw);

/* The kernel's switch `authorized`, or `authorized_default` of a controller: 0, 1 or another number it has, -1 when
 * unreadable. */
int floe_usb_switch_read (const FloeUsbRaw *raw, const char *name);
/* Sets it and reads it back. */
gboolean floe_usb_switch_set (const FloeUsbRaw *raw, const char *name, int value, GError **error) FLOE_WARN_UNUSED;

/* Has the hub switch the port that RAW hangs on off and on, where the kernel can: the device goes, and may come back. */
gboolean floe_usb_port_cycle (const FloeUsbRaw *raw, GError **error) FLOE_WARN_UNUSED;

/* -- Interfaces of the configuration that is set (Documentation/usb/authorization.rst, "Interface authorization") ---- */

typedef struct {
  char *name;                      /* "1-2:1.0" */
  unsigned configuration, number; /* as the name says */
  gboolean authorized;
  char *driver; /* the one that is bound to it, or NULL */
} FloeUsbRawInterface;

/* Of FloeUsbRawInterface; empty while the device is not authorised. */
GPtrArray *floe_usb_raw_interfaces (const FloeUsbRaw *raw);
/* Sets `interface_authorized` of interface NAME below RAW and reads it back. */
gboolean floe_usb_interface_set (const FloeUsbRaw *raw, const char *name, gboolean value, GError **error) FLOE_WARN_UNUSED;

/* TEXT of any bytes as one line fit to be shown: valid UTF-8, no control, formatting or unassigned characters, blanks
 * joined. */
char *floe_usb_displayable (const char *text, size_t size);
