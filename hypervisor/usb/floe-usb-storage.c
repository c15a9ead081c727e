/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-storage.h"

#include "common/floe-fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEPTH_MAX 5 /* from the interface: host, target, LUN, "block", disk */
#define ENTRIES_MAX 512

/* Names below DIR that begin with one of the levels' prefixes; links, which lead elsewhere, are not followed. */
static GPtrArray *
list_directories (int dir, const char *prefix)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  int copy = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy < 0 ? NULL : fdopendir (copy);
  const struct dirent *entry;

  if (stream == NULL)
    floe_fd_clear (&copy);
  while (stream != NULL && names->len < ENTRIES_MAX && (entry = readdir (stream)) != NULL)
    if (entry->d_name[0] != '.' && g_str_has_prefix (entry->d_name, prefix))
      g_ptr_array_add (names, g_strdup (entry->d_name));
  if (stream != NULL)
    closedir (stream);
  return names;
}

/* Adds directories of disks (descriptors) below DIR to DISKS. */
static void
collect (int dir, unsigned depth, GArray *disks)
{
  static const char *const prefixes[DEPTH_MAX] = { "host", "target", "", "block", "" };
  g_autoptr (GPtrArray) names = list_directories (dir, prefixes[depth]);

  for (guint i = 0; i < names->len && disks->len <= FLOE_USB_DISKS_MAX; i++) {
    const char *name = g_ptr_array_index (names, i);
    floe_autofd below = -1;

    /* A LUN is "6:0:0:1"; beside it are the target's own attributes. */
    if (depth == 2 && strchr (name, ':') == NULL)
      continue;
    below = openat (dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0)
      continue;
    if (depth + 1 < DEPTH_MAX)
      collect (below, depth + 1, disks);
    else if (floe_name_is_safe (name)) {
      int kept = floe_fd_steal (&below);

      g_array_append_val (disks, kept);
    }
  }
}

static void
clear_fd (gpointer data)
{
  floe_fd_clear (data);
}

static GArray *
find_disks (const FloeUsbRaw *raw)
{
  GArray *disks = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr (GPtrArray) interfaces = floe_usb_raw_interfaces (raw);

  g_array_set_clear_func (disks, clear_fd);
  for (guint i = 0; i < interfaces->len; i++) {
    const FloeUsbRawInterface *interface = g_ptr_array_index (interfaces, i);
    floe_autofd dir = openat (raw->dir, interface->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (dir >= 0)
      collect (dir, 0, disks);
  }
  return disks;
}

static char *
read_attribute (int dir, const char *name)
{
  g_autoptr (GBytes) bytes = floe_file_read_at (dir, name, 4096, NULL);
  gsize size;
  const char *data = bytes == NULL ? NULL : g_bytes_get_data (bytes, &size);

  return data == NULL ? NULL : g_strchomp (g_strndup (data, size));
}

/* "8:16" of attribute `dev`, and the name that devtmpfs gives its node: DEVNAME of attribute `uevent`. */
static gboolean
read_identity (int dir, dev_t *number, char **name)
{
  g_autofree char *dev = read_attribute (dir, "dev"), *uevent = read_attribute (dir, "uevent");
  const char *at = uevent == NULL ? NULL : strstr (uevent, "DEVNAME=");
  unsigned major_part, minor_part;

  if (dev == NULL || at == NULL || sscanf (dev, "%u:%u", &major_part, &minor_part) != 2)
    return FALSE;
  *number = makedev (major_part, minor_part);
  at += strlen ("DEVNAME=");
  *name = g_strndup (at, strcspn (at, "\n"));
  return floe_name_is_safe (*name);
}

/* As with the USB node itself: opened by name, believed because the number is that of the directory found below the device, and
 * the directory is still there afterwards, so that the number is nobody else's. */
static int
open_disk (int dir, const FloeUsbRaw *raw, const FloeUsbfs *usbfs, GError **error)
{
  g_autofree char *name = NULL, *again = NULL, *path = NULL;
  floe_autofd fd = -1;
  struct stat st;
  dev_t number = 0, number_again = 0;
  int on = 1;

  if (!read_identity (dir, &number, &name)) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "disk of USB device %s went away", raw->path);
    return -1;
  }
  path = g_build_filename (usbfs->devices, name, NULL);
  fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &st) < 0) {
    floe_error_set_errno (error, errno, "disk %s of USB device %s", name, raw->path);
    return -1;
  }
  if (!read_identity (dir, &number_again, &again) || number_again != number
      || (usbfs == &floe_usbfs_kernel && (!S_ISBLK (st.st_mode) || st.st_rdev != number))) {
    floe_error_set (error, FLOE_ERROR_REFUSED, "disk %s is not that of USB device %s any more", name, raw->path);
    return -1;
  }
  if (usbfs->control (fd, BLKROSET, &on) < 0) {
    floe_error_set_errno (error, errno, "make disk %s of USB device %s read-only", name, raw->path);
    return -1;
  }
  return floe_fd_steal (&fd);
}

/* 512-byte sectors, as sysfs counts; 0 without a medium. */
static gboolean
has_medium (int dir)
{
  g_autofree char *size = read_attribute (dir, "size");

  return size != NULL && g_ascii_strtoull (size, NULL, 10) > 0;
}

FloeUsbDisks
floe_usb_disks_open (const FloeUsbRaw *raw, const FloeUsbfs *usbfs, int *fds, unsigned *n, unsigned *seen, GError **error)
{
  g_autoptr (GArray) disks = find_disks (raw);
  g_autoptr (GArray) opened = g_array_new (FALSE, FALSE, sizeof (int));
  unsigned before = *seen;

  g_array_set_clear_func (opened, clear_fd);
  *seen = disks->len;
  if (disks->len > FLOE_USB_DISKS_MAX) {
    floe_error_set (error, FLOE_ERROR_LIMIT, "USB device %s has more than %d disks", raw->path, FLOE_USB_DISKS_MAX);
    return FLOE_USB_DISKS_FAILED;
  }
  /* LUNs appear one by one: what has not changed from one look to the next is all of them. */
  if (disks->len == 0 || disks->len != before)
    return FLOE_USB_DISKS_WAITING;
  for (guint i = 0; i < disks->len; i++) {
    int dir = g_array_index (disks, int, i);
    int fd;

    if (!has_medium (dir))
      continue;
    fd = open_disk (dir, raw, usbfs, error);
    if (fd < 0)
      return FLOE_USB_DISKS_FAILED;
    g_array_append_val (opened, fd);
  }
  if (opened->len == 0)
    return FLOE_USB_DISKS_NO_MEDIUM;
  *n = opened->len;
  for (guint i = 0; i < opened->len; i++)
    fds[i] = floe_fd_steal (&g_array_index (opened, int, i));
  return FLOE_USB_DISKS_READY;
}
