/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "hypervisor/floe-hypervisor-dbus.h"

/* All machines (FloeHypervisor1Machine), in order of id, as they are now. NOT_FOUND when floe-hypervisord is not there. */
GPtrArray *floe_vm_list_machines (GError **error);

/* Over a restart of the endpoint: subcommands with one argument, a file. `leave` suspends all machines that execute, and writes
 * their ids there before; one that cannot be saved is asked to shut down, and ended when it does not within a minute. `return`
 * resumes those of the file that are suspended, as soon as a policy names them, and removes it. */
gboolean floe_vm_run_leave (int argc, char **argv, GError **error);
gboolean floe_vm_run_return (int argc, char **argv, GError **error);
