/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-internal.h"

#include <linux/usbdevice_fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <umockdev.h>
#include <unistd.h>

/* The gate as it runs, on "/sys" and "/dev", hearing of devices by uevents: in a testbed of umockdev, which stands in for all of
 * these. Its devices are recordings (umockdev-record, from Debian 13's kernel: QEMU's devices, and a composite one on vhci_hcd)
 * in usb-recordings/, as that kernel shows them once they are authorised, with no interface authorised; a device that comes is not
 * authorised yet. Power management and what counts something were left out of them.
 *
 * Recordings write a switch as "0\n" or "1\n", as the kernel does, and so does the gate; it is put as "0" or "1" before the gate sees it. So
 * what a switch reads afterwards tells what was written: "0", nothing at all; "0\n", that it was switched off. */

#define BUS "/sys/bus/usb/devices/"
#define PROBE "/sys/bus/usb/drivers_probe"
#define DEADLINE_US (20 * G_USEC_PER_SEC)

typedef struct {
  UMockdevTestbed *bed;
  FloeUsb *usb;
  FloePolicyDocument *document;
  FloeUsbfs usbfs;
  GString *log;
  guint64 serial; /* of the last gift */
} Fixture;

static const char policy_text[]
    = "{ \"floe\": 1, \"group\": \"g\","
      "  \"machines\": ["
      "    { \"id\": \"desk\", \"image\": { \"name\": \"i\", \"channel\": \"c\" }, \"vcpus\": 1, \"memory_mib\": 512, \"disk\": \"reset\" } ],"
      "  \"usb\": ["
      "    { \"id\": \"hubs\", \"interfaces_all\": [\"09:*:*\"], \"verdict\": \"host\" },"
      "    { \"id\": \"keyboard\", \"interfaces_all\": [\"03:01:01\"], \"count\": 1, \"verdict\": \"host\" },"
      "    { \"id\": \"mice\", \"interfaces_all\": [\"03:01:02\"], \"verdict\": \"host\" },"
      "    { \"id\": \"disk-of-it\", \"vendor\": \"f10e\", \"product\": \"0a31\", \"interface_any\": [\"08:06:50\"],"
      "      \"verdict\": { \"host\": true, \"interfaces\": [\"08:06:50\"] } },"
      "    { \"id\": \"cards\", \"vendor\": \"08e6\", \"product\": \"4433\", \"interfaces_all\": [\"0b:*:*\"],"
      "      \"verdict\": { \"machine\": \"desk\" } },"
      "    { \"id\": \"my-stick\", \"vendor\": \"46f4\", \"product\": \"0001\", \"serial\": \"RW-2\", \"interfaces_all\": [\"08:06:50\"], \"verdict\": \"host\" },"
      "    { \"id\": \"no-storage\", \"interface_any\": [\"08:*:*\"], \"verdict\": \"block\" },"
      "    { \"id\": \"no-net-dongles\", \"interface_any\": [\"02:*:*\", \"0a:*:*\", \"e0:*:*\"], \"verdict\": \"block\" } ],"
      "  \"assignment\": [ { \"who\": \"*\", \"machines\": [\"desk\"] } ] }";

/* -- The kernel's part ------------------------------------------------------------------------------------------------ */

static void
put (Fixture *f, const char *device, const char *attribute, const char *value)
{
  g_autofree char *path = g_strconcat (BUS, device, NULL);

  umockdev_testbed_set_attribute (f->bed, path, attribute, value);
}

static char *
get (const char *path)
{
  char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? text : g_strdup ("absent");
}

#define assert_is(device, attribute, value)                                                                                \
  do {                                                                                                                     \
    g_autofree char *is_ = get (BUS device "/" attribute);                                                                 \
    g_assert_cmpstr (is_, ==, value);                                                                                      \
  } while (0)

/* PATH of the testbed by its true name: not every way of writing a file is redirected. */
static void
overwrite (Fixture *f, const char *path, const char *text)
{
  g_autofree char *root = umockdev_testbed_get_root_dir (f->bed);
  g_autofree char *file = g_build_filename (root, path, NULL);

  g_assert_true (g_file_set_contents (file, text, -1, NULL));
}

/* Below the devices there are, as the recording has it; uevents of all of it are sent. */
static void
come (Fixture *f, const char *recording)
{
  g_autofree char *name = g_strconcat (recording, ".umockdev", NULL);
  g_autofree char *file = g_build_filename (FLOE_SOURCE_DIR, "tests/unit/usb-recordings", name, NULL);
  g_autoptr (GError) error = NULL;

  umockdev_testbed_add_from_file (f->bed, file, &error);
  g_assert_no_error (error);
}

/* With its switches off, and told apart from what the gate writes. INTERFACES: NULL-terminated names. */
static void
plug (Fixture *f, const char *recording, const char *device, const char *const *interfaces)
{
  come (f, recording);
  put (f, device, "authorized", "0");
  for (; *interfaces != NULL; interfaces++)
    put (f, *interfaces, "authorized", "0");
}

#define PLUG(f, recording, device, ...) plug (f, recording, device, (const char *const[]){ __VA_ARGS__, NULL })

static void
tell (Fixture *f, const char *device, const char *action)
{
  g_autofree char *path = g_strconcat (BUS, device, NULL);

  umockdev_testbed_uevent (f->bed, path, action);
}

static void
pull (Fixture *f, const char *device)
{
  g_autofree char *link = g_strconcat (BUS, device, NULL);
  /* Where the link leads: "/sys/devices/...". */
  char *place = realpath (link, NULL);

  g_assert_nonnull (place);
  /* Of a device that has gone umockdev sends nothing. Nobody looks before both are done. */
  umockdev_testbed_uevent (f->bed, place, "remove");
  umockdev_testbed_remove_device (f->bed, place);
  free (place);
}

/* -- The gate's part -------------------------------------------------------------------------------------------------- */

static void
note (FloeUsb *usb, const FloeUsbDevice *device, gboolean gone, gpointer data)
{
  Fixture *f = data;

  (void)usb;
  if (*device->problem != '\0')
    g_test_message ("%s: %s", device->path, device->problem);
  if (device->path[0] == 'u' && !gone)
    return; /* controllers, told of in a test of their own */
  g_string_append_printf (f->log, "%s %s%s%s %s%s\n", device->path, gone ? "gone" : floe_policy_usb_action_name (device->verdict),
                          *device->machine != '\0' ? " " : "", device->machine, device->rule, device->enforced ? " enforced" : "");
}

static void
give (const FloeUsbGift *gift, gpointer data)
{
  Fixture *f = data;

  f->serial = gift->serial;
  g_string_append_printf (f->log, "give %s to %s, %u\n", gift->path, gift->machine, gift->n_fds);
}

static void
take (const char *machine, guint64 serial, gpointer data)
{
  Fixture *f = data;

  g_assert_cmpuint (serial, ==, f->serial);
  g_string_append_printf (f->log, "take from %s\n", machine);
}

/* The kernel's own way, as floe_usbfs_kernel has it; a node of the testbed is no character device, which is all that differs. */
static int
control (int fd, unsigned long request, void *argument)
{
  return ioctl (fd, request, argument);
}

static void
open_gate (Fixture *f, FloeUsbMode mode)
{
  g_autoptr (GError) error = NULL;

  f->usb = floe_usb_new (&(FloeUsbOptions){ .sysfs = "/sys",
                                            .mode = mode,
                                            .hands = { give, take, f },
                                            .state_dir = -1,
                                            .run_dir = -1,
                                            .changed = note,
                                            .data = f },
                         &error);
  g_assert_no_error (error);
  floe_usb_set_usbfs (f->usb, &f->usbfs);
  floe_usb_set_content (f->usb, floe_policy_document_content (f->document));
}

/* What the gate has heard by now, and what that led to. */
static void
assert_log (Fixture *f, const char *wanted)
{
  gint64 end = g_get_monotonic_time () + DEADLINE_US;

  do {
    while (g_main_context_iteration (NULL, FALSE))
      ;
    if (strcmp (f->log->str, wanted) == 0)
      break;
    g_usleep (2000);
  } while (g_get_monotonic_time () < end);
  g_assert_cmpstr (f->log->str, ==, wanted);
  g_string_truncate (f->log, 0);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (policy_text, sizeof policy_text - 1);
  g_autoptr (GError) error = NULL;

  (void)data;
  f->document = floe_policy_parse (bytes, "test.json", &error);
  g_assert_no_error (error);
  f->bed = umockdev_testbed_new ();
  /* Never on this machine's own devices. */
  g_assert_true (umockdev_in_mock_environment ());
  f->usbfs = (FloeUsbfs){ "/dev", control };
  f->log = g_string_new (NULL);
  come (f, "controllers");
  overwrite (f, PROBE, "");
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  (void)data;
  floe_usb_free (f->usb);
  floe_policy_document_unref (f->document);
  g_object_unref (f->bed);
  g_string_free (f->log, TRUE);
}

/* -- Cases ------------------------------------------------------------------------------------------------------------ */

static void
test_controllers (Fixture *f, gconstpointer data)
{
  (void)data;
  put (f, "usb1", "authorized_default", "1");
  put (f, "usb1", "interface_authorized_default", "1");
  put (f, "usb2", "authorized_default", "2");
  put (f, "usb3", "authorized_default", "0");
  open_gate (f, FLOE_USB_ENFORCE);
  assert_is ("usb1", "authorized_default", "0\n");
  assert_is ("usb1", "interface_authorized_default", "0\n");
  assert_is ("usb2", "authorized_default", "0\n");
  assert_is ("usb3", "authorized_default", "0");
  /* A root hub is let alone. */
  assert_is ("usb1", "authorized", "1\n");
  g_assert_cmpuint (floe_usb_devices (f->usb)->len, ==, 3);
  /* Opened again by someone, of which the kernel says nothing: seen at the next event. */
  put (f, "usb2", "authorized_default", "1");
  tell (f, "usb1", "change");
  PLUG (f, "mouse", "1-2", "1-2:1.0");
  assert_log (f, "1-2 host mice enforced\n");
  assert_is ("usb2", "authorized_default", "0\n");
}

static void
test_there_before (Fixture *f, gconstpointer data)
{
  (void)data;
  PLUG (f, "keyboard", "1-1", "1-1:1.0");
  PLUG (f, "stick", "2-3", "2-3:1.0");
  PLUG (f, "sound", "1-6", "1-6:1.0", "1-6:1.1");
  /* As a kernel that was not told to wait has it. */
  put (f, "2-3", "authorized", "1");
  put (f, "2-3:1.0", "authorized", "1");
  open_gate (f, FLOE_USB_ENFORCE);
  assert_log (f, "1-1 block floe-no-policy enforced\n1-6 block floe-no-policy enforced\n2-3 block floe-no-policy enforced\n"
                 "1-1 host keyboard enforced\n1-6 block default enforced\n2-3 block no-storage enforced\n");
  assert_is ("1-1", "authorized", "1\n");
  assert_is ("1-1:1.0", "authorized", "1\n");
  assert_is ("2-3", "authorized", "0\n");
  assert_is ("1-6", "authorized", "0");
  assert_is ("1-6:1.0", "authorized", "0");
}

typedef struct {
  const char *recording, *device, *interfaces[3];
  const char *verdict;
  const char *authorized, *interface_authorized;
  const char *probed; /* what drivers are had look at */
} Plugged;

static const Plugged plugged[] = {
  { "keyboard", "1-1", { "1-1:1.0" }, "host keyboard", "1\n", "1\n", "1-1:1.0" },
  { "mouse", "1-2", { "1-2:1.0" }, "host mice", "1\n", "1\n", "1-2:1.0" },
  { "hub", "1-4", { "1-4:1.0" }, "host hubs", "1\n", "1\n", "1-4:1.0" },
  { "stick", "2-3", { "2-3:1.0" }, "block no-storage", "0", "0", "" },
  { "network", "1-5", { "1-5:1.0", "1-5:1.1" }, "block no-net-dongles", "0", "0", "" },
  { "sound", "1-6", { "1-6:1.0", "1-6:1.1" }, "block default", "0", "0", "" },
};

static void
test_plugged (Fixture *f, gconstpointer data)
{
  (void)data;
  open_gate (f, FLOE_USB_ENFORCE);
  assert_log (f, "");
  for (size_t i = 0; i < G_N_ELEMENTS (plugged); i++) {
    const Plugged *row = &plugged[i];
    g_autofree char *wanted = g_strdup_printf ("%s %s enforced\n", row->device, row->verdict);
    g_autofree char *gone = g_strdup_printf ("%s gone %s enforced\n", row->device, strchr (row->verdict, ' ') + 1);
    g_autofree char *device = g_strconcat (BUS, row->device, "/authorized", NULL);
    g_autofree char *authorized = NULL, *probed = NULL;

    g_test_message ("%s", row->recording);
    overwrite (f, PROBE, "");
    plug (f, row->recording, row->device, row->interfaces);
    assert_log (f, wanted);
    authorized = get (device);
    g_assert_cmpstr (authorized, ==, row->authorized);
    for (const char *const *interface = row->interfaces; *interface != NULL; interface++) {
      g_autofree char *path = g_strconcat (BUS, *interface, "/authorized", NULL);
      g_autofree char *is = get (path);

      g_assert_cmpstr (is, ==, row->interface_authorized);
    }
    probed = get (PROBE);
    g_assert_cmpstr (probed, ==, row->probed);
    for (const char *const *interface = row->interfaces; *interface != NULL; interface++)
      pull (f, *interface);
    pull (f, row->device);
    assert_log (f, gone);
  }
}

static void
test_part (Fixture *f, gconstpointer data)
{
  g_autofree char *probed = NULL;

  (void)data;
  open_gate (f, FLOE_USB_ENFORCE);
  PLUG (f, "composite", "3-1", "3-1:1.0", "3-1:1.1");
  assert_log (f, "3-1 host disk-of-it enforced\n");
  assert_is ("3-1", "authorized", "1\n");
  assert_is ("3-1:1.0", "authorized", "1\n");
  assert_is ("3-1:1.1", "authorized", "0");
  probed = get (PROBE);
  g_assert_cmpstr (probed, ==, "3-1:1.0");
  /* Someone lets the keyboard in. */
  put (f, "3-1:1.1", "authorized", "1");
  tell (f, "3-1:1.1", "bind");
  for (gint64 end = g_get_monotonic_time () + DEADLINE_US; g_get_monotonic_time () < end;) {
    g_autofree char *is = get (BUS "3-1:1.1/authorized");

    if (strcmp (is, "0\n") == 0)
      break;
    g_main_context_iteration (NULL, FALSE);
  }
  assert_is ("3-1:1.1", "authorized", "0\n");
  assert_is ("3-1:1.0", "authorized", "1\n");
}

/* The testbed's thread; the gate waits for it. */
static gboolean
on_ioctl (UMockdevIoctlBase *handler, UMockdevIoctlClient *client, gpointer data)
{
  Fixture *f = data;
  gulong request = umockdev_ioctl_client_get_request (client);
  /* Both are pointers to 32 bits. */
  g_autoptr (GObject) value
      = (GObject *)umockdev_ioctl_data_resolve (umockdev_ioctl_client_get_arg (client), 0, sizeof (uint32_t), NULL);
  uint32_t number;

  (void)handler;
  g_assert_nonnull (value);
  memcpy (&number, ((UMockdevIoctlData *)value)->data, sizeof number);
  if (request == USBDEVFS_CLAIMINTERFACE)
    g_string_append_printf (f->log, "claim %u of %s\n", number, umockdev_ioctl_client_get_devnode (client));
  else if (request == USBDEVFS_DROP_PRIVILEGES)
    g_string_append_printf (f->log, "drop all but %x\n", number);
  else
    g_assert_not_reached ();
  umockdev_ioctl_client_complete (client, 0, 0);
  return TRUE;
}

static void
test_machine (Fixture *f, gconstpointer data)
{
  UMockdevIoctlBase *handler = umockdev_ioctl_base_new ();
  g_autoptr (GError) error = NULL;

  (void)data;
  g_signal_connect (handler, "handle-ioctl", G_CALLBACK (on_ioctl), f);
  open_gate (f, FLOE_USB_ENFORCE);
  floe_usb_set_machine (f->usb, "desk", 7, TRUE);
  PLUG (f, "card-reader", "1-7", "1-7:1.0");
  umockdev_testbed_attach_ioctl (f->bed, "/dev/bus/usb/001/007", handler, &error);
  g_assert_no_error (error);
  assert_log (f, "claim 0 of /dev/bus/usb/001/007\ndrop all but 1\ngive 1-7 to desk, 1\n1-7 machine desk cards\n");
  assert_is ("1-7", "authorized", "1\n");
  assert_is ("1-7:1.0", "authorized", "1\n");
  floe_usb_given (f->usb, f->serial, NULL);
  assert_log (f, "1-7 machine desk cards enforced\n");
  /* The policy goes. */
  floe_usb_set_policy (f->usb, NULL);
  assert_is ("1-7", "authorized", "0\n");
  assert_log (f, "take from desk\n1-7 block floe-no-policy enforced\n");
  floe_usb_taken (f->usb, f->serial, NULL);
  umockdev_testbed_detach_ioctl (f->bed, "/dev/bus/usb/001/007", &error);
  g_assert_no_error (error);
  g_object_unref (handler);
}

/* A node whose descriptors are not those judged is not handed over, whatever its number. */
static void
test_other_node (Fixture *f, gconstpointer data)
{
  (void)data;
  open_gate (f, FLOE_USB_ENFORCE);
  floe_usb_set_machine (f->usb, "desk", 7, TRUE);
  PLUG (f, "card-reader", "1-7", "1-7:1.0");
  overwrite (f, "/dev/bus/usb/001/007", "another device");
  assert_log (f, "1-7 machine desk cards\n");
  assert_is ("1-7", "authorized", "0");
  assert_is ("1-7:1.0", "authorized", "0");
}

/* Descriptors and strings are read anew at each event: what differs is another device, decided from nothing. */
static void
test_turns (Fixture *f, gconstpointer data)
{
  static const guint8 keyboard_too[] = { 18, 1, 0, 2, 0, 0, 0, 64, 0x27, 6, 1, 0, 0, 0, 1, 2, 3, 1, 9,  2, 27,  0, 2,
                                         1,  0, 0, 0, 9, 4, 0, 0,  0,    3, 1, 2, 0, 9, 4, 1, 0, 0, 3, 1, 1, 0 };

  (void)data;
  open_gate (f, FLOE_USB_ENFORCE);
  PLUG (f, "mouse", "1-2", "1-2:1.0");
  assert_log (f, "1-2 host mice enforced\n");
  umockdev_testbed_set_attribute_binary (f->bed, BUS "1-2", "descriptors", (guint8 *)keyboard_too, sizeof keyboard_too);
  assert_log (f, "");
  tell (f, "1-2", "change");
  assert_log (f, "1-2 gone mice enforced\n1-2 block default enforced\n");
  assert_is ("1-2", "authorized", "0\n");
  /* By the serial alone. */
  PLUG (f, "stick", "2-3", "2-3:1.0");
  assert_log (f, "2-3 block no-storage enforced\n");
  put (f, "2-3", "serial", "RW-2\n");
  tell (f, "2-3", "change");
  assert_log (f, "2-3 gone no-storage enforced\n2-3 host my-stick enforced\n");
  assert_is ("2-3", "authorized", "1\n");
  put (f, "2-3", "serial", "RW-2\n\n");
  tell (f, "2-3", "change");
  assert_log (f, "2-3 gone my-stick enforced\n2-3 block no-storage enforced\n");
  assert_is ("2-3", "authorized", "0\n");
}

/* Cut in the middle: matched by no rule that allows. */
static void
test_bad_descriptors (Fixture *f, gconstpointer data)
{
  g_autofree char *descriptors = NULL;
  gsize size;
  GPtrArray *devices;

  (void)data;
  open_gate (f, FLOE_USB_ENFORCE);
  PLUG (f, "mouse", "1-2", "1-2:1.0");
  g_assert_true (g_file_get_contents (BUS "1-2/descriptors", &descriptors, &size, NULL));
  umockdev_testbed_set_attribute_binary (f->bed, BUS "1-2", "descriptors", (guint8 *)descriptors, (gint)size - 1);
  assert_log (f, "1-2 block default enforced\n");
  assert_is ("1-2", "authorized", "0");
  devices = floe_usb_devices (f->usb);
  for (guint i = 0; i < devices->len; i++) {
    const FloeUsbDevice *device = g_ptr_array_index (devices, i);

    if (strcmp (device->path, "1-2") == 0)
      g_assert_cmpstr (device->problem, !=, "");
  }
}

/* Events of other subsystems make nothing be read; one of USB does. */
static void
test_other_events (Fixture *f, gconstpointer data)
{
  (void)data;
  open_gate (f, FLOE_USB_ENFORCE);
  PLUG (f, "mouse", "1-2", "1-2:1.0");
  assert_log (f, "1-2 host mice enforced\n");
  put (f, "1-2", "authorized", "0");
  umockdev_testbed_uevent (f->bed, "/sys/devices/pci0000:00/0000:00:07.0", "change");
  assert_log (f, "");
  assert_is ("1-2", "authorized", "0");
  tell (f, "usb1", "change");
  PLUG (f, "keyboard", "1-1", "1-1:1.0");
  assert_log (f, "1-1 host keyboard enforced\n");
  assert_is ("1-2", "authorized", "1\n");
}

static void
test_observe (Fixture *f, gconstpointer data)
{
  g_autofree char *probed = NULL;

  (void)data;
  put (f, "usb1", "authorized_default", "1");
  open_gate (f, FLOE_USB_OBSERVE);
  PLUG (f, "keyboard", "1-1", "1-1:1.0");
  PLUG (f, "stick", "2-3", "2-3:1.0");
  put (f, "2-3", "authorized", "1");
  assert_log (f, "1-1 host keyboard\n2-3 block no-storage\n");
  assert_is ("usb1", "authorized_default", "1");
  assert_is ("1-1", "authorized", "0");
  assert_is ("2-3", "authorized", "1");
  probed = get (PROBE);
  g_assert_cmpstr (probed, ==, "");
}

static void
drop (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  (void)domain;
  (void)level;
  (void)message;
  (void)data;
}

int
main (int argc, char **argv)
{
  /* umockdev takes the place of the C library's functions from the start or not at all. */
  if (g_getenv ("LD_PRELOAD") == NULL) {
    g_setenv ("LD_PRELOAD", "libumockdev-preload.so.0", TRUE);
    execv ("/proc/self/exe", argv);
    g_error ("/proc/self/exe does not start");
  }
  g_test_init (&argc, &argv, NULL);
  /* umockdev tells of each thing that it does. */
  g_log_set_handler (NULL, G_LOG_LEVEL_DEBUG, drop, NULL);
#define TEST(path, function) g_test_add ("/usb/umockdev/" path, Fixture, NULL, set_up, function, tear_down)
  TEST ("controllers", test_controllers);
  TEST ("there-before", test_there_before);
  TEST ("plugged", test_plugged);
  TEST ("part", test_part);
  TEST ("machine", test_machine);
  TEST ("other-node", test_other_node);
  TEST ("turns", test_turns);
  TEST ("bad-descriptors", test_bad_descriptors);
  TEST ("other-events", test_other_events);
  TEST ("observe", test_observe);
  return g_test_run ();
}
