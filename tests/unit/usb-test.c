/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-descriptors.h"
#include "hypervisor/usb/floe-usb-internal.h"
#include "hypervisor/usb/floe-usb-monitor.h"
#include "hypervisor/usb/floe-usb-sysfs.h"

#include <glib/gstdio.h>
#include <string.h>

/* -- Descriptors ------------------------------------------------------------------------------------------------------ */

#define DEVICE(vendor, product, class_code, configurations)                                                                \
  18, 1, 0, 2, class_code, 0, 0, 64, (vendor)&0xff, (vendor) >> 8, (product)&0xff, (product) >> 8, 0, 1, 1, 2, 3,          \
      configurations
#define CONFIGURATION(total, interfaces) 9, 2, (total)&0xff, (total) >> 8, interfaces, 1, 0, 0x80, 50
#define INTERFACE(number, setting, class_code, subclass, protocol)                                                         \
  9, 4, number, setting, 0, class_code, subclass, protocol, 0
#define INTERFACE_WITH(endpoints, class_code, subclass, protocol) 9, 4, 0, 0, endpoints, class_code, subclass, protocol, 0
#define ENDPOINT 7, 5, 0x81, 3, 8, 0, 10

static const uint8_t keyboard[] = { DEVICE (0x046d, 0xc31c, 0, 1),
                                    CONFIGURATION (34, 1),
                                    INTERFACE_WITH (1, 3, 1, 1),
                                    9,
                                    0x21,
                                    0x11,
                                    1,
                                    0,
                                    1,
                                    0x22,
                                    65,
                                    0,
                                    ENDPOINT };
static const uint8_t mouse[] = { DEVICE (0x046d, 0xc077, 0, 1), CONFIGURATION (18, 1), INTERFACE (0, 0, 3, 1, 2) };
static const uint8_t stick[]
    = { DEVICE (0x0781, 0x5567, 0, 1), CONFIGURATION (25, 1), INTERFACE_WITH (1, 8, 6, 0x50), ENDPOINT };
/* A scanner by ID and one interface, storage in its second configuration. */
static const uint8_t two_faced[] = { DEVICE (0x04a9, 0x220d, 0xff, 2), CONFIGURATION (18, 1), INTERFACE (0, 0, 0xff, 0, 0),
                                     CONFIGURATION (18, 1), INTERFACE (0, 0, 8, 6, 0x50) };
static const uint8_t hidden_setting[]
    = { DEVICE (0x1234, 1, 0, 1), CONFIGURATION (27, 1), INTERFACE (0, 0, 3, 1, 1), INTERFACE (0, 7, 8, 6, 0x50) };
static const uint8_t scanner[] = { DEVICE (0x04a9, 0x220d, 0, 1), CONFIGURATION (18, 1), INTERFACE (0, 0, 6, 1, 1) };

static void
test_good (void)
{
  FloeUsbDescriptors out;

  floe_usb_decode (keyboard, sizeof keyboard, &out);
  g_assert_cmpstr (out.problem, ==, NULL);
  g_assert_cmpuint (out.vendor, ==, 0x046d);
  g_assert_cmpuint (out.n_interfaces, ==, 1);
  g_assert_cmpuint (out.interfaces[0].class_code, ==, 3);
  g_assert_cmpuint (out.interfaces[0].protocol, ==, 1);
  floe_usb_decode (two_faced, sizeof two_faced, &out);
  g_assert_cmpstr (out.problem, ==, NULL);
  g_assert_cmpuint (out.n_interfaces, ==, 2);
  g_assert_cmpuint (out.interfaces[1].class_code, ==, 8);
  floe_usb_decode (hidden_setting, sizeof hidden_setting, &out);
  g_assert_cmpstr (out.problem, ==, NULL);
  g_assert_cmpuint (out.n_interfaces, ==, 2);
}

#define BAD(name, ...)                                                                                                     \
  {                                                                                                                        \
    name, sizeof ((const uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]) { __VA_ARGS__ }                                     \
  }

/* At file scope, where compound literals last. */
static const struct {
  const char *name;
  size_t size;
  const uint8_t *data;
} bad_cases[] = {
  BAD ("one byte", 18),
  BAD ("device descriptor of 17", 17, 1, 0, 2, 0, 0, 0, 64, 1, 2, 3, 4, 0, 1, 1, 2, 3, 1),
  BAD ("no configuration announced", DEVICE (1, 2, 0, 0)),
  BAD ("announced, none there", DEVICE (1, 2, 0, 1)),
  BAD ("bLength 0", DEVICE (1, 2, 0, 1), CONFIGURATION (18, 1), 0, 4, 0, 0, 0, 3, 1, 1, 0),
  BAD ("bLength 1", DEVICE (1, 2, 0, 1), CONFIGURATION (18, 1), 1, 4, 0, 0, 0, 3, 1, 1, 0),
  BAD ("bLength too long", DEVICE (1, 2, 0, 1), CONFIGURATION (18, 1), 10, 4, 0, 0, 0, 3, 1, 1, 0),
  BAD ("interface too short", DEVICE (1, 2, 0, 1), CONFIGURATION (17, 1), 8, 4, 0, 0, 0, 3, 1, 1),
  BAD ("one byte left", DEVICE (1, 2, 0, 1), CONFIGURATION (19, 1), INTERFACE (0, 0, 3, 1, 1), 9),
  BAD ("total beyond the end", DEVICE (1, 2, 0, 1), CONFIGURATION (19, 1), INTERFACE (0, 0, 3, 1, 1)),
  BAD ("total short of the interface", DEVICE (1, 2, 0, 1), CONFIGURATION (9, 0), INTERFACE (0, 0, 3, 1, 1)),
  BAD ("total 0", DEVICE (1, 2, 0, 1), CONFIGURATION (0, 0)),
  BAD ("total 65535", DEVICE (1, 2, 0, 1), CONFIGURATION (65535, 1), INTERFACE (0, 0, 3, 1, 1)),
  BAD ("fewer interfaces than announced", DEVICE (1, 2, 0, 1), CONFIGURATION (18, 2), INTERFACE (0, 0, 3, 1, 1)),
  BAD ("more interfaces than announced", DEVICE (1, 2, 0, 1), CONFIGURATION (27, 1), INTERFACE (0, 0, 3, 1, 1),
       INTERFACE (1, 0, 8, 6, 0x50)),
  BAD ("duplicate interface", DEVICE (1, 2, 0, 1), CONFIGURATION (27, 1), INTERFACE (0, 0, 3, 1, 1),
       INTERFACE (0, 0, 8, 6, 0x50)),
  BAD ("settings of one interface apart", DEVICE (1, 2, 0, 1), CONFIGURATION (36, 2), INTERFACE (0, 0, 3, 1, 1),
       INTERFACE (1, 0, 3, 1, 1), INTERFACE (0, 1, 3, 1, 1)),
  BAD ("fewer endpoints than announced", DEVICE (1, 2, 0, 1), CONFIGURATION (18, 1), INTERFACE_WITH (1, 3, 1, 1)),
  BAD ("fewer, and another interface behind", DEVICE (1, 2, 0, 1), CONFIGURATION (27, 2), INTERFACE_WITH (1, 3, 1, 1),
       INTERFACE (1, 0, 3, 1, 1)),
  BAD ("more endpoints than announced", DEVICE (1, 2, 0, 1), CONFIGURATION (25, 1), INTERFACE (0, 0, 3, 1, 1), ENDPOINT),
  BAD ("an endpoint before every interface", DEVICE (1, 2, 0, 1), CONFIGURATION (25, 1), ENDPOINT, INTERFACE (0, 0, 3, 1, 1)),
  BAD ("endpoint too short", DEVICE (1, 2, 0, 1), CONFIGURATION (24, 1), INTERFACE_WITH (1, 3, 1, 1), 6, 5, 0x81, 3, 8, 0),
  BAD ("configuration within another", DEVICE (1, 2, 0, 1), CONFIGURATION (27, 1), INTERFACE (0, 0, 3, 1, 1),
       CONFIGURATION (9, 0)),
  BAD ("a configuration more than announced", DEVICE (1, 2, 0, 1), CONFIGURATION (18, 1), INTERFACE (0, 0, 3, 1, 1),
       CONFIGURATION (9, 0)),
  BAD ("junk after the last", DEVICE (1, 2, 0, 1), CONFIGURATION (18, 1), INTERFACE (0, 0, 3, 1, 1), 0, 0, 0),
};

static void
test_bad (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (bad_cases); i++) {
    g_autofree uint8_t *copy
        = g_memdup2 (bad_cases[i].data, bad_cases[i].size); /* so that a byte too far is seen by ASan */
    FloeUsbDescriptors out;

    g_test_message ("%s", bad_cases[i].name);
    floe_usb_decode (copy, bad_cases[i].size, &out);
    g_assert_nonnull (out.problem);
  }
}

static void
test_many (void)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  const uint8_t head[] = { DEVICE (1, 2, 0, 1), CONFIGURATION (9 + 257 * 9, 255) };
  FloeUsbDescriptors out;

  g_byte_array_append (bytes, head, sizeof head);
  for (unsigned i = 0; i < 257; i++) {
    const uint8_t interface[] = { INTERFACE ((uint8_t)(i / 2), (uint8_t)(i % 2), 3, 0, 0) };

    g_byte_array_append (bytes, interface, sizeof interface);
  }
  floe_usb_decode (bytes->data, bytes->len, &out);
  g_assert_nonnull (strstr (out.problem, "256"));
  g_assert_cmpuint (out.n_interfaces, ==, FLOE_USB_INTERFACES_MAX);
}

static void
test_every_prefix (void)
{
  FloeUsbDescriptors out;

  for (size_t size = 0; size < sizeof two_faced; size++) {
    g_autofree uint8_t *copy = g_memdup2 (two_faced, size);

    floe_usb_decode (copy, size, &out);
    g_assert_nonnull (out.problem);
  }
}

/* -- A fake sysfs ----------------------------------------------------------------------------------------------------- */

typedef struct {
  char *root;
  FloeUsb *usb;
  FloePolicyDocument *document;
  GString *events;
} Fixture;

static void
put (Fixture *f, const char *device, const char *attribute, const void *data, gssize size)
{
  g_autofree char *dir = g_build_filename (f->root, "bus/usb/devices", device, NULL);
  g_autofree char *path = g_build_filename (dir, attribute, NULL);

  g_mkdir_with_parents (dir, 0755);
  g_assert_true (g_file_set_contents (path, data, size, NULL));
}

static char *
get (Fixture *f, const char *device, const char *attribute)
{
  g_autofree char *path = g_build_filename (f->root, "bus/usb/devices", device, attribute, NULL);
  char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return g_strchomp (text);
}

/* As the kernel shows a device that it has just let in by default: the worst case to begin with. */
static void
plug (Fixture *f, const char *path, const uint8_t *descriptors, size_t size, const char *number)
{
  put (f, path, "descriptors", descriptors, (gssize)size);
  put (f, path, "devnum", number, -1);
  put (f, path, "authorized", "1\n", -1);
}

static void
remove_tree (const char *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *child = g_build_filename (path, name, NULL);

    remove_tree (child);
  }
  if (dir != NULL)
    g_dir_close (dir);
  g_remove (path);
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
  gboolean listed = g_ptr_array_find (floe_usb_devices (usb), device, NULL);

  /* The list is right at every change: what is gone is not in it, what came is. */
  g_assert_cmpint (listed, ==, !gone);
  g_string_append_printf (f->events, "%s %s %s %s%s\n", device->path,
                          gone ? "gone" : floe_policy_usb_action_name (device->verdict), device->rule, device->machine,
                          device->enforced ? " enforced" : "");
}

static void
assert_events (Fixture *f, const char *wanted)
{
  g_assert_cmpstr (f->events->str, ==, wanted);
  g_string_truncate (f->events, 0);
}

static void
set_up (Fixture *f, gconstpointer mode)
{
  g_autofree char *content = NULL;
  g_autoptr (GBytes) bytes = NULL;
  gsize size;

  f->root = g_dir_make_tmp ("floe-usb-XXXXXX", NULL);
  f->events = g_string_new (NULL);
  g_assert_true (g_file_get_contents (FLOE_SOURCE_DIR "/docs/examples/office.json", &content, &size, NULL));
  bytes = g_bytes_new (content, size);
  f->document = floe_policy_parse (bytes, "office.json", NULL);
  g_assert_nonnull (f->document);
  put (f, "usb1", "descriptors", keyboard, sizeof keyboard);
  put (f, "usb1", "authorized_default", "1\n", -1);
  put (f, "usb1", "interface_authorized_default", "1\n", -1);
  put (f, "usb1", "authorized", "1\n", -1);
  put (f, "1-1:1.0", "bInterfaceClass", "03\n", -1);
  plug (f, "1-1", keyboard, sizeof keyboard, "2\n");
  f->usb = floe_usb_new (&(FloeUsbOptions){ .sysfs = f->root,
                                            .mode = (FloeUsbMode)GPOINTER_TO_INT (mode),
                                            .state_dir = -1,
                                            .run_dir = -1,
                                            .changed = note,
                                            .data = f },
                         NULL);
  g_assert_nonnull (f->usb);
}

static void
tear_down (Fixture *f, gconstpointer mode)
{
  (void)mode;
  floe_usb_free (f->usb);
  floe_policy_document_unref (f->document);
  g_string_free (f->events, TRUE);
  remove_tree (f->root);
  g_free (f->root);
}

static void
assert_switch (Fixture *f, const char *device, const char *attribute, const char *value)
{
  g_autofree char *is = get (f, device, attribute);

  g_assert_cmpstr (is, ==, value);
}

static void
test_enforce (Fixture *f, gconstpointer mode)
{
  GPtrArray *devices;

  (void)mode;
  /* No policy yet: nothing is let in, and of what the kernel had let in only the keyboard in use stays. */
  assert_events (f, "usb1 host floe-root-hub  enforced\n1-1 host floe-last-keyboard  enforced\n");
  assert_switch (f, "usb1", "authorized_default", "0");
  assert_switch (f, "usb1", "interface_authorized_default", "0");
  assert_switch (f, "usb1", "authorized", "1");
  assert_switch (f, "1-1", "authorized", "1");

  floe_usb_set_content (f->usb, floe_policy_document_content (f->document));
  assert_events (f, "1-1 host keyboard  enforced\n");
  assert_switch (f, "1-1", "authorized", "1");

  plug (f, "1-2", stick, sizeof stick, "3\n");
  plug (f, "1-3.4", scanner, sizeof scanner, "4\n");
  plug (f, "1-5", two_faced, sizeof two_faced, "5\n");
  plug (f, "1-6", hidden_setting, sizeof hidden_setting, "6\n");
  plug (f, "1-7", keyboard, sizeof keyboard - 1, "7\n");
  floe_usb_rescan (f->usb);
  assert_events (f, "1-2 block no-storage  enforced\n1-3.4 machine scanner office\n1-5 block no-storage  enforced\n"
                    "1-6 block no-storage  enforced\n1-7 block default  enforced\n");
  assert_switch (f, "1-2", "authorized", "0");
  assert_switch (f, "1-3.4", "authorized", "0");
  assert_switch (f, "1-5", "authorized", "0");
  assert_switch (f, "1-7", "authorized", "0");

  /* Nothing new: nothing said. Someone switches a blocked device on: it is switched off again. */
  put (f, "1-2", "authorized", "1\n", -1);
  floe_usb_rescan (f->usb);
  assert_events (f, "");
  assert_switch (f, "1-2", "authorized", "0");

  devices = floe_usb_devices (f->usb);
  g_assert_cmpuint (devices->len, ==, 7);
  g_assert_cmpstr (((const FloeUsbDevice *)g_ptr_array_index (devices, 0))->path, ==, "usb1");
  g_assert_cmpstr (((const FloeUsbDevice *)g_ptr_array_index (devices, 3))->path, ==, "1-3.4");
  g_assert_cmpstr (((const FloeUsbDevice *)g_ptr_array_index (devices, 6))->problem, !=, "");
}

/* The port's keyboard is pulled and something else put in, which the daemon sees only as one change. */
static void
test_swap (Fixture *f, gconstpointer mode)
{
  (void)mode;
  floe_usb_set_content (f->usb, floe_policy_document_content (f->document));
  g_string_truncate (f->events, 0);

  plug (f, "1-1", stick, sizeof stick, "3\n");
  floe_usb_rescan (f->usb);
  assert_events (f, "1-1 gone keyboard  enforced\n1-1 block no-storage  enforced\n");
  assert_switch (f, "1-1", "authorized", "0");
  /* The same device on the same port, but another connection. */
  plug (f, "1-1", stick, sizeof stick, "4\n");
  floe_usb_rescan (f->usb);
  assert_events (f, "1-1 gone no-storage  enforced\n1-1 block no-storage  enforced\n");
  unplug (f, "1-1");
  floe_usb_rescan (f->usb);
  assert_events (f, "1-1 gone no-storage  enforced\n");
}

static void
test_hot_added_controller (Fixture *f, gconstpointer mode)
{
  (void)mode;
  floe_usb_set_content (f->usb, floe_policy_document_content (f->document));
  put (f, "usb9", "descriptors", keyboard, sizeof keyboard);
  put (f, "usb9", "authorized_default", "2\n", -1);
  put (f, "usb9", "interface_authorized_default", "1\n", -1);
  plug (f, "9-1", stick, sizeof stick, "2\n");
  floe_usb_rescan (f->usb);
  assert_switch (f, "usb9", "authorized_default", "0");
  assert_switch (f, "usb9", "interface_authorized_default", "0");
  assert_switch (f, "9-1", "authorized", "0");
}

static void
test_withdrawn (Fixture *f, gconstpointer mode)
{
  (void)mode;
  plug (f, "1-2", mouse, sizeof mouse, "3\n");
  floe_usb_set_content (f->usb, floe_policy_document_content (f->document));
  floe_usb_rescan (f->usb);
  assert_switch (f, "1-2", "authorized", "1");
  floe_usb_set_policy (f->usb, NULL);
  assert_switch (f, "1-1", "authorized", "1");
  assert_switch (f, "1-2", "authorized", "0");
}

static void
test_observe (Fixture *f, gconstpointer mode)
{
  (void)mode;
  floe_usb_set_content (f->usb, floe_policy_document_content (f->document));
  plug (f, "1-2", stick, sizeof stick, "3\n");
  floe_usb_rescan (f->usb);
  assert_events (f, "usb1 host floe-root-hub \n1-1 host floe-last-keyboard \n1-1 host keyboard \n1-2 block no-storage \n");
  assert_switch (f, "usb1", "authorized_default", "1");
  assert_switch (f, "1-2", "authorized", "1");
}

/* The switch cannot be set: said, and not called enforced. */
static void
test_stuck (Fixture *f, gconstpointer mode)
{
  g_autofree char *switched = g_build_filename (f->root, "bus/usb/devices/1-2/authorized", NULL);
  const FloeUsbDevice *device;

  (void)mode;
  plug (f, "1-2", stick, sizeof stick, "3\n");
  g_remove (switched);
  floe_usb_rescan (f->usb);
  device = g_ptr_array_index (floe_usb_devices (f->usb), 2);
  g_assert_cmpstr (device->path, ==, "1-2");
  g_assert_false (device->enforced);
  g_assert_nonnull (strstr (device->problem, "authorized"));
}

static void
test_strings (Fixture *f, gconstpointer mode)
{
  const FloeUsbDevice *device;

  (void)mode;
  plug (f, "1-2", stick, sizeof stick, "3\n");
  put (f, "1-2", "manufacturer", "Evil\n\x1b[31m RULE=x\xff", -1);
  put (f, "1-2", "product",
       "Stick \xe2\x80\xae"
       "drib\t\t1\n",
       -1);
  put (f, "1-2", "serial", "a\0b\n", 4);
  floe_usb_rescan (f->usb);
  device = g_ptr_array_index (floe_usb_devices (f->usb), 2);
  g_assert_cmpstr (device->name, ==, "Evil [31m RULE=x\xef\xbf\xbd Stick drib 1");
  g_assert_true (g_utf8_validate (device->serial, -1, NULL));
}

static void
test_names (void)
{
  static const char *const good[] = { "1-1", "12-3.4.15", "usb1", "usb12" };
  static const char *const bad[] = { "1-1:1.0", "usb",  "usb1:1.0", "1-", "-1",    "1-1.", "1-1..2",
                                     "1-0",     "01-1", "1-1/..",   "..", "usb01", "1-1 ", "1234-1" };
  gboolean root_hub;

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (floe_usb_is_device_name (good[i], &root_hub));
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (floe_usb_is_device_name (bad[i], &root_hub));
}

static void
test_uevents (void)
{
  static const char yes[] = "add@/devices/x\0ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_device";
  static const char no[] = "add@/devices/x\0ACTION=add\0SUBSYSTEM=usbmon\0X=SUBSYSTEM=usb";

  g_assert_true (floe_usb_uevent_matters (yes, sizeof yes));
  g_assert_true (floe_usb_uevent_matters (yes, sizeof yes - 1));
  g_assert_false (floe_usb_uevent_matters (no, sizeof no));
  g_assert_false (floe_usb_uevent_matters ("", 0));
}

/* A host without USB, and this one: the monitor opens, and nothing is switched. */
static void
test_no_usb (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeUsb) none
      = floe_usb_new (&(FloeUsbOptions){ .sysfs = "/nonexistent", .mode = FLOE_USB_ENFORCE, .state_dir = -1, .run_dir = -1 }, &error);
  g_autoptr (FloeUsb) here
      = floe_usb_new (&(FloeUsbOptions){ .sysfs = "/sys", .mode = FLOE_USB_OBSERVE, .state_dir = -1, .run_dir = -1 }, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (floe_usb_devices (none)->len, ==, 0);
  g_assert_nonnull (here);
}

#define ADD(name, mode, test) g_test_add (name, Fixture, GINT_TO_POINTER (mode), set_up, test, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/usb/descriptors/good", test_good);
  g_test_add_func ("/usb/descriptors/bad", test_bad);
  g_test_add_func ("/usb/descriptors/many", test_many);
  g_test_add_func ("/usb/descriptors/every-prefix", test_every_prefix);
  g_test_add_func ("/usb/names", test_names);
  g_test_add_func ("/usb/uevents", test_uevents);
  g_test_add_func ("/usb/no-usb", test_no_usb);
  ADD ("/usb/enforce", FLOE_USB_ENFORCE, test_enforce);
  ADD ("/usb/swap", FLOE_USB_ENFORCE, test_swap);
  ADD ("/usb/hot-added-controller", FLOE_USB_ENFORCE, test_hot_added_controller);
  ADD ("/usb/withdrawn", FLOE_USB_ENFORCE, test_withdrawn);
  ADD ("/usb/stuck", FLOE_USB_ENFORCE, test_stuck);
  ADD ("/usb/strings", FLOE_USB_ENFORCE, test_strings);
  ADD ("/usb/observe", FLOE_USB_OBSERVE, test_observe);
  return g_test_run ();
}
