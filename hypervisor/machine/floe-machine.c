/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-private.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/machine/floe-overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long a stopped QEMU gets to flush and close a disk that is kept. */
#define QUIT_TIMEOUT_MS 10000
#define ROOM_POLL_S 5
/* What QEMU may say without end is logged no more often than this. */
#define TELL_AGAIN_US (60 * G_USEC_PER_SEC)

enum {
  EVENT_DESKTOP_UP = 1,
  EVENT_SHUTDOWN = 2,
  EVENT_NO_SPACE = 4,
  EVENT_IO_ERROR = 8,
  EVENT_RESET = 16,
};

static const char *const state_names[] = {
  [FLOE_MACHINE_STOPPED] = "stopped",       [FLOE_MACHINE_STARTING] = "starting",   [FLOE_MACHINE_RUNNING] = "running",
  [FLOE_MACHINE_SUSPENDING] = "suspending", [FLOE_MACHINE_SUSPENDED] = "suspended", [FLOE_MACHINE_RESUMING] = "resuming",
  [FLOE_MACHINE_STOPPING] = "stopping",     [FLOE_MACHINE_FAILED] = "failed",
};

const char *
floe_machine_state_name (FloeMachineState state)
{
  return state_names[state];
}

/* -- The object ------------------------------------------------------------------------------------------------------- */

/* What is kept of the machine, or what a new one begins with. */
static FloeDiskRecord *
load_disk (FloeMachine *machine, unsigned slot, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) bytes = floe_file_read_at (machine->state_dir, FLOE_FILE_DISK_RECORD, FLOE_RECORD_MAX_BYTES, &local);
  FloeDiskRecord *record;

  if (bytes != NULL)
    return floe_disk_record_parse (bytes, FLOE_FILE_DISK_RECORD, error);
  if (!g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&local));
    return NULL;
  }
  record = g_new0 (FloeDiskRecord, 1);
  record->slot = slot;
  record->image = g_strdup ("");
  record->suspended = g_strdup ("");
  return record;
}

FloeMachine *
floe_machine_new (FloeHost *host, const char *id, unsigned slot, FloeMachineChanged changed, gpointer data, GError **error)
{
  g_autoptr (FloeMachine) machine = g_new0 (FloeMachine, 1);

  g_assert (floe_name_is_safe (id));
  g_atomic_ref_count_init (&machine->references);
  g_mutex_init (&machine->lock);
  machine->host = host;
  machine->id = g_strdup (id);
  machine->changed = changed;
  machine->data = data;
  machine->state_dir = floe_dir_make_at (host->machines_state, id, 0700, error);
  if (machine->state_dir < 0)
    return NULL;
  machine->disk = load_disk (machine, slot, error);
  if (machine->disk == NULL)
    return NULL;
  g_hash_table_insert (host->slots, g_strdup (id), GUINT_TO_POINTER (machine->disk->slot));
  machine->state = *machine->disk->suspended != '\0' ? FLOE_MACHINE_SUSPENDED : FLOE_MACHINE_STOPPED;
  if (!floe_machine_save_disk (machine, machine->disk->image, machine->disk->suspended, error))
    return NULL;
  return g_steal_pointer (&machine);
}

FloeMachine *
floe_machine_ref (FloeMachine *machine)
{
  g_atomic_ref_count_inc (&machine->references);
  return machine;
}

void
floe_machine_unref (FloeMachine *machine)
{
  if (machine == NULL || !g_atomic_ref_count_dec (&machine->references))
    return;
  g_assert (machine->run == NULL);
  floe_fd_clear (&machine->state_dir);
  floe_disk_record_free (machine->disk);
  floe_policy_unref (machine->policy);
  floe_library_image_unref (machine->image);
  g_free (machine->image_problem);
  g_free (machine->barred);
  g_free (machine->problem);
  g_free (machine->id);
  g_mutex_clear (&machine->lock);
  g_free (machine);
}

const char *
floe_machine_id (const FloeMachine *machine)
{
  return machine->id;
}

unsigned
floe_machine_slot (const FloeMachine *machine)
{
  return machine->disk->slot;
}

gboolean
floe_machine_save_disk (FloeMachine *machine, const char *image, const char *suspended, GError **error)
{
  FloeDiskRecord record = { .slot = machine->disk->slot, .image = (char *)image, .suspended = (char *)suspended };
  g_autoptr (GBytes) bytes = floe_disk_record_build (&record);
  g_autoptr (GBytes) known = floe_file_read_at (machine->state_dir, FLOE_FILE_DISK_RECORD, FLOE_RECORD_MAX_BYTES, NULL);
  g_autoptr (FloeDiskRecord) next = g_new0 (FloeDiskRecord, 1);
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  /* Two flushes of the disk are saved when nothing changes, as at most starts. */
  if ((known == NULL || !g_bytes_equal (known, bytes))
      && !floe_file_replace_at (machine->state_dir, FLOE_FILE_DISK_RECORD, data, size, 0600, error))
    return FALSE;
  next->slot = record.slot;
  next->image = g_strdup (image);
  next->suspended = g_strdup (suspended);
  floe_disk_record_free (machine->disk);
  machine->disk = g_steal_pointer (&next);
  return TRUE;
}

/* -- Telling ---------------------------------------------------------------------------------------------------------- */

static gboolean
tell (gpointer data)
{
  FloeMachine *machine = data;

  g_mutex_lock (&machine->lock);
  machine->view_pending = FALSE;
  g_mutex_unlock (&machine->lock);
  machine->changed (machine, machine->data);
  return G_SOURCE_REMOVE;
}

/* Lock held. */
static void
view_changed (FloeMachine *machine)
{
  if (machine->view_pending)
    return;
  machine->view_pending = TRUE;
  g_idle_add_full (G_PRIORITY_DEFAULT, tell, floe_machine_ref (machine), (GDestroyNotify)floe_machine_unref);
}

void
floe_machine_set_state (FloeMachine *machine, FloeMachineState state, const char *problem)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);

  machine->state = state;
  g_free (machine->problem);
  machine->problem = g_strdup (problem);
  view_changed (machine);
}

FloeMachineView *
floe_machine_view (FloeMachine *machine)
{
  FloeMachineView *view = g_new0 (FloeMachineView, 1);
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);
  const FloePolicyMachine *spec = machine->spec;
  FloeLibraryImage *image = machine->run != NULL && machine->run->image != NULL ? machine->run->image : machine->image;

  view->state = machine->state;
  view->title = g_strdup (spec != NULL ? spec->title : machine->id);
  view->colour = g_strdup (spec != NULL ? spec->colour : "#808080");
  view->image = g_strdup (image != NULL ? floe_library_image_label (image) : "");
  view->problem = g_strdup (machine->problem);
  if (view->problem == NULL && machine->run == NULL)
    view->problem = g_strdup (machine->barred != NULL ? machine->barred : machine->image_problem);
  view->emulated = machine->run != NULL && machine->host->accelerator == FLOE_ACCELERATOR_TCG;
  view->desktop_s = machine->desktop_s;
  if (machine->run != NULL && machine->run->up && !machine->qemu_ended) {
    view->life = machine->run->record->qemu_start << 22 | (guint64)machine->run->record->qemu_pid;
    view->usb_ready = machine->run->record->usb && !machine->usb_away;
  }
  view->in_policy = spec != NULL;
  if (spec != NULL) {
    view->autostart = spec->autostart;
    view->clipboard = spec->clipboard;
    view->file_transfer = spec->file_transfer;
    view->audio = spec->audio;
    view->screens = spec->screens;
  }
  return view;
}

void
floe_machine_view_free (FloeMachineView *view)
{
  if (view == NULL)
    return;
  g_free (view->title);
  g_free (view->colour);
  g_free (view->problem);
  g_free (view->image);
  g_free (view);
}

void
floe_machine_add_pids (FloeMachine *machine, GHashTable *set)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);
  const FloeProcess *nbdkit
      = machine->run == NULL || machine->run->nbd == NULL ? NULL : floe_nbd_process (machine->run->nbd);

  if (machine->run != NULL && machine->run->qemu != NULL)
    g_hash_table_add (set, GINT_TO_POINTER (floe_process_pid (machine->run->qemu)));
  if (nbdkit != NULL)
    g_hash_table_add (set, GINT_TO_POINTER (floe_process_pid (nbdkit)));
}

/* -- Policy ----------------------------------------------------------------------------------------------------------- */

void
floe_machine_set_policy (FloeMachine *machine, FloePolicy *policy, const FloePolicyMachine *spec, FloeLibraryImage *image,
                         const char *problem)
{
  g_autoptr (FloePolicy) old = NULL;
  FloeRun *run;

  g_mutex_lock (&machine->lock);
  old = machine->policy;
  machine->policy = floe_policy_ref (policy);
  machine->spec = spec;
  floe_library_image_unref (machine->image);
  machine->image = image == NULL ? NULL : floe_library_image_ref (image);
  g_free (machine->image_problem);
  machine->image_problem = g_strdup (problem);
  run = machine->run;
  view_changed (machine);
  g_mutex_unlock (&machine->lock);
  /* Cards come and go on this thread only. */
  if (run != NULL)
    floe_machine_replace_cards (machine, run);
}

void
floe_machine_refresh_network (FloeMachine *machine)
{
  FloeRun *run;

  g_mutex_lock (&machine->lock);
  run = machine->run;
  g_mutex_unlock (&machine->lock);
  if (run != NULL)
    floe_machine_replace_cards (machine, run);
}

void
floe_machine_set_barred (FloeMachine *machine, const char *reason)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);

  if (g_strcmp0 (machine->barred, reason) == 0)
    return;
  g_free (machine->barred);
  machine->barred = g_strdup (reason);
  view_changed (machine);
}

/* -- Operations ------------------------------------------------------------------------------------------------------- */

#define IN(state) (1u << (state))
#define EXECUTES (IN (FLOE_MACHINE_STARTING) | IN (FLOE_MACHINE_RUNNING))

/* Begins an operation that the states in ALLOWED permit; the machine is the caller's until end_operation(). */
static gboolean
begin_operation (FloeMachine *machine, unsigned allowed, const char *what, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);

  if (machine->busy)
    return floe_error_set (error, FLOE_ERROR_BUSY, "%s: machine %s is busy (%s); try again", what, machine->id,
                           state_names[machine->state]);
  if ((IN (machine->state) & allowed) == 0)
    return floe_error_set (error, FLOE_ERROR_BUSY, "%s: not while machine %s is %s", what, machine->id,
                           state_names[machine->state]);
  machine->busy = TRUE;
  return TRUE;
}

static void finish_ended (FloeMachine *machine);

static void
end_operation (FloeMachine *machine)
{
  gboolean ended;

  g_mutex_lock (&machine->lock);
  ended = machine->qemu_ended && machine->run != NULL;
  if (!ended)
    machine->busy = FALSE;
  g_mutex_unlock (&machine->lock);
  /* QEMU ended under the operation's hands: main left the rest to us. */
  if (ended)
    finish_ended (machine);
}

/* QEMU is gone of itself: the guest shut down, or it crashed. The machine is ours (busy). */
static void
finish_ended (FloeMachine *machine)
{
  g_autofree char *words = floe_process_last_words (machine->run->qemu);
  gboolean wanted;

  /* Its last events may still be on their way through the I/O thread: they end with the connection. */
  for (int i = 0; i < 200 && machine->run->qmp != NULL && floe_qmp_is_open (machine->run->qmp); i++)
    g_usleep (1000);
  g_mutex_lock (&machine->lock);
  wanted = machine->state == FLOE_MACHINE_STOPPING || (g_atomic_int_get (&machine->events) & EVENT_SHUTDOWN) != 0;
  g_mutex_unlock (&machine->lock);
  floe_machine_take_down (machine, FALSE);
  floe_log (G_LOG_LEVEL_MESSAGE, "machine ended", "VM", machine->id, "QEMU", words, NULL);
  if (wanted)
    floe_machine_set_state (machine, FLOE_MACHINE_STOPPED, NULL);
  else
    floe_machine_set_state (machine, FLOE_MACHINE_FAILED, words != NULL ? words : "QEMU ended unexpectedly");
  g_mutex_lock (&machine->lock);
  machine->busy = FALSE;
  g_mutex_unlock (&machine->lock);
}

void
floe_machine_on_qemu_ended (FloeProcess *process G_GNUC_UNUSED, gpointer data)
{
  FloeMachine *machine = data;
  gboolean mine;

  g_mutex_lock (&machine->lock);
  machine->qemu_ended = TRUE;
  mine = !machine->busy;
  if (mine)
    machine->busy = TRUE;
  g_mutex_unlock (&machine->lock);
  if (mine)
    finish_ended (machine);
}

void
floe_machine_on_nbd_died (const char *last_words, guint deaths, gpointer data)
{
  FloeMachine *machine = data;
  FloeProcess *hopeless = NULL;

  floe_log (G_LOG_LEVEL_WARNING, "nbdkit ended, starting it again", "VM", machine->id, "REASON", last_words, NULL);
  g_mutex_lock (&machine->lock);
  if (machine->run != NULL) {
    machine->run->nbd_deaths = deaths;
    if (last_words != NULL) {
      g_free (machine->run->nbd_words);
      machine->run->nbd_words = g_strdup (last_words);
    }
    if (!machine->run->up && deaths >= FLOE_NBD_DEATHS_MAX)
      hopeless = machine->run->qemu;
  }
  g_mutex_unlock (&machine->lock);
  if (hopeless != NULL)
    floe_process_kill (hopeless);
}

/* The record must name the nbdkit that serves now, or our next life would end it. */
void
floe_machine_on_nbd_restarted (gpointer data)
{
  FloeMachine *machine = data;
  g_autoptr (GError) error = NULL;
  FloeRun *up = NULL;

  g_mutex_lock (&machine->lock);
  if (machine->run != NULL && machine->run->up)
    up = machine->run;
  g_mutex_unlock (&machine->lock);
  /* Runs are taken down on this thread only: it stays while we write. */
  if (up != NULL && !floe_run_save (up, &error))
    floe_log (G_LOG_LEVEL_WARNING, "record not written", "VM", machine->id, "REASON", error->message, NULL);
}

/* The guest's first instruction, or its next one. */
static gboolean
let_run (FloeMachine *machine, gboolean incoming, GError **error)
{
  FloeRun *run = machine->run;

  if (incoming && !floe_machine_load_memory (machine, run, error))
    return FALSE;
  return floe_qmp_cont (run->qmp, error);
}

/* A saved machine has no device of the host's in it: it may be resumed on another day. */
static void
set_usb_away (FloeMachine *machine, gboolean away)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);

  machine->usb_away = away;
  view_changed (machine);
}

static gboolean
start (FloeMachine *machine, gboolean incoming, GError **error)
{
  g_autoptr (GError) local = NULL;

  floe_machine_set_state (machine, incoming ? FLOE_MACHINE_RESUMING : FLOE_MACHINE_STARTING, NULL);
  if (floe_machine_bring_up (machine, incoming, &local) && let_run (machine, incoming, &local)) {
    /* A resumed desktop is up at once; a fresh one when its agent says so. */
    if (incoming)
      floe_machine_set_state (machine, FLOE_MACHINE_RUNNING, NULL);
    set_usb_away (machine, FALSE);
    floe_log (G_LOG_LEVEL_MESSAGE, incoming ? "machine resumed" : "machine started", "VM", machine->id, "IMAGE",
              floe_library_image_label (machine->run->image), "ACCELERATOR",
              floe_accelerator_name (machine->host->accelerator), NULL);
    end_operation (machine);
    return TRUE;
  }
  floe_machine_take_down (machine, incoming);
  floe_machine_set_state (machine, *machine->disk->suspended != '\0' ? FLOE_MACHINE_SUSPENDED : FLOE_MACHINE_FAILED,
                          local->message);
  end_operation (machine);
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

gboolean
floe_machine_start (FloeMachine *machine, GError **error)
{
  return begin_operation (machine, IN (FLOE_MACHINE_STOPPED) | IN (FLOE_MACHINE_FAILED), "start", error)
         && start (machine, FALSE, error);
}

gboolean
floe_machine_resume (FloeMachine *machine, GError **error)
{
  return begin_operation (machine, IN (FLOE_MACHINE_SUSPENDED), "resume", error) && start (machine, TRUE, error);
}

/* Throws a suspended machine's memory away. */
static gboolean
discard (FloeMachine *machine, GError **error)
{
  g_autofree char *kept = NULL;

  /* Only a policy that says "reset" throws the disk away too. */
  g_mutex_lock (&machine->lock);
  if (machine->spec == NULL || machine->spec->disk != FLOE_POLICY_DISK_RESET)
    kept = g_strdup (machine->disk->image);
  else
    kept = g_strdup ("");
  g_mutex_unlock (&machine->lock);
  if (!floe_machine_save_disk (machine, kept, "", error))
    return FALSE;
  unlinkat (machine->state_dir, FLOE_FILE_MEMORY, 0);
  if (*kept == '\0') {
    unlinkat (machine->state_dir, FLOE_FILE_OVERLAY, 0);
    unlinkat (machine->state_dir, FLOE_FILE_VARIABLES, 0);
  }
  floe_machine_set_state (machine, FLOE_MACHINE_STOPPED, NULL);
  return TRUE;
}

static gboolean
force_off (FloeMachine *machine, GError **error)
{
  gboolean done = TRUE;

  if (machine->run == NULL) {
    done = discard (machine, error);
  } else {
    floe_machine_set_state (machine, FLOE_MACHINE_STOPPING, NULL);
    /* What is thrown away needs no orderly end. */
    if (machine->run->spec != NULL && machine->run->spec->disk == FLOE_POLICY_DISK_PERSIST
        && floe_qmp_quit (machine->run->qmp, NULL))
      (void)floe_process_wait (machine->run->qemu, QUIT_TIMEOUT_MS);
    floe_machine_take_down (machine, FALSE);
    floe_machine_set_state (machine, FLOE_MACHINE_STOPPED, NULL);
    floe_log (G_LOG_LEVEL_MESSAGE, "machine stopped", "VM", machine->id, NULL);
  }
  end_operation (machine);
  return done;
}

gboolean
floe_machine_stop (FloeMachine *machine, gboolean force, GError **error)
{
  gboolean done;

  if (force)
    return begin_operation (machine, EXECUTES | IN (FLOE_MACHINE_STOPPING) | IN (FLOE_MACHINE_SUSPENDED), "stop", error)
           && force_off (machine, error);
  if (!begin_operation (machine, EXECUTES | IN (FLOE_MACHINE_STOPPING), "stop", error))
    return FALSE;
  done = floe_qmp_system_powerdown (machine->run->qmp, error);
  if (done)
    floe_machine_set_state (machine, FLOE_MACHINE_STOPPING, NULL);
  end_operation (machine);
  return done;
}

gboolean
floe_machine_reset (FloeMachine *machine, GError **error)
{
  gboolean done;

  if (!begin_operation (machine, EXECUTES | IN (FLOE_MACHINE_STOPPING), "reset", error))
    return FALSE;
  done = floe_qmp_system_reset (machine->run->qmp, error);
  if (done) {
    g_mutex_lock (&machine->lock);
    machine->desktop_s = 0;
    machine->run->record->started_us = g_get_monotonic_time ();
    g_mutex_unlock (&machine->lock);
    floe_machine_set_state (machine, FLOE_MACHINE_STARTING, NULL);
  }
  end_operation (machine);
  return done;
}

gboolean
floe_machine_suspend (FloeMachine *machine, GError **error)
{
  g_autoptr (GError) local = NULL;
  FloeMachineState before;

  if (!begin_operation (machine, EXECUTES, "suspend", error))
    return FALSE;
  before = machine->state;
  set_usb_away (machine, TRUE);
  floe_machine_set_state (machine, FLOE_MACHINE_SUSPENDING, NULL);
  if (floe_machine_usb_clear (machine->run->usb, &local) && floe_machine_save_memory (machine, machine->run, &local)) {
    floe_machine_take_down (machine, TRUE);
    floe_machine_set_state (machine, FLOE_MACHINE_SUSPENDED, NULL);
    floe_log (G_LOG_LEVEL_MESSAGE, "machine suspended", "VM", machine->id, NULL);
    end_operation (machine);
    return TRUE;
  }
  floe_machine_usb_open (machine->run->usb);
  set_usb_away (machine, FALSE);
  floe_machine_set_state (machine, before, local->message);
  end_operation (machine);
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/* -- Beside operations ------------------------------------------------------------------------------------------------ */

FloeQmp *
floe_machine_monitor (gpointer context, GError **error)
{
  FloeMachine *machine = context;
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);

  if (machine->run != NULL && machine->run->up && !machine->qemu_ended)
    return floe_qmp_ref (machine->run->qmp);
  floe_error_set (error, FLOE_ERROR_BUSY, "machine %s is %s", machine->id, state_names[machine->state]);
  return NULL;
}

int
floe_machine_open_display (FloeMachine *machine, GError **error)
{
  g_autoptr (FloeQmp) qmp = floe_machine_monitor (machine, error);
  g_autofree char *name = g_strdup_printf ("display%08x", g_random_int ());
  floe_autofd ours = -1, theirs = -1;
  int ends[2];

  if (qmp == NULL)
    return -1;
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
    floe_error_set_errno (error, errno, "socket pair");
    return -1;
  }
  ours = ends[0];
  theirs = ends[1];
  if (!floe_qmp_getfd (qmp, name, theirs, error))
    return -1;
  if (!floe_qmp_add_spice_client (qmp, name, error)) {
    (void)!floe_qmp_closefd (qmp, name, NULL);
    return -1;
  }
  return floe_fd_steal (&ours);
}

typedef struct {
  FloeMachine *machine;
  GVariantDict *counters;
  GError **error;
  gboolean done;
} Reading;

static void
read_counters (gpointer data)
{
  Reading *reading = data;
  FloeRun *run = reading->machine->run;
  const FloeProcess *nbdkit;

  reading->done = TRUE;
  if (run == NULL)
    return;
  nbdkit = run->nbd == NULL ? NULL : floe_nbd_process (run->nbd);
  if (run->qemu != NULL)
    g_variant_dict_insert (reading->counters, "pid", "u", (guint32)floe_process_pid (run->qemu));
  g_variant_dict_insert (reading->counters, "nbd_pid", "u", nbdkit == NULL ? 0 : (guint32)floe_process_pid (nbdkit));
  reading->done = floe_machine_count_cards (reading->machine, run, reading->counters, reading->error);
}

/* Taken down on this thread only, so that what RUN has stays while it is spoken to. */
static FloeMachineUsb *
current_usb (FloeMachine *machine)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);

  return machine->run == NULL ? NULL : machine->run->usb;
}

gboolean
floe_machine_give_usb (FloeMachine *machine, const FloeUsbGift *gift, FloeMachineUsbDone done, gpointer data)
{
  FloeMachineUsb *usb = current_usb (machine);

  if (usb != NULL)
    floe_machine_usb_give (usb, gift, done, data);
  return usb != NULL;
}

gboolean
floe_machine_take_usb (FloeMachine *machine, guint64 serial, FloeMachineUsbDone done, gpointer data)
{
  FloeMachineUsb *usb = current_usb (machine);

  if (usb != NULL)
    floe_machine_usb_take (usb, serial, done, data);
  return usb != NULL;
}

GVariant *
floe_machine_statistics (FloeMachine *machine, GError **error)
{
  GVariantDict counters;
  Reading reading = { .machine = machine, .counters = &counters, .error = error };

  g_variant_dict_init (&counters, NULL);
  floe_main_call (read_counters, &reading);
  if (!reading.done) {
    g_variant_dict_clear (&counters);
    return NULL;
  }
  return g_variant_dict_end (&counters);
}

/* -- What QEMU reports ------------------------------------------------------------------------------------------------ */

static void
desktop_up (FloeMachine *machine)
{
  g_autoptr (GError) error = NULL;
  FloeRun *run = machine->run;
  double seconds = 0;

  g_mutex_lock (&machine->lock);
  if (machine->state == FLOE_MACHINE_STARTING && run != NULL) {
    seconds = (double)(g_get_monotonic_time () - run->record->started_us) / G_USEC_PER_SEC;
    machine->desktop_s = seconds;
    machine->state = FLOE_MACHINE_RUNNING;
    run->record->desktop_s = seconds;
    view_changed (machine);
  }
  g_mutex_unlock (&machine->lock);
  if (seconds == 0)
    return;
  floe_log (G_LOG_LEVEL_MESSAGE, "desktop is up", "VM", machine->id, NULL);
  if (!floe_run_save (run, &error))
    floe_log (G_LOG_LEVEL_WARNING, "record not written", "VM", machine->id, "REASON", error->message, NULL);
}

static gpointer
continue_paused (gpointer data)
{
  g_autoptr (FloeMachine) machine = data;
  g_autoptr (FloeQmp) qmp = floe_machine_monitor (machine, NULL);

  if (qmp != NULL && floe_qmp_cont (qmp, NULL))
    floe_log (G_LOG_LEVEL_MESSAGE, "machine goes on", "VM", machine->id, NULL);
  return NULL;
}

static gboolean
on_room_timer (gpointer data)
{
  FloeMachine *machine = data;
  FloeMachineState state;

  if (machine->run != NULL && !floe_overlay_check_room (machine->state_dir, FLOE_OVERLAY_ROOM_MIN / 4, NULL))
    return G_SOURCE_CONTINUE;
  machine->room_timer = 0;
  if (machine->run == NULL)
    return G_SOURCE_REMOVE;
  g_mutex_lock (&machine->lock);
  state = machine->state;
  g_mutex_unlock (&machine->lock);
  floe_machine_set_state (machine, state, NULL);
  g_thread_unref (g_thread_new ("floe-continue", continue_paused, floe_machine_ref (machine)));
  return G_SOURCE_REMOVE;
}

/* QEMU has paused the guest at the write that failed, and repeats it when it goes on: the guest sees slow I/O, no error. */
void
floe_machine_wait_for_room (FloeMachine *machine)
{
  FloeMachineState state;

  /* Known already: it is looked at every few seconds, and a QEMU that says it without end fills no log. */
  if (machine->room_timer != 0)
    return;
  floe_log (G_LOG_LEVEL_WARNING, "disk full, machine paused until there is room", "VM", machine->id, NULL);
  g_mutex_lock (&machine->lock);
  state = machine->state;
  g_mutex_unlock (&machine->lock);
  floe_machine_set_state (machine, state, "disk full: the machine is paused and goes on when there is room");
  machine->room_timer = g_timeout_add_seconds_full (G_PRIORITY_DEFAULT, ROOM_POLL_S, on_room_timer,
                                                    floe_machine_ref (machine), (GDestroyNotify)floe_machine_unref);
}

static gboolean
handle_events (gpointer data)
{
  FloeMachine *machine = data;
  gint events = g_atomic_int_and ((guint *)&machine->events, EVENT_SHUTDOWN);
  gint64 now = g_get_monotonic_time ();

  if (machine->run == NULL)
    return G_SOURCE_REMOVE;
  if (events & EVENT_DESKTOP_UP)
    desktop_up (machine);
  if (events & EVENT_RESET)
    for (size_t i = 0; i < machine->run->n_cards; i++)
      floe_net_card_guest_reset (machine->run->cards[i]);
  if (events & EVENT_NO_SPACE)
    floe_machine_wait_for_room (machine);
  if ((events & EVENT_IO_ERROR) && now >= machine->next_io_error) {
    machine->next_io_error = now + TELL_AGAIN_US;
    floe_log (G_LOG_LEVEL_WARNING, "machine paused at a disk error", "VM", machine->id, NULL);
  }
  return G_SOURCE_REMOVE;
}

/* Bits, not a queue: a QEMU that floods us with events costs a bounded amount of memory. */
static gint
event_bit (const char *name, FloeJson *data)
{
  if (name == NULL || data == NULL)
    return 0;
  if (strcmp (name, "VSERPORT_CHANGE") == 0
      && strcmp (floe_json_string (floe_json_optional (data, "id"), 128), FLOE_VM_VDAGENT) == 0)
    return floe_json_bool (floe_json_member (data, "open")) ? EVENT_DESKTOP_UP : 0;
  if (strcmp (name, "BLOCK_IO_ERROR") == 0)
    return floe_json_bool (floe_json_optional (data, "nospace")) ? EVENT_NO_SPACE : EVENT_IO_ERROR;
  if (strcmp (name, "SHUTDOWN") == 0)
    return EVENT_SHUTDOWN;
  if (strcmp (name, "RESET") == 0)
    return EVENT_RESET;
  return 0;
}

static void
usb_deleted (FloeMachine *machine, FloeJson *data)
{
  FloeJson *id = floe_json_optional (data, "device");
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&machine->lock);

  if (id != NULL && machine->run != NULL)
    floe_machine_usb_deleted (machine->run->usb, floe_json_string (id, 128));
}

void
floe_machine_on_event (const char *name, FloeJson *data, gpointer context)
{
  FloeMachine *machine = context;
  gint bit = event_bit (name, data);

  if (data != NULL && g_strcmp0 (name, "DEVICE_DELETED") == 0)
    usb_deleted (machine, data);
  if (bit == 0 || g_atomic_int_or ((guint *)&machine->events, (guint)bit) & (guint)bit)
    return;
  g_idle_add_full (G_PRIORITY_DEFAULT, handle_events, floe_machine_ref (machine), (GDestroyNotify)floe_machine_unref);
}
