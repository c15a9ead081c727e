/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Kernel uevents of USB devices, as a hint that something has changed: nothing in them is believed, the bus is read anew.
 */

typedef struct _FloeUsbMonitor FloeUsbMonitor;

/* Calls CHANGED on the default main context, once for whatever has come in meanwhile; also when messages were lost. */
FloeUsbMonitor *floe_usb_monitor_new (void (*changed) (gpointer data), gpointer data, GError **error) FLOE_WARN_UNUSED;
void floe_usb_monitor_free (FloeUsbMonitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeUsbMonitor, floe_usb_monitor_free)

/* Whether the SIZE bytes of a uevent (kobject_uevent(7) form: "ACTION@PATH\0KEY=VALUE\0…") are about the usb subsystem. */
gboolean floe_usb_uevent_matters (const char *message, size_t size);
