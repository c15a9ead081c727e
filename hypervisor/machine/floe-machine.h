/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-host.h"
#include "hypervisor/machine/floe-image-library.h"
#include "hypervisor/machine/floe-machine-usb.h"

/* One machine of the policy: its state, its disk, and while it runs its QEMU, nbdkit and network card.
 *
 * Threads: operations (start to statistics) wait, so they are called from worker threads; one at a time, others get BUSY.
 * Everything else belongs to the main thread. */
typedef struct _FloeMachine FloeMachine;

typedef enum {
  FLOE_MACHINE_STOPPED,
  FLOE_MACHINE_STARTING, /* until the desktop is up */
  FLOE_MACHINE_RUNNING,
  FLOE_MACHINE_SUSPENDING,
  FLOE_MACHINE_SUSPENDED,
  FLOE_MACHINE_RESUMING,
  FLOE_MACHINE_STOPPING,
  FLOE_MACHINE_FAILED,
} FloeMachineState;
/* "stopped"...: as over D-Bus. */
const char *floe_machine_state_name (FloeMachineState state);

/* Called on the main thread after anything that floe_machine_view() tells has changed. */
typedef void (*FloeMachineChanged) (FloeMachine *machine, gpointer data);

/* ID is floe_name_is_safe(). Reads what is kept of it (a suspended machine is suspended again). SLOT is for a machine never
 * seen. */
FloeMachine *floe_machine_new (FloeHost *host, const char *id, unsigned slot, FloeMachineChanged changed, gpointer data,
                               GError **error) FLOE_WARN_UNUSED;
FloeMachine *floe_machine_ref (FloeMachine *machine);
void floe_machine_unref (FloeMachine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeMachine, floe_machine_unref)
const char *floe_machine_id (const FloeMachine *machine);

/* The policy in force (POLICY owns SPEC) and the image that its channel is at; IMAGE NULL with PROBLEM when it cannot be
 * used yet. A running machine gets the new network rules at once, and the rest at its next start. SPEC NULL: no machine of
 * the policy any more. */
void floe_machine_set_policy (FloeMachine *machine, FloePolicy *policy, const FloePolicyMachine *spec,
                              FloeLibraryImage *image, const char *problem);
/* Loads its cards' rules anew: something that they depend on besides the policy has changed. */
void floe_machine_refresh_network (FloeMachine *machine);
/* Why no machine may start now (the lease has run out), or NULL. */
void floe_machine_set_barred (FloeMachine *machine, const char *reason);

/* Finds the machine running as a former life of this daemon left it; TRUE also when it was not running. Called once, with
 * the policy set. On failure the machine has been ended. Main thread, before its loop runs. */
gboolean floe_machine_adopt (FloeMachine *machine, GError **error) FLOE_WARN_UNUSED;
/* Lets go of a running machine without ending it. */
void floe_machine_abandon (FloeMachine *machine);

gboolean floe_machine_start (FloeMachine *machine, GError **error) FLOE_WARN_UNUSED;
gboolean floe_machine_stop (FloeMachine *machine, gboolean force, GError **error) FLOE_WARN_UNUSED;
gboolean floe_machine_reset (FloeMachine *machine, GError **error) FLOE_WARN_UNUSED;
gboolean floe_machine_suspend (FloeMachine *machine, GError **error) FLOE_WARN_UNUSED;
gboolean floe_machine_resume (FloeMachine *machine, GError **error) FLOE_WARN_UNUSED;
/* One connected SPICE channel, or -1. */
int floe_machine_open_display (FloeMachine *machine, GError **error) FLOE_WARN_UNUSED;
/* Main thread; see floe_machine_usb_give() and floe_machine_usb_take(). FALSE, and nothing is called: the machine does not run. */
gboolean floe_machine_give_usb (FloeMachine *machine, const FloeUsbGift *gift, FloeMachineUsbDone done, gpointer data);
gboolean floe_machine_take_usb (FloeMachine *machine, guint64 serial, FloeMachineUsbDone done, gpointer data);
/* a{sv} as the interface describes it; floating. */
GVariant *floe_machine_statistics (FloeMachine *machine, GError **error) FLOE_WARN_UNUSED;

typedef struct {
  FloeMachineState state;
  char *title, *colour, *problem, *image;
  gboolean emulated, in_policy, autostart;
  double desktop_s;
  FloePolicyShare clipboard, file_transfer;
  gboolean audio;
  unsigned screens;
  guint64 life;       /* of its QEMU, another one each time; 0: none with an open monitor */
  gboolean usb_ready; /* that one can be given USB devices now */
} FloeMachineView;

FloeMachineView *floe_machine_view (FloeMachine *machine);
void floe_machine_view_free (FloeMachineView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeMachineView, floe_machine_view_free)
unsigned floe_machine_slot (const FloeMachine *machine);
/* pids of what runs for it, added to SET (of GINT_TO_POINTER). */
void floe_machine_add_pids (FloeMachine *machine, GHashTable *set);
