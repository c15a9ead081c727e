/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <gio/gio.h>

/* The console's line to the agent (org.floe.Agent1), which enrols this computer. Follows it as it comes and goes; asynchronous.
 * Signal: "changed". */
#define FLOE_TYPE_SETUP_LINK (floe_setup_link_get_type ())
G_DECLARE_FINAL_TYPE (FloeSetupLink, floe_setup_link, FLOE, SETUP_LINK, GObject)

FloeSetupLink *floe_setup_link_new (GDBusConnection *connection);
/* Whether the agent is there and waits to be enrolled, or is being. */
gboolean floe_setup_link_is_needed (FloeSetupLink *link);
gboolean floe_setup_link_is_enrolling (FloeSetupLink *link);
/* An address that was found, "" for none; plain text, borrowed until the next "changed". */
const char *floe_setup_link_address (FloeSetupLink *link);
/* How the last attempt ended, as floe_setup_problem_words() takes it; borrowed. */
const char *floe_setup_link_problem (FloeSetupLink *link);
const char *floe_setup_link_detail (FloeSetupLink *link);

void floe_setup_link_enrol (FloeSetupLink *link, const char *address, const char *code);
/* What went wrong last is of no interest any more. */
void floe_setup_link_forget (FloeSetupLink *link);
void floe_setup_link_cancel (FloeSetupLink *link);
