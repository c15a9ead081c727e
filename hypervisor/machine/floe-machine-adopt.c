/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-private.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/machine/floe-socket.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Theory of operation: a killed hypervisord leaves QEMU, nbdkit, tap and rules at work, and a record of them. The next one
 * takes each part over in the order in which it matters: the processes are who the record says (pid and start time), the
 * rules are in force before anything else is looked at, then image, nbdkit, monitor. What does not fit is ended, not
 * mended. */

#define GREETING_TIMEOUT_MS 20000
#define IMAGES "images"

static gboolean
read_record (FloeMachine *machine, FloeRun *run, GError **error)
{
  g_autoptr (GBytes) bytes = floe_file_read_at (run->run_dir, FLOE_FILE_RUN_RECORD, FLOE_RECORD_MAX_BYTES, error);
  FloeRunRecord *record = bytes == NULL ? NULL : floe_run_record_parse (bytes, FLOE_FILE_RUN_RECORD, error);

  if (record == NULL)
    return FALSE;
  floe_run_record_free (run->record);
  run->record = record;
  if (record->slot != machine->disk->slot)
    return floe_error_set (error, FLOE_ERROR_INVALID, "record of slot %u, machine of slot %u", record->slot,
                           machine->disk->slot);
  return TRUE;
}

static gboolean
adopt_nbdkit (FloeMachine *machine, FloeRun *run, GError **error)
{
  g_autofree char *images = g_build_filename (machine->host->config->state, "hypervisor", IMAGES, NULL);
  g_autoptr (FloeProcess) process = NULL;

  run->image = floe_library_find (images, run->record->image, error);
  if (run->image == NULL)
    return FALSE;
  /* Dead meanwhile, it is started anew. */
  if (run->record->nbdkit_pid != 0)
    process = floe_process_adopt ((pid_t)run->record->nbdkit_pid, run->record->nbdkit_start, NULL);
  return floe_machine_open_nbd (machine, run, g_steal_pointer (&process), error);
}

static gboolean
adopt_qemu (FloeMachine *machine, FloeRun *run, GError **error)
{
  gboolean desktop = FALSE;
  g_autofree char *status = NULL;
  int fd;

  fd = floe_socket_connect_at (run->run_dir, FLOE_FILE_QMP, error);
  if (fd < 0)
    return FALSE;
  run->qmp = floe_qmp_new (fd, machine->host->io, floe_machine_on_event, floe_machine_ref (machine),
                           (GDestroyNotify)floe_machine_unref);
  if (!floe_qmp_handshake (run->qmp, GREETING_TIMEOUT_MS, error))
    return FALSE;
  status = floe_qmp_query_status (run->qmp, error);
  if (status == NULL || !floe_qmp_query_port_open (run->qmp, FLOE_VM_VDAGENT, &desktop, error))
    return FALSE;
  /* What it may have is decided anew, and its former life's numbers mean nothing to us. */
  if (run->record->usb && !floe_machine_usb_sweep (run->qmp, error))
    return FALSE;
  /* Killed between QEMU's start and its first instruction, or in a suspension: it is not known how far that went. */
  if (strcmp (status, "running") != 0 && strcmp (status, "io-error") != 0 && strcmp (status, "shutdown") != 0)
    return floe_error_set (error, FLOE_ERROR_FAILED, "QEMU was left in state %s", status);
  run->up = TRUE;
  machine->desktop_s = run->record->desktop_s;
  if (desktop && machine->desktop_s == 0)
    machine->desktop_s = (double)(g_get_monotonic_time () - run->record->started_us) / G_USEC_PER_SEC;
  machine->state = machine->desktop_s > 0 ? FLOE_MACHINE_RUNNING : FLOE_MACHINE_STARTING;
  run->record->desktop_s = machine->desktop_s;
  floe_process_watch (run->qemu, floe_machine_on_qemu_ended, machine);
  /* Nobody told us why; a full disk is what passes by itself, and anything else is reported again by the next try. */
  if (strcmp (status, "io-error") == 0)
    floe_machine_wait_for_room (machine);
  return floe_run_save (run, error);
}

static gboolean
adopt (FloeMachine *machine, FloeRun *run, GError **error)
{
  run->nbd_dir = floe_dir_make_at (run->run_dir, FLOE_FILE_NBD, 0755, error);
  if (run->nbd_dir < 0 || !read_record (machine, run, error))
    return FALSE;
  run->qemu = floe_process_adopt ((pid_t)run->record->qemu_pid, run->record->qemu_start, error);
  if (run->qemu == NULL)
    return FALSE;
  return floe_machine_adopt_cards (machine, run, error) && adopt_nbdkit (machine, run, error) && adopt_qemu (machine, run, error);
}

gboolean
floe_machine_adopt (FloeMachine *machine, GError **error)
{
  g_autoptr (GError) local = NULL;
  int run_dir = openat (machine->host->machines_run, machine->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  FloeRun *run;

  if (run_dir < 0)
    return TRUE;
  run = floe_run_new (machine);
  run->run_dir = run_dir;
  run->policy = machine->policy == NULL ? NULL : floe_policy_ref (machine->policy);
  run->spec = machine->spec;
  machine->run = run;
  if (adopt (machine, run, &local)) {
    floe_log (G_LOG_LEVEL_MESSAGE, "machine adopted", "VM", machine->id, "STATE", floe_machine_state_name (machine->state),
              NULL);
    return TRUE;
  }
  floe_machine_take_down (machine, machine->state == FLOE_MACHINE_SUSPENDED);
  if (machine->state != FLOE_MACHINE_SUSPENDED)
    floe_machine_set_state (machine, FLOE_MACHINE_FAILED, local->message);
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

void
floe_machine_abandon (FloeMachine *machine)
{
  FloeRun *run;

  g_mutex_lock (&machine->lock);
  run = g_steal_pointer (&machine->run);
  g_mutex_unlock (&machine->lock);
  floe_run_free (run);
  if (machine->room_timer != 0)
    g_source_remove (machine->room_timer);
  machine->room_timer = 0;
}
