/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-internal.h"

#include <glib/gstdio.h>
#include <unistd.h>

/* The stick that the system runs from, and those that would like to be taken for it. The gate is the real one, on a sysfs of ours: a root on
 * dm-verity (253:0) over two partitions of sda, which is the disk of the stick at port 1-2, behind a hub or not. */

static const uint8_t stick[] = { 18, 1, 0, 2, 0, 0, 0, 64, 0x81, 0x07, 0x67, 0x55, 0, 1, 1, 2, 3, 1, 9, 2, 25, 0, 1, 1, 0, 0x80, 50,
                                 9,  4, 0, 0, 1, 8, 6, 0x50, 0, 7, 5, 0x81, 3, 8, 0, 10 };
static const uint8_t hub[] = { 18, 1, 0, 2, 9, 0, 1, 64, 0x05, 0x04, 0x10, 0x26, 0, 1, 0, 0, 0, 1, 9, 2, 25, 0, 1, 1, 0, 0xe0, 50,
                               9,  4, 0, 0, 1, 9, 0, 0, 0, 7, 5, 0x81, 3, 1, 0, 12 };

typedef struct {
  char *sysfs;
  FloeUsb *usb;
} Fixture;

static void
put (Fixture *f, const char *path, const void *data, gssize size)
{
  g_autofree char *full = g_build_filename (f->sysfs, path, NULL), *directory = g_path_get_dirname (full);

  g_assert_cmpint (g_mkdir_with_parents (directory, 0755), ==, 0);
  g_assert_true (g_file_set_contents (full, data, size, NULL));
}

/* DEVICE hangs at DIRECTORY below /sys/devices; bus/usb/devices has a link to it, as the kernel's has. */
static void
plug (Fixture *f, const char *device, const char *directory, const char *number, gboolean is_hub)
{
  g_autofree char *descriptors = g_build_filename (directory, "descriptors", NULL), *devnum = g_build_filename (directory, "devnum", NULL);
  g_autofree char *busnum = g_build_filename (directory, "busnum", NULL), *authorized = g_build_filename (directory, "authorized", NULL);
  g_autofree char *serial = g_build_filename (directory, "serial", NULL);
  g_autofree char *link = g_build_filename (f->sysfs, "bus/usb/devices", device, NULL), *target = g_build_filename ("../../..", directory, NULL);

  put (f, descriptors, is_hub ? hub : stick, is_hub ? sizeof hub : sizeof stick);
  put (f, busnum, "1\n", -1);
  put (f, devnum, number, -1);
  put (f, serial, "0123456789\n", -1);
  put (f, authorized, "1\n", -1);
  g_unlink (link);
  g_assert_cmpint (symlink (target, link), ==, 0);
}

/* Its disk, which the kernel calls NAME, with two partitions. */
static void
make_disk (Fixture *f, const char *directory, const char *device, const char *name)
{
  for (int i = 2; i <= 3; i++) {
    g_autofree char *path = g_strdup_printf ("%s/%s:1.0/host0/target0:0:0/0:0:0:0/block/%s/%s%d/size", directory, device, name, name, i);

    put (f, path, "2048\n", -1);
  }
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *below = g_build_filename (path, name, NULL);

    remove_tree (below);
  }
  g_remove (path);
}

static void
unplug (Fixture *f, const char *device, const char *directory)
{
  g_autofree char *link = g_build_filename (f->sysfs, "bus/usb/devices", device, NULL), *path = g_build_filename (f->sysfs, directory, NULL);

  g_unlink (link);
  remove_tree (path);
}

static void
root_on (Fixture *f, const char *directory, const char *device, const char *name)
{
  for (int i = 2; i <= 3; i++) {
    g_autofree char *link = g_strdup_printf ("%s/dev/block/253:0/slaves/%s%d", f->sysfs, name, i), *slaves = g_path_get_dirname (link);
    g_autofree char *target
        = g_strdup_printf ("%s/%s/%s:1.0/host0/target0:0:0/0:0:0:0/block/%s/%s%d", f->sysfs, directory, device, name, name, i);

    g_assert_cmpint (g_mkdir_with_parents (slaves, 0755), ==, 0);
    g_assert_cmpint (symlink (target, link), ==, 0);
  }
}

static void
begin (Fixture *f, const char *root)
{
  floe_usb_free (f->usb);
  f->usb = floe_usb_new (&(FloeUsbOptions){ .sysfs = f->sysfs, .root = root, .mode = FLOE_USB_ENFORCE, .state_dir = -1, .run_dir = -1 }, NULL);
  g_assert_nonnull (f->usb);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  (void) data;
  f->sysfs = g_dir_make_tmp ("floe-usb-XXXXXX", NULL);
  put (f, "bus/usb/devices/usb1/descriptors", hub, sizeof hub);
  put (f, "bus/usb/devices/usb1/authorized_default", "0\n", -1);
  put (f, "bus/usb/devices/usb1/interface_authorized_default", "0\n", -1);
  put (f, "bus/usb/devices/usb1/authorized", "1\n", -1);
  put (f, "bus/usb/devices/usb1/devnum", "1\n", -1);
  plug (f, "1-2", "devices/pci/usb1/1-2", "2\n", FALSE);
  make_disk (f, "devices/pci/usb1/1-2", "1-2", "sda");
  root_on (f, "devices/pci/usb1/1-2", "1-2", "sda");
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  (void) data;
  floe_usb_free (f->usb);
  remove_tree (f->sysfs);
  g_free (f->sysfs);
}

static void
assert_device (Fixture *f, const char *device, const char *rule, gboolean open)
{
  GPtrArray *devices = floe_usb_devices (f->usb);
  g_autofree char *path = g_build_filename (f->sysfs, "bus/usb/devices", device, "authorized", NULL), *text = NULL;

  for (guint i = 0; i < devices->len; i++) {
    const FloeUsbDevice *one = devices->pdata[i];

    if (g_strcmp0 (one->path, device) != 0)
      continue;
    g_assert_cmpstr (one->rule, ==, rule);
    g_assert_cmpint (one->verdict, ==, open ? FLOE_POLICY_USB_HOST : FLOE_POLICY_USB_BLOCK);
    g_assert_true (one->enforced);
    g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
    g_assert_cmpstr (g_strchomp (text), ==, open ? "1" : "0");
    return;
  }
  g_error ("no device %s", device);
}

static void
test_kept (Fixture *f, gconstpointer data)
{
  FloePolicyContent content = { 0 };

  (void) data;
  begin (f, "253:0");
  assert_device (f, "1-2", "floe-system-disk", TRUE);
  /* Neither a policy without a rule nor one that comes and goes shuts it. */
  floe_usb_set_content (f->usb, &content);
  assert_device (f, "1-2", "floe-system-disk", TRUE);
  floe_usb_set_content (f->usb, NULL);
  floe_usb_rescan (f->usb);
  assert_device (f, "1-2", "floe-system-disk", TRUE);
  /* The next life of the daemon finds it again. */
  begin (f, "253:0");
  assert_device (f, "1-2", "floe-system-disk", TRUE);
}

/* The same descriptors, the same serial number, there from the start or plugged later; it even has a disk of its own. */
static void
test_twin (Fixture *f, gconstpointer data)
{
  (void) data;
  plug (f, "1-3", "devices/pci/usb1/1-3", "3\n", FALSE);
  make_disk (f, "devices/pci/usb1/1-3", "1-3", "sdb");
  begin (f, "253:0");
  plug (f, "1-4", "devices/pci/usb1/1-4", "4\n", FALSE);
  /* A port whose name begins like the other's. */
  plug (f, "1-22", "devices/pci/usb1/1-22", "5\n", FALSE);
  make_disk (f, "devices/pci/usb1/1-22", "1-22", "sda");
  floe_usb_rescan (f->usb);
  assert_device (f, "1-2", "floe-system-disk", TRUE);
  assert_device (f, "1-3", "floe-no-policy", FALSE);
  assert_device (f, "1-4", "floe-no-policy", FALSE);
  assert_device (f, "1-22", "floe-no-policy", FALSE);
}

/* Pulled, and another put into its port, whose disk gets the same name below the same directory: the links lead to it. */
static void
test_replug (Fixture *f, gconstpointer data)
{
  (void) data;
  begin (f, "253:0");
  unplug (f, "1-2", "devices/pci/usb1/1-2");
  floe_usb_rescan (f->usb);
  plug (f, "1-2", "devices/pci/usb1/1-2", "3\n", FALSE);
  make_disk (f, "devices/pci/usb1/1-2", "1-2", "sda");
  floe_usb_rescan (f->usb);
  assert_device (f, "1-2", "floe-no-policy", FALSE);
}

/* The same between two looks at the bus, and under another name: nothing leads to it any more. */
static void
test_swap (Fixture *f, gconstpointer data)
{
  (void) data;
  begin (f, "253:0");
  unplug (f, "1-2", "devices/pci/usb1/1-2");
  plug (f, "1-2", "devices/pci/usb1/1-2", "2\n", FALSE);
  make_disk (f, "devices/pci/usb1/1-2", "1-2", "sdb");
  floe_usb_rescan (f->usb);
  assert_device (f, "1-2", "floe-no-policy", FALSE);
  begin (f, "253:0");
  assert_device (f, "1-2", "floe-no-policy", FALSE);
}

/* A hub on the way stays open too, what else hangs on it does not. */
static void
test_hub (Fixture *f, gconstpointer data)
{
  (void) data;
  unplug (f, "1-2", "devices/pci/usb1/1-2");
  plug (f, "1-2", "devices/pci/usb1/1-2", "2\n", TRUE);
  plug (f, "1-2.1", "devices/pci/usb1/1-2/1-2.1", "3\n", FALSE);
  make_disk (f, "devices/pci/usb1/1-2/1-2.1", "1-2.1", "sdc");
  plug (f, "1-2.2", "devices/pci/usb1/1-2/1-2.2", "4\n", FALSE);
  root_on (f, "devices/pci/usb1/1-2/1-2.1", "1-2.1", "sdc");
  begin (f, "253:0");
  assert_device (f, "1-2", "floe-system-disk", TRUE);
  assert_device (f, "1-2.1", "floe-system-disk", TRUE);
  assert_device (f, "1-2.2", "floe-no-policy", FALSE);
}

/* A root on another disk, or on none that sysfs knows: no stick is anything better than another. */
static void
test_elsewhere (Fixture *f, gconstpointer data)
{
  (void) data;
  begin (f, "8:17");
  assert_device (f, "1-2", "floe-no-policy", FALSE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add ("/usb/system/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("kept", test_kept);
  ADD ("twin", test_twin);
  ADD ("replug", test_replug);
  ADD ("swap", test_swap);
  ADD ("hub", test_hub);
  ADD ("elsewhere", test_elsewhere);
  return g_test_run ();
}
