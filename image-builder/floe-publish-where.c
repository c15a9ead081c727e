/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-builder/floe-publish-where.h"

#include "common/floe-cli.h"
#include "common/floe-fd.h"

#include <string.h>

GOptionEntry *
floe_publish_where_entries (FloePublishWhere *where)
{
  const GOptionEntry entries[] = {
    { "repo", 0, 0, G_OPTION_ARG_FILENAME, &where->repo, "repository (DATA/repo of the server)", "DIR" },
    { "keys", 0, 0, G_OPTION_ARG_FILENAME, &where->keys, "directory of keys", "DIR" },
    { "passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &where->passphrase_file, "first line opens the keys", "FILE" },
    { "channel", 0, 0, G_OPTION_ARG_STRING, &where->channel, "channel (stable)", "NAME" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };

  return g_memdup2 (entries, sizeof entries);
}

gboolean
floe_publish_where_check (FloePublishWhere *where, GError **error)
{
  if (where->channel == NULL)
    where->channel = g_strdup ("stable");
  if (where->repo == NULL || where->keys == NULL)
    return floe_cli_usage (error, "--repo and --keys are needed");
  return floe_name_is_safe (where->channel)
         || floe_error_set (error, FLOE_ERROR_INVALID, "--channel: letters, digits, '.', '_' and '-' wanted");
}

void
floe_publish_where_clear (FloePublishWhere *where)
{
  g_free (where->repo);
  g_free (where->keys);
  g_free (where->passphrase_file);
  g_free (where->channel);
}

static gboolean
add_tables (FloeRepository *repository, const char *role, GPtrArray *tables, GError **error)
{
  g_auto (GStrv) names = floe_repository_list_targets (repository, role, error);

  for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
    g_autoptr (GBytes) bytes = NULL;
    FloeTable *table;

    if (!g_str_has_suffix (names[i], ".table"))
      continue;
    bytes = floe_repository_get_target (repository, role, names[i], FLOE_TABLE_MAX_BYTES, error);
    table = bytes == NULL ? NULL : floe_table_parse (bytes, names[i], error);
    if (table == NULL)
      return FALSE;
    g_ptr_array_add (tables, table);
  }
  return names != NULL;
}

GPtrArray *
floe_publish_known_tables (const FloePublishWhere *where, GError **error)
{
  static const char *const roles[] = { "images", "appliance" };
  g_autoptr (GPtrArray) tables = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_table_free);
  g_autoptr (FloeRepository) repository = floe_repository_open (where->repo, NULL, NULL, error);

  for (size_t i = 0; i < G_N_ELEMENTS (roles); i++)
    if (repository == NULL || !add_tables (repository, roles[i], tables, error))
      return NULL;
  return g_steal_pointer (&tables);
}
