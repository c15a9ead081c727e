/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-builder/floe-cut.h"

#include "common/floe-fd.h"
#include "image-builder/floe-image-commands.h"
#include "server-sync/image/floe-boot-list.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRACE_MAX (64u << 20)
#define LINE_EVERY (5 * G_TIME_SPAN_SECOND)

static size_t
count_entries (const GOptionEntry *entries)
{
  size_t n = 0;

  while (entries[n].long_name != NULL)
    n++;
  return n;
}

GOptionEntry *
floe_cut_join_entries (const GOptionEntry *a, const GOptionEntry *b)
{
  size_t n_a = count_entries (a), n_b = count_entries (b);
  GOptionEntry *all = g_new0 (GOptionEntry, n_a + n_b + 1);

  memcpy (all, a, n_a * sizeof *all);
  memcpy (all + n_a, b, n_b * sizeof *all);
  return all;
}

GOptionEntry *
floe_cut_entries (FloeCutOptions *options, const GOptionEntry *extra)
{
  const GOptionEntry own[] = {
    { "name", 0, 0, G_OPTION_ARG_STRING, &options->name, "name of the image", "NAME" },
    { "os", 0, 0, G_OPTION_ARG_STRING, &options->os, "linux (default), windows or other", "OS" },
    { "firmware", 0, 0, G_OPTION_ARG_STRING, &options->firmware, "uefi (default) or bios", "FIRMWARE" },
    { "memory", 0, 0, G_OPTION_ARG_INT, &options->memory_mib, "MiB of memory that it needs at least", "MIB" },
    { "vcpus", 0, 0, G_OPTION_ARG_INT, &options->vcpus, "CPUs that it needs at least", "N" },
    { "tpm", 0, 0, G_OPTION_ARG_NONE, &options->tpm, "it needs a TPM", NULL },
    { "secure-boot", 0, 0, G_OPTION_ARG_NONE, &options->secure_boot, "it needs Secure Boot", NULL },
    { "boot-list", 0, 0, G_OPTION_ARG_FILENAME, &options->boot_list, "boot list made by `floe-image boot-list`", "FILE" },
    { "boot-trace", 0, 0, G_OPTION_ARG_FILENAME, &options->trace, "make the boot list from this trace", "FILE" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &options->threads, "threads that compress (2)", "N" },
    { "level", 0, 0, G_OPTION_ARG_INT, &options->level, "zstd's level, 1 to 19 (3)", "N" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };

  return floe_cut_join_entries (extra, own);
}

void
floe_cut_options_clear (FloeCutOptions *options)
{
  g_clear_pointer (&options->name, g_free);
  g_clear_pointer (&options->os, g_free);
  g_clear_pointer (&options->firmware, g_free);
  g_clear_pointer (&options->boot_list, g_free);
  g_clear_pointer (&options->trace, g_free);
}

void
floe_cut_free (FloeCut *cut)
{
  if (cut == NULL)
    return;
  floe_published_free (cut->published);
  floe_image_info_free (cut->info);
  g_clear_pointer (&cut->boot, g_bytes_unref);
  g_free (cut);
}

/* The place of NAME in NAMES, FALLBACK for NULL; -1 if it is not there. */
static int
place_of (const char *name, const char *const *names, int fallback)
{
  if (name == NULL)
    return fallback;
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp (name, names[i]) == 0)
      return i;
  return -1;
}

gboolean
floe_cut_check (const FloeCutOptions *options, GError **error)
{
  if (options->name == NULL || !floe_name_is_safe (options->name))
    return floe_error_set (error, FLOE_ERROR_INVALID,
                           "--name is needed: letters, digits, '.', '_' and '-', not beginning with '.'");
  if (place_of (options->os, floe_image_os_names, 0) < 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--os: linux, windows or other wanted");
  if (place_of (options->firmware, floe_image_firmware_names, 0) < 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--firmware: uefi or bios wanted");
  if (options->memory_mib < 0 || options->memory_mib > 1 << 20 || options->vcpus < 0 || options->vcpus > 256)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--memory up to 1048576 and --vcpus up to 256 wanted");
  if (options->level < 0 || options->level > 19 || options->threads < 0 || options->threads > 16)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--level 1 to 19 and --threads 1 to 16 wanted");
  if (options->boot_list != NULL && options->trace != NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--boot-list and --boot-trace exclude each other");
  return TRUE;
}

typedef struct {
  gint64 last; /* monotonic time of the last line */
  gboolean terminal;
} Progress;

static void
show_progress (uint64_t done, uint64_t total, gpointer data)
{
  Progress *progress = data;
  gint64 now = g_get_monotonic_time ();

  if (!progress->terminal && now - progress->last < LINE_EVERY)
    return;
  progress->last = now;
  fprintf (stderr, "%sfloe-image: %3u %% of %" PRIu64 " MiB cut%s", progress->terminal ? "\r" : "",
           (unsigned) (done * 100 / total), total >> 20, progress->terminal ? "" : "\n");
}

FloePublished *
floe_cut_chunks (const char *path, const char *chunks, GPtrArray *known, const FloeCutOptions *options, GError **error)
{
  Progress progress = { .last = g_get_monotonic_time (), .terminal = isatty (STDERR_FILENO) };
  FloePublishOptions how = {
    .threads = (guint) options->threads, .level = options->level, .any_size = options->any_size,
    .progress = show_progress, .progress_data = &progress,
  };
  floe_autofd image = open (path, O_RDONLY | O_CLOEXEC);
  floe_autofd dir = -1;
  g_autoptr (FloeStore) store = NULL;
  FloePublished *published;

  if (image < 0) {
    floe_error_set_errno (error, errno, "open image %s", path);
    return NULL;
  }
  dir = floe_dir_make (chunks, 0755, error);
  if (dir < 0 || (store = floe_store_open_writing (dir, error)) == NULL)
    return NULL;
  published = floe_publish_chunks (image, store, known, &how, NULL, error);
  if (progress.terminal)
    fputc ('\n', stderr);
  if (published == NULL)
    g_prefix_error (error, "%s: ", path);
  return published;
}

/* The boot list that the options ask for; TRUE with *boot NULL if none. */
static gboolean
read_boot (const FloeCutOptions *options, GBytes *table_bytes, GBytes **boot, GError **error)
{
  g_autoptr (FloeTable) table = NULL;
  g_autoptr (FloeBootList) list = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (options->trace != NULL) {
    table = floe_table_parse (table_bytes, "table", error);
    bytes = table == NULL ? NULL : floe_file_read (options->trace, TRACE_MAX, error);
    *boot = bytes == NULL ? NULL : floe_boot_list_from_trace (bytes, options->trace, table, error);
    return *boot != NULL;
  }
  if (options->boot_list == NULL)
    return TRUE;
  bytes = floe_file_read (options->boot_list, FLOE_BOOT_LIST_MAX_BYTES, error);
  list = bytes == NULL ? NULL : floe_boot_list_parse (bytes, options->boot_list, error);
  if (list == NULL)
    return FALSE;
  *boot = g_steal_pointer (&bytes);
  return TRUE;
}

static void
digest_bytes (GBytes *bytes, FloeDigest *digest)
{
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  floe_digest_of (data, size, digest);
}

static FloeImageInfo *
describe (const FloeCut *cut, const FloeCutOptions *options)
{
  FloeImageInfo *info = g_new0 (FloeImageInfo, 1);

  info->name = g_strdup (options->name);
  info->os = (FloeImageOs) place_of (options->os, floe_image_os_names, FLOE_IMAGE_LINUX);
  info->firmware = (FloeImageFirmware) place_of (options->firmware, floe_image_firmware_names, FLOE_IMAGE_UEFI);
  info->size = cut->published->size;
  info->needs = (FloeImageNeeds){ (guint) options->memory_mib, (guint) options->vcpus, options->tpm, options->secure_boot };
  floe_index_version (cut->published->index, info->version);
  digest_bytes (cut->published->index, &info->index);
  digest_bytes (cut->published->table, &info->table);
  info->has_boot = cut->boot != NULL;
  if (cut->boot != NULL)
    digest_bytes (cut->boot, &info->boot);
  return info;
}

FloeCut *
floe_cut (const char *path, const char *chunks, GPtrArray *known, const FloeCutOptions *options, GError **error)
{
  FloePublished *published = floe_cut_chunks (path, chunks, known, options, error);
  g_autoptr (FloeCut) cut = NULL;

  if (published == NULL)
    return NULL;
  cut = g_new0 (FloeCut, 1);
  cut->published = published;
  if (!read_boot (options, published->table, &cut->boot, error))
    return NULL;
  cut->info = describe (cut, options);
  return g_steal_pointer (&cut);
}

void
floe_cut_print (const FloeCut *cut)
{
  const FloePublished *published = cut->published;

  g_print ("%s version %s: %" PRIu64 " MiB in %" PRIu64 " chunks (%" PRIu64 " all zero), %" PRIu64 " distinct, %" PRIu64
           " MiB compressed\n",
           cut->info->name, cut->info->version, published->size >> 20, published->chunks, published->zero,
           published->distinct, published->distinct_bytes >> 20);
  g_print ("added: %" PRIu64 " chunks, %" PRIu64 " bytes\n", published->added, published->added_bytes);
}

/* floe-image cut */

static gboolean
write_results (const char *out, const FloeCut *cut, GError **error)
{
  floe_autofd dir = floe_dir_open (out, error);
  g_autoptr (GBytes) info = floe_image_info_build (cut->info);
  const struct {
    const char *suffix;
    GBytes *bytes;
  } files[] = {
    { "caibx", cut->published->index },
    { "table", cut->published->table },
    { "boot", cut->boot },
    { "json", info },
  };

  for (size_t i = 0; dir >= 0 && i < G_N_ELEMENTS (files); i++) {
    g_autofree char *name = g_strdup_printf ("%s.%s", cut->info->name, files[i].suffix);
    gsize size;
    const void *data;

    if (files[i].bytes == NULL)
      continue;
    data = g_bytes_get_data (files[i].bytes, &size);
    if (!floe_file_replace_at (dir, name, data, size, 0644, error))
      return FALSE;
  }
  return dir >= 0;
}

static gboolean
run_cut (int argc, char **argv, GError **error)
{
  FloeCutOptions options = { 0 };
  g_autofree char *out = NULL;
  const GOptionEntry extra[] = {
    { "out", 0, 0, G_OPTION_ARG_FILENAME, &out, "directory to write to", "DIR" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  g_autofree GOptionEntry *entries = floe_cut_entries (&options, extra);
  g_autoptr (FloeCut) cut = NULL;
  g_autofree char *chunks = NULL;
  gboolean done;

  done = floe_cli_parse (&floe_image_cut_command, entries, 1, &argc, &argv, error) && floe_cut_check (&options, error)
         && (out != NULL || floe_cli_usage (error, "--out is needed"));
  if (done) {
    chunks = g_build_filename (out, "chunks", NULL);
    cut = floe_cut (argv[1], chunks, NULL, &options, error);
    done = cut != NULL && write_results (out, cut, error);
  }
  if (done)
    floe_cut_print (cut);
  floe_cut_options_clear (&options);
  return done;
}

const FloeCommand floe_image_cut_command = {
  "cut",
  "--out DIR --name NAME [OPTION...] IMAGE.raw",
  "cuts an image into DIR/chunks and NAME.caibx, .table, .boot, .json in DIR, without signing anything",
  run_cut,
};
