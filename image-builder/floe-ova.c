/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-builder/floe-ova.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK 512u
#define MAX_MEMBERS 64u
#define MAX_DESCRIPTOR (1u << 20)
#define MAX_REFERENCES 64u

/* The archive. POSIX.1-2017, pax utility, "ustar Interchange Format"; sizes over 8 GiB as GNU tar writes them. */

typedef struct {
  char name[101];
  uint64_t offset, size;
} Member;

static gboolean
read_octal (const uint8_t *field, size_t width, uint64_t *value)
{
  uint64_t number = 0;
  size_t i = 0;

  for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
    number = number << 3 | (uint64_t) (field[i] - '0');
  *value = number;
  return i > 0 && (i == width || field[i] == '\0' || field[i] == ' ');
}

static gboolean
read_size (const uint8_t field[12], uint64_t *size)
{
  if (field[0] != 0x80)
    return read_octal (field, 12, size);
  /* Base 256: the upper four bytes would be a size beyond any disk. */
  if (field[1] != 0 || field[2] != 0 || field[3] != 0)
    return FALSE;
  *size = 0;
  for (size_t i = 4; i < 12; i++)
    *size = *size << 8 | field[i];
  return TRUE;
}

static gboolean
checksum_fits (const uint8_t *block)
{
  uint64_t stated, sum = 0;

  for (size_t i = 0; i < BLOCK; i++)
    sum += i >= 148 && i < 156 ? ' ' : block[i];
  return read_octal (block + 148, 8, &stated) && stated == sum;
}

static gboolean
read_header (const uint8_t *block, Member *member, GError **error)
{
  if (memcmp (block + 257, "ustar", 5) != 0 || !checksum_fits (block))
    return floe_error_set (error, FLOE_ERROR_INVALID, "not a tar archive, or a damaged one");
  memcpy (member->name, block, 100);
  member->name[100] = '\0';
  if (block[345] != '\0' || !floe_name_is_safe (member->name))
    return floe_error_set (error, FLOE_ERROR_INVALID,
                           "a member's name is a path or has characters that no disk's name needs");
  if (block[156] != '0' && block[156] != '\0')
    return floe_error_set (error, FLOE_ERROR_INVALID, "member %s is no regular file (type '%c'): links are not followed",
                           member->name, g_ascii_isprint (block[156]) ? block[156] : '?');
  if (!read_size (block + 124, &member->size))
    return floe_error_set (error, FLOE_ERROR_INVALID, "member %s has no readable size", member->name);
  return TRUE;
}

static gboolean
is_end (const uint8_t *block)
{
  return block[0] == 0 && memcmp (block, block + 1, BLOCK - 1) == 0;
}

static gboolean
add_member (GArray *members, const Member *member, uint64_t left, GError **error)
{
  if (member->size > left)
    return floe_error_set (error, FLOE_ERROR_INVALID, "member %s is cut off", member->name);
  if (members->len == MAX_MEMBERS)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "more than %u members", MAX_MEMBERS);
  for (guint i = 0; i < members->len; i++)
    if (strcmp (g_array_index (members, Member, i).name, member->name) == 0)
      return floe_error_set (error, FLOE_ERROR_INVALID, "member %s is there twice", member->name);
  g_array_append_val (members, *member);
  return TRUE;
}

static gboolean
read_members (int fd, GArray *members, GError **error)
{
  uint8_t block[BLOCK];
  uint64_t at = 0, end;
  struct stat st;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return floe_error_set (error, FLOE_ERROR_INVALID, "not a regular file");
  end = (uint64_t) st.st_size;
  while (end - at >= BLOCK) {
    Member member;

    if (!floe_pread_all (fd, block, BLOCK, (off_t) at, error))
      return FALSE;
    if (is_end (block))
      return TRUE;
    at += BLOCK;
    if (!read_header (block, &member, error))
      return FALSE;
    member.offset = at;
    if (!add_member (members, &member, end - at, error))
      return FALSE;
    at += MIN (member.size + (BLOCK - member.size % BLOCK) % BLOCK, end - at);
  }
  return floe_error_set (error, FLOE_ERROR_INVALID, "the archive has no end");
}

/* The descriptor. Prefixes of names are not looked at: what is not understood is passed over, and whatever disk that leads
 * to is only ever a member of this archive. */

typedef struct {
  const char *source;
  GHashTable *files; /* id → href; both owned */
  char *disk_file;   /* the disk's fileRef */
} Ovf;

static const char *
local_name (const char *name)
{
  const char *colon = strrchr (name, ':');

  return colon == NULL ? name : colon + 1;
}

static const char *
attribute (const char **names, const char **values, const char *wanted)
{
  for (size_t i = 0; names[i] != NULL; i++)
    if (strcmp (local_name (names[i]), wanted) == 0)
      return values[i];
  return NULL;
}

static gboolean
read_file (Ovf *ovf, const char **names, const char **values, GError **error)
{
  const char *id = attribute (names, values, "id"), *href = attribute (names, values, "href");

  if (id == NULL || href == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a File without id or href");
  if (!floe_name_is_safe (href) || strlen (href) > 100)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a File's href is no plain name of a member of the archive");
  if (attribute (names, values, "chunkSize") != NULL)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "file %s is in pieces (chunkSize): join them first", href);
  if (attribute (names, values, "compression") != NULL
      && strcmp (attribute (names, values, "compression"), "identity") != 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "file %s is compressed in the archive: unpack it first", href);
  if (g_hash_table_size (ovf->files) == MAX_REFERENCES)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "more than %u files", MAX_REFERENCES);
  if (!g_hash_table_insert (ovf->files, g_strdup (id), g_strdup (href)))
    return floe_error_set (error, FLOE_ERROR_INVALID, "two files of one id");
  return TRUE;
}

static gboolean
read_disk (Ovf *ovf, const char **names, const char **values, GError **error)
{
  const char *reference = attribute (names, values, "fileRef");

  if (reference == NULL)
    return TRUE; /* an empty disk that the descriptor asks to be made */
  if (ovf->disk_file != NULL)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                           "more than one disk: an image is one disk, import them one by one");
  ovf->disk_file = g_strdup (reference);
  return TRUE;
}

static void
start_element (GMarkupParseContext *context, const char *element, const char **names, const char **values, gpointer data,
               GError **error)
{
  const char *name = local_name (element);
  const GSList *stack = g_markup_parse_context_get_element_stack (context);
  const char *parent = stack->next == NULL ? "" : local_name (stack->next->data);
  g_autoptr (GError) local = NULL;

  if (strcmp (name, "File") == 0 && strcmp (parent, "References") == 0) {
    if (!read_file (data, names, values, &local))
      g_propagate_error (error, g_steal_pointer (&local));
  } else if (strcmp (name, "Disk") == 0 && strcmp (parent, "DiskSection") == 0) {
    if (!read_disk (data, names, values, &local))
      g_propagate_error (error, g_steal_pointer (&local));
  }
}

static char *
disk_name (Ovf *ovf, GError **error)
{
  const char *href;

  if (ovf->disk_file == NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "no disk with content");
    return NULL;
  }
  href = g_hash_table_lookup (ovf->files, ovf->disk_file);
  if (href == NULL)
    floe_error_set (error, FLOE_ERROR_INVALID, "its disk refers to a file that is not listed");
  return g_strdup (href);
}

char *
floe_ovf_disk (GBytes *descriptor, const char *source, GError **error)
{
  const GMarkupParser parser = { .start_element = start_element };
  g_autoptr (GHashTable) files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  Ovf ovf = { .source = source, .files = files };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, G_MARKUP_DEFAULT_FLAGS, &ovf, NULL);
  g_autoptr (GError) local = NULL;
  gsize size;
  const char *text = g_bytes_get_data (descriptor, &size);
  char *name = NULL;

  if (size > MAX_DESCRIPTOR)
    floe_error_set (&local, FLOE_ERROR_LIMIT, "%zu bytes, %u at most", (size_t) size, MAX_DESCRIPTOR);
  else if (g_markup_parse_context_parse (context, text != NULL ? text : "", (gssize) size, &local)
           && g_markup_parse_context_end_parse (context, &local))
    name = disk_name (&ovf, &local);
  g_free (ovf.disk_file);
  if (name != NULL)
    return name;
  if (local->domain == FLOE_ERROR)
    floe_error_set (error, (FloeError) local->code, "%s: %s", source, local->message);
  else
    floe_error_set (error, FLOE_ERROR_INVALID, "%s: %s", source, local->message);
  return NULL;
}

/* Both together. */

static GBytes *
read_descriptor (int fd, const GArray *members, const char **name, GError **error)
{
  const Member *first = members->len == 0 ? NULL : &g_array_index (members, Member, 0);
  g_autofree uint8_t *text = NULL;

  if (first == NULL || !g_str_has_suffix (first->name, ".ovf")) {
    floe_error_set (error, FLOE_ERROR_INVALID, "the first member is no .ovf descriptor");
    return NULL;
  }
  if (first->size > MAX_DESCRIPTOR) {
    floe_error_set (error, FLOE_ERROR_LIMIT, "%s has %" G_GUINT64_FORMAT " bytes, %u at most", first->name, first->size,
                    MAX_DESCRIPTOR);
    return NULL;
  }
  text = g_malloc (first->size + 1);
  if (!floe_pread_all (fd, text, first->size, (off_t) first->offset, error))
    return NULL;
  *name = first->name;
  return g_bytes_new_take (g_steal_pointer (&text), first->size);
}

gboolean
floe_ova_find_disk (int fd, FloeOvaDisk *disk, GError **error)
{
  g_autoptr (GArray) members = g_array_new (FALSE, TRUE, sizeof (Member));
  g_autoptr (GBytes) descriptor = NULL;
  g_autofree char *wanted = NULL;
  const char *name = NULL;

  if (!read_members (fd, members, error) || (descriptor = read_descriptor (fd, members, &name, error)) == NULL)
    return FALSE;
  wanted = floe_ovf_disk (descriptor, name, error);
  if (wanted == NULL)
    return FALSE;
  for (guint i = 1; i < members->len; i++) {
    const Member *member = &g_array_index (members, Member, i);

    if (strcmp (member->name, wanted) != 0)
      continue;
    memcpy (disk->name, member->name, sizeof disk->name);
    disk->offset = member->offset;
    disk->size = member->size;
    return TRUE;
  }
  return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s names the disk %s, which is not in the archive", name, wanted);
}
