/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qmp/floe-qmp-commands.h"

#include <string.h>

/* QEMU answers in milliseconds; a host short of CPU and a slow migration set-up are given a thousand times that. */
#define COMMAND_TIMEOUT_MS 20000
#define CHARDEVS_MAX 64
#define WORD_MAX 128

static gboolean
simple (FloeQmp *qmp, const char *command, json_t *arguments, int fd, GError **error)
{
  g_autoptr (FloeQmpMessage) reply = floe_qmp_execute (qmp, command, arguments, fd, COMMAND_TIMEOUT_MS, error);

  return reply != NULL;
}

gboolean
floe_qmp_cont (FloeQmp *qmp, GError **error)
{
  return simple (qmp, "cont", NULL, -1, error);
}

gboolean
floe_qmp_stop (FloeQmp *qmp, GError **error)
{
  return simple (qmp, "stop", NULL, -1, error);
}

gboolean
floe_qmp_system_powerdown (FloeQmp *qmp, GError **error)
{
  return simple (qmp, "system_powerdown", NULL, -1, error);
}

gboolean
floe_qmp_system_reset (FloeQmp *qmp, GError **error)
{
  return simple (qmp, "system_reset", NULL, -1, error);
}

gboolean
floe_qmp_quit (FloeQmp *qmp, GError **error)
{
  return simple (qmp, "quit", NULL, -1, error);
}

char *
floe_qmp_query_status (FloeQmp *qmp, GError **error)
{
  g_autoptr (FloeQmpMessage) reply = floe_qmp_execute (qmp, "query-status", NULL, -1, COMMAND_TIMEOUT_MS, error);
  g_autofree char *status = NULL;

  if (reply == NULL)
    return NULL;
  status = g_strdup (floe_json_string (floe_json_member (floe_qmp_message_payload (reply), "status"), WORD_MAX));
  return floe_qmp_message_finish (reply, error) ? g_steal_pointer (&status) : NULL;
}

gboolean
floe_qmp_getfd (FloeQmp *qmp, const char *name, int fd, GError **error)
{
  return simple (qmp, "getfd", json_pack ("{s:s}", "fdname", name), fd, error);
}

gboolean
floe_qmp_closefd (FloeQmp *qmp, const char *name, GError **error)
{
  return simple (qmp, "closefd", json_pack ("{s:s}", "fdname", name), -1, error);
}

gboolean
floe_qmp_add_spice_client (FloeQmp *qmp, const char *name, GError **error)
{
  return simple (qmp, "add_client", json_pack ("{s:s,s:s,s:b}", "protocol", "spice", "fdname", name, "skipauth", TRUE), -1,
                 error);
}

gboolean
floe_qmp_query_port_open (FloeQmp *qmp, const char *label, gboolean *is_open, GError **error)
{
  g_autoptr (FloeQmpMessage) reply = floe_qmp_execute (qmp, "query-chardev", NULL, -1, COMMAND_TIMEOUT_MS, error);
  FloeJson *list = reply == NULL ? NULL : floe_qmp_message_payload (reply);
  gboolean found = FALSE, open = FALSE;

  if (reply == NULL)
    return FALSE;
  for (size_t i = 0, n = floe_json_length (list, CHARDEVS_MAX); i < n; i++) {
    FloeJson *chardev = floe_json_at (list, i);

    floe_json_ignore_rest (chardev);
    if (strcmp (floe_json_string (floe_json_member (chardev, "label"), WORD_MAX), label) != 0)
      continue;
    open = floe_json_bool (floe_json_member (chardev, "frontend-open"));
    found = TRUE;
  }
  if (!floe_qmp_message_finish (reply, error))
    return FALSE;
  if (!found)
    return floe_error_set (error, FLOE_ERROR_PEER, "query-chardev: no %s", label);
  *is_open = open;
  return TRUE;
}

static gboolean
migrate_fd (FloeQmp *qmp, const char *command, const char *name, GError **error)
{
  g_autofree char *uri = g_strdup_printf ("fd:%s", name);

  return simple (qmp, command, json_pack ("{s:s}", "uri", uri), -1, error);
}

gboolean
floe_qmp_migrate_to_fd (FloeQmp *qmp, const char *name, GError **error)
{
  return migrate_fd (qmp, "migrate", name, error);
}

gboolean
floe_qmp_migrate_incoming_fd (FloeQmp *qmp, const char *name, GError **error)
{
  return migrate_fd (qmp, "migrate-incoming", name, error);
}

gboolean
floe_qmp_migrate_unlimited (FloeQmp *qmp, GError **error)
{
  return simple (qmp, "migrate-set-parameters", json_pack ("{s:I}", "max-bandwidth", (json_int_t)0x7fffffffff), -1, error);
}

gboolean
floe_qmp_query_migrate (FloeQmp *qmp, FloeQmpMigration *state, GError **error)
{
  g_autoptr (FloeQmpMessage) reply = floe_qmp_execute (qmp, "query-migrate", NULL, -1, COMMAND_TIMEOUT_MS, error);
  FloeJson *value;
  const char *status;

  if (reply == NULL)
    return FALSE;
  value = floe_json_optional (floe_qmp_message_payload (reply), "status");
  status = value == NULL ? "" : floe_json_string (value, WORD_MAX);
  if (!floe_qmp_message_finish (reply, error))
    return FALSE;
  if (strcmp (status, "completed") == 0)
    *state = FLOE_QMP_MIGRATION_COMPLETED;
  else if (strcmp (status, "failed") == 0 || strcmp (status, "cancelled") == 0)
    *state = FLOE_QMP_MIGRATION_FAILED;
  else
    *state = FLOE_QMP_MIGRATION_ACTIVE;
  return TRUE;
}
