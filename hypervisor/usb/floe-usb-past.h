/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/usb/floe-usb-sysfs.h"

/* Which QEMU was last given a connection of a device, written down before it is: our next life must know who may have kept a
 * descriptor. One file a connection in RUN/hypervisor/usb/, "PATH_NUMBER", which holds "LIFE MACHINE". DIR -1: nowhere. */

gboolean floe_usb_past_write (int dir, const FloeUsbRaw *raw, guint64 life, const char *machine, GError **error) FLOE_WARN_UNUSED;
/* The machine, to be freed, and its QEMU's life; NULL: nobody has had it. A file that is not of that form counts as one of a
 * machine that nothing is known of: *LIFE is 0. */
char *floe_usb_past_read (int dir, const FloeUsbRaw *raw, guint64 *life);
/* The connection is over. */
void floe_usb_past_forget (int dir, const FloeUsbRaw *raw);
