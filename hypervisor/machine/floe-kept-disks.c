/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-kept-disks.h"

#include "common/floe-fd.h"

static FloeDiskRecord *
read_record (int machines_state, const char *id, GError **error)
{
  g_autofree char *file = g_strdup_printf ("%s/disk.json", id);
  floe_autofd dir = floe_dir_make_at (machines_state, id, 0700, error);
  g_autoptr (GBytes) bytes = dir < 0 ? NULL : floe_file_read_at (dir, "disk.json", FLOE_RECORD_MAX_BYTES, error);

  return bytes == NULL ? NULL : floe_disk_record_parse (bytes, file, error);
}

gboolean
floe_kept_disks_foreach (int machines_state, void (*each) (const FloeDiskRecord *record, gpointer data), gpointer data, GError **error)
{
  g_autoptr (GError) first = NULL;
  g_autoptr (GPtrArray) names = floe_dir_names_at (machines_state, ".", &first);

  for (guint i = 0; names != NULL && i < names->len; i++) {
    const char *id = g_ptr_array_index (names, i);
    g_autoptr (GError) local = NULL;
    g_autoptr (FloeDiskRecord) record = floe_name_is_safe (id) ? read_record (machines_state, id, &local) : NULL;

    if (record != NULL)
      each (record, data);
    else if (local != NULL && !g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND) && first == NULL)
      first = g_steal_pointer (&local);
  }
  if (first == NULL)
    return TRUE;
  g_propagate_prefixed_error (error, g_steal_pointer (&first), "what is kept of a machine: ");
  return FALSE;
}
