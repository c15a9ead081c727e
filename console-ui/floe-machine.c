/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-machine.h"

#include "common/floe-fd.h"
#include "console-ui/floe-console-text.h"

#include <gio/gunixfdlist.h>
#include <glib/gi18n-lib.h>

#define TITLE_MAX_CHARS 60
#define PROBLEM_MAX_CHARS 300
/* Starting verifies an image and builds a machine; suspending writes its memory to disk. */
#define ACTION_TIMEOUT_MS (10 * 60 * 1000)
#define DISPLAY_TIMEOUT_MS (20 * 1000)

struct _FloeMachine {
  GObject parent;
  FloeUiHypervisor1Machine *proxy; /* NULL while hypervisord is away */
  FloeMachineInfo *info;
};

G_DEFINE_FINAL_TYPE (FloeMachine, floe_machine, G_TYPE_OBJECT)

enum { CHANGED, TROUBLE, SIGNALS };
static guint signals[SIGNALS];

static void
machine_read (FloeMachine *machine)
{
  FloeUiHypervisor1Machine *proxy = machine->proxy;
  const char *id = floe_ui_hypervisor1_machine_get_id (proxy);
  FloeMachineInfo *info = floe_machine_info_new (id != NULL ? id : "");
  GVariant *sharing = floe_ui_hypervisor1_machine_get_sharing (proxy);
  const char *clipboard = NULL, *files = NULL;

  g_free (info->title);
  info->title = floe_text_plain (floe_ui_hypervisor1_machine_get_title (proxy), TITLE_MAX_CHARS);
  g_free (info->problem);
  info->problem = floe_text_plain (floe_ui_hypervisor1_machine_get_problem (proxy), PROBLEM_MAX_CHARS);
  g_free (info->colour);
  info->colour = g_strdup (floe_ui_hypervisor1_machine_get_colour (proxy));
  info->state = floe_state_parse (floe_ui_hypervisor1_machine_get_state (proxy));
  info->have_bytes = floe_ui_hypervisor1_machine_get_image_have_bytes (proxy);
  info->total_bytes = floe_ui_hypervisor1_machine_get_image_total_bytes (proxy);
  info->emulated = floe_ui_hypervisor1_machine_get_emulated (proxy);
  if (sharing != NULL) {
    g_variant_lookup (sharing, "clipboard", "&s", &clipboard);
    g_variant_lookup (sharing, "file_transfer", "&s", &files);
    g_variant_lookup (sharing, "audio", "b", &info->audio);
  }
  info->clipboard = floe_share_parse (clipboard);
  info->file_transfer = floe_share_parse (files);
  floe_machine_info_free (machine->info);
  machine->info = info;
}

static void
on_properties (FloeMachine *machine)
{
  machine_read (machine);
  g_signal_emit (machine, signals[CHANGED], 0);
}

void
floe_machine_set_proxy (FloeMachine *machine, FloeUiHypervisor1Machine *proxy)
{
  if (machine->proxy != NULL)
    g_signal_handlers_disconnect_by_data (machine->proxy, machine);
  g_set_object (&machine->proxy, proxy);
  if (proxy != NULL) {
    g_signal_connect_swapped (proxy, "g-properties-changed", G_CALLBACK (on_properties), machine);
    machine_read (machine);
  }
  g_signal_emit (machine, signals[CHANGED], 0);
}

gboolean
floe_machine_is_live (FloeMachine *machine)
{
  return machine->proxy != NULL;
}

const FloeMachineInfo *
floe_machine_get_info (FloeMachine *machine)
{
  return machine->info;
}

static void
on_acted (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (FloeMachine) machine = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = g_dbus_proxy_call_finish (G_DBUS_PROXY (source), result, &error);
  g_autofree char *text = NULL;

  if (answer != NULL)
    return;
  g_dbus_error_strip_remote_error (error);
  text = floe_text_plain (error->message, PROBLEM_MAX_CHARS);
  g_signal_emit (machine, signals[TROUBLE], 0, text);
}

void
floe_machine_act (FloeMachine *machine, FloeAction action)
{
  const char *method = NULL;
  GVariant *arguments = NULL;

  if (machine->proxy == NULL) {
    g_signal_emit (machine, signals[TROUBLE], 0, _ ("The desktop service is not answering. This screen reconnects by itself."));
    return;
  }
  switch (action) {
  case FLOE_ACTION_START:
    method = "Start";
    break;
  case FLOE_ACTION_RESUME:
    method = "Resume";
    break;
  case FLOE_ACTION_SUSPEND:
    method = "Suspend";
    break;
  case FLOE_ACTION_RESET:
    method = "Reset";
    break;
  case FLOE_ACTION_SHUT_DOWN:
  case FLOE_ACTION_POWER_OFF:
    method = "Stop";
    arguments = g_variant_new ("(s)", action == FLOE_ACTION_POWER_OFF ? "force" : "shutdown");
    break;
  case FLOE_ACTION_OPEN:
    return;
  }
  g_dbus_proxy_call (G_DBUS_PROXY (machine->proxy), method, arguments, G_DBUS_CALL_FLAGS_NO_AUTO_START, ACTION_TIMEOUT_MS, NULL,
                     on_acted, g_object_ref (machine));
}

static void
on_display_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (GUnixFDList) list = NULL;
  GError *error = NULL;
  g_autoptr (GVariant) answer
      = g_dbus_proxy_call_with_unix_fd_list_finish (G_DBUS_PROXY (source), &list, result, &error);
  gint32 handle = -1;
  int fd = -1;

  if (answer != NULL) {
    g_variant_get (answer, "(h)", &handle);
    if (list == NULL)
      floe_error_set (&error, FLOE_ERROR_PEER, "OpenDisplay answered without a descriptor");
    else
      fd = g_unix_fd_list_get (list, handle, &error);
  }
  if (fd < 0)
    g_task_return_error (task, error);
  else if (!g_task_return_error_if_cancelled (task))
    g_task_return_int (task, fd);
  else
    floe_fd_clear (&fd);
}

void
floe_machine_open_display (FloeMachine *machine, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (machine, cancellable, callback, data);

  /* What is checked before the task returns is checked with the descriptor in hand. */
  g_task_set_check_cancellable (task, FALSE);
  if (machine->proxy == NULL) {
    g_task_return_new_error (task, FLOE_ERROR, FLOE_ERROR_BUSY, "the desktop service is away");
    return;
  }
  g_dbus_proxy_call_with_unix_fd_list (G_DBUS_PROXY (machine->proxy), "OpenDisplay", NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START,
                                       DISPLAY_TIMEOUT_MS, NULL, cancellable, on_display_opened, g_steal_pointer (&task));
}

int
floe_machine_open_display_finish (GAsyncResult *result, GError **error)
{
  return (int) g_task_propagate_int (G_TASK (result), error);
}

static void
floe_machine_dispose (GObject *object)
{
  FloeMachine *machine = FLOE_MACHINE (object);

  if (machine->proxy != NULL)
    g_signal_handlers_disconnect_by_data (machine->proxy, machine);
  g_clear_object (&machine->proxy);
  g_clear_pointer (&machine->info, floe_machine_info_free);
  G_OBJECT_CLASS (floe_machine_parent_class)->dispose (object);
}

static void
floe_machine_class_init (FloeMachineClass *class)
{
  G_OBJECT_CLASS (class)->dispose = floe_machine_dispose;
  signals[CHANGED] = g_signal_new ("changed", FLOE_TYPE_MACHINE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  signals[TROUBLE]
      = g_signal_new ("trouble", FLOE_TYPE_MACHINE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
floe_machine_init (FloeMachine *machine)
{
  machine->info = floe_machine_info_new ("");
}

FloeMachine *
floe_machine_new (void)
{
  return g_object_new (FLOE_TYPE_MACHINE, NULL);
}
