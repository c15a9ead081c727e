/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-private.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/machine/floe-overlay.h"
#include "hypervisor/machine/floe-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Theory of operation: FloeRun is the stack of what has been made, in the order of its fields, and floe_machine_take_down()
 * unmakes whatever of it is there. So every step just fails, and start, stop, crash and a failed start end in the same
 * place. */

#define OVMF_CODE "/usr/share/OVMF/OVMF_CODE_4M.fd"
#define OVMF_VARIABLES "/usr/share/OVMF/OVMF_VARS_4M.fd"
#define OVMF_VARIABLES_MAX (4 * 1024 * 1024)
#define USB_PARTS "/usb-parts.so"
/* From exec to QMP's greeting: QEMU opens its disk on the way, which waits for nbdkit. A QEMU that dies is noticed at once, so this is only for one
 * that hangs; a PC that has just been switched on and resumes several desktops from a slow disk needs more than half a minute. */
#define GREETING_TIMEOUT_MS 120000

FloeRun *
floe_run_new (FloeMachine *machine)
{
  FloeRun *run = g_new0 (FloeRun, 1);

  run->run_dir = run->nbd_dir = -1;
  run->record = g_new0 (FloeRunRecord, 1);
  run->usb = floe_machine_usb_new (floe_machine_monitor, machine);
  return run;
}

/* Frees without ending anything. */
void
floe_run_free (FloeRun *run)
{
  if (run == NULL)
    return;
  if (run->qmp != NULL)
    floe_qmp_close (run->qmp);
  floe_machine_usb_free (run->usb);
  floe_qmp_unref (run->qmp);
  floe_process_free (run->qemu);
  for (size_t i = 0; i < run->n_cards; i++)
    floe_net_card_free (run->cards[i]);
  floe_nbd_free (run->nbd, TRUE);
  floe_run_record_free (run->record);
  floe_library_image_unref (run->image);
  floe_policy_unref (run->policy);
  floe_fd_clear (&run->nbd_dir);
  floe_fd_clear (&run->run_dir);
  g_free (run->nbd_words);
  g_free (run);
}

uid_t
floe_machine_qemu_uid (const FloeMachine *machine)
{
  return machine->host->config->uid_base + 2 * machine->disk->slot;
}

char *
floe_machine_state_path (const FloeMachine *machine, const char *name)
{
  return g_build_filename (machine->host->config->state, "hypervisor", "machines", machine->id, name, NULL);
}

gboolean
floe_run_save (FloeRun *run, GError **error)
{
  const FloeProcess *nbdkit = run->nbd == NULL ? NULL : floe_nbd_process (run->nbd);
  g_autoptr (GBytes) bytes = NULL;
  gsize size;
  const void *data;

  run->record->nbdkit_pid = nbdkit == NULL ? 0 : floe_process_pid (nbdkit);
  run->record->nbdkit_start = nbdkit == NULL ? 0 : floe_process_start (nbdkit);
  bytes = floe_run_record_build (run->record);
  data = g_bytes_get_data (bytes, &size);
  return floe_file_replace_at (run->run_dir, FLOE_FILE_RUN_RECORD, data, size, 0600, error);
}

/* -- Whether it may start at all -------------------------------------------------------------------------------------- */

static gboolean
check_image (const FloePolicyMachine *spec, const FloeImageInfo *info, GError **error)
{
  if ((info->firmware == FLOE_IMAGE_UEFI) != (spec->firmware == FLOE_POLICY_FIRMWARE_UEFI))
    return floe_error_set (error, FLOE_ERROR_REFUSED, "image %s boots by %s, but the policy gives machine %s %s firmware",
                           info->name, floe_image_firmware_names[info->firmware], spec->id,
                           spec->firmware == FLOE_POLICY_FIRMWARE_UEFI ? "uefi" : "bios");
  if (info->needs.memory_mib > spec->memory_mib)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "image %s needs %u MiB of memory, machine %s has %u", info->name,
                           info->needs.memory_mib, spec->id, spec->memory_mib);
  if (info->needs.vcpus > spec->vcpus)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "image %s needs %u vCPUs, machine %s has %u", info->name,
                           info->needs.vcpus, spec->id, spec->vcpus);
  if (info->needs.tpm || info->needs.secure_boot)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                           "image %s needs %s, which this version of Floe does not give to machines", info->name,
                           info->needs.tpm ? "a TPM" : "Secure Boot");
  return TRUE;
}

static gboolean
check_host (FloeMachine *machine, const FloePolicyMachine *spec, GError **error)
{
  FloeHost *host = machine->host;

  if (host->accelerator == FLOE_ACCELERATOR_TCG && !spec->emulation)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "machine %s: no KVM (%s), and the policy refuses emulation", spec->id,
                           host->accelerator_reason);
  if (spec->n_networks > 0 && host->net == NULL)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "machine %s: this host cannot filter its network: %s", spec->id,
                           host->net_problem);
  return floe_probe_memory (
           spec->memory_mib + (host->accelerator == FLOE_ACCELERATOR_TCG ? FLOE_VM_TRANSLATION_MIB : 0), error)
         && floe_overlay_check_room (machine->state_dir, FLOE_OVERLAY_ROOM_MIN, error);
}

/* A kept disk, and a saved machine, go on with the version that they were begun on. */
static FloeLibraryImage *
choose_image (FloeMachine *machine, const FloePolicyMachine *spec, FloeLibraryImage *current, gboolean incoming,
              GError **error)
{
  g_autofree char *images = NULL;

  if (*machine->disk->image == '\0' || (spec->disk != FLOE_POLICY_DISK_PERSIST && !incoming))
    return floe_library_image_ref (current);
  images = g_build_filename (machine->host->config->state, "hypervisor", "images", NULL);
  return floe_library_find (images, machine->disk->image, error);
}

static gboolean
take_policy (FloeMachine *machine, FloeRun *run, gboolean incoming, GError **error)
{
  g_autoptr (FloeLibraryImage) current = NULL;
  g_autofree char *reason = NULL;

  g_mutex_lock (&machine->lock);
  run->policy = machine->policy == NULL ? NULL : floe_policy_ref (machine->policy);
  run->spec = machine->spec;
  current = machine->image == NULL ? NULL : floe_library_image_ref (machine->image);
  reason = g_strdup (machine->barred != NULL ? machine->barred : machine->image_problem);
  g_mutex_unlock (&machine->lock);
  if (run->spec == NULL)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "machine %s is not in the policy in force", machine->id);
  if (reason != NULL || current == NULL)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "machine %s: %s", machine->id,
                           reason != NULL ? reason : "no image yet");
  run->image = choose_image (machine, run->spec, current, incoming, error);
  return run->image != NULL && check_image (run->spec, floe_library_image_info (run->image), error)
         && check_host (machine, run->spec, error);
}

/* -- Disk ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  int overlay, firmware, variables, listener;
  int taps[FLOE_POLICY_CARDS_MAX], vhosts[FLOE_POLICY_CARDS_MAX];
} Handed;

#define NO_CARDS { -1, -1, -1, -1 }

static void
handed_clear (Handed *handed)
{
  floe_fd_clear (&handed->overlay);
  floe_fd_clear (&handed->firmware);
  floe_fd_clear (&handed->variables);
  floe_fd_clear (&handed->listener);
  for (size_t i = 0; i < FLOE_POLICY_CARDS_MAX; i++) {
    floe_fd_clear (&handed->taps[i]);
    floe_fd_clear (&handed->vhosts[i]);
  }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Handed, handed_clear)

static gboolean
has_file (FloeMachine *machine, const char *name)
{
  return faccessat (machine->state_dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static gboolean
open_overlay (FloeMachine *machine, FloeRun *run, gboolean keep, int *fd, GError **error)
{
  const char *label = floe_library_image_label (run->image);

  if (keep && has_file (machine, FLOE_FILE_OVERLAY)) {
    *fd = floe_overlay_open_at (machine->state_dir, FLOE_FILE_OVERLAY, error);
    return *fd >= 0;
  }
  *fd = floe_overlay_create_at (machine->state_dir, FLOE_FILE_OVERLAY, floe_library_image_info (run->image)->size, error);
  return *fd >= 0 && floe_machine_save_disk (machine, label, "", error);
}

static gboolean
open_firmware (FloeMachine *machine, gboolean keep, Handed *handed, GError **error)
{
  g_autoptr (GBytes) fresh = NULL;
  gsize size;
  const void *data;

  handed->firmware = open (OVMF_CODE, O_RDONLY | O_CLOEXEC);
  if (handed->firmware < 0)
    return floe_error_set_errno (error, errno, "UEFI firmware " OVMF_CODE);
  if (!keep || !has_file (machine, FLOE_FILE_VARIABLES)) {
    fresh = floe_file_read (OVMF_VARIABLES, OVMF_VARIABLES_MAX, error);
    if (fresh == NULL)
      return FALSE;
    data = g_bytes_get_data (fresh, &size);
    handed->variables
        = openat (machine->state_dir, FLOE_FILE_VARIABLES, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (handed->variables < 0)
      return floe_error_set_errno (error, errno, "create " FLOE_FILE_VARIABLES);
    return floe_write_all (handed->variables, data, size, error);
  }
  handed->variables = openat (machine->state_dir, FLOE_FILE_VARIABLES, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  return handed->variables >= 0 || floe_error_set_errno (error, errno, "open " FLOE_FILE_VARIABLES);
}

/* -- What runs beside QEMU -------------------------------------------------------------------------------------------- */

static gboolean
make_run_directory (FloeMachine *machine, FloeRun *run, Handed *handed, GError **error)
{
  run->run_dir = floe_dir_make_at (machine->host->machines_run, machine->id, 0700, error);
  if (run->run_dir < 0)
    return FALSE;
  /* QEMU sees this directory in its jail, as another user. */
  run->nbd_dir = floe_dir_make_at (run->run_dir, FLOE_FILE_NBD, 0755, error);
  if (run->nbd_dir < 0)
    return FALSE;
  handed->listener = floe_socket_listen_at (run->run_dir, FLOE_FILE_QMP, 0, error);
  return handed->listener >= 0;
}

typedef struct {
  FloeMachine *machine;
  FloeRun *run;
  Handed *handed;
  GError **error;
  gboolean done;
} Beside;

gboolean
floe_machine_open_nbd (FloeMachine *machine, FloeRun *run, FloeProcess *adopt, GError **error)
{
  g_autofree char *cache = floe_machine_state_path (machine, FLOE_FILE_CACHE);
  const FloeNbdOptions options = {
    .host = machine->host,
    .image = run->image,
    .directory_fd = run->nbd_dir,
    .uid = floe_machine_qemu_uid (machine) + 1,
    .qemu_uid = floe_machine_qemu_uid (machine),
    .cache = cache,
    .died = floe_machine_on_nbd_died,
    .restarted = floe_machine_on_nbd_restarted,
    .data = machine,
  };

  run->nbd = floe_nbd_new (&options, adopt, error);
  return run->nbd != NULL;
}

/* On the main thread, where nbdkit and the DHCP server are watched. */
static void
start_beside (gpointer data)
{
  Beside *beside = data;
  FloeMachine *machine = beside->machine;
  FloeRun *run = beside->run;

  if (!floe_machine_open_nbd (machine, run, NULL, beside->error))
    return;
  if (!floe_machine_open_cards (machine, run, beside->error))
    return;
  for (size_t i = 0; i < run->n_cards; i++) {
    beside->handed->taps[i] = floe_net_card_dup_fd (run->cards[i], beside->error);
    if (beside->handed->taps[i] < 0)
      return;
    beside->handed->vhosts[i] = floe_net_card_open_vhost (run->cards[i]);
  }
  beside->done = TRUE;
}

/* -- QEMU ------------------------------------------------------------------------------------------------------------- */

static gboolean
bind_kvm (FloeJail *jail, GError **error)
{
  struct stat st;

  if (stat ("/dev/kvm", &st) < 0)
    return floe_error_set_errno (error, errno, "/dev/kvm");
  /* Debian lets only its group open it. */
  if ((st.st_mode & 0006) != 0006)
    floe_jail_set_group (jail, st.st_gid);
  return floe_jail_bind (jail, FLOE_JAIL_DEVICE, "/dev/kvm", "/dev/kvm", error);
}

/* The largest file that an honest QEMU writes: a disk written full, with what qcow2 adds, or the memory of a suspended machine with
 * its screens'. One that its guest took over fills the host's disk up to there and no further. */
static rlim_t
largest_file (const FloeRun *run)
{
  guint64 disk = floe_library_image_info (run->image)->size;

  return disk + disk / 4 + ((guint64)run->spec->memory_mib << 20) + (UINT64_C (2) << 30);
}

/* What QEMU needs to be given parts of USB devices (floe-usb-parts.c); it lies beside the plugin. */
static gboolean
add_usb_parts (FloeMachine *machine, FloeJail *jail, GError **error)
{
  static const char *const environment[] = { "LD_PRELOAD=" USB_PARTS, NULL };
  g_autofree char *directory = g_path_get_dirname (machine->host->config->plugin);
  g_autofree char *path = g_build_filename (directory, "floe-usb-parts.so", NULL);

  floe_jail_set_environment (jail, environment);
  return floe_jail_bind (jail, FLOE_JAIL_PROGRAM, path, USB_PARTS, error);
}

static FloeJail *
make_jail (FloeMachine *machine, const FloeRun *run, const Handed *handed, gboolean usb, GError **error)
{
  uid_t uid = floe_machine_qemu_uid (machine);
  g_autoptr (FloeJail) jail = floe_jail_new (machine->host->staging, uid, uid);
  g_autofree char *nbd
      = g_build_filename (machine->host->config->run, "hypervisor", "machines", machine->id, FLOE_FILE_NBD, NULL);

  if (!floe_jail_bind_program (jail, machine->host->config->qemu, error)
      || !floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, "/usr/share/qemu", "/usr/share/qemu", error)
      || !floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, "/usr/share/seabios", "/usr/share/seabios", error)
      || !floe_jail_bind (jail, FLOE_JAIL_READ_ONLY, nbd, FLOE_VM_NBD_DIRECTORY, error))
    return NULL;
  if (usb && !add_usb_parts (machine, jail, error))
    return NULL;
  if (machine->host->accelerator == FLOE_ACCELERATOR_KVM && !bind_kvm (jail, error))
    return NULL;
  floe_jail_pass (jail, handed->listener, FLOE_VM_FD_QMP);
  floe_jail_pass (jail, handed->overlay, FLOE_VM_FD_OVERLAY);
  floe_jail_pass (jail, handed->firmware, FLOE_VM_FD_FIRMWARE);
  floe_jail_pass (jail, handed->variables, FLOE_VM_FD_VARIABLES);
  for (int i = 0; i < (int)run->n_cards; i++) {
    floe_jail_pass (jail, handed->taps[i], FLOE_VM_FD_TAP + i);
    floe_jail_pass (jail, handed->vhosts[i], FLOE_VM_FD_VHOST + i);
  }
  /* Threads count as processes: vCPUs, I/O workers, SPICE. */
  floe_jail_set_limit (jail, RLIMIT_NPROC, 512);
  floe_jail_set_limit (jail, RLIMIT_NOFILE, 1024);
  floe_jail_set_limit (jail, RLIMIT_FSIZE, largest_file (run));
  return g_steal_pointer (&jail);
}

static FloeVmDescription
describe (FloeMachine *machine, FloeRun *run, const Handed *handed, gboolean incoming)
{
  const FloePolicyMachine *spec = run->spec;
  FloeVmDescription description = {
    .id = machine->id,
    .accelerator = machine->host->accelerator,
    .os = floe_library_image_info (run->image)->os,
    .firmware = spec->firmware,
    .disk = spec->disk,
    .vcpus = spec->vcpus,
    .memory_mib = spec->memory_mib,
    .screens = spec->screens,
    .clipboard = spec->clipboard != FLOE_POLICY_SHARE_NONE,
    .file_transfer = spec->file_transfer != FLOE_POLICY_SHARE_NONE,
    .audio = spec->audio,
    .n_cards = run->n_cards,
    .usb = floe_usb_may_reach (floe_policy_content (run->policy), spec),
    .incoming = incoming,
  };

  for (size_t i = 0; i < run->n_cards; i++)
    description.cards[i] = (FloeVmCard){ floe_net_card_mac (run->cards[i]), handed->vhosts[i] >= 0 };
  return description;
}

static void
watch_qemu (gpointer data)
{
  FloeMachine *machine = data;

  floe_process_watch (machine->run->qemu, floe_machine_on_qemu_ended, machine);
}

static gboolean
spawn_qemu (FloeMachine *machine, FloeRun *run, const Handed *handed, gboolean incoming, GError **error)
{
  FloeVmDescription description = describe (machine, run, handed, incoming);
  g_auto (GStrv) argv = floe_vm_argv (&description, machine->host->config->qemu);
  g_autoptr (FloeJail) jail = NULL;
  FloeRunRecord *record = run->record;

  record->fingerprint = floe_vm_fingerprint (&description);
  if (incoming && strcmp (record->fingerprint, machine->disk->suspended) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED,
                           "machine %s was suspended under another policy or on another host and "
                           "cannot go on; stop it by force to throw its saved state away",
                           machine->id);
  jail = make_jail (machine, run, handed, description.usb, error);
  if (jail == NULL)
    return FALSE;
  run->qemu = floe_process_spawn (jail, argv, error);
  if (run->qemu == NULL)
    return FALSE;
  record->slot = machine->disk->slot;
  record->qemu_pid = floe_process_pid (run->qemu);
  record->qemu_start = floe_process_start (run->qemu);
  record->accelerator = description.accelerator;
  record->usb = description.usb;
  record->image = g_strdup (floe_library_image_label (run->image));
  if (!floe_run_save (run, error))
    return FALSE;
  floe_main_call (watch_qemu, machine);
  return TRUE;
}

/* QEMU's own last line says more than "closed the connection". */
static void
explain_failure (FloeMachine *machine, FloeRun *run, GError **error)
{
  g_autofree char *words = NULL;

  if (run->qemu == NULL || !floe_process_wait (run->qemu, 500))
    return;
  words = floe_process_last_words (run->qemu);
  g_mutex_lock (&machine->lock);
  if (words == NULL || run->nbd_deaths >= FLOE_NBD_DEATHS_MAX) {
    g_free (words);
    words = g_strdup (run->nbd_words);
  }
  g_mutex_unlock (&machine->lock);
  if (words == NULL)
    return;
  g_clear_error (error);
  floe_error_set (error, FLOE_ERROR_FAILED, "machine %s: %s", machine->id, words);
}

static gboolean
open_monitor (FloeMachine *machine, FloeRun *run, GError **error)
{
  floe_autofd fd = floe_socket_connect_at (run->run_dir, FLOE_FILE_QMP, error);
  FloeQmp *qmp;

  if (fd < 0)
    return FALSE;
  qmp = floe_qmp_new (floe_fd_steal (&fd), machine->host->io, floe_machine_on_event, floe_machine_ref (machine),
                      (GDestroyNotify)floe_machine_unref);
  g_mutex_lock (&machine->lock);
  run->qmp = qmp;
  g_mutex_unlock (&machine->lock);
  return floe_qmp_handshake (qmp, GREETING_TIMEOUT_MS, error);
}

static gboolean
bring_up (FloeMachine *machine, FloeRun *run, gboolean incoming, GError **error)
{
  g_auto (Handed) handed = { -1, -1, -1, -1, NO_CARDS, NO_CARDS };
  Beside beside = { .machine = machine, .run = run, .handed = &handed, .error = error };
  gboolean keep;

  if (!take_policy (machine, run, incoming, error))
    return FALSE;
  keep = incoming || run->spec->disk == FLOE_POLICY_DISK_PERSIST;
  if (!make_run_directory (machine, run, &handed, error) || !open_overlay (machine, run, keep, &handed.overlay, error))
    return FALSE;
  if (run->spec->firmware == FLOE_POLICY_FIRMWARE_UEFI && !open_firmware (machine, keep, &handed, error))
    return FALSE;
  floe_main_call (start_beside, &beside);
  if (!beside.done || !spawn_qemu (machine, run, &handed, incoming, error))
    return FALSE;
  if (open_monitor (machine, run, error)) {
    g_mutex_lock (&machine->lock);
    run->up = TRUE;
    g_mutex_unlock (&machine->lock);
    return TRUE;
  }
  explain_failure (machine, run, error);
  return FALSE;
}

gboolean
floe_machine_bring_up (FloeMachine *machine, gboolean incoming, GError **error)
{
  FloeRun *run = floe_run_new (machine);

  run->record->started_us = g_get_monotonic_time ();
  g_mutex_lock (&machine->lock);
  g_assert (machine->run == NULL);
  machine->run = run;
  machine->desktop_s = 0;
  machine->qemu_ended = FALSE;
  machine->usb_away = TRUE;
  g_mutex_unlock (&machine->lock);
  g_atomic_int_set (&machine->events, 0);
  if (bring_up (machine, run, incoming, error))
    return TRUE;
  floe_machine_take_down (machine, incoming);
  return FALSE;
}

/* -- The end ---------------------------------------------------------------------------------------------------------- */

static void
remove_run_directory (FloeMachine *machine, FloeRun *run)
{
  if (run->nbd_dir >= 0) {
    unlinkat (run->nbd_dir, "socket", 0);
    unlinkat (run->run_dir, FLOE_FILE_NBD, AT_REMOVEDIR);
  }
  if (run->run_dir >= 0) {
    unlinkat (run->run_dir, FLOE_FILE_QMP, 0);
    unlinkat (run->run_dir, FLOE_FILE_RUN_RECORD, 0);
    unlinkat (machine->host->machines_run, machine->id, AT_REMOVEDIR);
  }
}

typedef struct {
  FloeMachine *machine;
  FloeRun *run;
  gboolean keep_disk;
} TakeDown;

static void
take_down_on_main (gpointer data)
{
  TakeDown *down = data;
  FloeRun *run = down->run;

  if (run->qemu != NULL)
    floe_process_unwatch (run->qemu);
  floe_nbd_free (g_steal_pointer (&run->nbd), FALSE);
  floe_machine_close_cards (down->machine, run);
  remove_run_directory (down->machine, run);
  if (!down->keep_disk) {
    unlinkat (down->machine->state_dir, FLOE_FILE_OVERLAY, 0);
    unlinkat (down->machine->state_dir, FLOE_FILE_VARIABLES, 0);
  }
  floe_run_free (run);
}

static void
stop_servers_on_main (gpointer data)
{
  floe_machine_stop_servers (data);
}

void
floe_machine_take_down (FloeMachine *machine, gboolean keep_disk)
{
  TakeDown down = { .machine = machine, .keep_disk = keep_disk };

  g_mutex_lock (&machine->lock);
  down.run = g_steal_pointer (&machine->run);
  g_mutex_unlock (&machine->lock);
  if (down.run == NULL)
    return;
  if (down.run->qmp != NULL)
    floe_qmp_close (down.run->qmp);
  /* An adopted tap ends with QEMU. */
  floe_main_call (stop_servers_on_main, down.run);
  /* Then QEMU, off the main thread: it holds the tap, whose rules must outlive it. */
  if (down.run->qemu != NULL)
    floe_process_kill (down.run->qemu);
  /* A machine that the policy no longer knows keeps what it has: only "reset" says to throw it away. */
  if (down.run->spec == NULL || down.run->spec->disk != FLOE_POLICY_DISK_RESET)
    down.keep_disk = TRUE;
  floe_main_call (take_down_on_main, &down);
}
