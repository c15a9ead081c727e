/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-machine.h"

#include <gtk/gtk.h>

/* A machine's row in the list. Signal: "act" (FloeAction): the user wants this done; nothing is done by the card itself. */
#define FLOE_TYPE_MACHINE_CARD (floe_machine_card_get_type ())
G_DECLARE_FINAL_TYPE (FloeMachineCard, floe_machine_card, FLOE, MACHINE_CARD, GtkListBoxRow)

GtkWidget *floe_machine_card_new (FloeMachine *machine);
FloeMachine *floe_machine_card_get_machine (FloeMachineCard *card);
/* Place in the list, from 1: Alt and this digit opens it. 0 or over 9: none. */
void floe_machine_card_set_number (FloeMachineCard *card, guint number);
