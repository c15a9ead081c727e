/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-machine.h"

/* The console's one line to hypervisord. Follows it as it comes and goes; everything is asynchronous, so that a hypervisord that
 * hangs never freezes a display.
 * Signals: "changed" (connection or hypervisor's properties), "machines-changed" (the set), "audit" (kind, a{sv}), "trouble" (text). */
#define FLOE_TYPE_LINK (floe_link_get_type ())
G_DECLARE_FINAL_TYPE (FloeLink, floe_link, FLOE, LINK, GObject)

FloeLink *floe_link_new (GDBusConnection *connection);
/* Whether hypervisord is there and its machines are known. */
gboolean floe_link_is_up (FloeLink *link);
/* Whether no machine is known of that could not be read yet: several may come at once while hypervisord is there. */
gboolean floe_link_is_settled (FloeLink *link);
/* Whether it ever was: before that nothing is known, not even kiosk. */
gboolean floe_link_was_up (FloeLink *link);
/* FloeMachine, in no order; borrowed. */
GPtrArray *floe_link_machines (FloeLink *link);

/* Hardware as it is now, or NULL; borrowed until the next "changed". */
GVariant *floe_link_hardware (FloeLink *link);
void floe_link_check_hardware (FloeLink *link);
/* UsbDevices as it is now, or NULL; borrowed until the next "changed". */
GVariant *floe_link_usb_devices (FloeLink *link);
/* Refusals come as signal "trouble" (text). */
void floe_link_answer_usb (FloeLink *link, const char *path, guint64 connection, const char *choice, gboolean remember);
/* Refusals come as signal "trouble" (text). */
void floe_link_restart_for_update (FloeLink *link);
/* The machine on the screen, "" for none. Told again to a hypervisord that comes back. */
void floe_link_set_front (FloeLink *link, const char *front);

/* Last known values; strings are plain text, "" when absent. */
typedef struct {
  char *version, *accelerator, *accelerator_reason;
  char *policy_group, *policy_problem;
  guint64 policy_version;
  guint64 update_ready; /* version of the appliance that the next restart starts; 0: none */
  guint restart_idle, restart_notice; /* seconds without input, then of the countdown, until it restarts by itself; restart_idle 0: never */
  char *switch_next, *switch_previous, *switch_list; /* GTK accelerators, as received */
  gboolean kiosk;
  char *banner;
  char **languages; /* never NULL */
} FloeSettings;
/* Borrowed until the next "changed". */
const FloeSettings *floe_link_settings (FloeLink *link);
