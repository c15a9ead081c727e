/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-fat.h"

#include <string.h>
#include <time.h>

/* Theory of operation: directories are collected from the files' paths, each gets its clusters in one run behind the one before it, then the
 * files theirs; so a chain in the table is a count upwards. Directories and table are made in memory, files are handed on as they are. Every name
 * has a long entry, but for those that are a short one as they stand. */

#define RESERVED 32u
#define BACKUP_BOOT 6u
#define ENTRY 32u
#define LONG_CHARACTERS 13u
#define NAME_MAX_CHARACTERS 64u
#define DIRECTORIES_MAX 16u
#define END_OF_CHAIN 0x0fffffffu
#define CLUSTERS_MIN 65525u
#define CLUSTERS_MAX 0x0ffffff0u

typedef struct {
  char *path; /* "" for the root */
  GByteArray *entries;
  uint32_t cluster, clusters;
  unsigned shorts; /* short names made for long ones */
} Directory;

typedef struct {
  const FloeFat *fat;
  FloeFatWrite write;
  gpointer data;
  uint32_t sectors, per_cluster, table_sectors, clusters;
  GArray *directories; /* of Directory, parents first */
  uint32_t used;       /* clusters given out, from 2 on */
  uint16_t date, time;
} Work;

static void
directory_clear (gpointer data)
{
  Directory *directory = data;

  g_free (directory->path);
  g_byte_array_unref (directory->entries);
}

static void
work_clear (Work *work)
{
  g_clear_pointer (&work->directories, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Work, work_clear)

static void
put16 (uint8_t *at, unsigned value)
{
  at[0] = (uint8_t) value;
  at[1] = (uint8_t) (value >> 8);
}

static void
put32 (uint8_t *at, uint32_t value)
{
  put16 (at, value & 0xffff);
  put16 (at + 2, value >> 16);
}

/* -- Sizes ---------------------------------------------------------------------------------------------------------- */

static gboolean
measure (Work *work, GError **error)
{
  uint64_t sectors = work->fat->size / FLOE_FAT_SECTOR;

  if (sectors > UINT32_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "a boot partition of more than 2 TiB");
  work->sectors = (uint32_t) sectors;
  work->per_cluster = work->fat->size <= (UINT64_C (260) << 20) ? 1 : 8;
  if (sectors < RESERVED + CLUSTERS_MIN)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "a boot partition of %" G_GUINT64_FORMAT " bytes is too small for FAT32", work->fat->size);
  /* As many sectors of each table as hold an entry for every cluster there could be, were there no tables: a few too many do no harm. */
  work->table_sectors = (uint32_t) (((sectors - RESERVED) / work->per_cluster + 2 + 127) / 128);
  work->clusters = (work->sectors - RESERVED - 2 * work->table_sectors) / work->per_cluster;
  if (work->clusters < CLUSTERS_MIN || work->clusters > CLUSTERS_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "a boot partition of %" G_GUINT64_FORMAT " bytes is no size for FAT32", work->fat->size);
  return TRUE;
}

static uint32_t
cluster_size (const Work *work)
{
  return work->per_cluster * FLOE_FAT_SECTOR;
}

static uint32_t
clusters_of (const Work *work, gsize size)
{
  return (uint32_t) ((size + cluster_size (work) - 1) / cluster_size (work));
}

static uint64_t
place_of (const Work *work, uint32_t cluster)
{
  return ((uint64_t) RESERVED + 2u * work->table_sectors) * FLOE_FAT_SECTOR + (uint64_t) (cluster - 2) * cluster_size (work);
}

/* -- Names ---------------------------------------------------------------------------------------------------------- */

static gboolean
is_short_character (char c)
{
  return g_ascii_isupper (c) || g_ascii_isdigit (c) || c == '_' || c == '-';
}

/* NAME as a short one of eleven characters, when it is one as it stands. */
static gboolean
name_is_short (const char *name, uint8_t out[11])
{
  const char *dot = strchr (name, '.');
  size_t base = dot != NULL ? (size_t) (dot - name) : strlen (name), extension = dot != NULL ? strlen (dot + 1) : 0;

  if (base == 0 || base > 8 || extension > 3 || (dot != NULL && extension == 0))
    return FALSE;
  memset (out, ' ', 11);
  for (size_t i = 0; i < base; i++)
    if (is_short_character (name[i]))
      out[i] = (uint8_t) name[i];
    else
      return FALSE;
  for (size_t i = 0; i < extension; i++)
    if (is_short_character (dot[1 + i]))
      out[8 + i] = (uint8_t) dot[1 + i];
    else
      return FALSE;
  return TRUE;
}

/* One that no other name in DIRECTORY has: "FLOE~1  EFI". */
static void
make_short (Directory *directory, const char *name, uint8_t out[11])
{
  const char *dot = strrchr (name, '.');
  size_t used = 0;
  char number[8];

  memset (out, ' ', 11);
  for (const char *at = name; *at != '\0' && at != dot && used < 4; at++)
    if (is_short_character (g_ascii_toupper (*at)))
      out[used++] = (uint8_t) g_ascii_toupper (*at);
  g_snprintf (number, sizeof number, "~%u", ++directory->shorts);
  memcpy (out + used, number, strlen (number));
  used = 8;
  for (const char *at = dot; at != NULL && *at != '\0' && used < 11; at++)
    if (is_short_character (g_ascii_toupper (*at)))
      out[used++] = (uint8_t) g_ascii_toupper (*at);
}

static void
add_long (Directory *directory, const char *name, const uint8_t name11[11])
{
  static const uint8_t places[LONG_CHARACTERS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
  size_t length = strlen (name), count = (length + LONG_CHARACTERS - 1) / LONG_CHARACTERS;
  uint8_t sum = 0;

  for (size_t i = 0; i < 11; i++)
    sum = (uint8_t) ((sum >> 1 | sum << 7) + name11[i]);
  for (size_t i = count; i-- > 0;) {
    uint8_t entry[ENTRY] = { [0] = (uint8_t) ((i + 1) | (i + 1 == count ? 0x40 : 0)), [11] = 0x0f, [13] = sum };

    for (size_t k = 0; k < LONG_CHARACTERS; k++) {
      size_t at = i * LONG_CHARACTERS + k;

      put16 (entry + places[k], at < length ? (unsigned char) name[at] : at == length ? 0 : 0xffff);
    }
    g_byte_array_append (directory->entries, entry, ENTRY);
  }
}

/* The entry itself; its cluster and size are put in later, at the place that is returned. */
static guint
add_entry (const Work *work, Directory *directory, const uint8_t name11[11], uint8_t attributes)
{
  uint8_t entry[ENTRY] = { [11] = attributes };

  memcpy (entry, name11, 11);
  put16 (entry + 14, work->time);
  put16 (entry + 16, work->date);
  put16 (entry + 18, work->date);
  put16 (entry + 22, work->time);
  put16 (entry + 24, work->date);
  g_byte_array_append (directory->entries, entry, ENTRY);
  return directory->entries->len - ENTRY;
}

static guint
add_name (const Work *work, Directory *directory, const char *name, uint8_t attributes)
{
  uint8_t name11[11];

  if (!name_is_short (name, name11)) {
    make_short (directory, name, name11);
    add_long (directory, name, name11);
  }
  return add_entry (work, directory, name11, attributes);
}

static void
set_place (Directory *directory, guint at, uint32_t cluster, uint32_t size)
{
  uint8_t *entry = directory->entries->data + at;

  put16 (entry + 20, cluster >> 16);
  put16 (entry + 26, cluster & 0xffff);
  put32 (entry + 28, size);
}

/* -- Directories ---------------------------------------------------------------------------------------------------- */

static guint
find_directory (const Work *work, const char *path, size_t length)
{
  for (guint i = 0; i < work->directories->len; i++) {
    const char *have = g_array_index (work->directories, Directory, i).path;

    if (strlen (have) == length && strncmp (have, path, length) == 0)
      return i;
  }
  return G_MAXUINT;
}

/* Makes the directory of the first LENGTH characters of PATH, after those above it. */
static gboolean
make_directory (Work *work, const char *path, size_t length, GError **error)
{
  Directory directory = { .path = g_strndup (path, length), .entries = g_byte_array_new () };

  if (work->directories->len == DIRECTORIES_MAX) {
    directory_clear (&directory);
    return floe_error_set (error, FLOE_ERROR_LIMIT, "more than %u directories", DIRECTORIES_MAX);
  }
  g_array_append_val (work->directories, directory);
  return TRUE;
}

static gboolean
check_path (const char *path, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);

  if (parts[0] == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a file of the boot partition has no name");
  for (char **part = parts; *part != NULL; part++) {
    size_t length = strlen (*part);

    if (length == 0 || length > NAME_MAX_CHARACTERS || (*part)[0] == '.' || (*part)[length - 1] == '.' || strpbrk (*part, "\"*:<>?\\| ") != NULL)
      return floe_error_set (error, FLOE_ERROR_INVALID, "'%s' is no path for the boot partition", path);
    for (const char *at = *part; *at != '\0'; at++)
      if (!g_ascii_isprint (*at))
        return floe_error_set (error, FLOE_ERROR_INVALID, "a path for the boot partition has other characters than ASCII");
  }
  return TRUE;
}

static gboolean
collect_directories (Work *work, GError **error)
{
  if (!make_directory (work, "", 0, error))
    return FALSE;
  for (size_t i = 0; i < work->fat->n_files; i++) {
    const char *path = work->fat->files[i].path;

    if (!check_path (path, error))
      return FALSE;
    for (size_t k = 0; k < i; k++)
      if (g_ascii_strcasecmp (path, work->fat->files[k].path) == 0)
        return floe_error_set (error, FLOE_ERROR_INVALID, "%s is there twice", path);
    for (const char *slash = strchr (path, '/'); slash != NULL; slash = strchr (slash + 1, '/'))
      if (find_directory (work, path, (size_t) (slash - path)) == G_MAXUINT && !make_directory (work, path, (size_t) (slash - path), error))
        return FALSE;
  }
  return TRUE;
}

static Directory *
parent_of (const Work *work, const char *path)
{
  const char *slash = strrchr (path, '/');

  return &g_array_index (work->directories, Directory, find_directory (work, path, slash != NULL ? (size_t) (slash - path) : 0));
}

static const char *
base_of (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash != NULL ? slash + 1 : path;
}

static uint32_t
take_clusters (Work *work, uint32_t count)
{
  uint32_t first = 2 + work->used;

  work->used += count;
  return first;
}

/* All directories' entries, and so the clusters of everything: PLACES[i] is where the entry of file i is in its directory. */
static gboolean
lay_out (Work *work, guint *places, uint32_t *clusters, GError **error)
{
  uint8_t label[11];
  guint *own = g_newa (guint, DIRECTORIES_MAX);

  memset (label, ' ', sizeof label);
  memcpy (label, work->fat->label, MIN (strlen (work->fat->label), sizeof label));
  add_entry (work, &g_array_index (work->directories, Directory, 0), label, 0x08);
  for (guint i = 1; i < work->directories->len; i++) {
    Directory *directory = &g_array_index (work->directories, Directory, i);

    add_entry (work, directory, (const uint8_t *) ".          ", 0x10);
    add_entry (work, directory, (const uint8_t *) "..         ", 0x10);
    own[i] = add_name (work, parent_of (work, directory->path), base_of (directory->path), 0x10);
  }
  for (size_t i = 0; i < work->fat->n_files; i++)
    places[i] = add_name (work, parent_of (work, work->fat->files[i].path), base_of (work->fat->files[i].path), 0x20);
  for (guint i = 0; i < work->directories->len; i++) {
    Directory *directory = &g_array_index (work->directories, Directory, i);

    directory->clusters = clusters_of (work, directory->entries->len);
    directory->cluster = take_clusters (work, directory->clusters);
    if (i == 0)
      continue;
    set_place (parent_of (work, directory->path), own[i], directory->cluster, 0);
    set_place (directory, 0, directory->cluster, 0);
    /* The root is 0 there. */
    set_place (directory, ENTRY, parent_of (work, directory->path)->path[0] != '\0' ? parent_of (work, directory->path)->cluster : 0, 0);
  }
  for (size_t i = 0; i < work->fat->n_files; i++) {
    gsize size = g_bytes_get_size (work->fat->files[i].content);

    if (size > UINT32_MAX || work->used + clusters_of (work, size) > work->clusters)
      return floe_error_set (error, FLOE_ERROR_LIMIT, "%s does not fit on the boot partition", work->fat->files[i].path);
    clusters[i] = size > 0 ? take_clusters (work, clusters_of (work, size)) : 0;
    set_place (parent_of (work, work->fat->files[i].path), places[i], clusters[i], (uint32_t) size);
  }
  return TRUE;
}

/* -- Writing -------------------------------------------------------------------------------------------------------- */

static gboolean
hand_on (Work *work, const void *data, size_t size, uint64_t at, GError **error)
{
  return size == 0 || work->write (data, size, at, work->data, error);
}

static void
chain (uint8_t *table, uint32_t first, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++)
    put32 (table + 4 * (size_t) (first + i), i + 1 < count ? first + i + 1 : END_OF_CHAIN);
}

static gboolean
write_tables (Work *work, const uint32_t *clusters, GError **error)
{
  size_t size = (size_t) work->table_sectors * FLOE_FAT_SECTOR;
  g_autofree uint8_t *table = g_malloc0 (size);

  put32 (table, 0x0ffffff8);
  put32 (table + 4, END_OF_CHAIN);
  for (guint i = 0; i < work->directories->len; i++) {
    const Directory *directory = &g_array_index (work->directories, Directory, i);

    chain (table, directory->cluster, directory->clusters);
  }
  for (size_t i = 0; i < work->fat->n_files; i++)
    if (clusters[i] != 0)
      chain (table, clusters[i], clusters_of (work, g_bytes_get_size (work->fat->files[i].content)));
  return hand_on (work, table, size, RESERVED * FLOE_FAT_SECTOR, error) &&
         hand_on (work, table, size, (uint64_t) RESERVED * FLOE_FAT_SECTOR + size, error);
}

static gboolean
write_contents (Work *work, const uint32_t *clusters, GError **error)
{
  for (guint i = 0; i < work->directories->len; i++) {
    const Directory *directory = &g_array_index (work->directories, Directory, i);
    size_t size = (size_t) directory->clusters * cluster_size (work);
    /* Zeros behind the last entry end the directory. */
    g_autofree uint8_t *entries = g_malloc0 (size);

    memcpy (entries, directory->entries->data, directory->entries->len);
    if (!hand_on (work, entries, size, place_of (work, directory->cluster), error))
      return FALSE;
  }
  for (size_t i = 0; i < work->fat->n_files; i++) {
    gsize size;
    const void *data = g_bytes_get_data (work->fat->files[i].content, &size);

    if (size > 0 && !hand_on (work, data, size, place_of (work, clusters[i]), error))
      return FALSE;
  }
  return TRUE;
}

static void
make_boot_sector (const Work *work, uint8_t *sector)
{
  static const uint8_t head[] = { 0xeb, 0x58, 0x90, 'F', 'L', 'O', 'E', ' ', ' ', ' ', ' ' };

  memcpy (sector, head, sizeof head);
  put16 (sector + 11, FLOE_FAT_SECTOR);
  sector[13] = (uint8_t) work->per_cluster;
  put16 (sector + 14, RESERVED);
  sector[16] = 2;
  sector[21] = 0xf8;
  put16 (sector + 24, 32);
  put16 (sector + 26, 64);
  put32 (sector + 28, (uint32_t) MIN (work->fat->hidden, UINT32_MAX));
  put32 (sector + 32, work->sectors);
  put32 (sector + 36, work->table_sectors);
  put32 (sector + 44, g_array_index (work->directories, Directory, 0).cluster);
  put16 (sector + 48, 1);
  put16 (sector + 50, BACKUP_BOOT);
  sector[64] = 0x80;
  sector[66] = 0x29;
  put32 (sector + 67, work->fat->id);
  memset (sector + 71, ' ', 11);
  memcpy (sector + 71, work->fat->label, MIN (strlen (work->fat->label), 11));
  memcpy (sector + 82, "FAT32   ", 8);
  put16 (sector + 510, 0xaa55);
}

static void
make_information (const Work *work, uint8_t *sector)
{
  memcpy (sector, "RRaA", 4);
  memcpy (sector + 484, "rrAa", 4);
  put32 (sector + 488, work->clusters - work->used);
  put32 (sector + 492, 2 + work->used);
  put16 (sector + 510, 0xaa55);
}

static gboolean
write_reserved (Work *work, GError **error)
{
  g_autofree uint8_t *sectors = g_malloc0 (RESERVED * FLOE_FAT_SECTOR);

  for (unsigned base = 0; base <= BACKUP_BOOT; base += BACKUP_BOOT) {
    make_boot_sector (work, sectors + base * FLOE_FAT_SECTOR);
    make_information (work, sectors + (base + 1) * FLOE_FAT_SECTOR);
    put16 (sectors + (base + 2) * FLOE_FAT_SECTOR + 510, 0xaa55);
  }
  return hand_on (work, sectors, RESERVED * FLOE_FAT_SECTOR, 0, error);
}

static void
set_time (Work *work)
{
  struct tm parts = { .tm_year = 80, .tm_mday = 1 };
  time_t now = (time_t) work->fat->now;

  if (gmtime_r (&now, &parts) == NULL || parts.tm_year < 80 || parts.tm_year > 207)
    parts = (struct tm){ .tm_year = 80, .tm_mday = 1 };
  work->date = (uint16_t) ((parts.tm_year - 80) << 9 | (parts.tm_mon + 1) << 5 | parts.tm_mday);
  work->time = (uint16_t) (parts.tm_hour << 11 | parts.tm_min << 5 | parts.tm_sec / 2);
}

gboolean
floe_fat_write (const FloeFat *fat, FloeFatWrite write, gpointer data, GError **error)
{
  g_auto (Work) work = { .fat = fat, .write = write, .data = data };
  guint places[FLOE_FAT_FILES_MAX];
  uint32_t clusters[FLOE_FAT_FILES_MAX];

  if (fat->n_files > FLOE_FAT_FILES_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "more than %u files", FLOE_FAT_FILES_MAX);
  work.directories = g_array_new (FALSE, TRUE, sizeof (Directory));
  g_array_set_clear_func (work.directories, directory_clear);
  set_time (&work);
  return measure (&work, error) && collect_directories (&work, error) && lay_out (&work, places, clusters, error) &&
         write_tables (&work, clusters, error) && write_contents (&work, clusters, error) && write_reserved (&work, error);
}
