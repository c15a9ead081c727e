/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "policy/document/floe-policy.h"

/* The USB gate: devices as the kernel shows them in sysfs, a verdict of the policy for each, and, when enforcing, the
 * kernel's own switch (Documentation/usb/authorization.rst). Root hubs are the host's always: they are its controllers, not
 * devices.
 *
 * A device with verdict `machine` or `ask` is left unauthorised: decided, not handed over (docs/usb.md). */

typedef enum {
  FLOE_USB_OBSERVE, /* verdicts are reached and reported; nothing on the host is changed */
  FLOE_USB_ENFORCE, /* authorized_default=0 on each controller, authorized by verdict on each device */
} FloeUsbMode;

typedef struct {
  char *path; /* bus and port, the identity of a device: "1-2.4" */
  guint16 vendor, product;
  char *name; /* manufacturer and product, valid UTF-8 without control characters */
  char *serial;
  FloePolicyUsbAction verdict;
  char *machine;     /* for verdict machine, else "" */
  char *rule;        /* id of the rule that decided; "default" for none; "floe-root-hub" and "floe-no-policy" are ours */
  char *problem;     /* why it could not be read or switched, or "" */
  gboolean enforced; /* the kernel's switch stands as the verdict wants it */
} FloeUsbDevice;

typedef struct _FloeUsb FloeUsb;

/* A device appeared, was decided anew, or (GONE) went away. */
typedef void (*FloeUsbChanged) (FloeUsb *usb, const FloeUsbDevice *device, gboolean gone, gpointer data);

/* Watches SYSFS ("/sys", or a test's directory) under MODE. A host without USB is no error: there are no devices then.
 * Before the first floe_usb_set_policy() no device is let in. When SYSFS is "/sys", kernel uevents are watched on the
 * default main context; an overflow makes everything be read again. */
FloeUsb *floe_usb_new (const char *sysfs, FloeUsbMode mode, FloeUsbChanged changed, gpointer data,
                       GError **error) FLOE_WARN_UNUSED;
void floe_usb_free (FloeUsb *usb);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsb, floe_usb_free)

/* Takes a reference to POLICY (NULL: nothing is allowed) and decides every device again. */
void floe_usb_set_policy (FloeUsb *usb, FloePolicy *policy);
/* Reads the bus again and decides what is new or has changed. What a uevent does; tests call it. */
void floe_usb_rescan (FloeUsb *usb);
/* Of const FloeUsbDevice *, in order of path; borrowed until the next main-loop turn, rescan or policy. */
GPtrArray *floe_usb_devices (FloeUsb *usb);
