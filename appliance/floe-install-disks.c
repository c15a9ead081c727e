/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-install-disks.h"

#include "appliance/floe-install.h"
#include "common/floe-fd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 65536
#define SHOWN_MAX_CHARACTERS 80
#define DISKS_MAX 64u
#define PARTITIONS_MAX 128u
#define SECTOR 512u /* sysfs counts in these, whatever the disk has */

/* -- Text from devices ------------------------------------------------------------------------------------------------ */

/* One printable line of TEXT, blanks joined, cut where it gets long. To be freed. */
static char *
plain (const char *text, gssize size)
{
  g_autofree char *valid = g_utf8_make_valid (text, size);
  GString *shown = g_string_new (NULL);
  guint count = 0;

  for (const char *at = valid; *at != '\0' && count < SHOWN_MAX_CHARACTERS; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);

    if (g_unichar_isspace (c)) {
      if (shown->len > 0 && shown->str[shown->len - 1] != ' ') {
        g_string_append_c (shown, ' ');
        count++;
      }
    } else if (g_unichar_isprint (c) && g_unichar_type (c) != G_UNICODE_FORMAT) {
      g_string_append_unichar (shown, c);
      count++;
    }
  }
  if (shown->len > 0 && shown->str[shown->len - 1] == ' ')
    g_string_truncate (shown, shown->len - 1);
  return g_string_free (shown, FALSE);
}

/* udev writes what is no plain character as \xNN. */
static char *
decode (const char *text, size_t size)
{
  GString *decoded = g_string_new (NULL);

  for (size_t i = 0; i < size; i++)
    if (i + 3 < size && text[i] == '\\' && text[i + 1] == 'x' && g_ascii_isxdigit (text[i + 2]) && g_ascii_isxdigit (text[i + 3])) {
      g_string_append_c (decoded, (char) (g_ascii_xdigit_value (text[i + 2]) << 4 | g_ascii_xdigit_value (text[i + 3])));
      i += 3;
    } else {
      g_string_append_c (decoded, text[i]);
    }
  return g_string_free (decoded, FALSE);
}

char *
floe_install_udev_value (const char *text, size_t size, const char *key)
{
  size_t length = strlen (key);

  for (const char *at = text, *end = text + size; at < end;) {
    const char *newline = memchr (at, '\n', (size_t) (end - at)), *stop = newline != NULL ? newline : end;

    if ((size_t) (stop - at) > length + 2 && memcmp (at, "E:", 2) == 0 && memcmp (at + 2, key, length) == 0 && at[2 + length] == '=') {
      const char *value = at + 3 + length;
      g_autofree char *decoded = decode (value, (size_t) (stop - value));

      return plain (decoded, -1);
    }
    at = stop + 1;
  }
  return g_strdup ("");
}

/* A file of sysfs without its newline; "" when it is not there. */
static char *
read_attribute (const char *directory, const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr (GBytes) bytes = floe_file_read (path, TEXT_MAX, NULL);
  gsize size = 0;
  const char *data = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  return data != NULL ? plain (data, (gssize) size) : g_strdup ("");
}

static guint64
read_number (const char *directory, const char *name)
{
  g_autofree char *text = read_attribute (directory, name);
  guint64 number = 0;

  return g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT64, &number, NULL) ? number : 0;
}

/* -- One disk --------------------------------------------------------------------------------------------------------- */

static void
partition_free (gpointer data)
{
  FloeInstallPartition *partition = data;

  g_free (partition->name);
  g_free (partition->label);
  g_free (partition->file_system);
  g_free (partition);
}

void
floe_install_disk_free (FloeInstallDisk *disk)
{
  if (disk == NULL)
    return;
  g_free (disk->name);
  g_free (disk->model);
  g_free (disk->serial);
  g_free (disk->number);
  g_free (disk->file_system);
  g_free (disk->label);
  g_clear_pointer (&disk->partitions, g_ptr_array_unref);
  g_free (disk);
}

static GBytes *
read_record (const FloeInstallPlaces *places, const char *number)
{
  g_autofree char *path = g_strdup_printf ("%s/b%s", places->udev, number);
  GBytes *record = floe_file_read (path, TEXT_MAX, NULL);

  return record != NULL ? record : g_bytes_new_static ("", 0);
}

static char *
record_value (GBytes *record, const char *key)
{
  gsize size;
  const char *data = g_bytes_get_data (record, &size);

  return floe_install_udev_value (data != NULL ? data : "", size, key);
}

/* The first of VALUES that says something; takes and frees all. */
static char *
first_of (char *a, char *b, char *c)
{
  char *values[] = { a, b, c };
  char *found = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (values); i++)
    if (found == NULL && values[i][0] != '\0')
      found = values[i];
    else
      g_free (values[i]);
  return found != NULL ? found : g_strdup ("");
}

/* The name that a partition's own entry in the table has, by the kernel: "PARTNAME=..." in its uevent. */
static char *
partition_name (const char *directory)
{
  g_autofree char *path = g_build_filename (directory, "uevent", NULL);
  g_autoptr (GBytes) bytes = floe_file_read (path, TEXT_MAX, NULL);
  gsize size = 0;
  const char *data = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;
  g_autofree char *text = g_strndup (data != NULL ? data : "", size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **line = lines; *line != NULL; line++)
    if (g_str_has_prefix (*line, "PARTNAME="))
      return plain (*line + strlen ("PARTNAME="), -1);
  return g_strdup ("");
}

static FloeInstallPartition *
read_partition (const FloeInstallPlaces *places, const char *directory, const char *name)
{
  FloeInstallPartition *partition = g_new0 (FloeInstallPartition, 1);
  g_autofree char *number = read_attribute (directory, "dev");
  g_autoptr (GBytes) record = read_record (places, number);

  partition->name = g_strdup (name);
  partition->file_system = record_value (record, "ID_FS_TYPE");
  partition->label = first_of (record_value (record, "ID_FS_LABEL_ENC"), partition_name (directory), g_strdup (""));
  partition->size = read_number (directory, "size") * SECTOR;
  return partition;
}

static gint
compare_partitions (gconstpointer a, gconstpointer b)
{
  const FloeInstallPartition *left = *(const FloeInstallPartition *const *) a, *right = *(const FloeInstallPartition *const *) b;

  return strverscmp (left->name, right->name);
}

static void
read_partitions (const FloeInstallPlaces *places, const char *directory, FloeInstallDisk *disk)
{
  g_autoptr (GDir) list = g_dir_open (directory, 0, NULL);
  const char *name;

  while (list != NULL && disk->partitions->len < PARTITIONS_MAX && (name = g_dir_read_name (list)) != NULL) {
    g_autofree char *below = g_build_filename (directory, name, NULL), *mark = g_build_filename (below, "partition", NULL);

    if (g_str_has_prefix (name, disk->name) && access (mark, F_OK) == 0)
      g_ptr_array_add (disk->partitions, read_partition (places, below, name));
  }
  g_ptr_array_sort (disk->partitions, compare_partitions);
}

static const char *
bus_of (const char *directory, const char *name)
{
  g_autofree char *real = realpath (directory, NULL);

  if (real != NULL && strstr (real, "/usb") != NULL)
    return "usb";
  if (g_str_has_prefix (name, "nvme"))
    return "nvme";
  if (g_str_has_prefix (name, "mmcblk"))
    return "mmc";
  if (g_str_has_prefix (name, "vd"))
    return "virtio";
  return real != NULL && strstr (real, "/ata") != NULL ? "ata" : "";
}

static FloeInstallDisk *
read_disk (const FloeInstallPlaces *places, const char *directory, const char *name)
{
  FloeInstallDisk *disk = g_new0 (FloeInstallDisk, 1);
  g_autoptr (GBytes) record = NULL;

  disk->name = g_strdup (name);
  disk->number = read_attribute (directory, "dev");
  record = read_record (places, disk->number);
  disk->model = first_of (read_attribute (directory, "device/model"), read_attribute (directory, "device/name"), g_strdup (""));
  disk->serial = first_of (record_value (record, "ID_SERIAL_SHORT"), read_attribute (directory, "device/serial"), read_attribute (directory, "serial"));
  disk->bus = bus_of (directory, name);
  disk->size = read_number (directory, "size") * SECTOR;
  disk->sector = (guint) read_number (directory, "queue/logical_block_size");
  disk->sequence = read_number (directory, "diskseq");
  disk->removable = read_number (directory, "removable") != 0;
  disk->read_only = read_number (directory, "ro") != 0;
  disk->file_system = record_value (record, "ID_FS_TYPE");
  disk->label = record_value (record, "ID_FS_LABEL_ENC");
  disk->partitions = g_ptr_array_new_with_free_func (partition_free);
  read_partitions (places, directory, disk);
  disk->interrupted = disk->partitions->len == 1
                      && strcmp (((const FloeInstallPartition *) disk->partitions->pdata[0])->label, FLOE_INSTALL_MARK) == 0;
  return disk;
}

/* -- All of them ------------------------------------------------------------------------------------------------------ */

static gboolean
skip (const char **at, const char *set)
{
  size_t length = strspn (*at, set);

  *at += length;
  return length > 0;
}

/* What the kernel calls whole disks: "sda", "vda", "nvme0n1", "mmcblk0". Nothing else is one to install on. */
static gboolean
is_disk_name (const char *name)
{
  const char *at = name;

  if (strlen (name) > 24)
    return FALSE;
  if (g_str_has_prefix (name, "sd") || g_str_has_prefix (name, "vd")) {
    at += 2;
    return skip (&at, "abcdefghijklmnopqrstuvwxyz") && *at == '\0';
  }
  if (g_str_has_prefix (name, "nvme")) {
    at += 4;
    return skip (&at, G_CSET_DIGITS) && *at++ == 'n' && skip (&at, G_CSET_DIGITS) && *at == '\0';
  }
  at += strlen ("mmcblk");
  return g_str_has_prefix (name, "mmcblk") && skip (&at, G_CSET_DIGITS) && *at == '\0';
}

static gint
compare_disks (gconstpointer a, gconstpointer b)
{
  const FloeInstallDisk *left = *(const FloeInstallDisk *const *) a, *right = *(const FloeInstallDisk *const *) b;

  return strverscmp (left->name, right->name);
}

GPtrArray *
floe_install_list (const FloeInstallPlaces *places, GError **error)
{
  g_autofree char *path = g_build_filename (places->sysfs, "block", NULL);
  g_autoptr (GDir) directory = g_dir_open (path, 0, error);
  g_autoptr (GPtrArray) disks = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_install_disk_free);
  const char *name;

  if (directory == NULL)
    return NULL;
  while (disks->len < DISKS_MAX && (name = g_dir_read_name (directory)) != NULL) {
    g_autofree char *below = g_build_filename (path, name, NULL);
    g_autoptr (FloeInstallDisk) disk = NULL;

    if (!is_disk_name (name) || strcmp (name, places->own) == 0)
      continue;
    disk = read_disk (places, below, name);
    if (disk->size > 0)
      g_ptr_array_add (disks, g_steal_pointer (&disk));
  }
  g_ptr_array_sort (disks, compare_disks);
  return g_steal_pointer (&disks);
}

gboolean
floe_install_is_portable (const char *sysfs, const char *name)
{
  g_autofree char *directory = g_build_filename (sysfs, "block", name, NULL);

  return read_number (directory, "removable") != 0 || strcmp (bus_of (directory, name), "usb") == 0;
}
