/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-table-cache.h"

#include "common/floe-fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".table"
#define FILES_MAX 1024

/* The id of FILE, or NULL when it is none of ours. */
static char *
id_of (const char *file)
{
  size_t tail = strlen (SUFFIX) + FLOE_VERSION_SIZE; /* ".VERSION.table" */
  size_t length = strlen (file);
  g_autofree char *name = NULL;

  if (!g_str_has_suffix (file, SUFFIX) || length <= tail || file[length - tail] != '.' ||
      strspn (file + length - tail + 1, "0123456789abcdef") != FLOE_VERSION_SIZE - 1)
    return NULL;
  name = g_strndup (file, length - tail);
  if (!floe_name_is_safe (name))
    return NULL;
  return g_strdup_printf ("%s/%.*s", name, FLOE_VERSION_SIZE - 1, file + length - tail + 1);
}

static char *
file_of (const char *id)
{
  g_autofree char *joined = g_strdelimit (g_strdup (id), "/", '.');

  return g_strconcat (joined, SUFFIX, NULL);
}

/* Names of our files, FILES_MAX at most; temporaries of a killed agent are removed on the way. */
static GPtrArray *
list (int dir, GError **error)
{
  g_autoptr (GPtrArray) names = floe_dir_names_at (dir, ".", error);
  GPtrArray *files;

  if (names == NULL)
    return NULL;
  files = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < names->len && files->len < FILES_MAX; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *id = id_of (name);

    if (id != NULL)
      g_ptr_array_add (files, g_strdup (name));
    else
      unlinkat (dir, name, 0);
  }
  return files;
}

static gint64
modified (int dir, const char *file)
{
  struct stat st;

  return fstatat (dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0
                                                           : (gint64) st.st_mtim.tv_sec * G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
}

/* Removes the oldest of the files that share KEPT's image name until few enough are left. */
static gboolean
prune (int dir, const char *kept, GError **error)
{
  g_autoptr (GPtrArray) files = list (dir, error);
  size_t prefix = strlen (kept) - strlen (SUFFIX) - (FLOE_VERSION_SIZE - 1);

  if (files == NULL)
    return FALSE;
  for (;;) {
    const char *oldest = NULL;
    guint count = 0;

    for (guint i = 0; i < files->len; i++) {
      const char *file = files->pdata[i];

      if (strlen (file) != strlen (kept) || strncmp (file, kept, prefix) != 0)
        continue;
      count++;
      if (strcmp (file, kept) != 0 && (oldest == NULL || modified (dir, file) < modified (dir, oldest)))
        oldest = file;
    }
    if (count <= FLOE_TABLE_CACHE_VERSIONS || oldest == NULL)
      return TRUE;
    if (!floe_file_remove_at (dir, oldest, error))
      return FALSE;
    g_ptr_array_remove (files, (gpointer) oldest);
  }
}

gboolean
floe_table_cache_keep (int dir, const char *id, GBytes *table, GError **error)
{
  g_autofree char *file = file_of (id);
  gsize size;
  const void *data = g_bytes_get_data (table, &size);

  return floe_file_replace_at (dir, file, data, size, 0600, error) && prune (dir, file, error);
}

gboolean
floe_table_cache_forget (int dir, const char *id, GError **error)
{
  g_autofree char *file = file_of (id);

  return floe_file_remove_at (dir, file, error);
}

gboolean
floe_table_cache_load (int dir, void (*each) (const char *id, FloeTable *table, gpointer data), gpointer data, GError **error)
{
  g_autoptr (GPtrArray) files = list (dir, error);

  if (files == NULL)
    return FALSE;
  for (guint i = 0; i < files->len; i++) {
    const char *file = files->pdata[i];
    g_autofree char *id = id_of (file);
    g_autoptr (GBytes) bytes = floe_file_read_at (dir, file, FLOE_TABLE_MAX_BYTES, NULL);
    FloeTable *table = bytes != NULL ? floe_table_parse (bytes, file, NULL) : NULL;

    if (table != NULL)
      each (id, table, data);
    else if (!floe_file_remove_at (dir, file, error))
      return FALSE;
  }
  return TRUE;
}
