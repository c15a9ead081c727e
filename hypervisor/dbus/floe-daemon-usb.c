/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/dbus/floe-daemon-usb.h"

#include "common/floe-fd.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

struct _FloeDaemonUsb {
  FloeDaemonUsbOptions options;
  FloeUsb *usb;
  char *console; /* bus name of whoever told the situation last */
  guint watch;   /* of that name */
  int run_dir;   /* RUN/hypervisor/usb */
  gboolean begun;
};

/* -- Machines --------------------------------------------------------------------------------------------------------- */

static void
on_given (guint64 serial, const GError *error, gpointer data)
{
  FloeDaemonUsb *daemon = data;

  floe_usb_given (daemon->usb, serial, error);
}

static void
on_taken (guint64 serial, const GError *error, gpointer data)
{
  FloeDaemonUsb *daemon = data;

  floe_usb_taken (daemon->usb, serial, error);
}

typedef struct {
  FloeDaemonUsb *daemon;
  guint64 serial;
  gboolean giving;
} Late;

/* The gate wants its answer after it has returned. */
static gboolean
answer_late (gpointer data)
{
  const Late *late = data;
  g_autoptr (GError) error = NULL;

  if (late->giving) {
    floe_error_set (&error, FLOE_ERROR_BUSY, "the machine does not run any more");
    on_given (late->serial, error, late->daemon);
  } else {
    on_taken (late->serial, NULL, late->daemon);
  }
  return G_SOURCE_REMOVE;
}

static void
answer_later (FloeDaemonUsb *daemon, guint64 serial, gboolean giving)
{
  Late *late = g_new0 (Late, 1);

  late->daemon = daemon;
  late->serial = serial;
  late->giving = giving;
  g_idle_add_full (G_PRIORITY_DEFAULT, answer_late, late, g_free);
}

static void
give (const FloeUsbGift *gift, gpointer data)
{
  FloeDaemonUsb *daemon = data;
  FloeMachine *machine = daemon->options.find (gift->machine, daemon->options.data);

  if (machine == NULL || !floe_machine_give_usb (machine, gift, on_given, daemon))
    answer_later (daemon, gift->serial, TRUE);
}

static void
take (const char *id, guint64 serial, gpointer data)
{
  FloeDaemonUsb *daemon = data;
  FloeMachine *machine = daemon->options.find (id, daemon->options.data);

  if (machine == NULL || !floe_machine_take_usb (machine, serial, on_taken, daemon))
    answer_later (daemon, serial, FALSE);
}

void
floe_daemon_usb_update_machine (FloeDaemonUsb *daemon, FloeMachine *machine)
{
  g_autoptr (FloeMachineView) view = floe_machine_view (machine);

  floe_usb_set_machine (daemon->usb, floe_machine_id (machine), view->life, view->usb_ready);
}

/* -- Console ---------------------------------------------------------------------------------------------------------- */

static void
on_console_gone (GDBusConnection *bus G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, gpointer data)
{
  FloeDaemonUsb *daemon = data;

  floe_usb_set_situation (daemon->usb, "", "", TRUE);
}

typedef struct {
  FloeDaemonUsb *daemon;
  const char *sender, *front, *person;
  gboolean locked;
} Situation;

static void
take_situation (gpointer data)
{
  const Situation *told = data;
  FloeDaemonUsb *daemon = told->daemon;

  if (g_strcmp0 (daemon->console, told->sender) != 0) {
    if (daemon->watch != 0)
      g_bus_unwatch_name (daemon->watch);
    g_free (daemon->console);
    daemon->console = g_strdup (told->sender);
    daemon->watch = g_bus_watch_name_on_connection (daemon->options.bus, told->sender, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                                    on_console_gone, daemon, NULL);
  }
  floe_usb_set_situation (daemon->usb, told->front, told->person, told->locked);
}

void
floe_daemon_usb_situation (FloeDaemonUsb *daemon, const char *sender, const char *front, const char *person, gboolean locked)
{
  Situation told = { daemon, sender, front, person, locked };

  floe_main_call (take_situation, &told);
}

typedef struct {
  FloeDaemonUsb *daemon;
  const char *path, *choice;
  guint64 connection;
  gboolean remember, done;
  GError **error;
} Answer;

static void
take_answer (gpointer data)
{
  Answer *answer = data;

  answer->done = floe_usb_answer (answer->daemon->usb, answer->path, answer->connection, answer->choice, answer->remember,
                                  answer->error);
}

gboolean
floe_daemon_usb_answer (FloeDaemonUsb *daemon, const char *path, guint64 connection, const char *choice, gboolean remember,
                        GError **error)
{
  Answer answer = { daemon, path, choice, connection, remember, FALSE, error };

  floe_main_call (take_answer, &answer);
  return answer.done;
}

/* -- The gate --------------------------------------------------------------------------------------------------------- */

static void
on_changed (FloeUsb *usb, const FloeUsbDevice *device, gboolean gone, gpointer data)
{
  FloeDaemonUsb *daemon = data;

  /* What is there from the beginning is told once, when it is known which machines run. */
  if (daemon->begun)
    daemon->options.changed (floe_usb_devices (usb), device, gone, daemon->options.data);
}

void
floe_daemon_usb_set_policy (FloeDaemonUsb *daemon, FloePolicy *policy)
{
  floe_usb_set_policy (daemon->usb, policy);
}

void
floe_daemon_usb_begin (FloeDaemonUsb *daemon)
{
  GPtrArray *devices;

  floe_usb_rescan (daemon->usb);
  daemon->begun = TRUE;
  devices = floe_usb_devices (daemon->usb);
  for (guint i = 0; i < devices->len; i++)
    daemon->options.changed (devices, g_ptr_array_index (devices, i), FALSE, daemon->options.data);
}

/* Where our own program lies: on an appliance, the verified root. A file system without a device of its own (overlay, network) is none in sysfs. */
static char *
root_device (void)
{
  struct stat st;

  return stat ("/usr", &st) == 0 ? g_strdup_printf ("%u:%u", major (st.st_dev), minor (st.st_dev)) : NULL;
}

FloeDaemonUsb *
floe_daemon_usb_new (const FloeDaemonUsbOptions *options, GError **error)
{
  FloeDaemonUsb *daemon = g_new0 (FloeDaemonUsb, 1);
  g_autofree char *root = root_device ();
  FloeUsbOptions gate = {
    .sysfs = "/sys",
    .root = root,
    .mode = options->host->config->usb,
    .hands = { give, take, daemon },
    .state_dir = options->host->state_dir,
    .policy = options->policy,
    .changed = on_changed,
    .data = daemon,
  };

  daemon->run_dir = gate.run_dir = floe_dir_make_at (options->host->run_dir, "usb", 0700, error);
  daemon->options = *options;
  daemon->options.policy = NULL; /* the gate has its own reference */
  if (gate.run_dir >= 0)
    daemon->usb = floe_usb_new (&gate, error);
  if (daemon->usb != NULL)
    return daemon;
  floe_daemon_usb_free (daemon);
  return NULL;
}

void
floe_daemon_usb_free (FloeDaemonUsb *daemon)
{
  if (daemon == NULL)
    return;
  if (daemon->watch != 0)
    g_bus_unwatch_name (daemon->watch);
  g_clear_pointer (&daemon->usb, floe_usb_free);
  floe_fd_clear (&daemon->run_dir);
  g_free (daemon->console);
  g_free (daemon);
}
