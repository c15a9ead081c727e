/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-machine.h"
#include "hypervisor/usb/floe-usb.h"

#include <gio/gio.h>

/* The daemon's USB gate: between machines, console and bus. Main thread, but for the two that say otherwise. */
typedef struct _FloeDaemonUsb FloeDaemonUsb;

typedef struct {
  FloeHost *host;
  GDBusConnection *bus;
  FloePolicy *policy; /* in force now; NULL: none */
  /* The machine of that id, borrowed, or NULL. */
  FloeMachine *(*find) (const char *id, gpointer data);
  /* As FloeUsbChanged; DEVICES of FloeUsbDevice. */
  void (*changed) (GPtrArray *devices, const FloeUsbDevice *device, gboolean gone, gpointer data);
  gpointer data;
} FloeDaemonUsbOptions;

FloeDaemonUsb *floe_daemon_usb_new (const FloeDaemonUsbOptions *options, GError **error) FLOE_WARN_UNUSED;
void floe_daemon_usb_free (FloeDaemonUsb *daemon);
void floe_daemon_usb_set_policy (FloeDaemonUsb *daemon, FloePolicy *policy);
/* All machines that run are told of: the devices that are there are told. */
void floe_daemon_usb_begin (FloeDaemonUsb *daemon);
/* MACHINE has changed in some way. */
void floe_daemon_usb_update_machine (FloeDaemonUsb *daemon, FloeMachine *machine);

/* What the console says and answers: worker threads. SENDER is its name on the bus: when that goes, so does what it said. */
void floe_daemon_usb_situation (FloeDaemonUsb *daemon, const char *sender, const char *front, const char *person,
                                gboolean locked);
gboolean floe_daemon_usb_answer (FloeDaemonUsb *daemon, const char *path, guint64 connection, const char *choice,
                                 gboolean remember, GError **error) FLOE_WARN_UNUSED;
