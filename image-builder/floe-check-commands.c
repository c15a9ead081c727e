/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "image-builder/floe-image-commands.h"
#include "server-sync/image/floe-boot-list.h"
#include "server-sync/image/floe-store.h"
#include "server-sync/image/floe-table.h"

#include <inttypes.h>

#define TRACE_MAX (64u << 20)

/* floe-image boot-list */

static gboolean
write_out (const char *path, GBytes *bytes, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (path), *name = g_path_get_basename (path);
  floe_autofd dir = floe_dir_open (directory, error);
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  return dir >= 0 && floe_file_replace_at (dir, name, data, size, 0644, error);
}

static gboolean
make_boot_list (const char *table_path, const char *trace_path, const char *out, GError **error)
{
  g_autoptr (GBytes) table_bytes = floe_file_read (table_path, FLOE_TABLE_MAX_BYTES, error);
  g_autoptr (FloeTable) table = table_bytes == NULL ? NULL : floe_table_parse (table_bytes, table_path, error);
  g_autoptr (GBytes) trace = table == NULL ? NULL : floe_file_read (trace_path, TRACE_MAX, error);
  g_autoptr (GBytes) boot = trace == NULL ? NULL : floe_boot_list_from_trace (trace, trace_path, table, error);

  if (boot == NULL || !write_out (out, boot, error))
    return FALSE;
  g_print ("%s: %zu chunks\n", out, (g_bytes_get_size (boot) - FLOE_BOOT_LIST_HEAD) / FLOE_DIGEST_SIZE);
  return TRUE;
}

static gboolean
run_boot_list (int argc, char **argv, GError **error)
{
  g_autofree char *table = NULL;
  const GOptionEntry entries[] = {
    { "table", 0, 0, G_OPTION_ARG_FILENAME, &table, "chunk table of the version", "FILE" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };

  if (!floe_cli_parse (&floe_image_boot_list_command, entries, 2, &argc, &argv, error))
    return FALSE;
  if (table == NULL)
    return floe_cli_usage (error, "--table is needed");
  return make_boot_list (table, argv[1], argv[2], error);
}

const FloeCommand floe_image_boot_list_command = {
  "boot-list",
  "--table VERSION.table TRACE OUT.boot",
  "makes a boot list from the plugin's trace of a boot",
  run_boot_list,
};

/* floe-image verify */

static gboolean
verify_chunks (const FloeTable *table, const char *store_path, GError **error)
{
  floe_autofd dir = floe_dir_open (store_path, error);
  g_autoptr (FloeStore) store = dir < 0 ? NULL : floe_store_open (dir, error);
  g_autoptr (FloeChunkCodec) codec = floe_chunk_codec_new ();
  g_autofree uint8_t *raw = g_malloc (FLOE_CHUNK_SIZE);
  size_t bad = 0;

  if (store == NULL)
    return FALSE;
  for (size_t i = 0; i < floe_table_count (table); i++) {
    g_autoptr (GError) local = NULL;
    FloeTableEntry entry;

    floe_table_entry (table, i, &entry);
    if (floe_store_get (store, codec, &entry, raw, &local))
      continue;
    g_printerr ("%s\n", local->message);
    bad++;
  }
  if (bad > 0)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%zu of %zu chunks are missing or altered in %s", bad,
                           floe_table_count (table), store_path);
  return TRUE;
}

static gboolean
verify (const char *index_path, const char *table_path, const char *store, GError **error)
{
  g_autoptr (GBytes) index_bytes = floe_file_read (index_path, FLOE_INDEX_MAX_BYTES, error);
  g_autoptr (FloeIndex) index = index_bytes == NULL ? NULL : floe_index_parse (index_bytes, index_path, error);
  g_autoptr (GBytes) table_bytes = index == NULL ? NULL : floe_file_read (table_path, FLOE_TABLE_MAX_BYTES, error);
  g_autoptr (FloeTable) table = table_bytes == NULL ? NULL : floe_table_parse (table_bytes, table_path, error);

  if (table == NULL || !floe_table_matches (table, index, error) || !verify_chunks (table, store, error))
    return FALSE;
  g_print ("whole: %zu chunks of an image of %" PRIu64 " bytes\n", floe_table_count (table), floe_index_size (index));
  return TRUE;
}

static gboolean
run_verify (int argc, char **argv, GError **error)
{
  g_autofree char *index = NULL, *table = NULL, *store = NULL;
  const GOptionEntry entries[] = {
    { "index", 0, 0, G_OPTION_ARG_FILENAME, &index, "casync index", "FILE" },
    { "table", 0, 0, G_OPTION_ARG_FILENAME, &table, "chunk table", "FILE" },
    { "store", 0, 0, G_OPTION_ARG_FILENAME, &store, "chunk store", "DIR" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };

  if (!floe_cli_parse (&floe_image_verify_command, entries, 0, &argc, &argv, error))
    return FALSE;
  if (index == NULL || table == NULL || store == NULL)
    return floe_cli_usage (error, "--index, --table and --store are needed");
  return verify (index, table, store, error);
}

const FloeCommand floe_image_verify_command = {
  "verify",
  "--index FILE --table FILE --store DIR",
  "checks that a chunk store holds an image whole and unaltered",
  run_verify,
};
