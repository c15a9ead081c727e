/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-system.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 8 /* of mapped devices over one another */
#define DISKS_MAX 16

typedef struct {
  char *path; /* "1-2" */
  unsigned bus, number;
} Known;

struct _FloeUsbSystem {
  char *sysfs, *root;
  GArray *known; /* of Known */
};

static void
known_clear (gpointer data)
{
  g_free (((Known *)data)->path);
}

/* The directories, without links, of what the block device whose directory is PATH lies on: its own, where it lies on nothing. */
static void
find_disks (const char *path, unsigned depth, GPtrArray *disks)
{
  g_autofree char *slaves = g_build_filename (path, "slaves", NULL);
  g_autoptr (GDir) dir = g_dir_open (slaves, 0, NULL);
  const char *name;
  gboolean any = FALSE;

  while (dir != NULL && depth < DEPTH_MAX && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *below = g_build_filename (slaves, name, NULL);

    any = TRUE;
    find_disks (below, depth + 1, disks);
  }
  if (!any && disks->len < DISKS_MAX) {
    char *real = realpath (path, NULL);

    if (real != NULL)
      g_ptr_array_add (disks, real);
  }
}

static GPtrArray *
root_disks (const FloeUsbSystem *system)
{
  GPtrArray *disks = g_ptr_array_new_with_free_func (free);
  g_autofree char *path = system->root == NULL ? NULL : g_build_filename (system->sysfs, "dev", "block", system->root, NULL);

  if (path != NULL && access (path, F_OK) == 0)
    find_disks (path, 0, disks);
  return disks;
}

/* Whether one of DISKS hangs below the device that RAW's directory was opened of. */
static gboolean
carries (const FloeUsbRaw *raw, GPtrArray *disks)
{
  g_autofree char *link = g_strdup_printf ("/proc/self/fd/%d", raw->dir);
  char directory[4096];
  ssize_t length = readlink (link, directory, sizeof directory - 1);

  if (raw->root_hub || length <= 0 || length >= (ssize_t)sizeof directory - 1)
    return FALSE;
  directory[length] = '\0';
  for (guint i = 0; i < disks->len; i++) {
    const char *disk = disks->pdata[i];

    if (strncmp (disk, directory, (size_t)length) == 0 && disk[length] == '/')
      return TRUE;
  }
  return FALSE;
}

FloeUsbSystem *
floe_usb_system_new (const char *sysfs, const char *root)
{
  FloeUsbSystem *system = g_new0 (FloeUsbSystem, 1);
  g_autofree char *path = g_build_filename (sysfs, "bus/usb/devices", NULL);
  g_autoptr (GPtrArray) disks = NULL;
  g_autoptr (GDir) devices = NULL;
  const char *name;
  gboolean root_hub;
  int fd;

  system->sysfs = g_strdup (sysfs);
  system->root = g_strdup (root);
  system->known = g_array_new (FALSE, FALSE, sizeof (Known));
  g_array_set_clear_func (system->known, known_clear);
  disks = root_disks (system);
  devices = disks->len == 0 ? NULL : g_dir_open (path, 0, NULL);
  fd = devices == NULL ? -1 : open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (fd >= 0 && (name = g_dir_read_name (devices)) != NULL) {
    g_autoptr (FloeUsbRaw) raw = floe_usb_is_device_name (name, &root_hub) ? floe_usb_raw_read (fd, name) : NULL;

    if (raw != NULL && carries (raw, disks)) {
      Known known = { g_strdup (raw->path), raw->bus, raw->number };

      g_array_append_val (system->known, known);
    }
  }
  if (fd >= 0)
    close (fd);
  return system;
}

void
floe_usb_system_free (FloeUsbSystem *system)
{
  if (system == NULL)
    return;
  g_array_unref (system->known);
  g_free (system->sysfs);
  g_free (system->root);
  g_free (system);
}

gboolean
floe_usb_system_has (const FloeUsbSystem *system, const FloeUsbRaw *raw)
{
  for (guint i = 0; i < system->known->len; i++) {
    const Known *known = &g_array_index (system->known, Known, i);

    if (strcmp (known->path, raw->path) == 0 && known->bus == raw->bus && known->number == raw->number) {
      g_autoptr (GPtrArray) disks = root_disks (system);

      return carries (raw, disks);
    }
  }
  return FALSE;
}
