/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "console-ui/floe-link.h"

#include <gtk/gtk.h>

/* The page that shows all machines. Signals: "act" (FloeMachine, FloeAction), "language" (code). */
#define FLOE_TYPE_MACHINE_LIST (floe_machine_list_get_type ())
G_DECLARE_FINAL_TYPE (FloeMachineList, floe_machine_list, FLOE, MACHINE_LIST, GtkBox)

GtkWidget *floe_machine_list_new (FloeLink *link);
/* MACHINES in the order shown. */
void floe_machine_list_set (FloeMachineList *list, GPtrArray *machines);
/* The machine whose row is selected, or NULL. */
FloeMachine *floe_machine_list_selected (FloeMachineList *list);
/* Gives the keyboard to MACHINE's row, or to the first. */
void floe_machine_list_focus (FloeMachineList *list, FloeMachine *machine);
