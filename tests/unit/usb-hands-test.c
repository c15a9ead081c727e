/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-internal.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fs.h>
#include <linux/usbdevice_fs.h>
#include <string.h>
#include <unistd.h>

/* The gate from verdict to machine, in a fake sysfs with fake nodes: who is given what, when it is taken, and that nothing goes to
 * two. What the kernel does of itself (interfaces that appear, that are shut again) the test does in its place. */

#define DEVICE(vendor, product, configurations)                                                                            \
  18, 1, 0, 2, 0, 0, 0, 64, (vendor)&0xff, (vendor) >> 8, (product)&0xff, (product) >> 8, 0, 1, 1, 2, 3, configurations
#define CONFIGURATION(total, interfaces) 9, 2, (total)&0xff, (total) >> 8, interfaces, 1, 0, 0x80, 50
#define INTERFACE(number, class_code, subclass, protocol) 9, 4, number, 0, 0, class_code, subclass, protocol, 0

static const uint8_t scanner[] = { DEVICE (0x04a9, 0x220d, 1), CONFIGURATION (18, 1), INTERFACE (0, 6, 1, 1) };
static const uint8_t composite[]
    = { DEVICE (0x1209, 1, 1), CONFIGURATION (27, 2), INTERFACE (0, 6, 1, 1), INTERFACE (1, 3, 1, 1) };
static const uint8_t stick[] = { DEVICE (0x0781, 0x5567, 1), CONFIGURATION (18, 1), INTERFACE (0, 8, 6, 0x50) };
static const uint8_t keyboard[] = { DEVICE (0x046d, 0xc31c, 1), CONFIGURATION (18, 1), INTERFACE (0, 3, 1, 1) };
static const uint8_t camera[] = { DEVICE (0x046d, 0x0825, 1), CONFIGURATION (18, 1), INTERFACE (0, 14, 1, 0) };
static const uint8_t hub[] = { DEVICE (0x1d6b, 2, 1), CONFIGURATION (18, 1), INTERFACE (0, 9, 0, 0) };

typedef struct {
  char *root, *devices;
  FloeUsb *usb;
  FloePolicyDocument *document;
  GString *log;
  guint64 serial; /* of the last gift */
  int run_dir;
  FloeUsbfs usbfs;
} Fixture;

/* ioctl(2) has no room for a test's data. */
static GString *controls;
static int control_fails;

static int
control (int fd, unsigned long request, void *argument)
{
  g_assert_cmpint (fd, >=, 0);
  if (request == USBDEVFS_CLAIMINTERFACE)
    g_string_append_printf (controls, "claim %u;", *(unsigned *)argument);
  else if (request == USBDEVFS_DROP_PRIVILEGES)
    g_string_append_printf (controls, "drop %x;", *(uint32_t *)argument);
  else if (request == BLKROSET)
    g_string_append_printf (controls, "read-only %d;", *(int *)argument);
  else
    g_assert_not_reached ();
  return control_fails;
}

static void
put (Fixture *f, const char *path, const void *data, gssize size)
{
  g_autofree char *whole = g_build_filename (f->root, path, NULL);
  g_autofree char *dir = g_path_get_dirname (whole);

  g_assert_cmpint (g_mkdir_with_parents (dir, 0755), ==, 0);
  g_assert_true (g_file_set_contents (whole, data, size, NULL));
}

static void
put_device (Fixture *f, const char *device, const char *attribute, const void *data, gssize size)
{
  g_autofree char *path = g_build_filename ("bus/usb/devices", device, attribute, NULL);

  put (f, path, data, size);
}

static char *
get (Fixture *f, const char *device, const char *attribute)
{
  g_autofree char *path = g_build_filename (f->root, "bus/usb/devices", device, attribute, NULL);
  char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? g_strchomp (text) : g_strdup ("-");
}

#define assert_is(f, device, attribute, value)                                                                              \
  do {                                                                                                                     \
    g_autofree char *is_ = get (f, device, attribute);                                                                     \
    g_assert_cmpstr (is_, ==, value);                                                                                      \
  } while (0)

static void
remove_tree (const char *path)
{
  GDir *dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *child = g_build_filename (path, name, NULL);

    remove_tree (child);
  }
  if (dir != NULL)
    g_dir_close (dir);
  g_remove (path);
}

/* An interface as the kernel makes it where interface_authorized_default is 0. */
static void
shut_interfaces (Fixture *f, const char *device)
{
  for (unsigned i = 0; i < 2; i++) {
    g_autofree char *path = g_strdup_printf ("%s/%s:1.%u", device, device, i);
    g_autofree char *is = get (f, path, "authorized");

    if (strcmp (is, "-") != 0)
      put_device (f, path, "authorized", "0\n", -1);
  }
}

static void
plug (Fixture *f, const char *device, unsigned number, const uint8_t *descriptors, size_t size, unsigned interfaces)
{
  g_autofree char *number_text = g_strdup_printf ("%u\n", number);
  g_autofree char *node = g_strdup_printf ("dev/bus/usb/001/%03u", number);

  put_device (f, device, "descriptors", descriptors, (gssize)size);
  put_device (f, device, "busnum", "1\n", -1);
  put_device (f, device, "devnum", number_text, -1);
  put_device (f, device, "authorized", "0\n", -1);
  put (f, node, descriptors, (gssize)size);
  for (unsigned i = 0; i < interfaces; i++) {
    g_autofree char *interface = g_strdup_printf ("%s/%s:1.%u", device, device, i);

    put_device (f, interface, "authorized", "0\n", -1);
  }
}

static void
unplug (Fixture *f, const char *device)
{
  g_autofree char *path = g_build_filename (f->root, "bus/usb/devices", device, NULL);

  remove_tree (path);
}

static void
note (FloeUsb *usb, const FloeUsbDevice *device, gboolean gone, gpointer data)
{
  Fixture *f = data;

  (void)usb;
  g_string_append_printf (f->log, "%s %s%s%s %s%s%s%s\n", device->path,
                          gone ? "gone" : floe_policy_usb_action_name (device->verdict), *device->machine != '\0' ? " " : "",
                          device->machine, device->rule, device->enforced ? " enforced" : "", *device->holder != '\0' ? " at " : "",
                          device->holder);
}

static void
give (const FloeUsbGift *gift, gpointer data)
{
  Fixture *f = data;

  for (unsigned i = 0; i < gift->n_fds; i++)
    g_assert_cmpint (fcntl (gift->fds[i], F_GETFD), >=, 0);
  g_assert_cmpuint (gift->serial, >, f->serial);
  f->serial = gift->serial;
  g_string_append_printf (f->log, "give %s to %s%s, %u\n", gift->path, gift->machine, gift->read_only ? " read-only" : "",
                          gift->n_fds);
}

static void
take (const char *machine, guint64 serial, gpointer data)
{
  Fixture *f = data;

  g_assert_cmpuint (serial, ==, f->serial);
  g_string_append_printf (f->log, "take from %s\n", machine);
}

static void
assert_log (Fixture *f, const char *wanted)
{
  g_assert_cmpstr (f->log->str, ==, wanted);
  g_string_truncate (f->log, 0);
}

static void
assert_controls (const char *wanted)
{
  g_assert_cmpstr (controls->str, ==, wanted);
  g_string_truncate (controls, 0);
}

static FloePolicyDocument *
parse_rules (const char *rules)
{
  g_autofree char *content = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  char *begin, *end;
  GString *text;
  FloePolicyDocument *document;

  g_assert_true (g_file_get_contents (FLOE_SOURCE_DIR "/docs/examples/office.json", &content, NULL, NULL));
  begin = strstr (content, "\"usb\": [");
  end = strstr (begin, "  ],");
  text = g_string_new_len (content, begin - content);
  g_string_append_printf (text, "\"usb\": [%s", rules);
  g_string_append (text, end);
  bytes = g_string_free_to_bytes (text);
  document = floe_policy_parse (bytes, "test.json", &error);
  g_assert_no_error (error);
  return document;
}

static void
set_rules (Fixture *f, const char *rules)
{
  FloePolicyDocument *old = f->document;

  f->document = parse_rules (rules);
  floe_usb_set_content (f->usb, floe_policy_document_content (f->document));
  if (old != NULL)
    floe_policy_document_unref (old);
}

static void
open_gate (Fixture *f, int state_dir)
{
  f->usb = floe_usb_new (&(FloeUsbOptions){ .sysfs = f->root,
                                            .mode = FLOE_USB_ENFORCE,
                                            .hands = { give, take, f },
                                            .state_dir = state_dir,
                                            .run_dir = f->run_dir,
                                            .changed = note,
                                            .data = f },
                         NULL);
  g_assert_nonnull (f->usb);
  floe_usb_set_usbfs (f->usb, &f->usbfs);
  g_string_truncate (f->log, 0);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  (void)data;
  f->root = g_dir_make_tmp ("floe-usb-hands-XXXXXX", NULL);
  f->devices = g_build_filename (f->root, "dev", NULL);
  f->usbfs = (FloeUsbfs){ f->devices, control };
  f->log = g_string_new (NULL);
  controls = g_string_new (NULL);
  control_fails = 0;
  put_device (f, "usb1", "descriptors", hub, sizeof hub);
  put_device (f, "usb1", "authorized", "1\n", -1);
  put_device (f, "usb1", "authorized_default", "1\n", -1);
  put_device (f, "usb1", "interface_authorized_default", "1\n", -1);
  put (f, "bus/usb/drivers_probe", "", 0);
  f->run_dir = open (f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  open_gate (f, -1);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  (void)data;
  floe_usb_free (f->usb);
  if (f->document != NULL)
    floe_policy_document_unref (f->document);
  g_string_free (f->log, TRUE);
  g_string_free (controls, TRUE);
  close (f->run_dir);
  remove_tree (f->root);
  g_free (f->devices);
  g_free (f->root);
}

static void
turn (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static const char *
problem_of (Fixture *f, const char *path)
{
  GPtrArray *devices = floe_usb_devices (f->usb);

  for (guint i = 0; i < devices->len; i++)
    if (strcmp (((const FloeUsbDevice *)g_ptr_array_index (devices, i))->path, path) == 0)
      return ((const FloeUsbDevice *)g_ptr_array_index (devices, i))->problem;
  g_assert_not_reached ();
}

static guint64
connection_of (Fixture *f, const char *path)
{
  GPtrArray *devices = floe_usb_devices (f->usb);

  for (guint i = 0; i < devices->len; i++)
    if (strcmp (((const FloeUsbDevice *)g_ptr_array_index (devices, i))->path, path) == 0)
      return ((const FloeUsbDevice *)g_ptr_array_index (devices, i))->connection;
  return 0;
}

/* -- Whole devices ---------------------------------------------------------------------------------------------------- */

#define SCANNER_TO(machine)                                                                                                \
  "{\"id\": \"scanner\", \"vendor\": \"04a9\", \"product\": \"220d\", \"verdict\": {\"machine\": \"" machine "\"}}"

static void
hand_over (Fixture *f)
{
  set_rules (f, SCANNER_TO ("office"));
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  plug (f, "1-2", 5, scanner, sizeof scanner, 1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  assert_log (f, "give 1-2 to office, 1\n1-2 machine office scanner at office\n");
  assert_controls ("claim 0;drop 1;");
  floe_usb_given (f->usb, f->serial, NULL);
  assert_log (f, "1-2 machine office scanner enforced at office\n");
  assert_is (f, "1-2", "authorized", "1");
  assert_is (f, "1-2/1-2:1.0", "authorized", "1");
}

static void
test_whole (Fixture *f, gconstpointer data)
{
  (void)data;
  hand_over (f);
  /* Nothing new, nothing said. */
  floe_usb_rescan (f->usb);
  assert_log (f, "");
  /* Pulled: QEMU is told. */
  unplug (f, "1-2");
  floe_usb_rescan (f->usb);
  assert_log (f, "take from office\n1-2 gone office scanner enforced at office\n");
  floe_usb_taken (f->usb, f->serial, NULL);
  assert_log (f, "");
}

static void
test_not_running (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, SCANNER_TO ("office"));
  plug (f, "1-2", 5, scanner, sizeof scanner, 1);
  floe_usb_rescan (f->usb);
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "does not run"));
  assert_is (f, "1-2", "authorized", "0");
  floe_usb_set_machine (f->usb, "office", 7, FALSE);
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "start it anew"));
  g_string_truncate (f->log, 0);
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  assert_log (f, "give 1-2 to office, 1\n1-2 machine office scanner at office\n");
}

static void
test_withdrawn (Fixture *f, gconstpointer data)
{
  (void)data;
  hand_over (f);
  set_rules (f, "");
  /* Shut before QEMU is asked anything. */
  assert_log (f, "take from office\n1-2 block default enforced\n");
  assert_is (f, "1-2", "authorized", "0");
  /* Allowed again while QEMU has not answered: it waits for that. */
  set_rules (f, SCANNER_TO ("office"));
  assert_log (f, "1-2 machine office scanner\n");
  shut_interfaces (f, "1-2");
  floe_usb_taken (f->usb, f->serial, NULL);
  assert_log (f, "give 1-2 to office, 1\n1-2 machine office scanner at office\n");
  /* Withdrawn before the giving is answered. */
  set_rules (f, "");
  assert_log (f, "take from office\n1-2 block default enforced\n");
  floe_usb_given (f->usb, f->serial, NULL);
  assert_log (f, "");
  assert_is (f, "1-2", "authorized", "0");
  floe_usb_taken (f->usb, f->serial, NULL);
  assert_log (f, "");
}

/* A QEMU that held it may have kept its descriptor: another machine gets this connection only when that one has ended. */
static void
test_never_two (Fixture *f, gconstpointer data)
{
  (void)data;
  hand_over (f);
  floe_usb_set_machine (f->usb, "internet", 9, TRUE);
  set_rules (f, SCANNER_TO ("internet"));
  assert_log (f, "take from office\n1-2 machine internet scanner\n");
  assert_is (f, "1-2", "authorized", "0");
  shut_interfaces (f, "1-2");
  floe_usb_taken (f->usb, f->serial, NULL);
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "machine office had it before and still runs"));
  assert_log (f, "1-2 machine internet scanner\n");
  floe_usb_set_machine (f->usb, "office", 0, FALSE);
  assert_log (f, "give 1-2 to internet, 1\n1-2 machine internet scanner at internet\n");
}

/* The same, where the hub can switch its port. */
static void
test_port_cycle (Fixture *f, gconstpointer data)
{
  (void)data;
  hand_over (f);
  put_device (f, "1-2/port", "disable", "1\n", -1);
  floe_usb_set_machine (f->usb, "internet", 9, TRUE);
  set_rules (f, SCANNER_TO ("internet"));
  assert_is (f, "1-2/port", "disable", "1");
  floe_usb_taken (f->usb, f->serial, NULL);
  assert_is (f, "1-2/port", "disable", "0");
}

static void
test_machine_ends (Fixture *f, gconstpointer data)
{
  (void)data;
  hand_over (f);
  floe_usb_set_machine (f->usb, "office", 0, FALSE);
  assert_log (f, "1-2 machine office scanner\n");
  assert_is (f, "1-2", "authorized", "0");
  shut_interfaces (f, "1-2");
  /* A new QEMU, which must be told anew. */
  floe_usb_set_machine (f->usb, "office", 8, TRUE);
  assert_log (f, "give 1-2 to office, 1\n1-2 machine office scanner at office\n");
}

static void
test_qemu_refuses (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void)data;
  set_rules (f, SCANNER_TO ("office"));
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  plug (f, "1-2", 5, scanner, sizeof scanner, 1);
  floe_usb_rescan (f->usb);
  floe_error_set (&error, FLOE_ERROR_PEER, "no port is free");
  g_string_truncate (f->log, 0);
  floe_usb_given (f->usb, f->serial, error);
  assert_log (f, "1-2 machine office scanner\n");
  g_assert_cmpstr (problem_of (f, "1-2"), ==, "no port is free");
  assert_is (f, "1-2", "authorized", "0");
  /* Not again and again. */
  floe_usb_rescan (f->usb);
  assert_log (f, "");
  shut_interfaces (f, "1-2");
  floe_usb_set_machine (f->usb, "office", 8, TRUE);
  assert_log (f, "give 1-2 to office, 1\n1-2 machine office scanner at office\n");
}

/* The number is another device's when the node is opened; the directory of the judged one is gone; its interface is taken. */
static void
test_races (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, SCANNER_TO ("office"));
  plug (f, "1-2", 5, scanner, sizeof scanner, 1);
  put (f, "dev/bus/usb/001/005", stick, sizeof stick);
  floe_usb_rescan (f->usb);
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "other descriptors than those judged"));
  assert_is (f, "1-2", "authorized", "0");

  put (f, "dev/bus/usb/001/005", scanner, sizeof scanner);
  unplug (f, "1-2");
  floe_usb_set_machine (f->usb, "office", 8, TRUE);
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "went away"));

  plug (f, "1-2", 6, scanner, sizeof scanner, 1);
  control_fails = -1;
  floe_usb_rescan (f->usb);
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "claim USB interface 1-2:1.0"));
  assert_is (f, "1-2", "authorized", "0");
  g_assert_null (strstr (f->log->str, "give"));
}

/* A driver of the host's on an interface that a machine has: taken back. */
static void
test_foreign_driver (Fixture *f, gconstpointer data)
{
  g_autofree char *link = NULL;

  (void)data;
  hand_over (f);
  link = g_build_filename (f->root, "bus/usb/devices/1-2/1-2:1.0/driver", NULL);
  g_assert_cmpint (symlink ("../../../../bus/usb/drivers/usb-storage", link), ==, 0);
  floe_usb_rescan (f->usb);
  assert_log (f, "take from office\n1-2 machine office scanner\n");
  assert_is (f, "1-2", "authorized", "0");
}

/* Our next life knows who had it. */
static void
test_next_life (Fixture *f, gconstpointer data)
{
  (void)data;
  hand_over (f);
  floe_usb_free (f->usb);
  open_gate (f, -1);
  shut_interfaces (f, "1-2");
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  floe_usb_set_machine (f->usb, "internet", 9, TRUE);
  set_rules (f, SCANNER_TO ("internet"));
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "machine office had it before"));
  g_assert_null (strstr (f->log->str, "give"));
  set_rules (f, SCANNER_TO ("office"));
  g_assert_nonnull (strstr (f->log->str, "give 1-2 to office, 1\n"));
  /* A file that says nothing of use is no permission. */
  floe_usb_free (f->usb);
  put (f, "1-2_5", "office", -1);
  open_gate (f, -1);
  shut_interfaces (f, "1-2");
  floe_usb_set_machine (f->usb, "internet", 9, TRUE);
  set_rules (f, SCANNER_TO ("internet"));
  g_assert_nonnull (strstr (problem_of (f, "1-2"), "had it before"));
  unplug (f, "1-2");
  floe_usb_rescan (f->usb);
  g_assert_cmpint (faccessat (f->run_dir, "1-2_5", F_OK, 0), <, 0);
}

/* -- Parts ------------------------------------------------------------------------------------------------------------ */

static void
test_part_to_machine (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, "{\"id\": \"part\", \"vendor\": \"1209\", \"product\": \"0001\", "
                "\"verdict\": {\"machine\": \"office\", \"interfaces\": [\"06:01:01\"]}}");
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  plug (f, "1-2", 5, composite, sizeof composite, 2);
  floe_usb_rescan (f->usb);
  assert_controls ("claim 0;drop 1;");
  assert_is (f, "1-2/1-2:1.0", "authorized", "1");
  assert_is (f, "1-2/1-2:1.1", "authorized", "0");
}

static void
test_part_to_host (Fixture *f, gconstpointer data)
{
  g_autofree char *probed = NULL;

  (void)data;
  set_rules (f, "{\"id\": \"part\", \"vendor\": \"1209\", \"product\": \"0001\", "
                "\"verdict\": {\"host\": true, \"interfaces\": [\"06:01:01\"]}}");
  plug (f, "1-2", 5, composite, sizeof composite, 2);
  /* Someone had let in all of it. */
  put_device (f, "1-2/1-2:1.1", "authorized", "1\n", -1);
  floe_usb_rescan (f->usb);
  assert_is (f, "1-2", "authorized", "1");
  assert_is (f, "1-2/1-2:1.0", "authorized", "1");
  assert_is (f, "1-2/1-2:1.1", "authorized", "0");
  probed = g_build_filename (f->root, "bus/usb/drivers_probe", NULL);
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (probed, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "1-2:1.0");
}

/* -- Disks ------------------------------------------------------------------------------------------------------------ */

#define STICK_READ_ONLY                                                                                                    \
  "{\"id\": \"sticks\", \"interfaces_all\": [\"08:06:50\"], \"verdict\": {\"machine\": \"office\", \"read_only\": true}}"

static void
put_disk (Fixture *f, const char *name, unsigned lun, const char *size)
{
  g_autofree char *dir = g_strdup_printf ("1-2/1-2:1.0/host0/target0:0:0/0:0:0:%u/block/%s", lun, name);
  g_autofree char *uevent = g_strdup_printf ("MAJOR=8\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=disk\n", lun * 16, name);
  g_autofree char *dev = g_strdup_printf ("8:%u\n", lun * 16);
  g_autofree char *node = g_build_filename ("dev", name, NULL);

  put_device (f, dir, "uevent", uevent, -1);
  put_device (f, dir, "dev", dev, -1);
  put_device (f, dir, "size", size, -1);
  put (f, node, "disk", -1);
}

static void
wait_for (Fixture *f, const char *word)
{
  gint64 deadline = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;

  while (strstr (f->log->str, word) == NULL && g_get_monotonic_time () < deadline)
    g_main_context_iteration (NULL, TRUE);
  g_assert_nonnull (strstr (f->log->str, word));
}

static void
test_disks (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, STICK_READ_ONLY);
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  plug (f, "1-2", 5, stick, sizeof stick, 1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  /* The host's driver may bind, since the verdict is there; QEMU gets nothing before there are disks. */
  assert_log (f, "1-2 machine office sticks\n");
  assert_is (f, "1-2/1-2:1.0", "authorized", "1");
  put_disk (f, "sda", 0, "2048\n");
  put_disk (f, "sdb", 1, "0\n");
  put_disk (f, "sdc", 2, "4096\n");
  wait_for (f, "give");
  assert_log (f, "give 1-2 to office read-only, 2\n1-2 machine office sticks at office\n");
  assert_controls ("read-only 1;read-only 1;");
  floe_usb_given (f->usb, f->serial, NULL);
  set_rules (f, "");
  assert_is (f, "1-2", "authorized", "0");
  assert_log (f, "1-2 machine office sticks enforced at office\ntake from office\n1-2 block default enforced\n");
}

static void
test_withdrawn_while_waiting (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, STICK_READ_ONLY);
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  plug (f, "1-2", 5, stick, sizeof stick, 1);
  floe_usb_rescan (f->usb);
  g_string_truncate (f->log, 0);
  set_rules (f, "");
  assert_log (f, "1-2 block default enforced\n");
  put_disk (f, "sda", 0, "2048\n");
  g_usleep (300000);
  turn ();
  assert_log (f, "");
  assert_is (f, "1-2", "authorized", "0");
}

/* -- Asking ----------------------------------------------------------------------------------------------------------- */

#define ASK                                                                                                                \
  "{\"id\": \"cameras\", \"vendor\": \"046d\", \"product\": \"0825\", \"verdict\": "                                      \
  "{\"ask\": [\"host\", {\"machine\": \"office\"}], \"remember\": \"device\"}}"

static void
test_ask (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint64 connection;

  (void)data;
  set_rules (f, ASK);
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  plug (f, "1-2", 5, camera, sizeof camera, 1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  assert_log (f, "1-2 ask cameras enforced\n");
  assert_is (f, "1-2", "authorized", "0");
  connection = connection_of (f, "1-2");
  g_assert_false (floe_usb_answer (f->usb, "1-2", connection + 1, "host", FALSE, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (floe_usb_answer (f->usb, "1-3", connection, "host", FALSE, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (floe_usb_answer (f->usb, "1-2", connection, "machine:internet", FALSE, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  g_clear_error (&error);
  /* Nowhere to keep it. */
  g_assert_false (floe_usb_answer (f->usb, "1-2", connection, "host", TRUE, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_REFUSED);
  g_clear_error (&error);
  assert_log (f, "");
  g_assert_true (floe_usb_answer (f->usb, "1-2", connection, "machine:office", FALSE, &error));
  assert_log (f, "give 1-2 to office, 1\n1-2 machine office cameras at office\n");
  /* Answered once. */
  g_assert_false (floe_usb_answer (f->usb, "1-2", connection, "host", FALSE, NULL));
  /* The next connection asks anew. */
  unplug (f, "1-2");
  plug (f, "1-2", 6, camera, sizeof camera, 1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  assert_log (f, "take from office\n1-2 gone office cameras at office\n1-2 ask cameras enforced\n");
}

static void
test_remembered (Fixture *f, gconstpointer data)
{
  g_autofree char *state = g_build_filename (f->root, "state", NULL);
  int dir;

  (void)data;
  g_assert_cmpint (g_mkdir (state, 0700), ==, 0);
  dir = open (state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  floe_usb_free (f->usb);
  open_gate (f, dir);
  set_rules (f, ASK);
  plug (f, "1-2", 5, camera, sizeof camera, 1);
  floe_usb_rescan (f->usb);
  g_assert_true (floe_usb_answer (f->usb, "1-2", connection_of (f, "1-2"), "host", TRUE, NULL));
  assert_is (f, "1-2", "authorized", "1");
  unplug (f, "1-2");
  floe_usb_rescan (f->usb);

  /* A new life: the same on the same port is not asked about, on another port it is, and another serial is another device. */
  floe_usb_free (f->usb);
  open_gate (f, dir);
  set_rules (f, ASK);
  plug (f, "1-2", 6, camera, sizeof camera, 1);
  plug (f, "1-3", 7, camera, sizeof camera, 1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  assert_log (f, "1-2 host cameras enforced\n1-3 ask cameras enforced\n");
  unplug (f, "1-2");
  plug (f, "1-2", 8, camera, sizeof camera, 1);
  put_device (f, "1-2", "serial", "1\n", -1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  assert_log (f, "1-2 gone cameras enforced\n1-2 ask cameras enforced\n");

  /* The rule goes, and comes back: what was remembered for it does not. */
  set_rules (f, "");
  set_rules (f, ASK);
  unplug (f, "1-2");
  plug (f, "1-2", 9, camera, sizeof camera, 1);
  unplug (f, "1-3");
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  g_assert_nonnull (strstr (f->log->str, "1-2 ask cameras enforced\n"));
  close (dir);
}

/* -- Situation -------------------------------------------------------------------------------------------------------- */

static void
test_front (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, "{\"id\": \"scanner\", \"vendor\": \"04a9\", \"product\": \"220d\", \"verdict\": {\"machine\": \"front\"}}");
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  floe_usb_set_machine (f->usb, "internet", 9, TRUE);
  plug (f, "1-2", 5, scanner, sizeof scanner, 1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  assert_log (f, "1-2 block scanner enforced\n");
  floe_usb_set_situation (f->usb, "internet", "", FALSE);
  assert_log (f, "give 1-2 to internet, 1\n1-2 machine internet scanner at internet\n");
  floe_usb_given (f->usb, f->serial, NULL);
  g_string_truncate (f->log, 0);
  /* Looking at another desktop does not move it. */
  floe_usb_set_situation (f->usb, "office", "", FALSE);
  floe_usb_set_situation (f->usb, "", "", FALSE);
  assert_log (f, "");
}

static void
test_locked (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, "{\"id\": \"scanner\", \"vendor\": \"04a9\", \"product\": \"220d\", \"locked\": false, "
                "\"verdict\": {\"machine\": \"office\"}}");
  floe_usb_set_machine (f->usb, "office", 7, TRUE);
  plug (f, "1-2", 5, scanner, sizeof scanner, 1);
  g_string_truncate (f->log, 0);
  floe_usb_rescan (f->usb);
  /* Nobody has said that the screen is not locked. */
  assert_log (f, "1-2 block default enforced\n");
  floe_usb_set_situation (f->usb, "", "", FALSE);
  assert_log (f, "give 1-2 to office, 1\n1-2 machine office scanner at office\n");
  floe_usb_given (f->usb, f->serial, NULL);
  g_string_truncate (f->log, 0);
  floe_usb_set_situation (f->usb, "", "", TRUE);
  assert_log (f, "take from office\n1-2 block default enforced\n");
}

/* -- The last keyboard ------------------------------------------------------------------------------------------------ */

#define KEYBOARDS "{\"id\": \"keyboards\", \"interfaces_all\": [\"03:01:01\"], \"verdict\": \"host\"}"

static void
test_last_keyboard (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, KEYBOARDS);
  plug (f, "1-1", 2, keyboard, sizeof keyboard, 1);
  plug (f, "1-2", 3, keyboard, sizeof keyboard, 1);
  floe_usb_rescan (f->usb);
  g_string_truncate (f->log, 0);
  /* Of two, one goes; the other stays. */
  set_rules (f, "");
  assert_log (f, "1-1 block default enforced\n1-2 host floe-last-keyboard enforced\n");
  assert_is (f, "1-1", "authorized", "0");
  assert_is (f, "1-2", "authorized", "1");
  /* One that comes later is not in use. */
  plug (f, "1-3", 4, keyboard, sizeof keyboard, 1);
  floe_usb_rescan (f->usb);
  assert_log (f, "1-3 block default enforced\n");
  /* With another one in use, it is judged as any. */
  set_rules (f, "{\"id\": \"this-port\", \"interfaces_all\": [\"03:01:01\"], \"port\": \"1-3\", \"verdict\": \"host\"}");
  assert_log (f, "1-3 host this-port enforced\n1-2 block default enforced\n");
  assert_is (f, "1-2", "authorized", "0");
}

/* What is no keyboard alone is not kept for being one. */
static void
test_no_keyboard (Fixture *f, gconstpointer data)
{
  (void)data;
  set_rules (f, "{\"id\": \"both\", \"vendor\": \"1209\", \"product\": \"0001\", \"verdict\": \"host\"}");
  plug (f, "1-1", 2, composite, sizeof composite, 2);
  floe_usb_rescan (f->usb);
  assert_is (f, "1-1", "authorized", "1");
  set_rules (f, "");
  assert_is (f, "1-1", "authorized", "0");
}

/* Words for the person; one that is several things is none of them. */
static void
test_kinds (Fixture *f, gconstpointer data)
{
  static const char *const kinds[] = { "hub", "keyboard", "storage", "device", "camera", "scanner" };
  GPtrArray *devices;

  (void)data;
  plug (f, "1-1", 2, keyboard, sizeof keyboard, 1);
  plug (f, "1-2", 3, stick, sizeof stick, 1);
  plug (f, "1-3", 4, composite, sizeof composite, 2);
  plug (f, "1-4", 5, camera, sizeof camera, 1);
  plug (f, "1-5", 6, scanner, sizeof scanner, 1);
  floe_usb_rescan (f->usb);
  devices = floe_usb_devices (f->usb);
  g_assert_cmpuint (devices->len, ==, G_N_ELEMENTS (kinds));
  for (guint i = 0; i < devices->len; i++)
    g_assert_cmpstr (((const FloeUsbDevice *)g_ptr_array_index (devices, i))->kind, ==, kinds[i]);
}

/* -- Pure ------------------------------------------------------------------------------------------------------------- */

static void
test_reach (void)
{
  g_autoptr (FloePolicyDocument) whole = parse_rules (SCANNER_TO ("office"));
  g_autoptr (FloePolicyDocument) ask = parse_rules (ASK);
  g_autoptr (FloePolicyDocument) none = parse_rules (KEYBOARDS);
  FloePolicyDocument *documents[] = { whole, ask, none };
  static const gboolean office[] = { TRUE, TRUE, FALSE };

  for (size_t i = 0; i < G_N_ELEMENTS (documents); i++) {
    const FloePolicyContent *content = floe_policy_document_content (documents[i]);

    g_assert_cmpint (floe_usb_may_reach (content, floe_policy_find_machine (content, "office")), ==, office[i]);
    g_assert_false (floe_usb_may_reach (content, floe_policy_find_machine (content, "internet")));
  }
}

#define DIGITS "0000000000000000000000000000000000000000000000000000000000000000"

static void
test_answers (void)
{
  static const char *const bad[] = {
    "", "{}", "[]", "{\"floe\": 2, \"answers\": []}", "{\"floe\": 1, \"answers\": [], \"more\": 1}",
    "{\"floe\": 1, \"answers\": [{\"rule\": \"a\", \"device\": \"0\", \"port\": \"1-2\", \"choice\": \"host\"}]}",
    "{\"floe\": 1, \"answers\": [{\"rule\": \"\", \"device\": \"" DIGITS "\", \"port\": \"1-2\", \"choice\": \"host\"}]}",
  };
  static const char device[] = DIGITS;
  g_autoptr (FloeUsbAnswers) answers = floe_usb_answers_new ();
  g_autoptr (FloeUsbAnswers) again = NULL;
  g_autoptr (GBytes) built = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GBytes) text = g_bytes_new_static (bad[i], strlen (bad[i]));

    g_assert_null (floe_usb_answers_parse (text, "bad", NULL));
  }
  for (unsigned i = 0; i < FLOE_USB_ANSWERS_MAX + 10; i++) {
    g_autofree char *port = g_strdup_printf ("1-%u", i);

    floe_usb_answers_put (answers, "rule", device, port, "host");
    floe_usb_answers_put (answers, "rule", device, port, "block");
  }
  g_assert_cmpuint (floe_usb_answers_count (answers), ==, FLOE_USB_ANSWERS_MAX);
  g_assert_null (floe_usb_answers_find (answers, "rule", device, "1-9"));
  g_assert_cmpstr (floe_usb_answers_find (answers, "rule", device, "1-10"), ==, "block");
  built = floe_usb_answers_build (answers);
  again = floe_usb_answers_parse (built, "again", NULL);
  g_assert_nonnull (again);
  g_assert_cmpuint (floe_usb_answers_count (again), ==, FLOE_USB_ANSWERS_MAX);
}

#define ADD(name, test) g_test_add (name, Fixture, NULL, set_up, test, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/usb-hands/whole", test_whole);
  ADD ("/usb-hands/not-running", test_not_running);
  ADD ("/usb-hands/withdrawn", test_withdrawn);
  ADD ("/usb-hands/never-two", test_never_two);
  ADD ("/usb-hands/port-cycle", test_port_cycle);
  ADD ("/usb-hands/machine-ends", test_machine_ends);
  ADD ("/usb-hands/qemu-refuses", test_qemu_refuses);
  ADD ("/usb-hands/races", test_races);
  ADD ("/usb-hands/foreign-driver", test_foreign_driver);
  ADD ("/usb-hands/next-life", test_next_life);
  ADD ("/usb-hands/part-to-machine", test_part_to_machine);
  ADD ("/usb-hands/part-to-host", test_part_to_host);
  ADD ("/usb-hands/disks", test_disks);
  ADD ("/usb-hands/withdrawn-while-waiting", test_withdrawn_while_waiting);
  ADD ("/usb-hands/ask", test_ask);
  ADD ("/usb-hands/remembered", test_remembered);
  ADD ("/usb-hands/front", test_front);
  ADD ("/usb-hands/locked", test_locked);
  ADD ("/usb-hands/last-keyboard", test_last_keyboard);
  ADD ("/usb-hands/no-keyboard", test_no_keyboard);
  ADD ("/usb-hands/kinds", test_kinds);
  g_test_add_func ("/usb-hands/reach", test_reach);
  g_test_add_func ("/usb-hands/answers", test_answers);
  return g_test_run ();
}
