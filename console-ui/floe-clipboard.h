/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-machine-info.h"

#include <gtk/gtk.h>
#include <spice-client.h>

/* The clipboard between this screen and one guest, each direction by itself. spice-gtk's own is all or nothing, so it is off and
 * this stands in front of it. Text and PNG images cross, of the CLIPBOARD selection; the PRIMARY selection never does. Only the
 * machine on screen takes part: one in the background can neither read what is copied elsewhere nor replace it. */
typedef struct _FloeClipboard FloeClipboard;

FloeClipboard *floe_clipboard_new (void);
void floe_clipboard_free (FloeClipboard *clipboard);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeClipboard, floe_clipboard_free)

/* The channel whose agent is at the other end; NULL detaches. To be called before spice-gtk's session sees the channel. */
void floe_clipboard_attach (FloeClipboard *clipboard, SpiceMainChannel *main);
void floe_clipboard_set_share (FloeClipboard *clipboard, FloeShare share);
/* Whether the machine is the one on screen. */
void floe_clipboard_set_active (FloeClipboard *clipboard, gboolean active);
