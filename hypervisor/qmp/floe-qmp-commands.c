/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qmp/floe-qmp-commands.h"

#include <string.h>

/* QEMU answers in milliseconds; a host short of CPU and a slow migration set-up are given a thousand times that. */
#define COMMAND_TIMEOUT_MS 20000
#define CHARDEVS_MAX 64
#define WORD_MAX 128
#define DEVICES_MAX 512
#define FDSETS_MAX 1024

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

/* -- USB devices and disks that come and go -------------------------------------------------------------------------- */

gboolean
floe_qmp_add_fd (FloeQmp *qmp, const char *opaque, int fd, gint64 *set, GError **error)
{
  g_autoptr (FloeQmpMessage) reply
      = floe_qmp_execute (qmp, "add-fd", json_pack ("{s:s}", "opaque", opaque), fd, COMMAND_TIMEOUT_MS, error);
  gint64 number;

  if (reply == NULL)
    return FALSE;
  number = floe_json_int (floe_json_member (floe_qmp_message_payload (reply), "fdset-id"), 0, G_MAXINT32);
  if (!floe_qmp_message_finish (reply, error))
    return FALSE;
  *set = number;
  return TRUE;
}

gboolean
floe_qmp_remove_fd (FloeQmp *qmp, gint64 set, GError **error)
{
  return simple (qmp, "remove-fd", json_pack ("{s:I}", "fdset-id", (json_int_t)set), -1, error);
}

/* Whether one of the set's descriptors is marked so. */
static gboolean
is_marked (FloeJson *set, const char *opaque)
{
  FloeJson *fds = floe_json_member (set, "fds");
  gboolean marked = FALSE;

  for (size_t i = 0, n = floe_json_length (fds, FDSETS_MAX); i < n; i++) {
    FloeJson *fd = floe_json_at (fds, i);
    FloeJson *mark = floe_json_optional (fd, "opaque");

    floe_json_ignore_rest (fd);
    marked |= mark != NULL && strcmp (floe_json_string (mark, WORD_MAX), opaque) == 0;
  }
  return marked;
}

GArray *
floe_qmp_query_fdsets (FloeQmp *qmp, const char *opaque, GError **error)
{
  g_autoptr (FloeQmpMessage) reply = floe_qmp_execute (qmp, "query-fdsets", NULL, -1, COMMAND_TIMEOUT_MS, error);
  g_autoptr (GArray) sets = g_array_new (FALSE, FALSE, sizeof (gint64));
  FloeJson *list = reply == NULL ? NULL : floe_qmp_message_payload (reply);

  if (reply == NULL)
    return NULL;
  for (size_t i = 0, n = floe_json_length (list, FDSETS_MAX); i < n; i++) {
    FloeJson *set = floe_json_at (list, i);
    gint64 number = floe_json_int (floe_json_member (set, "fdset-id"), 0, G_MAXINT32);

    floe_json_ignore_rest (set);
    if (is_marked (set, opaque))
      g_array_append_val (sets, number);
  }
  return floe_qmp_message_finish (reply, error) ? g_steal_pointer (&sets) : NULL;
}

gboolean
floe_qmp_device_add_usb_host (FloeQmp *qmp, const char *id, const char *bus, gint64 set, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/dev/fdset/%" G_GINT64_FORMAT, set);

  return simple (qmp, "device_add",
                 json_pack ("{s:s,s:s,s:s,s:s}", "driver", "usb-host", "id", id, "bus", bus, "hostdevice", path), -1, error);
}

gboolean
floe_qmp_blockdev_add_read_only (FloeQmp *qmp, const char *node, gint64 set, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/dev/fdset/%" G_GINT64_FORMAT, set);
  json_t *file = json_pack ("{s:s,s:s,s:b,s:s}", "driver", "host_device", "filename", path, "read-only", TRUE, "locking", "off");

  return simple (qmp, "blockdev-add",
                 json_pack ("{s:s,s:s,s:b,s:o}", "driver", "raw", "node-name", node, "read-only", TRUE, "file", file), -1,
                 error);
}

gboolean
floe_qmp_blockdev_del (FloeQmp *qmp, const char *node, GError **error)
{
  return simple (qmp, "blockdev-del", json_pack ("{s:s}", "node-name", node), -1, error);
}

gboolean
floe_qmp_device_add_usb_disk (FloeQmp *qmp, const char *id, const char *bus, const char *node, GError **error)
{
  return simple (qmp, "device_add",
                 json_pack ("{s:s,s:s,s:s,s:s,s:b}", "driver", "usb-storage", "id", id, "bus", bus, "drive", node, "removable",
                            TRUE),
                 -1, error);
}

gboolean
floe_qmp_device_del (FloeQmp *qmp, const char *id, GError **error)
{
  return simple (qmp, "device_del", json_pack ("{s:s}", "id", id), -1, error);
}

GPtrArray *
floe_qmp_list_devices (FloeQmp *qmp, GError **error)
{
  g_autoptr (FloeQmpMessage) reply = floe_qmp_execute (
      qmp, "qom-list", json_pack ("{s:s}", "path", "/machine/peripheral"), -1, COMMAND_TIMEOUT_MS, error);
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  FloeJson *list = reply == NULL ? NULL : floe_qmp_message_payload (reply);

  if (reply == NULL)
    return NULL;
  for (size_t i = 0, n = floe_json_length (list, DEVICES_MAX); i < n; i++) {
    FloeJson *property = floe_json_at (list, i);
    const char *name = floe_json_string (floe_json_member (property, "name"), WORD_MAX);

    floe_json_ignore_rest (property);
    if (g_str_has_prefix (floe_json_string (floe_json_member (property, "type"), WORD_MAX), "child<"))
      g_ptr_array_add (ids, g_strdup (name));
  }
  return floe_qmp_message_finish (reply, error) ? g_steal_pointer (&ids) : NULL;
}
