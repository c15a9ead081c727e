/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-builder/floe-foreign.h"

#include "server-sync/image/floe-chunk.h"
#include "server-sync/image/floe-wire.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define INFO_MAX (4u << 20)

static const FloeForeignFormat formats[] = {
  { "raw", "raw", ".raw .img" }, { "qcow2", "qcow2", ".qcow2" }, { "vmdk", "vmdk", ".vmdk" }, { "vhd", "vpc", ".vhd .vpc" },
  { "vhdx", "vhdx", ".vhdx" },   { "vdi", "vdi", ".vdi" },       { "ova", NULL, ".ova" },
};

static gboolean
has_suffix (const FloeForeignFormat *format, const char *path)
{
  g_auto (GStrv) suffixes = g_strsplit (format->suffixes, " ", -1);
  g_autofree char *lower = g_ascii_strdown (path, -1);

  for (size_t i = 0; suffixes[i] != NULL; i++)
    if (g_str_has_suffix (lower, suffixes[i]))
      return TRUE;
  return FALSE;
}

const FloeForeignFormat *
floe_foreign_format (const char *name, const char *path, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (formats); i++)
    if (name != NULL ? strcmp (name, formats[i].name) == 0 : has_suffix (&formats[i], path))
      return &formats[i];
  floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                  "%s: no known format; state one with --format raw, qcow2, vmdk, vhd, vhdx, vdi or ova",
                  name != NULL ? name : path);
  return NULL;
}

static uint64_t
read_be (const uint8_t *at, size_t width)
{
  uint64_t value = 0;

  for (size_t i = 0; i < width; i++)
    value = value << 8 | at[i];
  return value;
}

static gboolean
not_of (const char *format, GError **error)
{
  return floe_error_set (error, FLOE_ERROR_INVALID, "not a %s image; state its format with --format", format);
}

/* QEMU's docs/interop/qcow2.txt: version at 4, backing file's offset at 8, encryption at 32, incompatible features at 72.
 */
static gboolean
check_qcow2 (const uint8_t *head, size_t size, GError **error)
{
  if (size < 104 || memcmp (head, "QFI\xfb", 4) != 0 || (read_be (head + 4, 4) != 2 && read_be (head + 4, 4) != 3))
    return not_of ("qcow2", error);
  if (read_be (head + 8, 8) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "it stands on a backing file; flatten it first (qemu-img convert)");
  if (read_be (head + 32, 4) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "it is encrypted; decrypt it first");
  if (read_be (head + 4, 4) == 3 && (read_be (head + 72, 8) & 4) != 0)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "its data is in another file; flatten it first (qemu-img convert)");
  return TRUE;
}

gboolean
floe_foreign_check_head (const char *driver, const uint8_t *head, size_t size, GError **error)
{
  if (strcmp (driver, "qcow2") == 0)
    return check_qcow2 (head, size, error);
  /* A VMDK that is text describes a disk in other files. */
  if (strcmp (driver, "vmdk") == 0 && size >= 21 && memcmp (head, "# Disk DescriptorFile", 21) == 0)
    return floe_error_set (
        error, FLOE_ERROR_REFUSED,
        "a VMDK descriptor whose data is in other files; export a single file (streamOptimized), or an OVA");
  if (strcmp (driver, "vmdk") == 0 && (size < 512 || memcmp (head, "KDMV", 4) != 0))
    return not_of ("VMDK", error);
  if (strcmp (driver, "vhdx") == 0 && (size < 8 || memcmp (head, "vhdxfile", 8) != 0))
    return not_of ("VHDX", error);
  if (strcmp (driver, "vdi") == 0 && (size < 512 || memcmp (head + 64, "\x7f\x10\xda\xbe", 4) != 0))
    return not_of ("VDI", error);
  return TRUE;
}

gboolean
floe_foreign_check_length (const char *driver, const uint8_t *head, size_t size, const uint8_t tail[512],
                           uint64_t file_size, GError **error)
{
  /* VirtualBox's VDICore.h, VDIHEADER1PLUS: offset of the data at 344, size of a block at 376, blocks that are there at
   * 388. */
  if (strcmp (driver, "vdi") == 0 && size >= 392
      && floe_read_u32 (head + 344) + (uint64_t) floe_read_u32 (head + 376) * floe_read_u32 (head + 388) > file_size)
    return floe_error_set (error, FLOE_ERROR_INVALID, "it is cut short: its head counts more blocks than it has");
  /* "Virtual Hard Disk Image Format Specification": every kind of VHD ends in a footer with this cookie. */
  if (strcmp (driver, "vpc") == 0 && memcmp (tail, "conectix", 8) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "not a VHD image, or cut short: it does not end in a VHD's footer");
  return TRUE;
}

/* Whether any value below VALUE is the name of a file other than PATH: `filename` keys of extents and of children. */
static gboolean
names_other_file (json_t *value, const char *path, int depth)
{
  const char *key;
  json_t *member;
  size_t i;

  if (depth == 0)
    return TRUE;
  json_object_foreach (value, key, member)
  {
    if (g_str_has_suffix (key, "filename") && json_is_string (member) && strcmp (json_string_value (member), path) != 0)
      return TRUE;
    if (strcmp (key, "data-file") == 0 || strcmp (key, "backing-image") == 0)
      return TRUE;
    if (names_other_file (member, path, depth - 1))
      return TRUE;
  }
  if (json_is_array (value))
    json_array_foreach (value, i, member) if (names_other_file (member, path, depth - 1)) return TRUE;
  return FALSE;
}

static gboolean
judge_info (json_t *root, const char *path, uint64_t *virtual_size, GError **error)
{
  json_int_t size = json_integer_value (json_object_get (root, "virtual-size"));

  if (json_is_true (json_object_get (root, "encrypted")))
    return floe_error_set (error, FLOE_ERROR_REFUSED, "it is encrypted; decrypt it first");
  if (names_other_file (root, path, 16))
    return floe_error_set (error, FLOE_ERROR_REFUSED, "it names other files; make it stand alone first (qemu-img convert)");
  if (size <= 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "a disk of no size");
  if ((uint64_t) size > FLOE_IMAGE_MAX_SIZE)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "a disk of %" PRIu64 " GiB, 256 at most", (uint64_t) size >> 30);
  *virtual_size = (uint64_t) size;
  return TRUE;
}

gboolean
floe_foreign_check_info (GBytes *json, const char *path, uint64_t *virtual_size, GError **error)
{
  json_error_t detail;
  json_t *root;
  gboolean good;
  gsize size;
  const char *text = g_bytes_get_data (json, &size);

  if (size > INFO_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "qemu-img says more than %u bytes about it", INFO_MAX);
  /* Not the strict reader: what qemu-img says grows with its releases, and only these things are asked of it. */
  root = json_loadb (text != NULL ? text : "", size, 0, &detail);
  if (!json_is_object (root)) {
    json_decref (root);
    return floe_error_set (error, FLOE_ERROR_INVALID, "qemu-img's description of it is no JSON object");
  }
  good = judge_info (root, path, virtual_size, error);
  json_decref (root);
  return good;
}
