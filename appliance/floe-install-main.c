/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-install-service.h"
#include "appliance/floe-slot-confine.h"
#include "appliance/floe-slot-host.h"
#include "common/floe-cli.h"
#include "common/floe-confine.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"

#include <cap-ng.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 65536
#define OS_RELEASE "/usr/lib/os-release"
#define EXIT_NOT_OFFERED 1

/* All of it is found by itself; tests name other places. */
typedef struct {
  char *sysfs, *dev, *udev, *own, *boot, *parts, *command_line, *os_release, *disk, *confirm;
  FloeInstallOptions options;
} Place;

static void
place_clear (Place *place)
{
  char *texts[] = { place->sysfs, place->dev,          place->udev,       place->own,  place->boot,
                    place->parts, place->command_line, place->os_release, place->disk, place->confirm };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (texts[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static char *
read_text (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = floe_file_read (path, TEXT_MAX, error);
  gsize size = 0;
  const char *data = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  return bytes == NULL ? NULL : g_strndup (data != NULL ? data : "", size);
}

static const char *
or (const char *value, const char *fallback)
{
  return value != NULL ? value : fallback;
}

static gboolean
find_place (Place *place, GError **error)
{
  FloeInstallOptions *options = &place->options;
  g_autofree char *line = NULL, *release = NULL, *disk = NULL;

  options->places = (FloeInstallPlaces){ or (place->sysfs, "/sys"), or (place->dev, "/dev"), or (place->udev, "/run/udev/data"), place->own };
  options->boot = or (place->boot, "/boot");
  options->parts = or (place->parts, "/usr/share/floe/boot");
  options->now = g_get_real_time () / G_USEC_PER_SEC;
  if (place->own == NULL) {
    disk = floe_slot_find_disk (options->places.sysfs, OS_RELEASE, error);
    if (disk == NULL)
      return FALSE;
    place->own = g_path_get_basename (disk);
    options->places.own = place->own;
  }
  line = read_text (or (place->command_line, "/proc/cmdline"), error);
  release = line == NULL ? NULL : read_text (or (place->os_release, OS_RELEASE), error);
  return release != NULL && floe_slot_parse_command_line (line, &options->root_hash, error) &&
         floe_slot_parse_os_release (release, &options->version, error);
}

static gboolean
prepare (Place *place, const FloeCommand *command, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "disk", 0, 0, G_OPTION_ARG_STRING, &place->disk, "run: the disk to write to, as list names it", "NAME" },
    { "confirm", 0, 0, G_OPTION_ARG_STRING, &place->confirm, "run: its name once more: all that is on it is lost", "NAME" },
    { "sysfs", 0, 0, G_OPTION_ARG_FILENAME, &place->sysfs, "where the kernel shows disks (/sys)", "DIR" },
    { "dev", 0, 0, G_OPTION_ARG_FILENAME, &place->dev, "where disks are (/dev)", "DIR" },
    { "udev", 0, 0, G_OPTION_ARG_FILENAME, &place->udev, "udev's database (/run/udev/data)", "DIR" },
    { "own", 0, 0, G_OPTION_ARG_STRING, &place->own, "the disk that runs (that of the root)", "NAME" },
    { "boot", 0, 0, G_OPTION_ARG_FILENAME, &place->boot, "where its boot partition is mounted (/boot)", "DIR" },
    { "parts", 0, 0, G_OPTION_ARG_FILENAME, &place->parts, "boot loader and certificate (/usr/share/floe/boot)", "DIR" },
    { "command-line", 0, 0, G_OPTION_ARG_FILENAME, &place->command_line, "the kernel's command line (/proc/cmdline)", "FILE" },
    { "os-release", 0, 0, G_OPTION_ARG_FILENAME, &place->os_release, "what runs (" OS_RELEASE ")", "FILE" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };

  return floe_cli_parse (command, entries, 0, &argc, &argv, error) && find_place (place, error);
}

/* -- Commands ----------------------------------------------------------------------------------------------------------- */

static const FloeCommand list_command, run_command, serve_command, offered_command;

static void
print_disk (const FloeInstallDisk *disk, const FloeInstallPlan *plan)
{
  const char *problem = floe_install_problem (disk, plan);

  g_print ("%s\t%" G_GUINT64_FORMAT "\t%s\t%s\t%s\t%s%s%s\n", disk->name, disk->size, or (disk->bus, ""), disk->model, disk->serial,
           disk->removable ? "removable " : "", disk->interrupted ? "interrupted " : "", *problem != '\0' ? problem : "can-be-chosen");
  if (disk->partitions->len == 0 && disk->file_system[0] != '\0')
    g_print ("  %s\t%" G_GUINT64_FORMAT "\t%s\t%s\n", disk->name, disk->size, disk->file_system, disk->label);
  for (guint i = 0; i < disk->partitions->len; i++) {
    const FloeInstallPartition *partition = disk->partitions->pdata[i];

    g_print ("  %s\t%" G_GUINT64_FORMAT "\t%s\t%s\n", partition->name, partition->size, partition->file_system, partition->label);
  }
}

static gboolean
run_list (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { NULL };
  g_autoptr (GPtrArray) disks = NULL;
  FloeInstallPlan plan;

  if (!prepare (&place, &list_command, argc, argv, error) || !floe_slot_confine (error) || !floe_install_plan_for (&place.options, &plan, error))
    return FALSE;
  disks = floe_install_list (&place.options.places, error);
  for (guint i = 0; disks != NULL && i < disks->len; i++)
    print_disk (disks->pdata[i], &plan);
  return disks != NULL;
}

static void
print_progress (FloeInstallStep step, double done, gpointer data)
{
  int *last = data, now = (int) (done * 100);

  if (now != *last)
    g_print ("%s %d\n", floe_install_step_name (step), now);
  *last = now;
}

static gboolean
run_run (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { NULL };
  int last = -1;

  if (!prepare (&place, &run_command, argc, argv, error))
    return FALSE;
  if (place.disk == NULL || place.confirm == NULL)
    return floe_cli_usage (error, "--disk and --confirm are needed: no disk is chosen by itself");
  return floe_slot_confine (error) && floe_install_run (&place.options, place.disk, 0, place.confirm, print_progress, &last, error);
}

/* It has a socket for the bus, and beyond that what floe_slot_confine() leaves. Before there is another thread. */
static gboolean
run_serve (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { NULL };

  if (!prepare (&place, &serve_command, argc, argv, error))
    return FALSE;
  capng_clear (CAPNG_SELECT_BOTH);
  if (capng_apply (CAPNG_SELECT_CAPS) < 0)
    return floe_error_set (error, FLOE_ERROR_FAILED, "capabilities cannot be given up");
  return floe_confine (NULL, error) && floe_install_serve (&place.options, error);
}

static gboolean
run_offered (int argc, char **argv, GError **error)
{
  g_auto (Place) place = { NULL };

  if (!prepare (&place, &offered_command, argc, argv, error))
    return FALSE;
  if (!floe_install_is_portable (place.options.places.sysfs, place.options.places.own))
    exit (EXIT_NOT_OFFERED);
  return TRUE;
}

static const FloeCommand list_command = { "list", "", "the disks that could be installed on, and what would be lost on each", run_list };
static const FloeCommand run_command = { "run", "--disk NAME --confirm NAME", "writes what runs to a disk: all that is on it is lost", run_run };
static const FloeCommand serve_command = { "serve", "", "does both for the console, on the system bus", run_serve };
static const FloeCommand offered_command
    = { "offered", "", "ends with status 0 when what runs was started from a medium that people carry about", run_offered };

int
main (int argc, char **argv)
{
  const FloeCommand commands[] = { list_command, run_command, serve_command, offered_command, { NULL, NULL, NULL, NULL } };

  floe_log_init ("floe-install");
  umask (077);
  return floe_cli_run ("floe-install", "writes the appliance that runs to a disk of this computer", commands, argc, argv);
}
