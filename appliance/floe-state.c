/* SPDX-License-Identifier: GPL-2.0-or-later */
/* floe-state: the appliance's state partition, made at the first start and opened at every one, mounted at /var.
 *
 * Theory of operation. It lies on the disk that the machine started from (/run/floe/boot.conf, by floe-start), which is found by its label in
 * that disk's partition table and nowhere else. It is LUKS2. Where there is a TPM, systemd-repart seals its key to PCR 11 by a signed policy:
 * kernel images signed with the same key open it, as they start; PCR 12 (a command line from outside, credentials) must be as it was, and with
 * Secure Boot PCR 7 as well (floe-seal.h says what of it changes, and how the seal follows). The policy holds until systemd-pcrphase-sysinit
 * alone, so nothing that runs later can unseal it again. A recovery key lies in a second slot, and inside until the management server has it;
 * a state that was opened by it is sealed to what it was opened on. Without a TPM the key lies beside it on the boot partition: that protects
 * nothing but a fast erasure, and /run/floe/state.conf says so for the screen. A partition is in the table only once it is whole, so a cut
 * first start is begun again.
 *
 * Firmware starts, and the TPM trusts, every image that was ever signed. So the state remembers which version was found good (floe-slot-record.h),
 * and an older one closes it again before anything has read from it: an old image put back, with what was since mended, never sees the state.
 * What the signed metadata lets go back is in that record. Whoever puts back the whole disk of an earlier day puts back its record as well.
 *
 * What fails here stops the start: the reason stays on the screen for half a minute, then the unit fails and the machine restarts. A state
 * that does not open is never replaced by a new one. */

#include "appliance/floe-gpt.h"
#include "appliance/floe-seal.h"
#include "appliance/floe-slot-record.h"
#include "appliance/floe-state-ask.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/enrol/floe-appliance-report.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define LABEL "floe-state"
#define MAPPED "/dev/mapper/" LABEL
#define KEY_SIZE 32
#define KEY_FILE "/run/floe/state.key"
#define BOOT "/boot"
#define KEY_ON_BOOT "floe-state.key"
#define TYPED "typed.key"
#define TYPED_FILE "/run/floe/" TYPED
#define ASK_TIMES 5
#define RECOVERY "recovery-key"
#define SIGNATURE "/run/systemd/tpm2-pcr-signature.json"
#define CONF_MAX (64 * 1024)
#define READ_SECONDS 30

typedef struct {
  char *disk;
  char *esp;
  char *state; /* NULL: there is none yet */
  gboolean has_tpm; /* this machine, one that we can seal to */
  gboolean tpm;     /* the state is sealed to one */
  gboolean created;
  gboolean typed;   /* TYPED_FILE has opened it */
  FloeSealTarget target; /* with has_tpm */
  gboolean prepared;
  char *seal_problem; /* NULL: none */
} Place;

static void
place_clear (Place *place)
{
  g_free (place->disk);
  g_free (place->esp);
  g_free (place->state);
  floe_seal_target_clear (&place->target);
  g_free (place->seal_problem);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static gboolean
run (const char *const *arguments, GError **error)
{
  g_autofree char *output = NULL;
  g_autoptr (GError) problem = NULL;
  int status = 0;

  if (!g_spawn_sync (NULL, (char **) arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &output, &status, error))
    return FALSE;
  if (g_spawn_check_wait_status (status, &problem))
    return TRUE;
  g_strchomp (output);
  return floe_error_set (error, FLOE_ERROR_FAILED, "%s: %s: %s", arguments[0], problem->message, output);
}

static gboolean
find_state (Place *place, GError **error)
{
  g_autofree uint8_t *start = g_malloc (FLOE_GPT_READ);
  g_autofree FloeGpt *table = g_new0 (FloeGpt, 1);
  const FloeGptPartition *partition;
  const char *wrong;
  floe_autofd fd = open (place->disk, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    return floe_error_set_errno (error, errno, "%s", place->disk);
  if (!floe_pread_all (fd, start, FLOE_GPT_READ, 0, error))
    return FALSE;
  wrong = floe_gpt_parse (start, FLOE_GPT_READ, table);
  if (wrong != NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: %s", place->disk, wrong);
  g_clear_pointer (&place->state, g_free);
  partition = floe_gpt_find (table, NULL, LABEL);
  if (partition != NULL)
    place->state = g_strdup_printf ("%s%s%u", place->disk, g_ascii_isdigit (place->disk[strlen (place->disk) - 1]) ? "p" : "",
                                    partition->number);
  return TRUE;
}

static gboolean
read_place (Place *place, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *disk = NULL, *esp = NULL;

  if (!g_key_file_load_from_file (file, "/run/floe/boot.conf", G_KEY_FILE_NONE, error) ||
      (disk = g_key_file_get_string (file, "boot", "disk", error)) == NULL ||
      (esp = g_key_file_get_string (file, "boot", "esp", error)) == NULL)
    return FALSE;
  place->disk = g_strconcat ("/dev/", disk, NULL);
  place->esp = g_strconcat ("/dev/", esp, NULL);
  place->has_tpm = access ("/dev/tpmrm0", F_OK) == 0 && access (SIGNATURE, R_OK) == 0 && access (FLOE_SEAL_PUBLIC_KEY, R_OK) == 0;
  return find_state (place, error);
}

/* What cannot be told now keeps nobody from a state that was sealed before. */
static gboolean
read_target (Place *place, GError **error)
{
  g_autoptr (GError) problem = NULL;

  if (!place->has_tpm || floe_seal_target ("", &place->target, &problem))
    return TRUE;
  if (place->state == NULL) {
    g_propagate_prefixed_error (error, g_steal_pointer (&problem), "what to seal the state to cannot be told: ");
    return FALSE;
  }
  place->seal_problem = g_strdup (problem->message);
  return TRUE;
}

/* Read-only but while something is written: FAT has no journal. */
static gboolean
mount_boot (const Place *place, gboolean writable, GError **error)
{
  unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (writable ? 0 : MS_RDONLY);

  if (mount (place->esp, BOOT, "vfat", flags, "umask=0077,shortname=winnt") == 0)
    return TRUE;
  if (errno == EBUSY && mount (NULL, BOOT, NULL, flags | MS_REMOUNT, "umask=0077,shortname=winnt") == 0)
    return TRUE;
  return floe_error_set_errno (error, errno, "the boot partition %s", place->esp);
}

/* KEY_FILE: 64 hexadecimal digits, new. */
static gboolean
make_key (GError **error)
{
  uint8_t raw[KEY_SIZE];
  g_autofree char *text = NULL;
  floe_autofd run_floe = floe_dir_open ("/run/floe", error);

  if (run_floe < 0)
    return FALSE;
  if (getrandom (raw, sizeof raw, 0) != sizeof raw)
    return floe_error_set_errno (error, errno, "random numbers");
  text = g_malloc0 (2 * KEY_SIZE + 1);
  for (size_t i = 0; i < KEY_SIZE; i++)
    g_snprintf (text + 2 * i, 3, "%02x", raw[i]);
  return floe_file_replace_at (run_floe, "state.key", text, strlen (text), 0600, error);
}

static gboolean
write_key_on_boot (const Place *place, GError **error)
{
  g_autoptr (GBytes) key = floe_file_read (KEY_FILE, 1024, error);
  floe_autofd boot = -1;

  if (key == NULL || !mount_boot (place, TRUE, error) || (boot = floe_dir_open (BOOT, error)) < 0 ||
      !floe_file_replace_at (boot, KEY_ON_BOOT, g_bytes_get_data (key, NULL), g_bytes_get_size (key), 0600, error))
    return FALSE;
  floe_fd_clear (&boot);
  return mount_boot (place, FALSE, error);
}

static gboolean
create (Place *place, GError **error)
{
  g_autofree char *values = floe_seal_pcrs (&place->target, FALSE), *pcrs = g_strconcat ("--tpm2-pcrs=", values, NULL);
  const char *sealed[] = { "/usr/bin/systemd-repart", "--dry-run=no", "--definitions=/usr/share/floe/repart/tpm", "--key-file=" KEY_FILE,
                           FLOE_SEAL_POLICY, pcrs, "--no-pager", "--no-legend", place->disk, NULL };
  const char *plain[] = { "/usr/bin/systemd-repart", "--dry-run=no", "--definitions=/usr/share/floe/repart/key", "--key-file=" KEY_FILE,
                          "--no-pager", "--no-legend", place->disk, NULL };

  /* The key is durable before anything is locked with it. */
  if (!make_key (error) || (!place->has_tpm && !write_key_on_boot (place, error)) || !run (place->has_tpm ? sealed : plain, error) ||
      !find_state (place, error))
    return FALSE;
  if (place->state == NULL)
    return floe_error_set (error, FLOE_ERROR_FAILED, "%s: no state partition could be made: is the disk large enough?", place->disk);
  place->created = TRUE;
  return TRUE;
}

static gboolean
attach (const Place *place, const char *key_file, const char *options, GError **error)
{
  const char *arguments[] = { "/usr/lib/systemd/systemd-cryptsetup", "attach", LABEL, place->state, key_file, options, NULL };

  return run (arguments, error);
}

/* By the recovery key in somebody's hands, because of REASON. What he types is tried by the lock itself, which costs time. */
static gboolean
open_by_hand (Place *place, const GError *reason, GError **error)
{
  floe_autofd run_floe = floe_dir_open ("/run/floe", error);
  g_autofree char *why = g_strdup (reason->message);

  for (int i = 0; run_floe >= 0 && !place->typed && i < ASK_TIMES; i++) {
    g_autoptr (GError) problem = NULL;
    char *key = floe_state_ask_key (why, &problem);

    place->typed = key != NULL && floe_file_replace_at (run_floe, TYPED, key, strlen (key), 0600, &problem) &&
                   attach (place, TYPED_FILE, "luks,headless=yes,tries=1,discard", &problem);
    if (key == NULL)
      break;
    floe_state_key_free (key);
    g_free (why);
    why = g_strdup ("That is not the recovery key of this machine.");
  }
  if (!place->typed && error != NULL && *error == NULL)
    *error = g_error_copy (reason);
  return place->typed;
}

/* Which lock it has is the boot partition's to say only where it would not open by the TPM anyway. */
static gboolean
open_state (Place *place, GError **error)
{
  gboolean has_key = access (BOOT "/" KEY_ON_BOOT, R_OK) == 0, done;
  g_autoptr (GError) reason = NULL;

  place->tpm = !has_key;
  if (!place->has_tpm && !has_key) {
    floe_error_set (&reason, FLOE_ERROR_UNVERIFIED, "%s is sealed to a TPM that this machine does not have", place->state);
    return open_by_hand (place, reason, error);
  }
  if (has_key)
    done = attach (place, BOOT "/" KEY_ON_BOOT, "luks,headless=yes,tries=1,discard", &reason);
  else
    done = attach (place, "none", "luks,tpm2-device=auto,tpm2-signature=" SIGNATURE ",headless=yes,tries=1,token-timeout=60,discard", &reason);
  if (done)
    return TRUE;
  g_prefix_error (&reason, "%s does not open on this machine (%sanother TPM, another firmware setting, or a changed disk): ", place->state,
                  place->has_tpm && !place->target.secure_boot ? "Secure Boot is off, " : "");
  return open_by_hand (place, reason, error);
}

static gboolean
mount_state (GError **error)
{
  const char *check[] = { "/usr/sbin/e2fsck", "-p", MAPPED, NULL };
  int status = 0;

  /* 1: mended (e2fsck(8)). */
  if (!g_spawn_sync (NULL, (char **) check, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, NULL, &status, error))
    return FALSE;
  if (!WIFEXITED (status) || WEXITSTATUS (status) > 1)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the file system of %s cannot be mended", LABEL);
  if (mount (MAPPED, "/var", "ext4", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, "errors=remount-ro") != 0)
    return floe_error_set_errno (error, errno, "/var");
  return TRUE;
}

static void
close_state (void)
{
  const char *detach[] = { "/usr/lib/systemd/systemd-cryptsetup", "detach", LABEL, NULL };
  g_autoptr (GError) error = NULL;

  if (umount ("/var") != 0)
    g_printerr ("/var: %s\n", g_strerror (errno));
  else if (!run (detach, &error))
    g_printerr ("%s\n", error->message);
}

/* Whether this version is at least the one that was found good here. A record that cannot be read speaks for nobody. */
static gboolean
check_version (GError **error)
{
  g_autofree char *text = g_get_os_info ("IMAGE_VERSION");
  g_autoptr (GError) problem = NULL;
  floe_autofd slot = -1;
  FloeSlotRecord record;
  gint64 version;

  if (text == NULL || !g_ascii_string_to_signed (text, 10, 1, G_MAXINT64, &version, NULL))
    return floe_error_set (error, FLOE_ERROR_INVALID, "this image has no version");
  slot = floe_dir_open ("/var/lib/floe/slot", &problem);
  if (slot < 0 && g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  if (slot < 0 || !floe_slot_record_load (slot, &record, &problem))
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "which version may run here cannot be told: %s", problem->message);
  return version >= record.ran ||
         floe_error_set (error, FLOE_ERROR_ROLLBACK,
                         "Version %" G_GINT64_FORMAT " is older than %" G_GINT64_FORMAT ", which ran here: the state stays closed to it.", version,
                         record.ran);
}

/* From the boot partition, which anybody can write: the server's address, its key and the group, never a path or a program. What the server then
 * says is verified from the root metadata of the image. All three together spare the enrolment; less is what the setup screen offers. */
static gboolean
take_settings (int etc, int run_floe, GError **error)
{
  static const char *const taken[][2] = { { "server", "url" }, { "server", "pin" }, { "endpoint", "group" } };
  g_autoptr (GKeyFile) from = g_key_file_new (), to = g_key_file_new ();
  g_autoptr (GBytes) text = NULL;
  g_autofree char *result = NULL;
  gsize size = 0, found = 0;

  if (access (BOOT "/floe.conf", F_OK) == 0) {
    text = floe_file_read (BOOT "/floe.conf", CONF_MAX, error);
    if (text == NULL || !g_key_file_load_from_bytes (from, text, G_KEY_FILE_NONE, error) ||
        !floe_file_replace_at (run_floe, "address.conf", g_bytes_get_data (text, NULL), g_bytes_get_size (text), 0644, error))
      return FALSE;
  }
  if (faccessat (etc, "floe.conf", F_OK, 0) == 0)
    return TRUE;
  g_key_file_set_string (to, "setup", "address_file", "/run/floe/address.conf");
  /* Where new versions of the appliance come from (docs/appliance-update.md); nothing comes while nobody publishes there. */
  g_key_file_set_string (to, "appliance", "channel", "stable");
  for (size_t i = 0; i < G_N_ELEMENTS (taken); i++)
    found += g_key_file_has_key (from, taken[i][0], taken[i][1], NULL) ? 1 : 0;
  for (size_t i = 0; i < G_N_ELEMENTS (taken) && found == G_N_ELEMENTS (taken); i++) {
    g_autofree char *value = g_key_file_get_string (from, taken[i][0], taken[i][1], error);

    if (value == NULL)
      return FALSE;
    g_key_file_set_string (to, taken[i][0], taken[i][1], value);
  }
  result = g_key_file_to_data (to, &size, NULL);
  return floe_file_replace_at (etc, "floe.conf", result, size, 0644, error);
}

/* Inside the state until the agent has enrolled, with which it hands over what is put where it looks (docs/agent.md). */
static gboolean
keep_recovery_key (const Place *place, int floe, GError **error)
{
  g_autoptr (GBytes) key = NULL;

  if (place->created && place->tpm) {
    key = floe_file_read (KEY_FILE, 1024, error);
    return key != NULL && floe_file_replace_at (floe, RECOVERY, g_bytes_get_data (key, NULL), g_bytes_get_size (key), 0600, error);
  }
  if (faccessat (floe, RECOVERY, F_OK, 0) != 0)
    return TRUE;
  if (faccessat (floe, "agent/enrolment.conf", F_OK, 0) == 0)
    return floe_file_remove_at (floe, RECOVERY, error);
  return TRUE;
}

static gboolean
offer_recovery_key (int floe, int run_floe, GError **error)
{
  const struct passwd *agent = getpwnam ("floe-agent");
  g_autoptr (GBytes) key = NULL;
  floe_autofd directory = -1;

  if (faccessat (floe, RECOVERY, F_OK, 0) != 0 || agent == NULL)
    return TRUE;
  key = floe_file_read_at (floe, RECOVERY, 1024, error);
  if (key == NULL || (directory = floe_dir_make_at (run_floe, "agent", 0755, error)) < 0 ||
      !floe_file_replace_at (directory, RECOVERY, g_bytes_get_data (key, NULL), g_bytes_get_size (key), 0600, error))
    return FALSE;
  if (fchown (directory, agent->pw_uid, agent->pw_gid) != 0 || fchownat (directory, RECOVERY, agent->pw_uid, agent->pw_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return floe_error_set_errno (error, errno, "/run/floe/agent");
  return TRUE;
}

/* So that the next start opens it, too. That it fails is told, and the state is open all the same. */
static void
keep_seal (Place *place)
{
  floe_autofd floe = floe_dir_open ("/var/lib/floe", NULL);
  const FloeSeal seal = { .dir = floe, .device = place->state, .key_file = place->created ? KEY_FILE : place->typed ? TYPED_FILE : NULL,
                          .created = place->created, .typed = place->typed, .run = run };
  g_autoptr (GError) error = NULL;

  if (!place->tpm || !place->has_tpm)
    return;
  if (place->seal_problem == NULL && !floe_seal_keep (&seal, &place->target, &place->prepared, &error))
    place->seal_problem = g_strdup (error->message);
  if (place->seal_problem == NULL)
    place->seal_problem = g_strdup (place->target.problem);
  if (place->seal_problem != NULL)
    g_printerr ("the state's seal: %s\n", place->seal_problem);
}

/* What floe-slot reported in an earlier start: after a fall-back it would have the console offer the version that was just left. This start's comes with
 * `floe-slot good`, if not before. */
static void
forget_report (int floe)
{
  floe_autofd slot = openat (floe, "slot", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  g_autoptr (GError) error = NULL;

  if (slot >= 0 && !floe_file_remove_at (slot, FLOE_APPLIANCE_REPORT_NAME, &error))
    g_printerr ("the report of an earlier start stays: %s\n", error->message);
}

static gboolean
fill_state (const Place *place, GError **error)
{
  floe_autofd floe = -1, etc = -1, run_floe = -1;
  g_autoptr (GError) problem = NULL;

  if ((floe = floe_dir_make ("/var/lib/floe", 0755, error)) < 0 || (etc = floe_dir_make_at (floe, "etc", 0755, error)) < 0 ||
      (run_floe = floe_dir_open ("/run/floe", error)) < 0 || !keep_recovery_key (place, floe, error) ||
      !offer_recovery_key (floe, run_floe, error))
    return FALSE;
  forget_report (floe);
  if (!take_settings (etc, run_floe, &problem))
    g_printerr ("floe.conf of the boot partition is not taken: %s\n", problem->message);
  return TRUE;
}

/* /run/floe/state.conf: for the screen, how the state is protected; for floe-slot, whether firmware's list may change (floe-seal.h). */
static gboolean
say_how (const Place *place, GError **error)
{
  floe_autofd run_floe = floe_dir_open ("/run/floe", error);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;
  gsize size;

  g_key_file_set_string (file, "state", "protection", place->tpm ? "tpm" : "none");
  g_key_file_set_boolean (file, "state", "created", place->created);
  g_key_file_set_boolean (file, "state", "secure_boot", place->tpm && (place->target.secure_boot || place->seal_problem != NULL));
  if (place->prepared && place->target.revocation[0] != 0)
    g_key_file_set_string (file, "state", "revocation", place->target.revocation);
  if (place->seal_problem != NULL)
    g_key_file_set_string (file, "state", "seal_problem", place->seal_problem);
  text = g_key_file_to_data (file, &size, NULL);
  return run_floe >= 0 && floe_file_replace_at (run_floe, "state.conf", text, size, 0644, error);
}

static gboolean
set_up (GError **error)
{
  g_auto (Place) place = { .disk = NULL };
  gboolean done;

  if (!read_place (&place, error) || !read_target (&place, error) || !mount_boot (&place, FALSE, error) ||
      (place.state == NULL && !create (&place, error)))
    return FALSE;
  done = open_state (&place, error) && mount_state (error);
  if (done && !check_version (error)) {
    close_state ();
    done = FALSE;
  }
  done = done && fill_state (&place, error);
  if (done)
    keep_seal (&place);
  unlink (KEY_FILE);
  unlink (TYPED_FILE);
  return done && say_how (&place, error);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  floe_autofd console = -1;

  if (set_up (&error))
    return EXIT_SUCCESS;
  g_printerr ("%s\n", error->message);
  console = open ("/dev/tty0", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (console >= 0)
    dprintf (console, "\n\n  Floe does not start.\n  %s\n\n  The machine restarts in %d seconds.\n", error->message, READ_SECONDS);
  sleep (READ_SECONDS);
  return EXIT_FAILURE;
}
