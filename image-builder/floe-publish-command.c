/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-builder/floe-cut.h"
#include "image-builder/floe-image-commands.h"
#include "image-builder/floe-publish-where.h"

#include <string.h>

#define ROLE "images"

/* A boot list published for this very version stays when no other is given. */
static gboolean
keep_boot_list (FloeRepository *repository, FloeCut *cut, GError **error)
{
  g_autofree char *name = floe_image_target (cut->info, "boot");
  g_autoptr (GError) local = NULL;
  gsize size;
  const void *data;

  if (cut->boot != NULL)
    return TRUE;
  cut->boot = floe_repository_get_target (repository, ROLE, name, 64u << 20, &local);
  if (cut->boot == NULL) {
    if (g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
      return TRUE;
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  data = g_bytes_get_data (cut->boot, &size);
  floe_digest_of (data, size, &cut->info->boot);
  cut->info->has_boot = TRUE;
  return TRUE;
}

static gboolean
set_targets (FloeRepository *repository, const FloeCut *cut, const char *channel, GError **error)
{
  g_autoptr (GBytes) json = floe_image_info_build (cut->info);
  g_autofree char *index = floe_image_target (cut->info, "caibx"), *table = floe_image_target (cut->info, "table");
  g_autofree char *boot = floe_image_target (cut->info, "boot");
  g_autofree char *info = floe_image_channel_target (cut->info->name, channel);

  return floe_repository_set_target (repository, ROLE, index, cut->published->index, error)
         && floe_repository_set_target (repository, ROLE, table, cut->published->table, error)
         && (cut->boot == NULL || floe_repository_set_target (repository, ROLE, boot, cut->boot, error))
         && floe_repository_set_target (repository, ROLE, info, json, error);
}

static gboolean
sign (const FloePublishWhere *where, FloePassphrase *passphrase, FloeCut *cut, GError **error)
{
  g_autoptr (FloeRepository) repository = floe_repository_open (where->repo, where->keys, passphrase, error);
  gboolean in_force = FALSE;

  if (repository == NULL || !keep_boot_list (repository, cut, error)
      || !set_targets (repository, cut, where->channel, error)
      || !floe_repository_publish (repository, ROLE, g_get_real_time () / G_USEC_PER_SEC, &in_force, error))
    return FALSE;
  floe_cut_print (cut);
  if (in_force)
    g_print ("published: channel %s of %s is at %s\n", where->channel, cut->info->name, cut->info->version);
  else
    g_print ("draft: channel %s of %s waits for more signatures; `floe-policy sign " ROLE "` adds one\n", where->channel,
             cut->info->name);
  return TRUE;
}

static gboolean
publish (const FloePublishWhere *where, const FloeCutOptions *options, const char *image, GError **error)
{
  g_autoptr (FloePassphrase) passphrase = floe_passphrase_new (where->passphrase_file);
  g_autoptr (GPtrArray) known = floe_publish_known_tables (where, error);
  g_autoptr (FloeCut) cut = NULL;
  g_autofree char *chunks = g_build_filename (where->repo, "chunks", NULL);

  cut = known == NULL ? NULL : floe_cut (image, chunks, known, options, error);
  return cut != NULL && sign (where, passphrase, cut, error);
}

static gboolean
run_publish (int argc, char **argv, GError **error)
{
  FloePublishWhere where = { NULL };
  FloeCutOptions options = { 0 };
  g_autofree GOptionEntry *extra = floe_publish_where_entries (&where);
  g_autofree GOptionEntry *entries = floe_cut_entries (&options, extra);
  gboolean done = floe_cli_parse (&floe_image_publish_command, entries, 1, &argc, &argv, error);

  done = done && floe_cut_check (&options, error) && floe_publish_where_check (&where, error)
         && publish (&where, &options, argv[1], error);
  floe_publish_where_clear (&where);
  floe_cut_options_clear (&options);
  return done;
}

const FloeCommand floe_image_publish_command = {
  "publish",
  "--repo DIR --keys DIR --name NAME [--channel stable] [OPTION...] IMAGE.raw",
  "cuts a raw image into chunks, puts those that are new into the repository, and signs",
  run_publish,
};
