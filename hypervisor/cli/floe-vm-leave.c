/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/cli/floe-vm.h"
#include "common/floe-cli.h"
#include "common/floe-fd.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 65536
#define SHUTDOWN_SECONDS 60
/* A policy that was in force is verified again without the network, in seconds; on slow hardware in more of them. */
#define POLICY_SECONDS 120
#define LOOK_US (G_USEC_PER_SEC / 2)

static void
tell (const char *id, const char *what, const GError *error)
{
  g_printerr ("floe-vm: %s: %s%s%s\n", id, what, error != NULL ? ": " : "", error != NULL ? error->message : "");
}

static gboolean
executes (FloeHypervisor1Machine *machine)
{
  const char *state = floe_hypervisor1_machine_get_state (machine);

  return g_strcmp0 (state, "running") == 0 || g_strcmp0 (state, "starting") == 0;
}

/* Its state now; NULL when there is no such machine, or nobody to ask. */
static char *
state_now (const char *id)
{
  g_autoptr (GPtrArray) machines = floe_vm_list_machines (NULL);

  for (guint i = 0; machines != NULL && i < machines->len; i++)
    if (strcmp (floe_hypervisor1_machine_get_id (machines->pdata[i]), id) == 0)
      return g_strdup (floe_hypervisor1_machine_get_state (machines->pdata[i]));
  return NULL;
}

static gboolean
stops_by (const char *id, gint64 deadline)
{
  for (;;) {
    g_autofree char *state = state_now (id);

    if (g_strcmp0 (state, "stopping") != 0 && g_strcmp0 (state, "running") != 0)
      return TRUE;
    if (g_get_monotonic_time () >= deadline)
      return FALSE;
    g_usleep (LOOK_US);
  }
}

static void
save (FloeHypervisor1Machine *machine)
{
  const char *id = floe_hypervisor1_machine_get_id (machine);
  g_autoptr (GError) refused = NULL, local = NULL;

  if (floe_hypervisor1_machine_call_suspend_sync (machine, NULL, &refused))
    return;
  g_dbus_error_strip_remote_error (refused);
  tell (id, "not suspended, shut down instead", refused);
  if (floe_hypervisor1_machine_call_stop_sync (machine, "shutdown", NULL, &local)
      && stops_by (id, g_get_monotonic_time () + SHUTDOWN_SECONDS * G_USEC_PER_SEC))
    return;
  g_clear_error (&local);
  if (!floe_hypervisor1_machine_call_stop_sync (machine, "force", NULL, &local))
    tell (id, "not ended", local);
}

static gboolean
write_list (const char *path, const char *text, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (path), *name = g_path_get_basename (path);
  floe_autofd dir = floe_dir_open (parent, error);

  return dir >= 0 && floe_file_replace_at (dir, name, text, strlen (text), 0600, error);
}

gboolean
floe_vm_run_leave (int argc, char **argv, GError **error)
{
  static const GOptionEntry none[] = { { NULL } };
  const FloeCommand self = { "leave", "FILE", "", NULL };
  g_autoptr (GError) local = NULL;
  g_autoptr (GPtrArray) machines = NULL;
  g_autoptr (GString) text = g_string_new (NULL);

  if (!floe_cli_parse (&self, none, 1, &argc, &argv, error))
    return FALSE;
  machines = floe_vm_list_machines (&local);
  if (machines == NULL && g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE; /* No daemon has started any. */
  if (machines == NULL) {
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  for (guint i = 0; i < machines->len; i++)
    if (executes (machines->pdata[i]))
      g_string_append_printf (text, "%s\n", floe_hypervisor1_machine_get_id (machines->pdata[i]));
  if (text->len == 0)
    return TRUE;
  if (!write_list (argv[1], text->str, error))
    return FALSE;
  for (guint i = 0; i < machines->len; i++)
    if (executes (machines->pdata[i]))
      save (machines->pdata[i]);
  return TRUE;
}

/* Takes out of IDS those that MACHINES says something of: the suspended ones are resumed, others are as somebody wanted them. */
static void
resume_known (GPtrArray *machines, GPtrArray *ids)
{
  for (guint i = 0; i < machines->len; i++) {
    FloeHypervisor1Machine *machine = machines->pdata[i];
    const char *id = floe_hypervisor1_machine_get_id (machine);
    g_autoptr (GError) local = NULL;
    guint at;

    if (!g_ptr_array_find_with_equal_func (ids, id, g_str_equal, &at))
      continue;
    if (g_strcmp0 (floe_hypervisor1_machine_get_state (machine), "suspended") == 0
        && !floe_hypervisor1_machine_call_resume_sync (machine, NULL, &local)) {
      g_dbus_error_strip_remote_error (local);
      tell (id, "not resumed", local);
    }
    g_ptr_array_remove_index (ids, at);
  }
}

static GPtrArray *
read_list (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = floe_file_read (path, FILE_MAX, error);
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (bytes == NULL)
    return NULL;
  text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    if (**line != '\0')
      g_ptr_array_add (ids, g_strdup (*line));
  return g_steal_pointer (&ids);
}

gboolean
floe_vm_run_return (int argc, char **argv, GError **error)
{
  static const GOptionEntry none[] = { { NULL } };
  const FloeCommand self = { "return", "FILE", "", NULL };
  const gint64 deadline = g_get_monotonic_time () + POLICY_SECONDS * G_USEC_PER_SEC;
  g_autoptr (GError) local = NULL;
  g_autoptr (GPtrArray) ids = NULL;
  gboolean answered = FALSE;

  if (!floe_cli_parse (&self, none, 1, &argc, &argv, error))
    return FALSE;
  ids = read_list (argv[1], &local);
  if (ids == NULL && g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  if (ids == NULL) {
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  while (ids->len > 0) {
    g_autoptr (GPtrArray) machines = floe_vm_list_machines (NULL);

    if (machines != NULL) {
      answered = TRUE;
      resume_known (machines, ids);
    }
    if (ids->len == 0 || g_get_monotonic_time () >= deadline)
      break;
    g_usleep (LOOK_US);
  }
  /* A version of the appliance whose daemon does not start: the one before it, which the endpoint falls back to, resumes them. */
  if (ids->len > 0 && !answered)
    return floe_error_set (error, FLOE_ERROR_CANCELLED, "floe-hypervisord is not on the system bus: %s stays for the next start", argv[1]);
  for (guint i = 0; i < ids->len; i++)
    tell (ids->pdata[i], "not resumed: no policy has named it so far", NULL);
  return unlink (argv[1]) == 0 || floe_error_set_errno (error, errno, "remove %s", argv[1]);
}
