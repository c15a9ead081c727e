/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* Whether a compositor can draw with a GPU: one of SYS/class/drm/card* has a kernel driver for which Mesa draws in hardware, and Mesa's
 * drivers are in MESA. wlroots asks for no more than a render node, which virtual screens have too, and then refuses to draw in
 * software: so it must be told beforehand. */
gboolean floe_session_has_gpu (const char *sys, const char *mesa);

/* Tells the service manager that the console is up (sd_notify(3)): what waits for the screen goes on. Nothing where there is none. Does not
 * block, and an answer is not given: a manager that does not listen is no reason not to go on. */
void floe_session_ready (void);
