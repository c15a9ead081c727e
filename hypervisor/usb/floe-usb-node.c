/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-node.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define USB_MAJOR 189           /* Documentation/admin-guide/devices.txt */
#define DEVICES_OF_A_BUS 128
#define CLAIMABLE_MAX 32 /* USBDEVFS_DROP_PRIVILEGES takes a mask of this many interfaces */

static int
kernel_control (int fd, unsigned long request, void *argument)
{
  return ioctl (fd, request, argument);
}

const FloeUsbfs floe_usbfs_kernel = { "/dev", kernel_control };

static gboolean
covers (const FloePolicyUsbGrant *grant, const FloeUsbRaw *raw, const FloeUsbRawInterface *interface)
{
  const FloePolicyUsbDevice device = floe_usb_raw_device (raw);

  return floe_policy_usb_grant_gives (grant, &device, (uint8_t)interface->configuration, (uint8_t)interface->number);
}

/* -- Switches --------------------------------------------------------------------------------------------------------- */

gboolean
floe_usb_close_device (const FloeUsbRaw *raw, GError **error)
{
  return floe_usb_switch_read (raw, "authorized") == 0 || floe_usb_switch_set (raw, "authorized", 0, error);
}

/* Interfaces that the grant does not cover first, so that a driver which binds to several finds the right ones. */
static gboolean
set_interfaces (const FloeUsbRaw *raw, const FloePolicyUsbGrant *grant, GPtrArray *interfaces, GError **error)
{
  for (guint i = 0; i < interfaces->len; i++) {
    const FloeUsbRawInterface *interface = g_ptr_array_index (interfaces, i);

    if (interface->authorized && !covers (grant, raw, interface)
        && !floe_usb_interface_set (raw, interface->name, FALSE, error))
      return FALSE;
  }
  for (guint i = 0; i < interfaces->len; i++) {
    const FloeUsbRawInterface *interface = g_ptr_array_index (interfaces, i);

    if (!interface->authorized && covers (grant, raw, interface)
        && !floe_usb_interface_set (raw, interface->name, TRUE, error))
      return FALSE;
  }
  return TRUE;
}

static void
probe_interfaces (const FloeUsbRaw *raw, const FloePolicyUsbGrant *grant, GPtrArray *interfaces, const char *sysfs)
{
  g_autofree char *path = g_build_filename (sysfs, "bus/usb/drivers_probe", NULL);

  for (guint i = 0; i < interfaces->len; i++) {
    const FloeUsbRawInterface *interface = g_ptr_array_index (interfaces, i);
    floe_autofd fd = -1;

    if (interface->driver != NULL || !covers (grant, raw, interface))
      continue;
    fd = open (path, O_WRONLY | O_CLOEXEC);
    /* Fails too when no driver is there yet: the kernel looks again when one is loaded. */
    if (fd >= 0)
      (void)!write (fd, interface->name, strlen (interface->name));
  }
}

gboolean
floe_usb_open_for_host (const FloeUsbRaw *raw, const FloePolicyUsbGrant *grant, const char *sysfs, GError **error)
{
  g_autoptr (GPtrArray) interfaces = NULL;

  if (floe_usb_switch_read (raw, "authorized") != 1 && !floe_usb_switch_set (raw, "authorized", 1, error))
    return FALSE;
  interfaces = floe_usb_raw_interfaces (raw);
  if (!set_interfaces (raw, grant, interfaces, error))
    return FALSE;
  probe_interfaces (raw, grant, interfaces, sysfs);
  return TRUE;
}

char *
floe_usb_foreign_driver (const FloeUsbRaw *raw)
{
  g_autoptr (GPtrArray) interfaces = floe_usb_raw_interfaces (raw);

  for (guint i = 0; i < interfaces->len; i++) {
    const FloeUsbRawInterface *interface = g_ptr_array_index (interfaces, i);

    if (interface->driver != NULL && strcmp (interface->driver, "usbfs") != 0)
      return g_strdup (interface->driver);
  }
  return NULL;
}

/* -- The node --------------------------------------------------------------------------------------------------------- */

/* What usbfs reads out is what was judged: the device descriptor and each configuration. */
static gboolean
shows_same_bytes (int fd, const FloeUsbRaw *raw, GError **error)
{
  gsize size;
  const uint8_t *judged = g_bytes_get_data (raw->bytes, &size);
  g_autofree uint8_t *read_out = g_malloc (size + 1);
  size_t have = 0;

  while (have <= size) {
    ssize_t got = pread (fd, read_out + have, size + 1 - have, (off_t)have);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return floe_error_set_errno (error, errno, "descriptors of USB device %s", raw->path);
    if (got == 0)
      break;
    have += (size_t)got;
  }
  return (have == size && memcmp (read_out, judged, size) == 0)
         || floe_error_set (error, FLOE_ERROR_REFUSED, "USB device %s shows other descriptors than those judged", raw->path);
}

/* The order matters. The node is opened by number, and a number can be another device's by now. But while the judged device's
 * directory can still be read, which it cannot for a moment after the device has gone, it is registered, and was all the time;
 * and no two registered devices have one number. So what was opened before that reading is the judged device. */
static gboolean
is_judged_device (int fd, const FloeUsbRaw *raw, const FloeUsbfs *usbfs, GError **error)
{
  g_autoptr (FloeUsbRaw) now = NULL;
  struct stat st;

  if (fstat (fd, &st) < 0)
    return floe_error_set_errno (error, errno, "node of USB device %s", raw->path);
  if (usbfs == &floe_usbfs_kernel
      && (!S_ISCHR (st.st_mode)
          || st.st_rdev != makedev (USB_MAJOR, (raw->bus - 1) * DEVICES_OF_A_BUS + raw->number - 1)))
    return floe_error_set (error, FLOE_ERROR_REFUSED, "node of USB device %s is something else", raw->path);
  if (!shows_same_bytes (fd, raw, error))
    return FALSE;
  now = floe_usb_raw_read (raw->dir, ".");
  return (now != NULL && now->bus == raw->bus && now->number == raw->number && g_bytes_equal (now->bytes, raw->bytes))
         || floe_error_set (error, FLOE_ERROR_REFUSED, "USB device %s went away while it was opened", raw->path);
}

static int
open_node (const FloeUsbRaw *raw, const FloeUsbfs *usbfs, GError **error)
{
  g_autofree char *path = g_strdup_printf ("%s/bus/usb/%03u/%03u", usbfs->devices, raw->bus, raw->number);
  floe_autofd fd = -1;

  if (raw->bus == 0 || raw->number == 0 || raw->number >= DEVICES_OF_A_BUS) {
    floe_error_set (error, FLOE_ERROR_INVALID, "USB device %s has no number", raw->path);
    return -1;
  }
  fd = open (path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    floe_error_set_errno (error, errno, "node of USB device %s", raw->path);
    return -1;
  }
  return is_judged_device (fd, raw, usbfs, error) ? floe_fd_steal (&fd) : -1;
}

/* From the moment that an interface is authorised until it is claimed, a driver of the host's that is just being loaded could bind
 * to it: claiming then fails, and so does all of this. */
static gboolean
claim (const FloeUsbRaw *raw, const FloeUsbRawInterface *interface, int fd, const FloeUsbfs *usbfs, GError **error)
{
  unsigned number = interface->number;

  if (!floe_usb_interface_set (raw, interface->name, TRUE, error))
    return FALSE;
  return usbfs->control (fd, USBDEVFS_CLAIMINTERFACE, &number) == 0
         || floe_error_set_errno (error, errno, "claim USB interface %s", interface->name);
}

static gboolean
claim_all (const FloeUsbRaw *raw, const FloePolicyUsbGrant *grant, int fd, const FloeUsbfs *usbfs, GError **error)
{
  g_autoptr (GPtrArray) interfaces = floe_usb_raw_interfaces (raw);
  uint32_t mask = 0;

  for (guint i = 0; i < interfaces->len; i++) {
    const FloeUsbRawInterface *interface = g_ptr_array_index (interfaces, i);

    if (!covers (grant, raw, interface))
      continue;
    if (interface->number >= CLAIMABLE_MAX)
      return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "USB interface %s: only numbers below %d can be handed over",
                             interface->name, CLAIMABLE_MAX);
    if (!claim (raw, interface, fd, usbfs, error))
      return FALSE;
    mask |= UINT32_C (1) << interface->number;
  }
  if (mask == 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "USB device %s has no interface that the rule gives", raw->path);
  return usbfs->control (fd, USBDEVFS_DROP_PRIVILEGES, &mask) == 0
         || floe_error_set_errno (error, errno, "give up other interfaces of USB device %s", raw->path);
}

/* Through "not authorised", so that whoever had a claim before has none now, and no driver of the host's is bound. */
static gboolean
authorise_unbound (const FloeUsbRaw *raw, GError **error)
{
  g_autoptr (GPtrArray) interfaces = NULL;

  if (!floe_usb_close_device (raw, error) || !floe_usb_switch_set (raw, "authorized", 1, error))
    return FALSE;
  interfaces = floe_usb_raw_interfaces (raw);
  for (guint i = 0; i < interfaces->len; i++) {
    const FloeUsbRawInterface *interface = g_ptr_array_index (interfaces, i);

    if (interface->authorized || interface->driver != NULL)
      return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                             "USB interface %s is authorised by itself: interface_authorized_default of its controller is on",
                             interface->name);
  }
  return TRUE;
}

int
floe_usb_open_for_machine (const FloeUsbRaw *raw, const FloePolicyUsbGrant *grant, const FloeUsbfs *usbfs, GError **error)
{
  floe_autofd fd = open_node (raw, usbfs, error);
  g_autoptr (GError) ignored = NULL;

  if (fd < 0)
    return -1;
  if (authorise_unbound (raw, error) && claim_all (raw, grant, fd, usbfs, error))
    return floe_fd_steal (&fd);
  (void)!floe_usb_close_device (raw, &ignored);
  return -1;
}
