/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-image-info.h"

#include "common/floe-fd.h"
#include "common/floe-json.h"

#include <string.h>

#define FORM 1

const char *const floe_image_os_names[] = { "linux", "windows", "other", NULL };
const char *const floe_image_firmware_names[] = { "uefi", "bios", NULL };

static void
read_digest (FloeJson *value, FloeDigest *digest)
{
  g_autoptr (GError) error = NULL;
  const char *hex = floe_json_string (value, FLOE_DIGEST_HEX_SIZE - 1);

  if (value != NULL && !floe_digest_from_hex (hex, digest, &error))
    floe_json_refuse (value, "%s", error->message);
}

static void
read_needs (FloeJson *needs, FloeImageNeeds *out)
{
  FloeJson *value;

  if ((value = floe_json_optional (needs, "memory_mib")) != NULL)
    out->memory_mib = (guint) floe_json_int (value, 1, 1 << 20);
  if ((value = floe_json_optional (needs, "vcpus")) != NULL)
    out->vcpus = (guint) floe_json_int (value, 1, 256);
  out->tpm = floe_json_bool (floe_json_optional (needs, "tpm"));
  out->secure_boot = floe_json_bool (floe_json_optional (needs, "secure_boot"));
}

static void
read_name_and_version (FloeJson *root, FloeImageInfo *info)
{
  FloeJson *name = floe_json_member (root, "name"), *version = floe_json_member (root, "version");
  char hex[FLOE_DIGEST_HEX_SIZE];

  info->name = g_strdup (floe_json_string (name, 128));
  if (name != NULL && !floe_name_is_safe (info->name))
    floe_json_refuse (name, "1 to 128 letters, digits, '.', '_' and '-' wanted, not beginning with '.'");
  floe_digest_to_hex (&info->index, hex);
  hex[FLOE_VERSION_SIZE - 1] = '\0';
  if (strcmp (floe_json_string (version, 64), hex) != 0 && version != NULL)
    floe_json_refuse (version, "the first 16 digits of the index's digest wanted: %s", hex);
  memcpy (info->version, hex, FLOE_VERSION_SIZE);
}

static void
read_info (FloeJson *root, FloeImageInfo *info)
{
  FloeJson *boot;

  floe_json_int (floe_json_member (root, "floe-image"), FORM, FORM);
  info->os = floe_json_enum (floe_json_member (root, "os"), floe_image_os_names);
  info->firmware = floe_json_enum (floe_json_member (root, "firmware"), floe_image_firmware_names);
  info->size = (uint64_t) floe_json_int (floe_json_member (root, "size"), 1, FLOE_IMAGE_MAX_SIZE);
  floe_json_int (floe_json_member (root, "chunk_size"), FLOE_CHUNK_SIZE, FLOE_CHUNK_SIZE);
  read_digest (floe_json_member (root, "index"), &info->index);
  read_digest (floe_json_member (root, "table"), &info->table);
  boot = floe_json_optional (root, "boot");
  info->has_boot = boot != NULL;
  read_digest (boot, &info->boot);
  read_needs (floe_json_member (root, "needs"), &info->needs);
  read_name_and_version (root, info);
}

FloeImageInfo *
floe_image_info_parse (GBytes *bytes, const char *source, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (bytes, source, FLOE_IMAGE_INFO_MAX_BYTES, error);
  g_autoptr (FloeImageInfo) info = NULL;

  if (document == NULL)
    return NULL;
  info = g_new0 (FloeImageInfo, 1);
  read_info (floe_json_root (document), info);
  return floe_json_finish (document, error) ? g_steal_pointer (&info) : NULL;
}

static json_t *
digest_value (const FloeDigest *digest)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (digest, hex);
  return json_string (hex);
}

static json_t *
needs_value (const FloeImageNeeds *needs)
{
  json_t *value = json_object ();

  if (needs->memory_mib != 0)
    json_object_set_new (value, "memory_mib", json_integer (needs->memory_mib));
  if (needs->vcpus != 0)
    json_object_set_new (value, "vcpus", json_integer (needs->vcpus));
  if (needs->tpm)
    json_object_set_new (value, "tpm", json_true ());
  if (needs->secure_boot)
    json_object_set_new (value, "secure_boot", json_true ());
  return value;
}

GBytes *
floe_image_info_build (const FloeImageInfo *info)
{
  json_t *root = json_object ();
  char *text;

  json_object_set_new (root, "floe-image", json_integer (FORM));
  json_object_set_new (root, "name", json_string (info->name));
  json_object_set_new (root, "version", json_string (info->version));
  json_object_set_new (root, "os", json_string (floe_image_os_names[info->os]));
  json_object_set_new (root, "firmware", json_string (floe_image_firmware_names[info->firmware]));
  json_object_set_new (root, "size", json_integer ((json_int_t) info->size));
  json_object_set_new (root, "chunk_size", json_integer (FLOE_CHUNK_SIZE));
  json_object_set_new (root, "index", digest_value (&info->index));
  json_object_set_new (root, "table", digest_value (&info->table));
  if (info->has_boot)
    json_object_set_new (root, "boot", digest_value (&info->boot));
  json_object_set_new (root, "needs", needs_value (&info->needs));
  text = json_dumps (root, JSON_INDENT (2));
  json_decref (root);
  return g_bytes_new_with_free_func (text, strlen (text), free, text);
}

void
floe_image_info_free (FloeImageInfo *info)
{
  if (info == NULL)
    return;
  g_free (info->name);
  g_free (info);
}

char *
floe_image_channel_target (const char *name, const char *channel)
{
  return g_strdup_printf ("images/%s/%s.json", name, channel);
}

char *
floe_image_target (const FloeImageInfo *info, const char *suffix)
{
  return g_strdup_printf ("images/%s/%s.%s", info->name, info->version, suffix);
}

GStrv
floe_image_label_split (const char *label, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (label, "/", 3);

  if (g_strv_length (parts) == 2 && floe_name_is_safe (parts[0]) && floe_name_is_safe (parts[1]))
    return g_steal_pointer (&parts);
  floe_error_set (error, FLOE_ERROR_INVALID, "image '%.200s': NAME/VERSION wanted", label);
  return NULL;
}
