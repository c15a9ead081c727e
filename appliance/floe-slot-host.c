/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-host.h"

#include "common/floe-fd.h"
#include "server-sync/image/floe-appliance-info.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define GROUP "appliance"

/* -- Configuration --------------------------------------------------------------------------------------------------- */

static char *
take_path (GKeyFile *file, const char *group, const char *key, const char *fallback, GError **error)
{
  g_autofree char *value = g_key_file_get_string (file, group, key, NULL);

  if (value == NULL)
    return g_strdup (fallback);
  if (g_path_is_absolute (value))
    return g_steal_pointer (&value);
  floe_error_set (error, FLOE_ERROR_INVALID, "[%s] %s: an absolute path wanted, not '%s'", group, key, value);
  return NULL;
}

static gboolean
check_keys (GKeyFile *file, GError **error)
{
  static const char *const known[] = { "channel", "boot", NULL };
  g_auto (GStrv) keys = g_key_file_get_keys (file, GROUP, NULL, NULL);

  for (char **key = keys; key != NULL && *key != NULL; key++)
    if (!g_strv_contains (known, *key))
      return floe_error_set (error, FLOE_ERROR_INVALID, "[" GROUP "] %s: unknown key", *key);
  return TRUE;
}

static gboolean
read_config (GKeyFile *file, FloeSlotConfig *config, GError **error)
{
  if (!check_keys (file, error) || (config->state = take_path (file, "paths", "state", "/var/lib/floe", error)) == NULL
      || (config->root = take_path (file, "paths", "root", "/usr/share/floe/root.json", error)) == NULL
      || (config->boot = take_path (file, GROUP, "boot", "/boot", error)) == NULL)
    return FALSE;
  config->channel = g_key_file_get_string (file, GROUP, "channel", NULL);
  return config->channel == NULL || floe_name_is_safe (config->channel)
         || floe_error_set (error, FLOE_ERROR_INVALID, "[" GROUP "] channel: letters, digits, '.', '_' and '-' wanted");
}

FloeSlotConfig *
floe_slot_config_parse (const char *text, size_t size, const char *source, GError **error)
{
  g_autoptr (FloeSlotConfig) config = g_new0 (FloeSlotConfig, 1);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) problem = NULL;

  if (!g_utf8_validate (text, (gssize) size, NULL) || memchr (text, '\0', size) != NULL) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%s: not UTF-8 text", source);
    return NULL;
  }
  if (size > 0 && !g_key_file_load_from_data (file, text, size, G_KEY_FILE_NONE, &problem)) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%s: %s", source, problem->message);
    return NULL;
  }
  if (!read_config (file, config, error)) {
    g_prefix_error (error, "%s: ", source);
    return NULL;
  }
  return g_steal_pointer (&config);
}

void
floe_slot_config_free (FloeSlotConfig *config)
{
  if (config == NULL)
    return;
  g_free (config->state);
  g_free (config->root);
  g_free (config->channel);
  g_free (config->boot);
  g_free (config);
}

/* -- What runs ------------------------------------------------------------------------------------------------------- */

/* The one WORD that begins with PREFIX among those of TEXT that SEPARATORS divide, what follows it. */
static char *
find_only (const char *text, const char *separators, const char *prefix, const char *where, GError **error)
{
  g_auto (GStrv) words = g_strsplit_set (text, separators, -1);
  g_autofree char *found = NULL;

  for (char **word = words; *word != NULL; word++) {
    if (!g_str_has_prefix (*word, prefix))
      continue;
    if (found != NULL) {
      floe_error_set (error, FLOE_ERROR_INVALID, "%s has %s twice", where, prefix);
      return NULL;
    }
    found = g_strdup (*word + strlen (prefix));
  }
  if (found == NULL)
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s has no %s: this is not an appliance", where, prefix);
  return g_steal_pointer (&found);
}

gboolean
floe_slot_parse_command_line (const char *text, FloeDigest *root_hash, GError **error)
{
  g_autofree char *hex = find_only (text, " \t\n", "roothash=", "the command line", error);

  if (hex == NULL)
    return FALSE;
  if (floe_digest_from_hex (hex, root_hash, error))
    return TRUE;
  g_prefix_error (error, "roothash= on the command line: ");
  return FALSE;
}

gboolean
floe_slot_parse_os_release (const char *text, int64_t *version, GError **error)
{
  g_autofree char *value = find_only (text, "\n", "IMAGE_VERSION=", "os-release", error);
  size_t length = value == NULL ? 0 : strlen (value);
  gint64 number;

  if (value == NULL)
    return FALSE;
  if (length >= 2 && (value[0] == '"' || value[0] == '\'') && value[length - 1] == value[0]) {
    value[length - 1] = '\0';
    memmove (value, value + 1, length - 1);
  }
  if (!g_ascii_string_to_signed (value, 10, 1, FLOE_APPLIANCE_VERSION_MAX, &number, NULL))
    return floe_error_set (error, FLOE_ERROR_INVALID, "IMAGE_VERSION=%s in os-release: a number wanted", value);
  *version = number;
  return TRUE;
}

/* -- From which disk ------------------------------------------------------------------------------------------------- */

/* The name of the disk that the partition at PATH of sysfs is on: its parent directory's. NULL when PATH is no partition. */
static char *
disk_of_partition (const char *path)
{
  g_autofree char *mark = g_build_filename (path, "partition", NULL), *real = NULL, *parent = NULL;

  if (access (mark, F_OK) < 0)
    return NULL;
  real = realpath (path, NULL);
  parent = real == NULL ? NULL : g_path_get_dirname (real);
  return parent == NULL ? NULL : g_path_get_basename (parent);
}

/* The one disk below the device-mapper device whose slaves are listed in SLAVES. */
static char *
disk_of_slaves (const char *slaves, GError **error)
{
  g_autoptr (GDir) directory = g_dir_open (slaves, 0, NULL);
  g_autofree char *disk = NULL;
  const char *name;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL) {
    g_autofree char *path = g_build_filename (slaves, name, NULL), *found = disk_of_partition (path);

    if (found == NULL || (disk != NULL && strcmp (disk, found) != 0)) {
      floe_error_set (error, FLOE_ERROR_INVALID, "the root file system is not on two partitions of one disk");
      return NULL;
    }
    g_free (disk);
    disk = g_steal_pointer (&found);
  }
  if (disk == NULL)
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "the root file system is not on dm-verity: this is not an appliance");
  return g_steal_pointer (&disk);
}

char *
floe_slot_find_disk (const char *sysfs, const char *file, GError **error)
{
  g_autofree char *slaves = NULL, *disk = NULL;
  struct stat st;

  if (stat (file, &st) < 0) {
    floe_error_set_errno (error, errno, "%s", file);
    return NULL;
  }
  slaves = g_strdup_printf ("%s/dev/block/%u:%u/slaves", sysfs, major (st.st_dev), minor (st.st_dev));
  disk = disk_of_slaves (slaves, error);
  return disk == NULL ? NULL : g_build_filename ("/dev", disk, NULL);
}
