/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-private.h"

#include "common/floe-fd.h"
#include "hypervisor/machine/floe-overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Order of writing: memory, overlay and variables are on disk before the record says "suspended", and the record says
 * otherwise before the first instruction after. So a power cut leaves a machine that can go on, or one that is off, never
 * one that goes on from memory which does not belong to its disk. */

#define MEMORY_NAME "memory"
#define POLL_US 20000
/* 10 MiB/s, the slowest disk on which anyone would wait for this. */
#define SLOWEST_MIB_S 10
#define LEAST_TIMEOUT_S 60

static gboolean
await_migration (FloeQmp *qmp, unsigned memory_mib, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64)MAX (LEAST_TIMEOUT_S, memory_mib / SLOWEST_MIB_S) * G_USEC_PER_SEC;

  while (g_get_monotonic_time () < deadline) {
    FloeQmpMigration state;

    if (!floe_qmp_query_migrate (qmp, &state, error))
      return FALSE;
    if (state == FLOE_QMP_MIGRATION_COMPLETED)
      return TRUE;
    if (state == FLOE_QMP_MIGRATION_FAILED)
      return floe_error_set (error, FLOE_ERROR_IO, "QEMU could not write or read the machine's memory (is the disk full?)");
    g_usleep (POLL_US);
  }
  return floe_error_set (error, FLOE_ERROR_CANCELLED, "the machine's memory was not saved or loaded in time");
}

static gboolean
sync_file (FloeMachine *machine, const char *name, GError **error)
{
  floe_autofd fd = openat (machine->state_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

  if (fd < 0 && errno == ENOENT)
    return TRUE; /* no variables with BIOS firmware */
  return (fd >= 0 && fsync (fd) == 0) || floe_error_set_errno (error, errno, "sync %s", name);
}

static gboolean
write_memory (FloeMachine *machine, FloeRun *run, GError **error)
{
  floe_autofd fd = -1;

  if (!floe_overlay_check_room (machine->state_dir, ((guint64)run->spec->memory_mib + 64) << 20, error))
    return FALSE;
  fd = openat (machine->state_dir, FLOE_FILE_MEMORY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return floe_error_set_errno (error, errno, "create " FLOE_FILE_MEMORY);
  if (!floe_qmp_stop (run->qmp, error) || !floe_qmp_migrate_unlimited (run->qmp, error)
      || !floe_qmp_getfd (run->qmp, MEMORY_NAME, fd, error) || !floe_qmp_migrate_to_fd (run->qmp, MEMORY_NAME, error)
      || !await_migration (run->qmp, run->spec->memory_mib, error))
    return FALSE;
  return fsync (fd) == 0 || floe_error_set_errno (error, errno, "sync " FLOE_FILE_MEMORY);
}

gboolean
floe_machine_save_memory (FloeMachine *machine, FloeRun *run, GError **error)
{
  if (write_memory (machine, run, error)) {
    /* QEMU must have let go of the disk, what it holds in its own caches included. */
    if (floe_qmp_quit (run->qmp, NULL))
      (void)floe_process_wait (run->qemu, LEAST_TIMEOUT_S * 1000);
    floe_process_kill (run->qemu);
    return sync_file (machine, FLOE_FILE_OVERLAY, error) && sync_file (machine, FLOE_FILE_VARIABLES, error)
           && floe_machine_save_disk (machine, floe_library_image_label (run->image), run->record->fingerprint, error);
  }
  unlinkat (machine->state_dir, FLOE_FILE_MEMORY, 0);
  /* It was stopped perhaps; it goes on as if nobody had asked. */
  (void)!floe_qmp_cont (run->qmp, NULL);
  return FALSE;
}

gboolean
floe_machine_load_memory (FloeMachine *machine, FloeRun *run, GError **error)
{
  floe_autofd fd = floe_file_open_at (machine->state_dir, FLOE_FILE_MEMORY, error);

  if (fd < 0)
    return FALSE;
  if (!floe_qmp_migrate_unlimited (run->qmp, error) || !floe_qmp_getfd (run->qmp, MEMORY_NAME, fd, error)
      || !floe_qmp_migrate_incoming_fd (run->qmp, MEMORY_NAME, error)
      || !await_migration (run->qmp, run->spec->memory_mib, error))
    return FALSE;
  if (!floe_machine_save_disk (machine, floe_library_image_label (run->image), "", error))
    return FALSE;
  unlinkat (machine->state_dir, FLOE_FILE_MEMORY, 0);
  return TRUE;
}
