/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"
#include "image-builder/floe-cut.h"
#include "image-builder/floe-image-commands.h"
#include "image-builder/floe-publish-where.h"
#include "server-sync/image/floe-appliance-info.h"
#include "server-sync/image/floe-verity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROLE "appliance"

typedef struct {
  char *pieces[FLOE_APPLIANCE_PIECES]; /* paths */
  char *root_hash;
  gint64 version, replaces;
  gboolean allow_older;
  FloeCutOptions cut; /* threads and level */
} Options;

static void
options_clear (Options *options)
{
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++)
    g_free (options->pieces[i]);
  g_free (options->root_hash);
}

/* -- What build-appliance left ----------------------------------------------------------------------------------------- */

#define MANIFEST_MAX (16u << 20)

/* What the line KEY=… of MANIFEST says; NULL if there is none. Files of the image are listed behind a line "files:". */
static char *
manifest_value (const char *manifest, const char *key)
{
  const char *end = strstr (manifest, "\nfiles:");
  g_autofree char *head = end != NULL ? g_strndup (manifest, (gsize) (end - manifest)) : g_strdup (manifest);
  g_autofree char *prefix = g_strconcat (key, "=", NULL);
  g_auto (GStrv) lines = g_strsplit (head, "\n", -1);

  for (char **line = lines; *line != NULL; line++)
    if (g_str_has_prefix (*line, prefix))
      return g_strdup (*line + strlen (prefix));
  return NULL;
}

/* Fills in what was not given by options: DIR is the directory of parts that `floe-image build-appliance` leaves beside its image. */
static gboolean
take_parts (Options *options, const char *dir, GError **error)
{
  static const char *const names[] = { "root", "root.verity", "floe.efi" };
  g_autofree char *path = g_build_filename (dir, "manifest", NULL), *text = NULL, *version = NULL;
  g_autoptr (GBytes) manifest = floe_file_read (path, MANIFEST_MAX, error);

  if (manifest == NULL)
    return FALSE;
  text = g_strndup (g_bytes_get_data (manifest, NULL), g_bytes_get_size (manifest));
  version = manifest_value (text, "version");
  if (options->root_hash == NULL)
    options->root_hash = manifest_value (text, "roothash");
  if (version == NULL || options->root_hash == NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: no version= or no roothash= in it", path);
  if (options->version == 0
      && !g_ascii_string_to_signed (version, 10, 1, FLOE_APPLIANCE_VERSION_MAX, &options->version, NULL))
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: version=%s is no number", path, version);
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++)
    if (options->pieces[i] == NULL)
      options->pieces[i] = g_build_filename (dir, names[i], NULL);
  return TRUE;
}

/* -- Checks before anything is cut ----------------------------------------------------------------------------------- */

/* An endpoint would refuse all this, or worse, boot into nothing and fall back: better said here, to whoever can mend it. */

static int
open_piece (const char *path, FloeVerityPart *part, GError **error)
{
  floe_autofd fd = open (path, O_RDONLY | O_CLOEXEC);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0) {
    floe_error_set_errno (error, errno, "open %s", path);
    return -1;
  }
  if (!S_ISREG (st.st_mode) || st.st_size < 1) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%s: a file with something in it wanted", path);
    return -1;
  }
  *part = (FloeVerityPart){ fd, 0, (uint64_t) st.st_size };
  return floe_fd_steal (&fd);
}

static gboolean
check_verity (const Options *options, const FloeDigest *root_hash, GError **error)
{
  FloeVerityPart root, verity;
  floe_autofd root_fd = open_piece (options->pieces[FLOE_APPLIANCE_ROOT], &root, error);
  floe_autofd verity_fd = root_fd < 0 ? -1 : open_piece (options->pieces[FLOE_APPLIANCE_VERITY], &verity, error);

  return verity_fd >= 0 && floe_verity_check (&root, &verity, root_hash, error);
}

static gboolean
check_uki (const Options *options, const FloeDigest *root_hash, GError **error)
{
  const char *path = options->pieces[FLOE_APPLIANCE_UKI];
  g_autoptr (GBytes) bytes = floe_file_read (path, FLOE_APPLIANCE_UKI_MAX, error);

  return bytes != NULL && floe_appliance_uki_names (bytes, root_hash, path, error);
}

static gboolean
check_options (const Options *options, GError **error)
{
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++)
    if (options->pieces[i] == NULL)
      return floe_cli_usage (error, "a directory of parts, or --root, --verity, --uki, --root-hash and --version are needed");
  if (options->root_hash == NULL || options->version == 0)
    return floe_cli_usage (error, "a directory of parts, or --root, --verity, --uki, --root-hash and --version are needed");
  if (options->version < 1 || options->version > FLOE_APPLIANCE_VERSION_MAX || options->replaces < 1
      || options->replaces > FLOE_APPLIANCE_VERSION_MAX)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--version and --replaces: 1 to %" PRIi64 " wanted", FLOE_APPLIANCE_VERSION_MAX);
  if (options->cut.level < 0 || options->cut.level > 19 || options->cut.threads < 0 || options->cut.threads > 16)
    return floe_error_set (error, FLOE_ERROR_INVALID, "--level 1 to 19 and --threads 1 to 16 wanted");
  return TRUE;
}

/* The version that the channel has now: a number is used once, and goes up unless the publisher means it. */
static gboolean
check_published (FloeRepository *repository, const char *channel, const FloeApplianceInfo *info, GError **error)
{
  g_autofree char *target = floe_appliance_channel_target (channel);
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) bytes = floe_repository_get_target (repository, ROLE, target, FLOE_APPLIANCE_INFO_MAX_BYTES, &local);
  g_autoptr (FloeApplianceInfo) now = NULL;

  if (g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  now = bytes == NULL ? NULL : floe_appliance_info_parse (bytes, target, &local);
  if (now == NULL) {
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  if (info->version < now->version && !info->allow_older)
    return floe_error_set (error, FLOE_ERROR_ROLLBACK,
                           "channel %s is at %" PRIi64 ": give a larger --version, or --allow-older if endpoints are to go back",
                           channel, now->version);
  if (info->version == now->version && !floe_digest_equal (&info->root_hash, &now->root_hash))
    return floe_error_set (error, FLOE_ERROR_REFUSED,
                           "channel %s is at %" PRIi64 " already, with another root hash: a version is never changed", channel,
                           now->version);
  return TRUE;
}

/* Before anything is cut; once more when it is signed, by whoever has the lock then. */
static gboolean
check_repository (const FloePublishWhere *where, const FloeApplianceInfo *info, GError **error)
{
  g_autoptr (FloeRepository) repository = floe_repository_open (where->repo, NULL, NULL, error);

  return repository != NULL && check_published (repository, where->channel, info, error);
}

/* -- Cutting and signing --------------------------------------------------------------------------------------------- */

static gboolean
cut_piece (const char *path, const char *chunks, GPtrArray *known, const Options *options, FloeAppliancePiece *piece,
           FloePublished **published, GError **error)
{
  FloeCutOptions how = options->cut;
  FloeVerityPart part;
  floe_autofd fd = open_piece (path, &part, error);
  gsize size;
  const void *data;

  how.any_size = TRUE;
  if (fd < 0 || !floe_digest_of_file (fd, &piece->digest, error))
    return FALSE;
  *published = floe_cut_chunks (path, chunks, known, &how, error);
  if (*published == NULL)
    return FALSE;
  piece->size = (*published)->size;
  data = g_bytes_get_data ((*published)->index, &size);
  floe_digest_of (data, size, &piece->index);
  data = g_bytes_get_data ((*published)->table, &size);
  floe_digest_of (data, size, &piece->table);
  return TRUE;
}

static gboolean
set_targets (FloeRepository *repository, const FloeApplianceInfo *info, FloePublished *const *published, const char *channel,
             GError **error)
{
  g_autoptr (GBytes) json = floe_appliance_info_build (info);
  g_autofree char *channel_target = floe_appliance_channel_target (channel);

  for (FloeAppliancePieceKind kind = 0; kind < FLOE_APPLIANCE_PIECES; kind++) {
    g_autofree char *index = floe_appliance_target (info, kind, "caibx"), *table = floe_appliance_target (info, kind, "table");

    if (!floe_repository_set_target (repository, ROLE, index, published[kind]->index, error)
        || !floe_repository_set_target (repository, ROLE, table, published[kind]->table, error))
      return FALSE;
  }
  return floe_repository_set_target (repository, ROLE, channel_target, json, error);
}

static gboolean
sign (const FloePublishWhere *where, FloePassphrase *passphrase, const FloeApplianceInfo *info, FloePublished *const *published,
      GError **error)
{
  g_autoptr (FloeRepository) repository = floe_repository_open (where->repo, where->keys, passphrase, error);
  g_autoptr (GBytes) json = floe_appliance_info_build (info);
  g_autoptr (FloeApplianceInfo) back = floe_appliance_info_parse (json, "the description", repository == NULL ? NULL : error);
  gboolean in_force = FALSE;

  /* What is signed is what endpoints can read: sizes are checked nowhere else. */
  if (repository == NULL || back == NULL || !check_published (repository, where->channel, info, error)
      || !set_targets (repository, info, published, where->channel, error)
      || !floe_repository_publish (repository, ROLE, g_get_real_time () / G_USEC_PER_SEC, &in_force, error))
    return FALSE;
  for (FloeAppliancePieceKind kind = 0; kind < FLOE_APPLIANCE_PIECES; kind++)
    g_print ("%s: %" PRIu64 " bytes in %" PRIu64 " chunks, added %" PRIu64 " chunks, %" PRIu64 " bytes\n",
             floe_appliance_piece_names[kind], published[kind]->size, published[kind]->chunks, published[kind]->added,
             published[kind]->added_bytes);
  if (in_force)
    g_print ("published: channel %s of the appliance is at %" PRIi64 "\n", where->channel, info->version);
  else
    g_print ("draft: channel %s of the appliance waits for more signatures; `floe-policy sign " ROLE "` adds one\n", where->channel);
  return TRUE;
}

static gboolean
publish (const FloePublishWhere *where, const Options *options, GError **error)
{
  g_autoptr (FloePassphrase) passphrase = floe_passphrase_new (where->passphrase_file);
  FloeApplianceInfo info = { .version = options->version, .replaces = options->replaces, .allow_older = options->allow_older };
  FloePublished *published[FLOE_APPLIANCE_PIECES] = { NULL };
  g_autofree char *chunks = g_build_filename (where->repo, "chunks", NULL);
  g_autoptr (GPtrArray) known = NULL;
  gboolean done;

  if (!floe_digest_from_hex (options->root_hash, &info.root_hash, error)) {
    g_prefix_error (error, "--root-hash: ");
    return FALSE;
  }
  if (!check_verity (options, &info.root_hash, error) || !check_uki (options, &info.root_hash, error))
    return FALSE;
  if (!check_repository (where, &info, error))
    return FALSE;
  known = floe_publish_known_tables (where, error);
  done = known != NULL;
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES && done; i++)
    done = cut_piece (options->pieces[i], chunks, known, options, &info.pieces[i], &published[i], error);
  done = done && sign (where, passphrase, &info, published, error);
  for (size_t i = 0; i < FLOE_APPLIANCE_PIECES; i++)
    floe_published_free (published[i]);
  return done;
}

static gboolean
run_publish_appliance (int argc, char **argv, GError **error)
{
  FloePublishWhere where = { NULL };
  Options options = { .replaces = 1 };
  g_autofree GOptionEntry *entries = floe_publish_where_entries (&where);
  const GOptionEntry own[] = {
    { "version", 0, 0, G_OPTION_ARG_INT64, &options.version, "its number, larger than that of every version before", "N" },
    { "root", 0, 0, G_OPTION_ARG_FILENAME, &options.pieces[FLOE_APPLIANCE_ROOT], "root file system", "FILE" },
    { "verity", 0, 0, G_OPTION_ARG_FILENAME, &options.pieces[FLOE_APPLIANCE_VERITY], "dm-verity's hash tree over it", "FILE" },
    { "uki", 0, 0, G_OPTION_ARG_FILENAME, &options.pieces[FLOE_APPLIANCE_UKI], "unified kernel image, signed for Secure Boot", "FILE" },
    { "root-hash", 0, 0, G_OPTION_ARG_STRING, &options.root_hash, "the tree's root hash", "HEX" },
    { "replaces", 0, 0, G_OPTION_ARG_INT64, &options.replaces, "the first version that it may replace (any)", "N" },
    { "allow-older", 0, 0, G_OPTION_ARG_NONE, &options.allow_older, "it may replace versions that are newer than it", NULL },
    { "threads", 0, 0, G_OPTION_ARG_INT, &options.cut.threads, "threads that compress (2)", "N" },
    { "level", 0, 0, G_OPTION_ARG_INT, &options.cut.level, "zstd's level, 1 to 19 (3)", "N" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  g_autofree GOptionEntry *all = floe_cut_join_entries (entries, own);
  gboolean done = floe_cli_parse (&floe_image_publish_appliance_command, all, -1, &argc, &argv, error);

  done = done && (argc <= 2 || floe_cli_usage (error, "one directory of parts at most"))
         && (argc < 2 || take_parts (&options, argv[1], error)) && floe_publish_where_check (&where, error)
         && check_options (&options, error) && publish (&where, &options, error);
  floe_publish_where_clear (&where);
  options_clear (&options);
  return done;
}

const FloeCommand floe_image_publish_appliance_command = {
  "publish-appliance",
  "--repo DIR --keys DIR [--channel stable] [OPTION...] [FILE.d]",
  "puts a version of the appliance, the parts that build-appliance left, into the repository, and signs",
  run_publish_appliance,
};
