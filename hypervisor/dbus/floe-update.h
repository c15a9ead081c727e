/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* A version of the appliance that floe-slot has installed and that the next start would start, by its report (STATE/slot/report.json). What the
 * report says is for people: what starts next is between floe-slot and the boot loader. Main thread, but for the last two. */
typedef struct _FloeUpdate FloeUpdate;

typedef void (*FloeUpdateChanged) (guint64 ready, gpointer data);

/* Watches the report below STATE; CHANGED is called with the version, or 0, now and whenever it is another one. */
FloeUpdate *floe_update_new (const char *state, FloeUpdateChanged changed, gpointer data);
void floe_update_free (FloeUpdate *update);

/* The version that is ready now; 0: none, no appliance, a report that is none, or one of before the last restart. */
guint64 floe_update_ready (const char *state);
/* Has logind restart this computer, into the version that is ready: floe.target's units end before, and machines with them are suspended. NOT_FOUND
 * when none is; UNSUPPORTED where no logind answers. */
gboolean floe_update_restart (GDBusConnection *bus, const char *state, GError **error) FLOE_WARN_UNUSED;
