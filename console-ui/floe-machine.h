/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "console-ui/floe-machine-info.h"
#include "console-ui/floe-ui-bus.h"

/* A machine as hypervisord shows it. Outlives hypervisord: while that is away the last known state stays, and is not live.
 * Signals: "changed"; "trouble" (text): an action was refused. */
#define FLOE_TYPE_MACHINE (floe_machine_get_type ())
G_DECLARE_FINAL_TYPE (FloeMachine, floe_machine, FLOE, MACHINE, GObject)

FloeMachine *floe_machine_new (void);
/* The D-Bus object behind it from now on; NULL: hypervisord went away. */
void floe_machine_set_proxy (FloeMachine *machine, FloeUiHypervisor1Machine *proxy);
gboolean floe_machine_is_live (FloeMachine *machine);
/* Borrowed, valid until the next "changed". */
const FloeMachineInfo *floe_machine_get_info (FloeMachine *machine);

/* Does one action (not OPEN, which is the window's). Refusals come as "trouble". */
void floe_machine_act (FloeMachine *machine, FloeAction action);

/* Asks for one SPICE channel; finish answers a connected socket that the caller owns, or -1. */
void floe_machine_open_display (FloeMachine *machine, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
int floe_machine_open_display_finish (GAsyncResult *result, GError **error) FLOE_WARN_UNUSED;
