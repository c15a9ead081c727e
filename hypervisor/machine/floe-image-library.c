/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-image-library.h"

#include "common/floe-fd.h"
#include "server-sync/image/floe-table.h"

#include <fcntl.h>
#include <string.h>

struct _FloeLibraryImage {
  gatomicrefcount references;
  FloeImageInfo *info;
  char *label, *index, *table;
};

FloeLibraryImage *
floe_library_image_ref (FloeLibraryImage *image)
{
  g_atomic_ref_count_inc (&image->references);
  return image;
}

void
floe_library_image_unref (FloeLibraryImage *image)
{
  if (image == NULL || !g_atomic_ref_count_dec (&image->references))
    return;
  floe_image_info_free (image->info);
  g_free (image->label);
  g_free (image->index);
  g_free (image->table);
  g_free (image);
}

const FloeImageInfo *
floe_library_image_info (const FloeLibraryImage *image)
{
  return image->info;
}

const char *
floe_library_image_label (const FloeLibraryImage *image)
{
  return image->label;
}

const char *
floe_library_image_index (const FloeLibraryImage *image)
{
  return image->index;
}

const char *
floe_library_image_table (const FloeLibraryImage *image)
{
  return image->table;
}

/* Takes INFO. */
static FloeLibraryImage *
image_new (const char *images_path, FloeImageInfo *info)
{
  FloeLibraryImage *image = g_new0 (FloeLibraryImage, 1);

  g_atomic_ref_count_init (&image->references);
  image->info = info;
  image->label = g_strdup_printf ("%s/%s", info->name, info->version);
  image->index = g_strdup_printf ("%s/%s.caibx", images_path, image->label);
  image->table = g_strdup_printf ("%s/%s.table", images_path, image->label);
  return image;
}

/* -- Checks ----------------------------------------------------------------------------------------------------------- */

static gboolean
check_digest (GBytes *bytes, const FloeDigest *wanted, const char *what, GError **error)
{
  FloeDigest digest;
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  floe_digest_of (data, size, &digest);
  if (floe_digest_equal (&digest, wanted))
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: not the one that its image.json names", what);
}

/* That the two are what INFO names, parse, and belong together: the plugin then meets no surprise. */
static gboolean
check_pair (const FloeImageInfo *info, GBytes *index_bytes, GBytes *table_bytes, GError **error)
{
  g_autoptr (FloeIndex) index = NULL;
  g_autoptr (FloeTable) table = NULL;

  if (!check_digest (index_bytes, &info->index, "index", error)
      || !check_digest (table_bytes, &info->table, "table", error))
    return FALSE;
  index = floe_index_parse (index_bytes, "index", error);
  table = index == NULL ? NULL : floe_table_parse (table_bytes, "table", error);
  if (table == NULL || !floe_table_matches (table, index, error))
    return FALSE;
  if (floe_index_size (index) != info->size)
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED,
                           "image.json says %" G_GUINT64_FORMAT " bytes, its index %" G_GUINT64_FORMAT, info->size,
                           floe_index_size (index));
  return TRUE;
}

/* -- Files ------------------------------------------------------------------------------------------------------------ */

static GBytes *
read_copy (int dir, const FloeImageInfo *info, const char *suffix, size_t max)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", info->version, suffix);

  return floe_file_read_at (dir, name, max, NULL);
}

static gboolean
write_copy (int dir, const FloeImageInfo *info, const char *suffix, GBytes *bytes, GError **error)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", info->version, suffix);
  gsize size;
  const void *data = g_bytes_get_data (bytes, &size);

  return floe_file_replace_at (dir, name, data, size, 0644, error);
}

static gboolean
has_copies (int dir, const FloeImageInfo *info)
{
  g_autoptr (GBytes) index = read_copy (dir, info, "caibx", FLOE_INDEX_MAX_BYTES);
  g_autoptr (GBytes) table = read_copy (dir, info, "table", FLOE_TABLE_MAX_BYTES);

  return index != NULL && table != NULL && check_digest (index, &info->index, "index", NULL)
         && check_digest (table, &info->table, "table", NULL);
}

static gboolean
fetch_copies (int dir, FloeTrust *trust, const FloeImageInfo *info, GCancellable *cancellable, GError **error)
{
  g_autofree char *index_name = floe_image_target (info, "caibx");
  g_autofree char *table_name = floe_image_target (info, "table");
  g_autoptr (FloeVerified) index = floe_trust_target (trust, index_name, FLOE_INDEX_MAX_BYTES, cancellable, error);
  g_autoptr (FloeVerified) table = NULL;

  if (index == NULL)
    return FALSE;
  table = floe_trust_target (trust, table_name, FLOE_TABLE_MAX_BYTES, cancellable, error);
  if (table == NULL)
    return FALSE;
  return check_pair (info, floe_verified_bytes (index), floe_verified_bytes (table), error)
         && write_copy (dir, info, "table", floe_verified_bytes (table), error)
         && write_copy (dir, info, "caibx", floe_verified_bytes (index), error);
}

FloeLibraryImage *
floe_library_take (const char *images_path, FloeTrust *trust, FloeVerified *verified, const char *name,
                   GCancellable *cancellable, GError **error)
{
  g_autoptr (FloeImageInfo) info
      = floe_image_info_parse (floe_verified_bytes (verified), floe_verified_name (verified), error);
  g_autofree char *path = g_build_filename (images_path, name, NULL);
  g_autoptr (GBytes) known = NULL;
  floe_autofd dir = -1;

  if (info == NULL)
    return NULL;
  if (strcmp (info->name, name) != 0) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: is of image %s", floe_verified_name (verified), info->name);
    return NULL;
  }
  dir = floe_dir_make (path, 0755, error);
  if (dir < 0)
    return NULL;
  if (!has_copies (dir, info) && !fetch_copies (dir, trust, info, cancellable, error))
    return NULL;
  /* Last: a version that has its .json is whole. */
  known = read_copy (dir, info, "json", FLOE_IMAGE_INFO_MAX_BYTES);
  if ((known == NULL || !g_bytes_equal (known, floe_verified_bytes (verified)))
      && !write_copy (dir, info, "json", floe_verified_bytes (verified), error))
    return NULL;
  return image_new (images_path, g_steal_pointer (&info));
}

FloeLibraryImage *
floe_library_find (const char *images_path, const char *label, GError **error)
{
  g_auto (GStrv) parts = floe_image_label_split (label, error);
  g_autofree char *path = NULL, *name = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (FloeImageInfo) info = NULL;
  floe_autofd dir = -1;

  if (parts == NULL)
    return NULL;
  path = g_build_filename (images_path, parts[0], NULL);
  name = g_strconcat (parts[1], ".json", NULL);
  dir = floe_dir_open (path, error);
  if (dir < 0)
    return NULL;
  bytes = floe_file_read_at (dir, name, FLOE_IMAGE_INFO_MAX_BYTES, error);
  info = bytes == NULL ? NULL : floe_image_info_parse (bytes, name, error);
  if (info == NULL)
    return NULL;
  if (!has_copies (dir, info)) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "image %s: its verified copy is missing or damaged", label);
    return NULL;
  }
  return image_new (images_path, g_steal_pointer (&info));
}

/* -- Versions that nobody needs --------------------------------------------------------------------------------------- */

static const char *const suffixes[] = { "json", "caibx", "table" }; /* in the order in which they go: what has its .json is whole */

/* The version that FILE is a copy of; NULL for other names. */
static char *
version_of (const char *file)
{
  const char *dot = strrchr (file, '.');
  g_autofree char *version = dot == NULL ? NULL : g_strndup (file, (size_t)(dot - file));

  if (version == NULL || !floe_name_is_safe (version))
    return NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (strcmp (dot + 1, suffixes[i]) == 0)
      return g_steal_pointer (&version);
  return NULL;
}

static gboolean
remove_version (int dir, const char *version, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (suffixes); i++) {
    g_autofree char *name = g_strdup_printf ("%s.%s", version, suffixes[i]);

    if (!floe_file_remove_at (dir, name, error))
      return FALSE;
  }
  return TRUE;
}

typedef struct {
  const char *const *in_use;
  GHashTable *before, *now;
} Pruning;

static gboolean
prune_image (int dir, const char *name, Pruning *pruning, GError **error)
{
  g_autoptr (GPtrArray) files = floe_dir_names_at (dir, ".", error);

  if (files == NULL)
    return FALSE;
  for (guint i = 0; i < files->len; i++) {
    g_autofree char *version = version_of (g_ptr_array_index (files, i));
    g_autofree char *label = version == NULL ? NULL : g_strdup_printf ("%s/%s", name, version);

    if (label == NULL || g_strv_contains (pruning->in_use, label))
      continue;
    if (!g_hash_table_contains (pruning->before, label))
      g_hash_table_add (pruning->now, g_steal_pointer (&label));
    else if (!remove_version (dir, version, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
floe_library_prune (const char *images_path, const char *const *in_use, GHashTable **unneeded, GError **error)
{
  g_autoptr (GHashTable) before = g_steal_pointer (unneeded);
  floe_autofd images = floe_dir_make (images_path, 0755, error);
  g_autoptr (GPtrArray) names = images < 0 ? NULL : floe_dir_names_at (images, ".", error);
  Pruning pruning = { in_use, before, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };
  gboolean done = names != NULL;

  *unneeded = pruning.now;
  for (guint i = 0; done && i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    /* Other things than our directories are nobody's. */
    floe_autofd dir = floe_name_is_safe (name) ? openat (images, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

    done = dir < 0 || prune_image (dir, name, &pruning, error);
  }
  return done;
}
