/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-error.h"
#include "common/floe-fd.h"
#include "console-ui/floe-agent-bus.h"
#include "console-ui/floe-install-bus.h"
#include "console-ui/floe-ui-bus.h"

#include <errno.h>
#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* org.floe.Hypervisor1 for tests of the console: real objects from the same XML, machines as the test says, and OpenDisplay as a
 * socket connected to a SPICE server (a QEMU that the test runs).
 *
 * fake-hypervisord ADDRESS ID=TITLE=COLOUR=SPICE_SOCKET...
 *
 * Follows commands from standard input, one a line:
 *   state ID STATE | image ID HAVE TOTAL | problem ID TEXT | emulated ID 0|1 | sharing ID CLIPBOARD FILES AUDIO(0|1)
 *   add ID=TITLE=COLOUR=SOCKET | remove ID | kiosk 0|1 | banner TEXT | languages CODE... | key NAME ACCELERATOR
 *   policy-problem TEXT | usb NAME RULE | ask PATH CONNECTION NAME RULE REMEMBER(0|1) CHOICE... | ask-no-more
 *   update VERSION | restart IDLE NOTICE | restart-refused TEXT (of the next ones; without: done)
 *   setup STATE (of a floe-agent as well) | install STATE (of a floe-install as well)
 * and writes "call ID METHOD ARGUMENT" to standard output for each call received. */

#define PATH "/org/floe/Hypervisor1"

typedef struct {
  FloeUiHypervisor1 *hypervisor;
  FloeUiHypervisor1Machine *machines[16];
  char *sockets[16];
  guint count;
  FloeUiAgent1 *agent;     /* NULL: there is none */
  FloeUiInstall1 *install; /* NULL: there is none */
  GDBusConnection *connection;
  GDBusObjectManagerServer *manager;
  GVariantDict settings;
  GMainLoop *loop;
  char *restart_refused; /* "" when it is not */
} Fake;

static guint
find (Fake *fake, const char *id)
{
  for (guint i = 0; i < fake->count; i++)
    if (fake->machines[i] != NULL && strcmp (floe_ui_hypervisor1_machine_get_id (fake->machines[i]), id) == 0)
      return i;
  g_error ("no machine %s", id);
}

static void
said (FloeUiHypervisor1Machine *machine, const char *method, const char *argument)
{
  g_print ("call %s %s %s\n", floe_ui_hypervisor1_machine_get_id (machine), method, argument);
}

static void
publish_settings (Fake *fake)
{
  GVariant *settings = g_variant_ref_sink (g_variant_dict_end (&fake->settings));

  g_variant_dict_init (&fake->settings, settings);
  floe_ui_hypervisor1_set_console_settings (fake->hypervisor, settings);
  g_dbus_interface_skeleton_flush (G_DBUS_INTERFACE_SKELETON (fake->hypervisor));
  g_variant_unref (settings);
}

/* -- Methods -------------------------------------------------------------------------------------------------------- */

static gboolean
on_start (FloeUiHypervisor1Machine *machine, GDBusMethodInvocation *invocation, Fake *fake G_GNUC_UNUSED)
{
  said (machine, "Start", "");
  floe_ui_hypervisor1_machine_set_state (machine, "starting");
  floe_ui_hypervisor1_machine_complete_start (machine, invocation);
  return TRUE;
}

static gboolean
on_stop (FloeUiHypervisor1Machine *machine, GDBusMethodInvocation *invocation, const char *how, Fake *fake G_GNUC_UNUSED)
{
  said (machine, "Stop", how);
  floe_ui_hypervisor1_machine_set_state (machine, "stopped");
  floe_ui_hypervisor1_machine_complete_stop (machine, invocation);
  return TRUE;
}

static gboolean
on_reset (FloeUiHypervisor1Machine *machine, GDBusMethodInvocation *invocation, Fake *fake G_GNUC_UNUSED)
{
  said (machine, "Reset", "");
  g_dbus_method_invocation_return_error (invocation, FLOE_ERROR, FLOE_ERROR_REFUSED, "policy does not let you restart this machine");
  return TRUE;
}

static gboolean
on_suspend (FloeUiHypervisor1Machine *machine, GDBusMethodInvocation *invocation, Fake *fake G_GNUC_UNUSED)
{
  said (machine, "Suspend", "");
  floe_ui_hypervisor1_machine_set_state (machine, "suspended");
  floe_ui_hypervisor1_machine_complete_suspend (machine, invocation);
  return TRUE;
}

static gboolean
on_resume (FloeUiHypervisor1Machine *machine, GDBusMethodInvocation *invocation, Fake *fake G_GNUC_UNUSED)
{
  said (machine, "Resume", "");
  floe_ui_hypervisor1_machine_set_state (machine, "running");
  floe_ui_hypervisor1_machine_complete_resume (machine, invocation);
  return TRUE;
}

static int
connect_unix (const char *path, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  floe_autofd fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  if (fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0) {
    floe_error_set (error, FLOE_ERROR_BUSY, "no display: %s", g_strerror (errno));
    return -1;
  }
  return floe_fd_steal (&fd);
}

static gboolean
on_open_display (FloeUiHypervisor1Machine *machine, GDBusMethodInvocation *invocation, GUnixFDList *given G_GNUC_UNUSED, Fake *fake)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GUnixFDList) list = NULL;
  int fd = connect_unix (fake->sockets[find (fake, floe_ui_hypervisor1_machine_get_id (machine))], &error);

  said (machine, "OpenDisplay", fd < 0 ? "busy" : "");
  if (fd < 0) {
    g_dbus_method_invocation_return_gerror (invocation, error);
    return TRUE;
  }
  list = g_unix_fd_list_new_from_array (&fd, 1);
  floe_ui_hypervisor1_machine_complete_open_display (machine, invocation, list, g_variant_new_handle (0));
  return TRUE;
}

/* -- Objects -------------------------------------------------------------------------------------------------------- */

static GVariant *
sharing (const char *clipboard, const char *files, gboolean audio)
{
  return g_variant_new_parsed ("{'clipboard': <%s>, 'file_transfer': <%s>, 'audio': <%b>, 'screens': <uint32 1>}", clipboard, files,
                               audio);
}

static void
add_machine (Fake *fake, const char *description)
{
  g_auto (GStrv) parts = g_strsplit (description, "=", 4);
  g_autofree char *path = g_strdup_printf (PATH "/machine/%s", parts[0]);
  FloeUiHypervisor1Machine *machine = floe_ui_hypervisor1_machine_skeleton_new ();
  g_autoptr (FloeUiObjectSkeleton) object = floe_ui_object_skeleton_new (path);

  g_assert_cmpuint (g_strv_length (parts), ==, 4);
  g_assert_cmpuint (fake->count, <, G_N_ELEMENTS (fake->machines));
  floe_ui_hypervisor1_machine_set_id (machine, parts[0]);
  floe_ui_hypervisor1_machine_set_title (machine, parts[1]);
  floe_ui_hypervisor1_machine_set_colour (machine, parts[2]);
  floe_ui_hypervisor1_machine_set_state (machine, "stopped");
  floe_ui_hypervisor1_machine_set_problem (machine, "");
  floe_ui_hypervisor1_machine_set_image (machine, "desktop/0123456789abcdef");
  floe_ui_hypervisor1_machine_set_sharing (machine, sharing ("none", "none", FALSE));
  g_signal_connect (machine, "handle-start", G_CALLBACK (on_start), fake);
  g_signal_connect (machine, "handle-stop", G_CALLBACK (on_stop), fake);
  g_signal_connect (machine, "handle-reset", G_CALLBACK (on_reset), fake);
  g_signal_connect (machine, "handle-suspend", G_CALLBACK (on_suspend), fake);
  g_signal_connect (machine, "handle-resume", G_CALLBACK (on_resume), fake);
  g_signal_connect (machine, "handle-open-display", G_CALLBACK (on_open_display), fake);
  fake->machines[fake->count] = machine;
  fake->sockets[fake->count++] = g_strdup (parts[3]);
  floe_ui_object_skeleton_set_hypervisor1_machine (object, machine);
  g_dbus_object_manager_server_export (fake->manager, G_DBUS_OBJECT_SKELETON (object));
}

static void
remove_machine (Fake *fake, const char *id)
{
  guint i = find (fake, id);
  g_autofree char *path = g_strdup_printf (PATH "/machine/%s", id);

  g_dbus_object_manager_server_unexport (fake->manager, path);
  g_clear_object (&fake->machines[i]);
}

static gboolean
on_answer_usb (FloeUiHypervisor1 *hypervisor, GDBusMethodInvocation *invocation, const char *path, guint64 connection,
               const char *choice, gboolean remember, Fake *fake G_GNUC_UNUSED)
{
  g_print ("call usb AnswerUsb %s %" G_GUINT64_FORMAT " %s %d\n", path, connection, choice, remember);
  floe_ui_hypervisor1_set_usb_devices (hypervisor, g_variant_new_parsed ("@aa{sv} []"));
  floe_ui_hypervisor1_complete_answer_usb (hypervisor, invocation);
  return TRUE;
}

static gboolean
on_set_situation (FloeUiHypervisor1 *hypervisor, GDBusMethodInvocation *invocation, const char *front, const char *person,
                  gboolean locked, Fake *fake G_GNUC_UNUSED)
{
  g_print ("call usb SetSituation front=%s person=%s locked=%d\n", front, person, locked);
  floe_ui_hypervisor1_complete_set_situation (hypervisor, invocation);
  return TRUE;
}

/* As hypervisord says it: without logind. */
static gboolean
on_restart_for_update (FloeUiHypervisor1 *hypervisor, GDBusMethodInvocation *invocation, Fake *fake)
{
  g_print ("call update RestartForUpdate %" G_GUINT64_FORMAT "\n", floe_ui_hypervisor1_get_update_ready (hypervisor));
  if (fake->restart_refused[0] != '\0')
    g_dbus_method_invocation_return_error_literal (invocation, FLOE_ERROR, FLOE_ERROR_UNSUPPORTED, fake->restart_refused);
  else
    floe_ui_hypervisor1_complete_restart_for_update (hypervisor, invocation);
  return TRUE;
}

static void
init_hypervisor (Fake *fake)
{
  fake->hypervisor = floe_ui_hypervisor1_skeleton_new ();
  g_signal_connect (fake->hypervisor, "handle-answer-usb", G_CALLBACK (on_answer_usb), fake);
  g_signal_connect (fake->hypervisor, "handle-set-situation", G_CALLBACK (on_set_situation), fake);
  g_signal_connect (fake->hypervisor, "handle-restart-for-update", G_CALLBACK (on_restart_for_update), fake);
  fake->restart_refused = g_strdup ("");
  floe_ui_hypervisor1_set_usb_devices (fake->hypervisor, g_variant_new_parsed ("@aa{sv} []"));
  floe_ui_hypervisor1_set_version (fake->hypervisor, FLOE_VERSION);
  floe_ui_hypervisor1_set_accelerator (fake->hypervisor, "tcg");
  floe_ui_hypervisor1_set_accelerator_reason (fake->hypervisor, "/dev/kvm is missing");
  floe_ui_hypervisor1_set_policy_group (fake->hypervisor, "office");
  floe_ui_hypervisor1_set_policy_version (fake->hypervisor, 7);
  floe_ui_hypervisor1_set_policy_problem (fake->hypervisor, "");
  g_variant_dict_init (&fake->settings, NULL);
  g_variant_dict_insert (&fake->settings, "switch_next", "s", "<Control><Alt>Right");
  g_variant_dict_insert (&fake->settings, "switch_previous", "s", "<Control><Alt>Left");
  g_variant_dict_insert (&fake->settings, "switch_list", "s", "<Control><Alt>Home");
  g_variant_dict_insert (&fake->settings, "kiosk", "b", FALSE);
  g_variant_dict_insert (&fake->settings, "banner", "s", "Example Ltd.");
  g_variant_dict_insert_value (&fake->settings, "languages", g_variant_new_parsed ("['en', 'fr']"));
  publish_settings (fake);
}

/* -- Commands ------------------------------------------------------------------------------------------------------- */

static void
blocked (Fake *fake, const char *name, const char *rule)
{
  GVariant *fields = g_variant_new_parsed ("{'path': <'1-2'>, 'vendor': <uint16 2385>, 'product': <uint16 5734>, 'kind': <'storage'>, 'name': <%s>, "
                                           "'verdict': <'block'>, 'rule': <%s>, 'enforced': <true>}",
                                           name, rule);

  floe_ui_hypervisor1_emit_audit (fake->hypervisor, "usb", fields);
}

/* ask PATH CONNECTION NAME RULE REMEMBER CHOICE... */
static void
ask (Fake *fake, char **words)
{
  GVariant *device = g_variant_new_parsed (
    "{'path': <%s>, 'connection': <%t>, 'vendor': <uint16 2385>, 'product': <uint16 5734>, 'kind': <'storage'>, 'name': <%s>, "
    "'verdict': <'ask'>, 'rule': <%s>, 'may_remember': <%b>, 'choices': <%^as>}",
    words[1], (guint64) g_ascii_strtoull (words[2], NULL, 10), words[3], words[4], words[5][0] == '1', words + 6);

  floe_ui_hypervisor1_set_usb_devices (fake->hypervisor, g_variant_new_array (G_VARIANT_TYPE_VARDICT, &device, 1));
}

/* Commands about one machine; FALSE when VERB is none of them. */
static gboolean
machine_command (Fake *fake, const char *verb, char **words, const char *rest)
{
  static const char *const verbs[] = { "state", "image", "problem", "emulated", "sharing", NULL };
  FloeUiHypervisor1Machine *machine;

  if (!g_strv_contains (verbs, verb))
    return FALSE;
  machine = fake->machines[find (fake, words[1])];
  if (strcmp (verb, "state") == 0)
    floe_ui_hypervisor1_machine_set_state (machine, words[2]);
  else if (strcmp (verb, "image") == 0) {
    floe_ui_hypervisor1_machine_set_image_have_bytes (machine, g_ascii_strtoull (words[2], NULL, 10));
    floe_ui_hypervisor1_machine_set_image_total_bytes (machine, g_ascii_strtoull (words[3], NULL, 10));
  } else if (strcmp (verb, "problem") == 0)
    floe_ui_hypervisor1_machine_set_problem (machine, rest + strlen (words[1]) + (words[2] != NULL));
  else if (strcmp (verb, "emulated") == 0)
    floe_ui_hypervisor1_machine_set_emulated (machine, words[2][0] == '1');
  else
    floe_ui_hypervisor1_machine_set_sharing (machine, sharing (words[2], words[3], words[4][0] == '1'));
  return TRUE;
}

static void
serve (Fake *fake, gpointer skeleton, const char *name, const char *path)
{
  g_autoptr (GError) error = NULL;

  g_dbus_interface_skeleton_export (skeleton, fake->connection, path, &error);
  g_assert_no_error (error);
  g_bus_own_name_on_connection (fake->connection, name, G_BUS_NAME_OWNER_FLAGS_NONE, NULL, NULL, NULL, NULL);
}

/* What sets up and installs, as far as the console shows a page for it; FALSE when VERB is none of them. */
static gboolean
page_command (Fake *fake, const char *verb, const char *state)
{
  if (strcmp (verb, "setup") == 0) {
    gboolean first = fake->agent == NULL;

    fake->agent = first ? floe_ui_agent1_skeleton_new () : fake->agent;
    floe_ui_agent1_set_state (fake->agent, state);
    if (first)
      serve (fake, fake->agent, "org.floe.Agent1", "/org/floe/Agent1");
  } else if (strcmp (verb, "install") == 0) {
    gboolean first = fake->install == NULL;

    fake->install = first ? floe_ui_install1_skeleton_new () : fake->install;
    floe_ui_install1_set_state (fake->install, state);
    if (first)
      serve (fake, fake->install, "org.floe.Install1", "/org/floe/Install1");
  } else
    return FALSE;
  return TRUE;
}

/* Commands about the update; FALSE when VERB is none of them. */
static gboolean
update_command (Fake *fake, const char *verb, char **words, const char *rest)
{
  if (strcmp (verb, "update") == 0)
    floe_ui_hypervisor1_set_update_ready (fake->hypervisor, g_ascii_strtoull (words[1], NULL, 10));
  else if (strcmp (verb, "restart") == 0) {
    g_variant_dict_insert (&fake->settings, "restart_idle", "u", (guint32) g_ascii_strtoull (words[1], NULL, 10));
    g_variant_dict_insert (&fake->settings, "restart_notice", "u", (guint32) g_ascii_strtoull (words[2], NULL, 10));
    publish_settings (fake);
  } else if (strcmp (verb, "restart-refused") == 0) {
    g_free (fake->restart_refused);
    fake->restart_refused = g_strdup (rest);
  } else
    return FALSE;
  return TRUE;
}

static void
command (Fake *fake, char *line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  const char *verb = words[0], *rest = line + strlen (words[0]) + (words[1] != NULL);

  if (machine_command (fake, verb, words, rest) || update_command (fake, verb, words, rest)
      || page_command (fake, verb, rest))
    return;
  if (strcmp (verb, "add") == 0)
    add_machine (fake, rest);
  else if (strcmp (verb, "remove") == 0)
    remove_machine (fake, rest);
  else if (strcmp (verb, "policy-problem") == 0)
    floe_ui_hypervisor1_set_policy_problem (fake->hypervisor, rest);
  else if (strcmp (verb, "usb") == 0)
    blocked (fake, words[1], words[2]);
  else if (strcmp (verb, "ask") == 0)
    ask (fake, words);
  else if (strcmp (verb, "ask-no-more") == 0)
    floe_ui_hypervisor1_set_usb_devices (fake->hypervisor, g_variant_new_parsed ("@aa{sv} []"));
  else if (strcmp (verb, "kiosk") == 0)
    g_variant_dict_insert (&fake->settings, "kiosk", "b", rest[0] == '1');
  else if (strcmp (verb, "banner") == 0)
    g_variant_dict_insert (&fake->settings, "banner", "s", rest);
  else if (strcmp (verb, "languages") == 0)
    g_variant_dict_insert (&fake->settings, "languages", "^as", words + 1);
  else if (strcmp (verb, "key") == 0)
    g_variant_dict_insert (&fake->settings, words[1], "s", words[2]);
  else
    g_error ("unknown command: %s", line);
  publish_settings (fake);
}

static gboolean
on_input (int fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  static char pending[65536];
  static size_t length;
  ssize_t got = read (fd, pending + length, sizeof pending - 1 - length);
  char *end;

  if (got <= 0)
    return G_SOURCE_REMOVE;
  length += (size_t) got;
  pending[length] = '\0';
  while ((end = strchr (pending, '\n')) != NULL) {
    *end = '\0';
    command (data, pending);
    length -= (size_t) (end + 1 - pending);
    memmove (pending, end + 1, length + 1);
  }
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
  Fake fake = { 0 };
  g_autoptr (GError) error = NULL;
  GDBusConnection *connection;

  if (argc < 2) {
    g_printerr ("fake-hypervisord ADDRESS [ID=TITLE=COLOUR=SPICE_SOCKET]...\n");
    return 2;
  }
  setvbuf (stdout, NULL, _IOLBF, 0);
  connection = g_dbus_connection_new_for_address_sync (
    argv[1], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION, NULL, NULL, &error);
  g_assert_no_error (error);
  fake.connection = connection;
  init_hypervisor (&fake);
  fake.manager = g_dbus_object_manager_server_new (PATH);
  for (int i = 2; i < argc; i++)
    add_machine (&fake, argv[i]);
  g_dbus_object_manager_server_set_connection (fake.manager, connection);
  g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (fake.hypervisor), connection, PATH, &error);
  g_assert_no_error (error);
  /* Commands that are there already come before the name, as hypervisord takes up its machines before it has one. */
  while (poll (&input, 1, 0) > 0 && on_input (STDIN_FILENO, G_IO_IN, &fake))
    ;
  g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, &fake);
  g_bus_own_name_on_connection (connection, "org.floe.Hypervisor1", G_BUS_NAME_OWNER_FLAGS_NONE, NULL, NULL, NULL, NULL);
  fake.loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (fake.loop);
  return 0;
}
