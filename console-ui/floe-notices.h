/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* Which USB events the user is told of, and in which words. Told once: a device that is plugged again and again, or that
 * re-enumerates a thousand times a second, makes no noise. */

typedef struct _FloeNotices FloeNotices;
FloeNotices *floe_notices_new (void);
void floe_notices_free (FloeNotices *notices);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeNotices, floe_notices_free)

/* The same device (path, IDs, name, rule) is told of again after this long without a word of it, and no more than the limit of
 * notices in any such span, whatever the devices: whoever holds the port chooses the names. */
#define FLOE_NOTICES_QUIET_USEC (10 * 60 * G_USEC_PER_SEC)
#define FLOE_NOTICES_LIMIT 8

/* The notice for org.floe.Hypervisor1's Audit (KIND, FIELDS as a{sv}) at monotonic time NOW, or NULL when there is nothing to
 * say. Plain text: device strings are made fit by floe_text_plain(). */
char *floe_notices_usb (FloeNotices *notices, const char *kind, GVariant *fields, gint64 now);
