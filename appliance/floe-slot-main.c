/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-dbx.h"
#include "appliance/floe-efivar.h"
#include "appliance/floe-seal.h"
#include "appliance/floe-slot-boot.h"
#include "appliance/floe-slot-confine.h"
#include "appliance/floe-slot-host.h"
#include "appliance/floe-slot-revoke.h"
#include "appliance/floe-slot.h"
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 65536
#define WAIT_MAX 3600
#define EXIT_OVERDUE 3
#define EXIT_BUSY 4 /* units begin again */
#define OS_RELEASE "/usr/lib/os-release"

/* What a command opens while it has its privileges. */
typedef enum {
  READS,
  WRITES,  /* the boot partition */
  REVOKES, /* firmware's list, and no disk */
} Needs;

/* What a command works on. All but floe.conf is found by itself; tests name other places. */
typedef struct {
  char *config, *disk, *boot, *command_line, *os_release, *efivars, *revocations;
  gboolean again;
  int wait;
  FloeSlotConfig *conf;
  FloeSlotOptions options;
  int dbx; /* REVOKES */
  gboolean secure_boot;
  GError *firmware_problem;
} Place;

static void
place_clear (Place *place)
{
  g_free (place->config);
  g_free (place->disk);
  g_free (place->boot);
  g_free (place->command_line);
  g_free (place->os_release);
  g_free (place->efivars);
  g_free (place->revocations);
  floe_slot_config_free (place->conf);
  floe_fd_clear (&place->dbx);
  g_clear_error (&place->firmware_problem);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static char *
read_text (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = floe_file_read (path, TEXT_MAX, error);
  gsize size;
  const char *data;

  if (bytes == NULL)
    return NULL;
  data = g_bytes_get_data (bytes, &size);
  return g_strndup (data != NULL ? data : "", size);
}

/* Where there is no file, and none was asked for by name, all is as it is by default: an appliance has none until somebody sets it up. */
static gboolean
find_place (Place *place, Needs needs, GError **error)
{
  const char *config = place->config != NULL ? place->config : FLOE_CLI_CONFIG;
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) text = floe_file_read (config, TEXT_MAX, &problem);
  gsize size = 0;
  const char *data = text != NULL ? g_bytes_get_data (text, &size) : NULL;

  if (text == NULL && (place->config != NULL || !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))) {
    floe_cli_hint (&problem, FLOE_ERROR_NOT_FOUND, FLOE_CLI_NO_CONFIG);
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  place->conf = floe_slot_config_parse (data != NULL ? data : "", size, config, error);
  if (place->conf == NULL)
    return FALSE;
  if (place->disk == NULL && needs != REVOKES)
    place->disk = floe_slot_find_disk ("/sys", OS_RELEASE, error);
  return place->disk != NULL || needs == REVOKES;
}

static gboolean
find_running (Place *place, GError **error)
{
  g_autofree char *line = read_text (place->command_line != NULL ? place->command_line : "/proc/cmdline", error);
  g_autofree char *release = line == NULL ? NULL : read_text (place->os_release != NULL ? place->os_release : OS_RELEASE, error);

  return release != NULL && floe_slot_parse_command_line (line, &place->options.running_hash, error)
         && floe_slot_parse_os_release (release, &place->options.running, error);
}

/* What is in the way of the firmware's list is told once there is a state to tell it in. */
static void
open_firmware (Place *place)
{
  const char *efivars = place->options.efivars;

  if (floe_efivar_secure_boot (efivars, &place->secure_boot, &place->firmware_problem) && place->secure_boot)
    place->dbx = floe_efivar_open_dbx (efivars, &place->firmware_problem);
  /* Not known to be off. */
  place->secure_boot = place->secure_boot || place->firmware_problem != NULL;
}

/* Boot partition and firmware are the last things that are done with a privilege. */
static gboolean
prepare (Place *place, Needs needs, GError **error)
{
  if (place->wait < 0 || place->wait > WAIT_MAX)
    return floe_cli_usage (error, "--wait: 0 to 3600 seconds wanted");
  if (place->wait > 0)
    g_usleep ((gulong) place->wait * G_USEC_PER_SEC);
  if (!find_place (place, needs, error))
    return FALSE;
  place->options.boot = place->boot != NULL ? place->boot : place->conf->boot;
  place->options.efivars = place->efivars != NULL ? place->efivars : FLOE_EFIVARS;
  if (needs == REVOKES)
    open_firmware (place);
  return (needs != WRITES || floe_slot_boot_writable (place->options.boot, error)) && floe_slot_confine (error) && find_running (place, error);
}

/* Another floe-slot is at work, or the running version is on trial still: nobody would start a unit that gave up a second time. */
static void
end_if_busy (const GError *error)
{
  if (!g_error_matches (error, FLOE_ERROR, FLOE_ERROR_BUSY))
    return;
  g_printerr ("floe-slot: %s\n", error->message);
  exit (EXIT_BUSY);
}

static FloeSlot *
open_slot (Place *place, const FloeCommand *command, Needs needs, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &place->config, "configuration (/etc/floe/floe.conf)", "FILE" },
    { "disk", 0, 0, G_OPTION_ARG_FILENAME, &place->disk, "the disk with the slots (that of the running root)", "DEVICE" },
    { "boot", 0, 0, G_OPTION_ARG_FILENAME, &place->boot, "where the boot partition is mounted ([appliance] boot)", "DIR" },
    { "command-line", 0, 0, G_OPTION_ARG_FILENAME, &place->command_line, "the kernel's command line (/proc/cmdline)", "FILE" },
    { "os-release", 0, 0, G_OPTION_ARG_FILENAME, &place->os_release, "what runs (" OS_RELEASE ")", "FILE" },
    { "efivars", 0, 0, G_OPTION_ARG_FILENAME, &place->efivars, "where efivarfs is mounted (" FLOE_EFIVARS ")", "DIR" },
    { "revocations", 0, 0, G_OPTION_ARG_FILENAME, &place->revocations, "revoke: what is handed to the firmware (" FLOE_SLOT_REVOCATIONS ")", "FILE" },
    { "wait", 0, 0, G_OPTION_ARG_INT, &place->wait, "good: seconds to wait before", "SECONDS" },
    { "again", 0, 0, G_OPTION_ARG_NONE, &place->again, "update: also to a version that failed here before", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  FloeSlot *slot;

  if (!floe_cli_parse (command, entries, 0, &argc, &argv, error) || !prepare (place, needs, error))
    return NULL;
  place->options.state = place->conf->state;
  place->options.root = place->conf->root;
  place->options.channel = place->conf->channel;
  place->options.disk = place->disk;
  place->options.now = g_get_real_time () / G_USEC_PER_SEC;
  place->options.again = place->again;
  slot = floe_slot_open (&place->options, error);
  if (slot == NULL)
    end_if_busy (*error);
  return slot;
}

/* -- Commands -------------------------------------------------------------------------------------------------------- */

static const FloeCommand update_command, good_command, revoke_command, overdue_command, status_command, check_command;

static gboolean
run_update (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { .dbx = -1 };
  g_autoptr (FloeSlot) slot = open_slot (&place, &update_command, WRITES, argc, argv, error);
  g_autofree char *message = NULL;
  FloeSlotOutcome outcome;

  if (slot == NULL)
    return FALSE;
  if (place.conf->channel == NULL) {
    g_print ("no channel: [appliance] channel= in the configuration names one\n");
    return TRUE;
  }
  if (!floe_slot_update (slot, &outcome, &message, error)) {
    end_if_busy (*error);
    return FALSE;
  }
  g_print ("%s\n", message);
  return TRUE;
}

static gboolean
run_good (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { .dbx = -1 };
  g_autoptr (FloeSlot) slot = open_slot (&place, &good_command, WRITES, argc, argv, error);
  g_autofree char *message = NULL;

  if (slot == NULL || !floe_slot_good (slot, &message, error))
    return FALSE;
  g_print ("%s\n", message);
  return TRUE;
}

static gboolean
run_revoke (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { .dbx = -1 };
  g_autoptr (FloeSlot) slot = open_slot (&place, &revoke_command, REVOKES, argc, argv, error);
  const char *path = place.revocations != NULL ? place.revocations : FLOE_SLOT_REVOCATIONS;
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) update = slot == NULL ? NULL : floe_file_read (path, FLOE_DBX_UPDATE_MAX, &problem);
  g_autofree char *message = NULL, *sealed = update == NULL ? NULL : floe_seal_refuses (FLOE_SEAL_STATE_CONF, update);
  const FloeSlotFirmware firmware = { place.secure_boot, place.dbx, place.firmware_problem, sealed, floe_efivar_append };

  if (slot == NULL)
    return FALSE;
  /* Most versions have none. */
  if (update == NULL && !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (!floe_slot_revoke (slot, &firmware, update, &message, error))
    return FALSE;
  g_print ("%s\n", message);
  return TRUE;
}

static gboolean
run_overdue (int argc, char **argv, GError **error)
{
  /* It is asked once in each start. */
  g_auto (Place) place = { .dbx = -1, .options.waits = TRUE };
  g_autoptr (FloeSlot) slot = open_slot (&place, &overdue_command, READS, argc, argv, error);

  if (slot == NULL)
    return FALSE;
  if (!floe_slot_is_overdue (slot))
    return TRUE;
  g_printerr ("floe-slot: version %" G_GINT64_FORMAT " was not found good: the machine should start again\n", place.options.running);
  exit (EXIT_OVERDUE);
}

static gboolean
run_status (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { .dbx = -1 };
  g_autoptr (FloeSlot) slot = open_slot (&place, &status_command, READS, argc, argv, error);
  g_autofree char *text = slot == NULL ? NULL : floe_slot_status (slot);

  if (slot == NULL)
    return FALSE;
  g_print ("%s", text);
  return TRUE;
}

static gboolean
run_check (int argc, char **argv, GError **error)
{
  g_autofree char *disk = NULL, *boot = NULL;
  const GOptionEntry entries[] = {
    { "disk", 0, 0, G_OPTION_ARG_FILENAME, &disk, "the disk with the slots", "DEVICE" },
    { "boot", 0, 0, G_OPTION_ARG_FILENAME, &boot, "where its boot partition is mounted", "DIR" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  int64_t version;

  if (!floe_cli_parse (&check_command, entries, 0, &argc, &argv, error))
    return FALSE;
  if (disk == NULL || boot == NULL)
    return floe_cli_usage (error, "--disk and --boot are needed");
  if (!floe_slot_confine (error) || !floe_slot_check (disk, boot, &version, error))
    return FALSE;
  g_print ("%" G_GINT64_FORMAT "\n", version);
  return TRUE;
}

static const FloeCommand update_command = { "update", "[--again]", "installs what the channel offers into the slot that does not run", run_update };
static const FloeCommand overdue_command
    = { "overdue", "", "ends with status 3 when the version that runs is on trial still, and another one could start", run_overdue };
static const FloeCommand good_command = { "good", "[--wait SECONDS]", "the version that runs works: it stays the one that starts", run_good };
static const FloeCommand revoke_command = { "revoke", "", "has firmware start older versions no more, once the one that runs was found good", run_revoke };
static const FloeCommand status_command = { "status", "", "slots, boot entries, versions that failed", run_status };
static const FloeCommand check_command
    = { "check", "--disk DEVICE --boot DIR", "verifies whole what would start next, and says which version it is", run_check };

int
main (int argc, char **argv)
{
  const FloeCommand commands[] = { status_command, update_command, good_command, revoke_command, overdue_command, check_command, { NULL, NULL, NULL, NULL } };

  floe_log_init ("floe-slot");
  umask (022);
  return floe_cli_run ("floe-slot", "the two slots of the appliance", commands, argc, argv);
}
