/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/machine/floe-machine.h"
#include "hypervisor/machine/floe-machine-usb.h"
#include "hypervisor/machine/floe-nbd.h"
#include "hypervisor/machine/floe-record.h"
#include "hypervisor/machine/floe-vm-description.h"
#include "hypervisor/qmp/floe-qmp-commands.h"

/* Files of a machine. Below STATE/hypervisor/machines/ID/: */
#define FLOE_FILE_DISK_RECORD "disk.json"
#define FLOE_FILE_OVERLAY "overlay.qcow2"
#define FLOE_FILE_VARIABLES "variables.fd"
#define FLOE_FILE_MEMORY "memory.img"
#define FLOE_FILE_CACHE "cache"
/* Below RUN/hypervisor/machines/ID/, while it runs: */
#define FLOE_FILE_RUN_RECORD "record.json"
#define FLOE_FILE_QMP "qmp"
#define FLOE_FILE_NBD "nbd"

/* nbdkit may die once or twice of a vanishing client; when it dies so often before QEMU is up, something is wrong with the
 * image. */
#define FLOE_NBD_DEATHS_MAX 3

/* All that exists only while a machine runs. Half-built ones are fine: what is there is taken down. */
typedef struct {
  FloePolicy *policy; /* keeps what `spec` points to */
  const FloePolicyMachine *spec;
  FloeLibraryImage *image;
  int run_dir, nbd_dir;
  FloeNbd *nbd;
  guint nbd_deaths; /* these two under the machine's lock */
  char *nbd_words;
  gboolean up; /* QMP is open: until then a dying nbdkit means that the start fails; under the machine's lock */
  FloeNetCard *cards[FLOE_POLICY_CARDS_MAX]; /* come and go on the main thread; names of their networks in the record */
  size_t n_cards;
  FloeProcess *qemu;
  FloeQmp *qmp;
  FloeRunRecord *record;
  FloeMachineUsb *usb; /* made with the run, goes with it on the main thread */
} FloeRun;

struct _FloeMachine {
  gatomicrefcount references;
  FloeHost *host;
  char *id;
  FloeMachineChanged changed;
  gpointer data;
  int state_dir;
  FloeDiskRecord *disk; /* whoever is busy */
  gint events;          /* atomic; bits of what QEMU reported, until main has looked */
  guint room_timer;     /* main */
  gint64 next_io_error; /* main; not to be logged before */

  GMutex lock; /* for all below; held for moments, never while waiting */
  FloeMachineState state;
  char *problem;
  gboolean busy; /* an operation is under way: `run` is its own */
  gboolean qemu_ended, view_pending;
  gboolean usb_away; /* no USB device may be given: it does not execute yet, or is being suspended */
  FloePolicy *policy;
  const FloePolicyMachine *spec;
  FloeLibraryImage *image;
  char *image_problem, *barred;
  FloeRun *run;
  double desktop_s;
};

/* -- floe-machine.c: what the others need of it ---------------------------------------------------------------------- */

/* Sets state and problem (NULL: none), and has floe_machine_changed told. Any thread, lock not held. */
void floe_machine_set_state (FloeMachine *machine, FloeMachineState state, const char *problem);
gboolean floe_machine_save_disk (FloeMachine *machine, const char *image, const char *suspended,
                                 GError **error) FLOE_WARN_UNUSED;
/* The monitor of a machine that executes, whatever operation is under way; referenced. CONTEXT is the machine. Any thread. */
FloeQmp *floe_machine_monitor (gpointer context, GError **error) FLOE_WARN_UNUSED;
/* QMP's event function; CONTEXT is the machine. I/O thread. */
void floe_machine_on_event (const char *name, FloeJson *data, gpointer context);
/* QEMU has paused its guest for want of disk space: says so, and lets it go on when there is room. Main thread. */
void floe_machine_wait_for_room (FloeMachine *machine);
void floe_machine_on_qemu_ended (FloeProcess *process, gpointer data);
void floe_machine_on_nbd_died (const char *last_words, guint deaths, gpointer data);
void floe_machine_on_nbd_restarted (gpointer data);

/* -- floe-machine-run.c ----------------------------------------------------------------------------------------------- */

/* The run's nbdkit: ADOPT (taken) if it is a living one, otherwise a new one of its image. Main thread. */
gboolean floe_machine_open_nbd (FloeMachine *machine, FloeRun *run, FloeProcess *adopt, GError **error) FLOE_WARN_UNUSED;
/* Brings up what runs, from the policy to a QEMU that stands before its first instruction with QMP open; machine->run is
 * it. Nothing is left when it fails. */
gboolean floe_machine_bring_up (FloeMachine *machine, gboolean incoming, GError **error) FLOE_WARN_UNUSED;
/* Ends and removes all that machine->run has. With KEEP_DISK the overlay stays whatever the policy says. */
void floe_machine_take_down (FloeMachine *machine, gboolean keep_disk);
/* Writes RUN's record. */
gboolean floe_run_save (FloeRun *run, GError **error) FLOE_WARN_UNUSED;
FloeRun *floe_run_new (FloeMachine *machine);
void floe_run_free (FloeRun *run);
uid_t floe_machine_qemu_uid (const FloeMachine *machine);
/* Path of NAME in its state directory; to be freed. */
char *floe_machine_state_path (const FloeMachine *machine, const char *name);

/* -- floe-machine-cards.c: main thread all ------------------------------------------------------------------------------ */

/* A card for each network of run->spec. Where one fails, those before it are in RUN and unmade with it. */
gboolean floe_machine_open_cards (FloeMachine *machine, FloeRun *run, GError **error) FLOE_WARN_UNUSED;
/* Finds the cards that the record names again, with what SPEC (NULL: nothing) says of them now. */
gboolean floe_machine_adopt_cards (FloeMachine *machine, FloeRun *run, GError **error) FLOE_WARN_UNUSED;
/* The machine's policy has changed: each card gets the rules of the network that it was made for, by name; a card whose network
 * is no longer the machine's, or has become another kind of link, lets nothing pass until the next start. */
void floe_machine_replace_cards (FloeMachine *machine, FloeRun *run);
void floe_machine_close_cards (FloeMachine *machine, FloeRun *run);
void floe_machine_stop_servers (FloeRun *run);
/* Adds what Statistics() tells of networks. */
gboolean floe_machine_count_cards (FloeMachine *machine, FloeRun *run, GVariantDict *counters, GError **error) FLOE_WARN_UNUSED;

/* -- floe-machine-suspend.c ------------------------------------------------------------------------------------------- */

gboolean floe_machine_save_memory (FloeMachine *machine, FloeRun *run, GError **error) FLOE_WARN_UNUSED;
gboolean floe_machine_load_memory (FloeMachine *machine, FloeRun *run, GError **error) FLOE_WARN_UNUSED;
