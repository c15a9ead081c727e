/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-host.h"

/* floe-hypervisord without its main(): host, policy, machines, USB gate, and their objects on the bus. Main thread. */
typedef struct _FloeDaemon FloeDaemon;

/* Takes over machines that kept running and whatever policy was in force. HOST is borrowed. */
FloeDaemon *floe_daemon_new (FloeHost *host, GDBusConnection *bus, GError **error) FLOE_WARN_UNUSED;
/* Objects are on the bus from here; machines that the policy wants at once are started, and the spool is looked at. */
void floe_daemon_serve (FloeDaemon *daemon);
/* The bus name is ours now: what was decided while nobody could hear of it is told. */
void floe_daemon_announce (FloeDaemon *daemon);
/* Lets go of all machines without ending any. */
void floe_daemon_free (FloeDaemon *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeDaemon, floe_daemon_free)
