/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-kept-disks.h"

#include "common/floe-fd.h"

#include <dirent.h>
#include <fcntl.h>

GPtrArray *
floe_machine_names (int dir)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  int copy = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy < 0 ? NULL : fdopendir (copy);
  struct dirent *entry;

  while (stream != NULL && (entry = readdir (stream)) != NULL)
    if (floe_name_is_safe (entry->d_name))
      g_ptr_array_add (names, g_strdup (entry->d_name));
  if (stream != NULL)
    closedir (stream);
  return names;
}

gboolean
floe_kept_disks_foreach (int machines_state, void (*each) (const FloeDiskRecord *record, gpointer data), gpointer data, GError **error)
{
  g_autoptr (GPtrArray) names = floe_machine_names (machines_state);
  g_autoptr (GError) first = NULL;

  for (guint i = 0; i < names->len; i++) {
    const char *id = g_ptr_array_index (names, i);
    g_autofree char *file = g_strdup_printf ("%s/disk.json", id);
    g_autoptr (GError) local = NULL;
    floe_autofd dir = floe_dir_make_at (machines_state, id, 0700, &local);
    g_autoptr (GBytes) bytes = dir < 0 ? NULL : floe_file_read_at (dir, "disk.json", FLOE_RECORD_MAX_BYTES, &local);
    g_autoptr (FloeDiskRecord) record = bytes == NULL ? NULL : floe_disk_record_parse (bytes, file, &local);

    if (record != NULL)
      each (record, data);
    else if (!g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND) && first == NULL)
      first = g_steal_pointer (&local);
  }
  if (first == NULL)
    return TRUE;
  g_propagate_prefixed_error (error, g_steal_pointer (&first), "what is kept of a machine: ");
  return FALSE;
}
