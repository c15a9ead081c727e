/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/qmp/floe-qmp-commands.h"
#include "hypervisor/usb/floe-usb.h"

/* USB devices of one machine, from descriptor to QEMU's device and back. Every step waits for QEMU, so it is done by one thread of
 * the machine's own, in the order asked for: taking what has just been given comes after the giving. */
typedef struct _FloeMachineUsb FloeMachineUsb;

/* The bus of the controller that a machine has when the policy may give it a device (floe-vm-argv.c). */
#define FLOE_VM_USB_CONTROLLER "usb"
#define FLOE_VM_USB_BUS FLOE_VM_USB_CONTROLLER ".0"

/* The monitor of the machine that executes, referenced, or NULL with ERROR. Any thread. */
typedef FloeQmp *(*FloeMachineUsbMonitor) (gpointer data, GError **error);
/* On the main thread. */
typedef void (*FloeMachineUsbDone) (guint64 serial, const GError *error, gpointer data);

/* MONITOR is called with DATA, which outlives this. */
FloeMachineUsb *floe_machine_usb_new (FloeMachineUsbMonitor monitor, gpointer data);
/* Waits for what is under way; the monitor is closed before, so that this is soon. */
void floe_machine_usb_free (FloeMachineUsb *usb);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeMachineUsb, floe_machine_usb_free)

/* Duplicates the gift's descriptors; DONE (serial, error or NULL, DATA) follows. On failure nothing of it is left in QEMU. */
void floe_machine_usb_give (FloeMachineUsb *usb, const FloeUsbGift *gift, FloeMachineUsbDone done, gpointer data);
/* A machine that does not execute any more has let go of everything: no error. */
void floe_machine_usb_take (FloeMachineUsb *usb, guint64 serial, FloeMachineUsbDone done, gpointer data);
/* Takes all of it, gives nothing more, and waits until that is so: a saved machine has no device of the host's in it. Not from
 * the main thread. */
gboolean floe_machine_usb_clear (FloeMachineUsb *usb, GError **error) FLOE_WARN_UNUSED;
/* Gives again. */
void floe_machine_usb_open (FloeMachineUsb *usb);
/* QEMU says DEVICE_DELETED of ID. Any thread; does not wait. */
void floe_machine_usb_deleted (FloeMachineUsb *usb, const char *id);

/* Has an adopted QEMU let go of all that our former life gave it: what it is to have is decided anew. Waits. */
gboolean floe_machine_usb_sweep (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;
