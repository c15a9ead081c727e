/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-machine-usb.h"
#include "tests/lib/fake-qmp.h"

#include <string.h>
#include <unistd.h>

/* What QEMU is told to have a USB device and to lose it, in which order, and what is left when it refuses. */

#define HELLO ">{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": []}}", "<qmp_capabilities", "={}"
#define DELETED(id) ">{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"" id "\", \"path\": \"/machine/peripheral/x\"}}"

typedef struct {
  FakeQmp *fake;
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
  FloeQmp *qmp;
  FloeMachineUsb *usb;
  gboolean gone; /* no machine executes */
  guint answers;
  char *error; /* of the last answer, or NULL */
} Fixture;

static gpointer
run_loop (gpointer loop)
{
  g_main_loop_run (loop);
  return NULL;
}

static void
on_event (const char *name, FloeJson *data, gpointer context)
{
  Fixture *fixture = context;

  if (g_strcmp0 (name, "DEVICE_DELETED") == 0 && floe_json_optional (data, "device") != NULL)
    floe_machine_usb_deleted (fixture->usb, floe_json_string (floe_json_member (data, "device"), 128));
}

static FloeQmp *
monitor (gpointer data, GError **error)
{
  Fixture *fixture = data;

  if (!fixture->gone)
    return floe_qmp_ref (fixture->qmp);
  floe_error_set (error, FLOE_ERROR_BUSY, "it is stopped");
  return NULL;
}

static void
on_done (guint64 serial, const GError *error, gpointer data)
{
  Fixture *fixture = data;

  g_assert_cmpuint (serial, ==, 7);
  fixture->answers++;
  g_free (fixture->error);
  fixture->error = error == NULL ? NULL : g_strdup (error->message);
}

static void
ignore (gpointer data)
{
  (void)data;
}

static void
open_fixture (Fixture *fixture, const char *const *script)
{
  int fd;

  *fixture = (Fixture){ 0 };
  fixture->fake = fake_qmp_new (script, &fd);
  fixture->context = g_main_context_new ();
  fixture->loop = g_main_loop_new (fixture->context, FALSE);
  fixture->usb = floe_machine_usb_new (monitor, fixture);
  fixture->qmp = floe_qmp_new (fd, fixture->context, on_event, fixture, ignore);
  fixture->thread = g_thread_new ("reader", run_loop, fixture->loop);
  g_assert_true (floe_qmp_handshake (fixture->qmp, 60000, NULL));
}

static void
close_fixture (Fixture *fixture)
{
  floe_qmp_close (fixture->qmp);
  floe_machine_usb_free (fixture->usb);
  g_assert_true (fake_qmp_free (fixture->fake));
  floe_qmp_unref (fixture->qmp);
  g_main_loop_quit (fixture->loop);
  g_thread_join (fixture->thread);
  g_main_loop_unref (fixture->loop);
  g_main_context_unref (fixture->context);
  g_free (fixture->error);
}

static void
wait_answers (Fixture *fixture, guint wanted)
{
  while (fixture->answers < wanted)
    g_main_context_iteration (NULL, TRUE);
}

static void
give (Fixture *fixture, gboolean read_only, unsigned n)
{
  const int fds[] = { STDIN_FILENO, STDOUT_FILENO };
  const FloeUsbGift gift
      = { .serial = 7, .machine = "office", .path = "1-2", .read_only = read_only, .fds = fds, .n_fds = n };

  floe_machine_usb_give (fixture->usb, &gift, on_done, fixture);
}

static void
test_whole (void)
{
  static const char *const script[] = { HELLO,
                                        "<\"add-fd\"",
                                        "fd",
                                        "={\"fdset-id\": 3, \"fd\": 20}",
                                        "<\"driver\":\"usb-host\",\"id\":\"floe-usb-7-0\",\"bus\":\"usb.0\",\"hostdevice\":"
                                        "\"/dev/fdset/3\"",
                                        "={}",
                                        "<\"fdset-id\":3",
                                        "={}",
                                        "<device_del",
                                        "={}",
                                        DELETED ("disk"),
                                        DELETED ("floe-usb-7-0"),
                                        NULL };
  Fixture fixture;

  open_fixture (&fixture, script);
  give (&fixture, FALSE, 1);
  /* Asked for at once: it comes after the giving all the same. */
  floe_machine_usb_take (fixture.usb, 7, on_done, &fixture);
  wait_answers (&fixture, 2);
  g_assert_cmpstr (fixture.error, ==, NULL);
  /* Not there any more: nothing to say to QEMU. */
  floe_machine_usb_take (fixture.usb, 7, on_done, &fixture);
  wait_answers (&fixture, 3);
  close_fixture (&fixture);
}

static void
test_disks (void)
{
  static const char *const script[] = { HELLO,
                                        "<\"add-fd\"",
                                        "fd",
                                        "={\"fdset-id\": 3, \"fd\": 20}",
                                        "<\"driver\":\"raw\",\"node-name\":\"floe-usb-7-0\",\"read-only\":true,\"file\":{\"driver\":"
                                        "\"host_device\",\"filename\":\"/dev/fdset/3\",\"read-only\":true,\"locking\":\"off\"}",
                                        "={}",
                                        "<\"driver\":\"usb-storage\",\"id\":\"floe-usb-7-0\"",
                                        "={}",
                                        "<\"add-fd\"",
                                        "fd",
                                        "={\"fdset-id\": 4, \"fd\": 21}",
                                        "<\"floe-usb-7-1\"",
                                        "={}",
                                        "<\"usb-storage\"",
                                        "!no port is free",
                                        /* All of it goes again. */
                                        "<\"node-name\":\"floe-usb-7-1\"",
                                        "={}",
                                        "<\"fdset-id\":4",
                                        "={}",
                                        "<device_del",
                                        "={}",
                                        DELETED ("floe-usb-7-0"),
                                        "<\"blockdev-del\"",
                                        "={}",
                                        "<\"remove-fd\"",
                                        "={}",
                                        NULL };
  Fixture fixture;

  open_fixture (&fixture, script);
  give (&fixture, TRUE, 2);
  wait_answers (&fixture, 1);
  g_assert_nonnull (strstr (fixture.error, "no port is free"));
  close_fixture (&fixture);
}

static void
test_clear (void)
{
  static const char *const script[] = { HELLO,       "<\"add-fd\"", "fd",  "={\"fdset-id\": 3, \"fd\": 20}",
                                        "<usb-host", "={}",         "<remove-fd", "={}",
                                        "<device_del", "={}",       DELETED ("floe-usb-7-0"), NULL };
  Fixture fixture;
  g_autoptr (GError) error = NULL;

  open_fixture (&fixture, script);
  give (&fixture, FALSE, 1);
  wait_answers (&fixture, 1);
  g_assert_true (floe_machine_usb_clear (fixture.usb, &error));
  /* A machine that is being saved gets nothing. */
  give (&fixture, FALSE, 1);
  wait_answers (&fixture, 2);
  g_assert_nonnull (strstr (fixture.error, "suspended"));
  close_fixture (&fixture);
}

static void
test_stopped (void)
{
  static const char *const script[] = { HELLO, NULL };
  Fixture fixture;

  open_fixture (&fixture, script);
  fixture.gone = TRUE;
  give (&fixture, FALSE, 1);
  wait_answers (&fixture, 1);
  g_assert_cmpstr (fixture.error, ==, "it is stopped");
  floe_machine_usb_take (fixture.usb, 7, on_done, &fixture);
  wait_answers (&fixture, 2);
  g_assert_cmpstr (fixture.error, ==, NULL);
  close_fixture (&fixture);
}

static void
test_sweep (void)
{
  static const char *const script[]
      = { HELLO,
          "<qom-list",
          "=[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"disk\", \"type\": \"child<virtio-blk-pci>\"}, "
          "{\"name\": \"floe-usb-5-0\", \"type\": \"child<usb-host>\"}]",
          "<\"arguments\":{\"id\":\"floe-usb-5-0\"}",
          "={}",
          "<qom-list",
          "=[{\"name\": \"floe-usb-5-0\", \"type\": \"child<usb-host>\"}]",
          "<qom-list",
          "=[{\"name\": \"disk\", \"type\": \"child<virtio-blk-pci>\"}]",
          "<\"node-name\":\"floe-usb-5-0\"",
          "!no such node",
          "<query-fdsets",
          "=[{\"fdset-id\": 4, \"fds\": [{\"fd\": 9}]}, {\"fdset-id\": 2, \"fds\": [{\"fd\": 8, \"opaque\": \"floe-usb-\"}]}]",
          "<\"fdset-id\":2",
          "={}",
          NULL };
  Fixture fixture;
  g_autoptr (GError) error = NULL;

  open_fixture (&fixture, script);
  g_assert_true (floe_machine_usb_sweep (fixture.qmp, &error));
  g_assert_no_error (error);
  close_fixture (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/machine-usb/whole", test_whole);
  g_test_add_func ("/machine-usb/disks", test_disks);
  g_test_add_func ("/machine-usb/clear", test_clear);
  g_test_add_func ("/machine-usb/stopped", test_stopped);
  g_test_add_func ("/machine-usb/sweep", test_sweep);
  return g_test_run ();
}
