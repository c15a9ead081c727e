/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-record.h"

/* What is kept of machines, in the policy or not: MACHINES_STATE is the directory STATE/hypervisor/machines. */

/* Calls EACH with every disk.json. Goes on past one that cannot be read, and is FALSE with its reason in the end. */
gboolean floe_kept_disks_foreach (int machines_state, void (*each) (const FloeDiskRecord *record, gpointer data), gpointer data,
                                  GError **error);
