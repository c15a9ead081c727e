/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-appliance-info.h"

#include "common/floe-json.h"

#include <string.h>

#define FORM 1
#define ARCHITECTURE "x86-64"
#define ID_LENGTH (FLOE_VERSION_SIZE - 1)

const char *const floe_appliance_piece_names[] = { "root", "verity", "uki", NULL };

static const uint64_t size_max[] = { FLOE_APPLIANCE_ROOT_MAX, FLOE_APPLIANCE_VERITY_MAX, FLOE_APPLIANCE_UKI_MAX };

/* -- Reading --------------------------------------------------------------------------------------------------------- */

static void
read_digest (FloeJson *value, FloeDigest *digest)
{
  g_autoptr (GError) error = NULL;
  const char *hex = floe_json_string (value, FLOE_DIGEST_HEX_SIZE - 1);

  if (value != NULL && !floe_digest_from_hex (hex, digest, &error))
    floe_json_refuse (value, "%s", error->message);
}

static void
read_piece (FloeJson *value, uint64_t max, FloeAppliancePiece *piece)
{
  piece->size = (uint64_t) floe_json_int (floe_json_member (value, "size"), 1, (gint64) max);
  read_digest (floe_json_member (value, "digest"), &piece->digest);
  read_digest (floe_json_member (value, "index"), &piece->index);
  read_digest (floe_json_member (value, "table"), &piece->table);
}

static void
read_info (FloeJson *root, FloeApplianceInfo *info)
{
  static const char *const architectures[] = { ARCHITECTURE, NULL };

  floe_json_int (floe_json_member (root, "floe-appliance"), FORM, FORM);
  info->version = floe_json_int (floe_json_member (root, "version"), 1, FLOE_APPLIANCE_VERSION_MAX);
  info->replaces = floe_json_int (floe_json_member (root, "replaces"), 1, FLOE_APPLIANCE_VERSION_MAX);
  info->allow_older = floe_json_bool (floe_json_member (root, "allow_older"));
  floe_json_enum (floe_json_member (root, "architecture"), architectures);
  floe_json_int (floe_json_member (root, "chunk_size"), FLOE_CHUNK_SIZE, FLOE_CHUNK_SIZE);
  read_digest (floe_json_member (root, "root_hash"), &info->root_hash);
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++)
    read_piece (floe_json_member (root, floe_appliance_piece_names[i]), size_max[i], &info->pieces[i]);
}

FloeApplianceInfo *
floe_appliance_info_parse (GBytes *bytes, const char *source, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (bytes, source, FLOE_APPLIANCE_INFO_MAX_BYTES, error);
  g_autoptr (FloeApplianceInfo) info = NULL;

  if (document == NULL)
    return NULL;
  info = g_new0 (FloeApplianceInfo, 1);
  read_info (floe_json_root (document), info);
  return floe_json_finish (document, error) ? g_steal_pointer (&info) : NULL;
}

void
floe_appliance_info_free (FloeApplianceInfo *info)
{
  g_free (info);
}

/* -- Writing --------------------------------------------------------------------------------------------------------- */

static json_t *
digest_value (const FloeDigest *digest)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (digest, hex);
  return json_string (hex);
}

static json_t *
piece_value (const FloeAppliancePiece *piece)
{
  json_t *value = json_object ();

  json_object_set_new (value, "size", json_integer ((json_int_t) piece->size));
  json_object_set_new (value, "digest", digest_value (&piece->digest));
  json_object_set_new (value, "index", digest_value (&piece->index));
  json_object_set_new (value, "table", digest_value (&piece->table));
  return value;
}

GBytes *
floe_appliance_info_build (const FloeApplianceInfo *info)
{
  json_t *root = json_object ();
  char *text;

  json_object_set_new (root, "floe-appliance", json_integer (FORM));
  json_object_set_new (root, "version", json_integer (info->version));
  json_object_set_new (root, "replaces", json_integer (info->replaces));
  json_object_set_new (root, "allow_older", json_boolean (info->allow_older));
  json_object_set_new (root, "architecture", json_string (ARCHITECTURE));
  json_object_set_new (root, "chunk_size", json_integer (FLOE_CHUNK_SIZE));
  json_object_set_new (root, "root_hash", digest_value (&info->root_hash));
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++)
    json_object_set_new (root, floe_appliance_piece_names[i], piece_value (&info->pieces[i]));
  text = json_dumps (root, JSON_INDENT (2));
  json_decref (root);
  return g_bytes_new_with_free_func (text, strlen (text), free, text);
}

/* -- Names ----------------------------------------------------------------------------------------------------------- */

char *
floe_appliance_channel_target (const char *channel)
{
  return g_strdup_printf ("appliance/%s.json", channel);
}

char *
floe_appliance_target (const FloeApplianceInfo *info, FloeAppliancePieceKind kind, const char *suffix)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (&info->pieces[kind].index, hex);
  return g_strdup_printf ("appliance/%s.%.*s.%s", floe_appliance_piece_names[kind], ID_LENGTH, hex, suffix);
}

char *
floe_appliance_piece_id (const FloeApplianceInfo *info, FloeAppliancePieceKind kind)
{
  char hex[FLOE_DIGEST_HEX_SIZE];

  floe_digest_to_hex (&info->pieces[kind].index, hex);
  return g_strdup_printf (".appliance-%s/%.*s", floe_appliance_piece_names[kind], ID_LENGTH, hex);
}

void
floe_appliance_uuid (const FloeDigest *root_hash, FloeAppliancePieceKind kind, char uuid[FLOE_UUID_SIZE])
{
  char hex[FLOE_DIGEST_HEX_SIZE];
  const char *half = hex + (kind == FLOE_APPLIANCE_VERITY ? FLOE_DIGEST_SIZE : 0);

  floe_digest_to_hex (root_hash, hex);
  g_snprintf (uuid, FLOE_UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", half, half + 8, half + 12, half + 16, half + 20);
}

gboolean
floe_appliance_may_replace (const FloeApplianceInfo *info, gint64 running, GError **error)
{
  if (info->version == running)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "version %" G_GINT64_FORMAT " is the one that runs", running);
  if (info->version < running && !info->allow_older)
    return floe_error_set (error, FLOE_ERROR_ROLLBACK,
                           "version %" G_GINT64_FORMAT " is older than %" G_GINT64_FORMAT ", which runs, and is not published as "
                           "one that may replace a newer one (--allow-older)",
                           info->version, running);
  if (running < info->replaces)
    return floe_error_set (error, FLOE_ERROR_REFUSED,
                           "version %" G_GINT64_FORMAT " replaces %" G_GINT64_FORMAT " and later, and %" G_GINT64_FORMAT
                           " runs: one between them has to come first",
                           info->version, info->replaces, running);
  return TRUE;
}

gboolean
floe_appliance_uki_names (GBytes *uki, const FloeDigest *root_hash, const char *source, GError **error)
{
  char hex[FLOE_DIGEST_HEX_SIZE];
  g_autofree char *wanted = NULL;
  gsize size;
  const void *data = g_bytes_get_data (uki, &size);

  floe_digest_to_hex (root_hash, hex);
  wanted = g_strconcat ("roothash=", hex, NULL);
  return (data != NULL && memmem (data, size, wanted, strlen (wanted)) != NULL)
         || floe_error_set (error, FLOE_ERROR_INVALID, "%s: its command line does not have %s", source, wanted);
}
