/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/dbus/floe-authority.h"
#include "hypervisor/dbus/floe-export.h"
#include "hypervisor/machine/floe-nbd.h"
#include "hypervisor/machine/floe-overlay.h"
#include "hypervisor/machine/floe-record.h"
#include "hypervisor/machine/floe-vm-description.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

static const FloeVmDescription plain = {
  .id = "office",
  .accelerator = FLOE_ACCELERATOR_KVM,
  .os = FLOE_IMAGE_LINUX,
  .firmware = FLOE_POLICY_FIRMWARE_UEFI,
  .disk = FLOE_POLICY_DISK_RESET,
  .vcpus = 2,
  .memory_mib = 2048,
  .screens = 1,
  .audio = TRUE,
  .cards = { { .mac = "02:f1:0e:00:00:1c" } },
  .n_cards = 1,
};

/* -- Golden files: FLOE_UPDATE_GOLDEN=1 writes them anew ------------------------------------------------------------- */

static void
compare_golden (const char *name, char **argv)
{
  g_autofree char *path = g_strdup_printf ("%s/tests/golden/argv/%s.txt", FLOE_SOURCE_DIR, name);
  g_autofree char *joined = g_strjoinv ("\n", argv);
  g_autofree char *text = g_strconcat (joined, "\n", NULL);
  g_autofree char *golden = NULL;
  g_autoptr (GError) error = NULL;

  if (g_getenv ("FLOE_UPDATE_GOLDEN") != NULL)
    g_assert_true (g_file_set_contents (path, text, -1, &error));
  g_assert_true (g_file_get_contents (path, &golden, NULL, &error));
  g_assert_cmpstr (text, ==, golden);
}

static void
check_argv (const char *name, const FloeVmDescription *description)
{
  g_auto (GStrv) argv = floe_vm_argv (description, "/usr/bin/qemu-system-x86_64");

  compare_golden (name, argv);
}

static void
test_argv (void)
{
  g_auto (GStrv) nbd = floe_nbd_argv ("/usr/bin/nbdkit", "/plugin.so");
  FloeVmDescription vm = plain;

  check_argv ("kvm-linux-uefi", &vm);
  vm.accelerator = FLOE_ACCELERATOR_TCG;
  check_argv ("tcg-linux-uefi", &vm);
  vm.firmware = FLOE_POLICY_FIRMWARE_BIOS;
  vm.n_cards = 0;
  vm.audio = FALSE;
  check_argv ("tcg-bios-no-network", &vm);
  vm = plain;
  vm.os = FLOE_IMAGE_WINDOWS;
  vm.disk = FLOE_POLICY_DISK_PERSIST;
  vm.clipboard = vm.file_transfer = TRUE;
  vm.screens = 2;
  check_argv ("kvm-windows-persist", &vm);
  vm.incoming = TRUE;
  check_argv ("kvm-windows-resume", &vm);
  vm = plain;
  vm.usb = TRUE;
  check_argv ("kvm-linux-usb", &vm);
  vm = plain;
  vm.cards[1] = (FloeVmCard){ "02:f1:0e:00:00:1d", TRUE };
  vm.cards[2] = (FloeVmCard){ "02:f1:0e:00:00:1e", FALSE };
  vm.cards[3] = (FloeVmCard){ "02:f1:0e:00:00:1f", TRUE };
  vm.n_cards = 4;
  check_argv ("kvm-four-cards", &vm);
  compare_golden ("nbdkit", nbd);
}

/* A saved machine finds itself again, and nothing else. */
static void
test_fingerprint (void)
{
  FloeVmDescription vm = plain;
  g_autofree char *first = floe_vm_fingerprint (&vm);
  g_autofree char *incoming = NULL, *larger = NULL;

  vm.incoming = TRUE;
  incoming = floe_vm_fingerprint (&vm);
  g_assert_cmpstr (first, ==, incoming);
  vm.memory_mib++;
  larger = floe_vm_fingerprint (&vm);
  g_assert_cmpstr (first, !=, larger);
}

/* What can be asked for reaches QEMU by no other way than its own option: no name of a guest's making is in an option
 * string. */
static void
test_argv_is_closed (void)
{
  g_auto (GStrv) argv = floe_vm_argv (&plain, "qemu");
  g_autofree char *all = g_strjoinv (" ", argv);

  g_assert_nonnull (strstr (all, "-nodefaults -no-user-config"));
  g_assert_nonnull (strstr (all, "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
  g_assert_null (strstr (all, "user,"));
  g_assert_null (strstr (all, "/dev/bus/usb"));
  g_assert_nonnull (strstr (all, "disable-copy-paste=on,disable-agent-file-xfer=on"));
}

/* -- Overlay ---------------------------------------------------------------------------------------------------------- */

/* qemu-img is the judge of what is a qcow2 file. */
static void
test_overlay (void)
{
  static const guint64 sizes[] = { 512, 8 << 20, (guint64)512 << 20, ((guint64)512 << 20) + 512, FLOE_OVERLAY_SIZE_MAX };
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  int fd = g_file_open_tmp ("overlay-XXXXXX", &path, &error);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (g_close (fd, &error));
  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GBytes) bytes = floe_overlay_build (sizes[i], &error);
    const char *const check[] = { "qemu-img", "check", "-q", "-f", "qcow2", path, NULL };
    const char *const info[] = { "qemu-img", "info", "--output=json", "-f", "qcow2", path, NULL };
    g_autofree char *output = NULL, *wanted = g_strdup_printf ("\"virtual-size\": %" G_GUINT64_FORMAT ",", sizes[i]);
    int status = -1;

    g_assert_true (g_file_set_contents (path, g_bytes_get_data (bytes, NULL), (gssize)g_bytes_get_size (bytes), &error));
    g_assert_true (g_spawn_sync (NULL, (char **)check, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, &error));
    g_assert_cmpint (status, ==, 0);
    g_assert_true (
        g_spawn_sync (NULL, (char **)info, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, &status, &error));
    g_assert_nonnull (strstr (output, wanted));
    g_assert_nonnull (strstr (output, "\"cluster-size\": 65536"));
  }
  g_assert_null (floe_overlay_build (513, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_clear_error (&error);
  g_assert_null (floe_overlay_build (FLOE_OVERLAY_SIZE_MAX + 512, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
  g_assert_cmpint (g_remove (path), ==, 0);
}

/* Room is asked of a real file system: more than any has is refused with NO_SPACE, naming both numbers. */
static void
test_room (void)
{
  g_autoptr (GError) error = NULL;
  int dir = g_open ("/tmp", O_RDONLY, 0);

  g_assert_true (floe_overlay_check_room (dir, 1, &error));
  g_assert_false (floe_overlay_check_room (dir, G_MAXUINT64, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NO_SPACE);
  g_assert_true (g_str_has_prefix (error->message, "disk full: "));
  g_assert_true (g_close (dir, NULL));
}

/* -- Records ---------------------------------------------------------------------------------------------------------- */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define GOOD_RUN                                                                                                           \
  "{\"floe\":2,\"slot\":7,\"qemu\":{\"pid\":100,\"start\":5},\"nbdkit\":{\"pid\":99,\"start\":4},\"accelerator\":\"kvm\"," \
  "\"cards\":[\"lan\",\"lab\"],\"started_us\":12,\"desktop_ms\":1500,\"image\":\"desktop/0123\",\"fingerprint\":\"" HEX "\"}"

static void
test_run_record (void)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (GOOD_RUN, strlen (GOOD_RUN));
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeRunRecord) record = floe_run_record_parse (bytes, "record", &error), again = NULL;
  g_autoptr (GBytes) built = NULL;

  g_assert_no_error (error);
  built = floe_run_record_build (record);
  again = floe_run_record_parse (built, "again", &error);
  g_assert_no_error (error);
  g_assert_cmpint (again->slot, ==, 7);
  g_assert_cmpint (again->qemu_pid, ==, 100);
  g_assert_cmpint (again->nbdkit_pid, ==, 99);
  g_assert_cmpint (again->accelerator, ==, FLOE_ACCELERATOR_KVM);
  g_assert_cmpstr (again->cards[0], ==, "lan");
  g_assert_cmpstr (again->cards[1], ==, "lab");
  g_assert_null (again->cards[2]);
  g_assert_cmpfloat (again->desktop_s, ==, 1.5);
  g_assert_cmpstr (again->image, ==, "desktop/0123");
}

/* Each a good record with one thing replaced. */
static void
test_bad_run_records (void)
{
  static const char *const changes[][2] = {
    { "\"floe\":2", "\"floe\":1" },
    { "\"slot\":7", "\"slot\":-1" },
    { "\"slot\":7", "\"slot\":4096" },
    { "\"pid\":100", "\"pid\":1" },
    { "\"pid\":100", "\"pid\":0" },
    { "\"pid\":100", "\"pid\":99999999" },
    { "\"pid\":100", "\"pid\":\"100\"" },
    { "\"start\":5", "\"start\":0" },
    { "\"kvm\"", "\"xen\"" },
    { "[\"lan\",\"lab\"]", "true" },
    { "\"lab\"", "\"l/b\"" },
    { "\"lab\"", "\"a\",\"b\",\"c\",\"d\"" },
    { "desktop/0123", "desktop" },
    { "desktop/0123", "../0123" },
    { "desktop/0123", "desktop/../etc" },
    { "desktop/0123", "" },
    { HEX, "0123" },
    { "\"cards\"", "\"carts\"" },
    { "\"started_us\":12", "\"started_us\":-12" },
    { "{\"floe\":2,", "{\"floe\":2,\"slot\":7," },
    { "\"desktop_ms\":1500", "\"desktop_ms\":1e99" },
    { "}}", "}" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (changes); i++) {
    g_autoptr (GString) text = g_string_new (GOOD_RUN);
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) bytes = NULL;

    if (g_string_replace (text, changes[i][0], changes[i][1], 1) == 0)
      g_string_truncate (text, text->len - 1);
    bytes = g_bytes_new (text->str, text->len);
    g_assert_null (floe_run_record_parse (bytes, "record", &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  }
}

static void
test_disk_record (void)
{
  const FloeDiskRecord record = { .slot = 3, .image = (char *)"desktop/0123", .suspended = (char *)HEX };
  static const char *const bad[] = { "{}", "", "{\"floe\":1,\"slot\":1,\"image\":\"\",\"suspended\":\"x\"}",
                                     "{\"floe\":1,\"slot\":1,\"image\":\"/\",\"suspended\":\"\"}",
                                     "{\"floe\":1,\"slot\":1,\"image\":\"\",\"suspended\":\"\",\"more\":1}" };
  g_autoptr (GBytes) bytes = floe_disk_record_build (&record);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeDiskRecord) again = floe_disk_record_parse (bytes, "disk", &error);

  g_assert_no_error (error);
  g_assert_cmpint (again->slot, ==, 3);
  g_assert_cmpstr (again->suspended, ==, HEX);
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GBytes) text = g_bytes_new_static (bad[i], strlen (bad[i]));

    g_assert_null (floe_disk_record_parse (text, "disk", NULL));
  }
}

/* -- D-Bus ------------------------------------------------------------------------------------------------------------ */

/* Every method of the interface has its right, and nothing else has one. */
static void
test_authority (void)
{
  g_assert_cmpstr (floe_authority_action ("org.floe.Hypervisor1", "SpoolChanged"), ==, "org.floe.hypervisor1.feed");
  g_assert_cmpstr (floe_authority_action ("org.floe.Hypervisor1.Machine", "Start"), ==, "org.floe.hypervisor1.control");
  g_assert_cmpstr (floe_authority_action ("org.floe.Hypervisor1.Machine", "OpenDisplay"), ==,
                   "org.floe.hypervisor1.display");
  g_assert_cmpstr (floe_authority_action ("org.floe.Hypervisor1", "AnswerUsb"), ==, "org.floe.hypervisor1.console");
  g_assert_cmpstr (floe_authority_action ("org.floe.Hypervisor1", "SetSituation"), ==, "org.floe.hypervisor1.console");
  g_assert_null (floe_authority_action ("org.floe.Hypervisor1", "Start"));
  g_assert_null (floe_authority_action ("org.floe.Hypervisor1.Machine", "Erase"));
  g_assert_null (floe_authority_action ("org.freedesktop.DBus.Properties", "Set"));
}

static void
test_escape (void)
{
  static const char *const cases[][2]
      = { { "office", "office" }, { "a-b.c", "a_2db_2ec" }, { "7zip", "_37zip" }, { "a_b", "a_5fb" } };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *escaped = floe_export_escape (cases[i][0]);

    g_assert_cmpstr (escaped, ==, cases[i][1]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/machine/argv", test_argv);
  g_test_add_func ("/machine/argv-is-closed", test_argv_is_closed);
  g_test_add_func ("/machine/fingerprint", test_fingerprint);
  g_test_add_func ("/machine/overlay", test_overlay);
  g_test_add_func ("/machine/room", test_room);
  g_test_add_func ("/machine/run-record", test_run_record);
  g_test_add_func ("/machine/bad-run-records", test_bad_run_records);
  g_test_add_func ("/machine/disk-record", test_disk_record);
  g_test_add_func ("/machine/authority", test_authority);
  g_test_add_func ("/machine/escape", test_escape);
  return g_test_run ();
}
