/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-refresh.h"

#include "agent/floe-spool.h"
#include "agent/floe-table-cache.h"
#include "common/floe-fd.h"
#include "policy/document/floe-policy.h"
#include "policy/trust/floe-trust-http.h"
#include "policy/trust/floe-trust.h"
#include "server-sync/image/floe-appliance-info.h"
#include "server-sync/image/floe-image-info.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define ROOT_MAX_BYTES (1024 * 1024)

struct _FloeRefresher {
  const FloeAgentConfig *config;
  FloeStore *store;
  char *spool_path;
  int agent_dir; /* state/agent; locked for as long as we live */
  int trust_dir;
  int images_dir;
  int spool_dir;
  GHashTable *unneeded; /* of the spool's targets; floe_spool_prune()'s */
};

/* One round. */
typedef struct {
  FloeRefresher *refresher;
  FloeTrust *trust; /* borrowed */
  const char *const *known;
  GCancellable *cancellable;
  FloeRefreshed *result;
  GPtrArray *current; /* ids so far */
} Round;

/* -- Opening -------------------------------------------------------------------------------------------------------- */

static void
remove_files (int dir)
{
  g_autoptr (GPtrArray) names = floe_dir_names_at (dir, ".", NULL);

  for (guint i = 0; names != NULL && i < names->len; i++)
    unlinkat (dir, g_ptr_array_index (names, i), 0);
}

static gboolean
open_directories (FloeRefresher *refresher, GError **error)
{
  floe_autofd state = floe_dir_open (refresher->config->state, error);

  if (state < 0)
    return FALSE;
  refresher->agent_dir = floe_dir_make_at (state, "agent", 0755, error);
  if (refresher->agent_dir < 0)
    return FALSE;
  if (flock (refresher->agent_dir, LOCK_EX | LOCK_NB) < 0)
    return floe_error_set (error, FLOE_ERROR_BUSY, "%s/agent: another floe-agent has it", refresher->config->state);
  refresher->trust_dir = floe_dir_make_at (refresher->agent_dir, "trust", 0700, error);
  refresher->images_dir = refresher->trust_dir < 0 ? -1 : floe_dir_make_at (refresher->agent_dir, "images", 0700, error);
  refresher->spool_dir = refresher->images_dir < 0 ? -1 : floe_dir_make_at (state, "spool", 0755, error);
  if (refresher->spool_dir < 0)
    return FALSE;
  /* The client fetches only what it has not accepted yet. When the spool was lost, it must have accepted nothing, or hypervisord would
   * never get the rest; what may not be rolled back is hypervisord's to know, from its own state. */
  if (faccessat (refresher->spool_dir, "metadata/timestamp.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    remove_files (refresher->trust_dir);
  return TRUE;
}

FloeRefresher *
floe_refresher_new (const FloeAgentConfig *config, FloeStore *store, GError **error)
{
  g_autoptr (FloeRefresher) refresher = g_new0 (FloeRefresher, 1);

  refresher->config = config;
  refresher->store = store;
  refresher->agent_dir = refresher->trust_dir = refresher->images_dir = refresher->spool_dir = -1;
  refresher->spool_path = g_build_filename (config->state, "spool", NULL);
  refresher->unneeded = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return open_directories (refresher, error) ? g_steal_pointer (&refresher) : NULL;
}

void
floe_refresher_free (FloeRefresher *refresher)
{
  if (refresher == NULL)
    return;
  floe_fd_clear (&refresher->spool_dir);
  floe_fd_clear (&refresher->images_dir);
  floe_fd_clear (&refresher->trust_dir);
  floe_fd_clear (&refresher->agent_dir);
  g_free (refresher->spool_path);
  g_hash_table_unref (refresher->unneeded);
  g_free (refresher);
}

/* -- A round -------------------------------------------------------------------------------------------------------- */

static void
image_free (gpointer image)
{
  floe_catalogue_image_free (image);
}

/* Keeps the first problem: the rest of the round is tried nevertheless. */
static void
note (Round *round, GError *problem)
{
  if (round->result->error == NULL)
    round->result->error = problem;
  else
    g_error_free (problem);
}

static gboolean
is_known (Round *round, const char *id)
{
  return g_strv_contains (round->known, id) || g_ptr_array_find_with_equal_func (round->current, id, g_str_equal, NULL);
}

/* The target that INFO names by SUFFIX and digest. image.json and the metadata must agree: a mix of two publications does not. */
static GBytes *
fetch_part (Round *round, const FloeImageInfo *info, const char *suffix, const FloeDigest *digest, size_t max, GError **error)
{
  g_autofree char *name = floe_image_target (info, suffix);
  g_autoptr (FloeVerified) verified = floe_trust_target (round->trust, name, max, round->cancellable, error);
  FloeDigest found;
  GBytes *bytes;
  gsize size;

  if (verified == NULL)
    return NULL;
  bytes = floe_verified_bytes (verified);
  floe_digest_of (g_bytes_get_data (bytes, &size), g_bytes_get_size (bytes), &found);
  if (!floe_digest_equal (&found, digest)) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "%s: not the one that image.json names", name);
    return NULL;
  }
  return g_bytes_ref (bytes);
}

static gboolean
make_image (Round *round, const FloeImageInfo *info, const char *id, GBytes *table_bytes, GBytes *boot_bytes, GError **error)
{
  FloeTable *table = floe_table_parse (table_bytes, id, error);
  FloeBootList *boot = NULL;
  FloeCatalogueImage *image;

  if (table == NULL)
    return FALSE;
  if (info->has_boot) {
    boot = floe_boot_list_parse (boot_bytes, id, error);
    if (boot == NULL) {
      floe_table_free (table);
      return FALSE;
    }
  }
  image = floe_catalogue_image_new (id, TRUE, table, boot, round->refresher->store, error);
  if (image == NULL)
    return FALSE;
  g_ptr_array_add (round->result->images, image);
  return floe_table_cache_keep (round->refresher->images_dir, id, table_bytes, error);
}

static gboolean
read_image (Round *round, const FloePolicyImage *wanted, GError **error)
{
  g_autofree char *target = floe_image_channel_target (wanted->name, wanted->channel);
  g_autoptr (FloeVerified) verified =
      floe_trust_target (round->trust, target, FLOE_IMAGE_INFO_MAX_BYTES, round->cancellable, error);
  g_autoptr (FloeImageInfo) info = NULL;
  g_autoptr (GBytes) index = NULL;
  g_autoptr (GBytes) table = NULL;
  g_autoptr (GBytes) boot = NULL;
  g_autofree char *id = NULL;

  if (verified == NULL)
    return FALSE;
  info = floe_image_info_parse (floe_verified_bytes (verified), target, error);
  if (info == NULL)
    return FALSE;
  if (strcmp (info->name, wanted->name) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: describes image %s", target, info->name);
  /* The index is hypervisord's; it only has to be in the spool. */
  index = fetch_part (round, info, "caibx", &info->index, FLOE_INDEX_MAX_BYTES, error);
  if (index == NULL)
    return FALSE;
  g_clear_pointer (&index, g_bytes_unref);
  table = fetch_part (round, info, "table", &info->table, FLOE_TABLE_MAX_BYTES, error);
  if (table == NULL)
    return FALSE;
  if (info->has_boot && (boot = fetch_part (round, info, "boot", &info->boot, FLOE_BOOT_LIST_MAX_BYTES, error)) == NULL)
    return FALSE;
  id = g_strdup_printf ("%s/%s", info->name, info->version);
  if (!is_known (round, id) && !make_image (round, info, id, table, boot, error))
    return FALSE;
  g_ptr_array_add (round->current, g_steal_pointer (&id));
  return TRUE;
}

static gboolean
read_policy (Round *round, GError **error)
{
  g_autofree char *target = g_strdup_printf ("policy/%s.json", round->refresher->config->group);
  g_autoptr (FloeVerified) verified =
      floe_trust_target (round->trust, target, FLOE_POLICY_SIZE_MAX, round->cancellable, error);
  g_autoptr (FloePolicy) policy = NULL;
  const FloePolicyContent *content;

  if (verified == NULL)
    return FALSE;
  policy = floe_policy_new (verified, error);
  if (policy == NULL)
    return FALSE;
  content = floe_policy_content (policy);
  for (size_t i = 0; i < content->n_images; i++) {
    GError *problem = NULL;

    if (!read_image (round, &content->images[i], &problem))
      note (round, problem);
  }
  round->result->policy_version = floe_verified_version (verified);
  return TRUE;
}

/* -- The appliance's own update -------------------------------------------------------------------------------------- */

/* floe-slot judges and installs it (appliance/floe-slot.h); here it is an image of three pieces, of which nobody demands a chunk. */

static GBytes *
fetch_piece_part (Round *round, const FloeApplianceInfo *info, FloeAppliancePieceKind kind, const char *suffix, size_t max, GError **error)
{
  g_autofree char *name = floe_appliance_target (info, kind, suffix);
  g_autoptr (FloeVerified) verified = floe_trust_target (round->trust, name, max, round->cancellable, error);

  return verified == NULL ? NULL : g_bytes_ref (floe_verified_bytes (verified));
}

static gboolean
read_piece (Round *round, const FloeApplianceInfo *info, FloeAppliancePieceKind kind, GError **error)
{
  g_autofree char *id = floe_appliance_piece_id (info, kind);
  g_autoptr (GBytes) index = fetch_piece_part (round, info, kind, "caibx", FLOE_INDEX_MAX_BYTES, error);
  g_autoptr (GBytes) bytes = index == NULL ? NULL : fetch_piece_part (round, info, kind, "table", FLOE_TABLE_MAX_BYTES, error);
  FloeCatalogueImage *image;
  FloeTable *table;

  if (bytes == NULL)
    return FALSE;
  if (!is_known (round, id)) {
    table = floe_table_parse (bytes, id, error);
    image = table == NULL ? NULL : floe_catalogue_image_new (id, TRUE, table, NULL, round->refresher->store, error);
    if (image == NULL)
      return FALSE;
    floe_catalogue_image_set_appliance (image);
    g_ptr_array_add (round->result->images, image);
  }
  g_ptr_array_add (round->current, g_steal_pointer (&id));
  return TRUE;
}

static gboolean
read_appliance (Round *round, GError **error)
{
  g_autofree char *target = floe_appliance_channel_target (round->refresher->config->channel);
  g_autoptr (GError) local = NULL;
  g_autoptr (FloeVerified) verified =
      floe_trust_target (round->trust, target, FLOE_APPLIANCE_INFO_MAX_BYTES, round->cancellable, &local);
  g_autoptr (FloeApplianceInfo) info = NULL;
  floe_autofd slot = -1;

  if (verified == NULL) {
    /* Nobody has published there yet. */
    if (g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
      return TRUE;
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  info = floe_appliance_info_parse (floe_verified_bytes (verified), target, error);
  if (info == NULL)
    return FALSE;
  for (FloeAppliancePieceKind kind = 0; kind < FLOE_APPLIANCE_PIECES; kind++)
    if (!read_piece (round, info, kind, error))
      return FALSE;
  round->result->appliance = info->version;
  slot = openat (round->refresher->agent_dir, "../slot", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  round->result->running = slot < 0 ? NULL : floe_file_read_at (slot, "running.chunks", FLOE_BOOT_LIST_MAX_BYTES, NULL);
  return TRUE;
}

/* -- All of it ------------------------------------------------------------------------------------------------------- */

/* Policy and appliance are apart: neither waits for the other to be well. */
static gboolean
read_all (Round *round, GError **error)
{
  GError *problem = NULL;
  gboolean appliance = round->refresher->config->channel == NULL || read_appliance (round, &problem);
  gboolean policy = read_policy (round, error);

  if (!appliance)
    note (round, problem);
  /* Without a policy, what was current stays so. */
  if (!policy)
    return FALSE;
  g_ptr_array_add (round->current, NULL);
  round->result->current = (GStrv) g_ptr_array_steal (round->current, NULL);
  return TRUE;
}

static FloeTrustTransport *
make_transport (FloeRefresher *refresher, FloeRefreshMode mode, GError **error)
{
  const FloeTrustHttpOptions options = { .url = refresher->config->url, .pin = refresher->config->pin };
  FloeTrustTransport *http;

  if (mode == FLOE_REFRESH_OFFLINE)
    return floe_trust_transport_directory (refresher->spool_path);
  http = floe_trust_transport_http (&options, error);
  if (http == NULL)
    return NULL;
  return floe_spool_transport (refresher->spool_path, refresher->spool_dir, http);
}

static gboolean
run_trust (Round *round, FloeRefreshMode mode, gint64 now, GError **error)
{
  FloeRefresher *refresher = round->refresher;
  g_autoptr (GBytes) root = floe_file_read (refresher->config->root, ROOT_MAX_BYTES, error);
  g_autoptr (FloeTrustTransport) transport = NULL;
  g_autoptr (FloeTrust) trust = NULL;
  GError *problem = NULL;

  if (root == NULL || !floe_trust_init (refresher->trust_dir, root, error))
    return FALSE;
  transport = make_transport (refresher, mode, error);
  if (transport == NULL)
    return FALSE;
  trust = floe_trust_open (refresher->trust_dir, transport, error);
  if (trust == NULL)
    return FALSE;
  if (mode == FLOE_REFRESH_OFFLINE ? !floe_trust_resume (trust, error)
                                   : !floe_trust_refresh (trust, now, round->cancellable, error))
    return FALSE;
  round->trust = trust;
  if (!read_all (round, &problem))
    note (round, problem);
  if (mode == FLOE_REFRESH_OFFLINE)
    return TRUE;
  /* Of a round that lacked something too: hypervisord says what, and the time of the server's word counts (a lease's end hangs on it). */
  round->result->spooled = floe_spool_commit (transport, error);
  if (!round->result->spooled)
    return FALSE;
  /* Only after a round that asked for all that there is to ask for. */
  return round->result->error != NULL || floe_spool_prune (transport, &refresher->unneeded, error);
}

/* -- What the last life of the agent knew ---------------------------------------------------------------------------- */

static void
add_kept (const char *id, FloeTable *table, gpointer data)
{
  Round *round = data;
  FloeCatalogueImage *image;
  GError *problem = NULL;

  for (char **current = round->result->current; current != NULL && *current != NULL; current++)
    if (strcmp (*current, id) == 0) {
      floe_table_free (table);
      return;
    }
  image = floe_catalogue_image_new (id, FALSE, table, NULL, round->refresher->store, &problem);
  if (image != NULL)
    g_ptr_array_add (round->result->images, image);
  else
    note (round, problem);
}

FloeRefreshed *
floe_refresher_run (FloeRefresher *refresher, FloeRefreshMode mode, const char *const *known, gint64 now,
                    GCancellable *cancellable)
{
  g_autoptr (FloeRefreshed) result = g_new0 (FloeRefreshed, 1);
  g_autoptr (GPtrArray) current = g_ptr_array_new_with_free_func (g_free);
  Round round = { refresher, NULL, known, cancellable, result, current };
  GError *problem = NULL;

  result->images = g_ptr_array_new_with_free_func (image_free);
  if (!run_trust (&round, mode, now, &problem))
    note (&round, problem);
  problem = NULL;
  if (mode == FLOE_REFRESH_OFFLINE && !floe_table_cache_load (refresher->images_dir, add_kept, &round, &problem))
    note (&round, problem);
  return g_steal_pointer (&result);
}

gboolean
floe_refresher_forget (FloeRefresher *refresher, const char *id, GError **error)
{
  return floe_table_cache_forget (refresher->images_dir, id, error);
}

void
floe_refreshed_free (FloeRefreshed *refreshed)
{
  if (refreshed == NULL)
    return;
  g_clear_pointer (&refreshed->images, g_ptr_array_unref);
  g_strfreev (refreshed->current);
  g_clear_pointer (&refreshed->running, g_bytes_unref);
  g_clear_error (&refreshed->error);
  g_free (refreshed);
}
