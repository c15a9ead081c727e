/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/policy-loader/floe-loader.h"

#include "common/floe-fd.h"
#include "common/floe-json.h"
#include "common/floe-log.h"
#include "hypervisor/policy-loader/floe-kept.h"
#include "server-sync/image/floe-table.h"

#include <string.h>
#include <time.h>

#define ROOT_MAX_BYTES (512 * 1024)
#define CLOCK_FILE "clock.json"
#define CLOCK_MAX_BYTES 512
#define CLOCK_STEP_S 60

struct _FloeLoader {
  int state_dir; /* STATE/hypervisor */
  int trust_dir;
  char *images_path;
  char *target; /* policy/GROUP.json */
  FloeTrustTransport *spool;
  gint64 (*wall) (void), (*boot) (void);
  gint64 highest, written, refreshed;
  gint64 timestamp;   /* version of the timestamp role when `refreshed` was set; 0: none yet */
  gint64 base, begun; /* highest and boot clock at our start */
};

/* -- Time ------------------------------------------------------------------------------------------------------------- */

/* Two things would give an endpoint that is kept offline all the time in the world: a clock set back at each boot, and a spool
 * offered again at each boot. So time goes on from the highest ever seen by as much as we run, whatever the clock says; and
 * only a timestamp that was not seen before, which the server's key alone makes, counts as contact. */

static gint64
wall_clock (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

static gint64
boot_clock (void)
{
  struct timespec now = { 0 };

  (void)clock_gettime (CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

static gboolean
read_clock (FloeLoader *loader, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) bytes = floe_file_read_at (loader->state_dir, CLOCK_FILE, CLOCK_MAX_BYTES, &local);
  g_autoptr (FloeJsonDocument) document = NULL;
  FloeJson *root;

  if (g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  document = bytes == NULL ? NULL : floe_json_parse (bytes, CLOCK_FILE, CLOCK_MAX_BYTES, &local);
  if (document == NULL) {
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  root = floe_json_root (document);
  loader->highest = loader->written = floe_json_int (floe_json_member (root, "highest"), 0, G_MAXINT64);
  loader->refreshed = floe_json_int (floe_json_member (root, "refreshed"), 0, G_MAXINT64);
  loader->timestamp = floe_json_int (floe_json_member (root, "timestamp"), 0, G_MAXINT64);
  return floe_json_finish (document, error);
}

static gboolean
write_clock (FloeLoader *loader, gint64 refreshed, gint64 timestamp)
{
  g_autofree char *text = g_strdup_printf ("{\"highest\": %" G_GINT64_FORMAT ", \"refreshed\": %" G_GINT64_FORMAT
                                           ", \"timestamp\": %" G_GINT64_FORMAT "}\n",
                                           loader->highest, refreshed, timestamp);
  g_autoptr (GError) error = NULL;

  if (!floe_file_replace_at (loader->state_dir, CLOCK_FILE, text, strlen (text), 0600, &error)) {
    floe_log (G_LOG_LEVEL_WARNING, "clock not written", "REASON", error->message, NULL);
    return FALSE;
  }
  loader->written = loader->highest;
  return TRUE;
}

gint64
floe_loader_time (FloeLoader *loader)
{
  gint64 ran = loader->boot () - loader->begun;

  loader->highest = MAX (MAX (loader->highest, loader->base + MAX (ran, 0)), loader->wall ());
  if (loader->highest - loader->written >= CLOCK_STEP_S)
    (void)!write_clock (loader, loader->refreshed, loader->timestamp);
  return loader->highest;
}

/* A timestamp of another version than the last is contact. What cannot be written down is not: the next start would see the same
 * timestamp as a new one. */
static void
note_contact (FloeLoader *loader, FloeTrust *trust, gint64 now)
{
  gint64 version = 0, expires;

  if (!floe_trust_role (trust, "timestamp", &version, &expires) || version == loader->timestamp
      || !write_clock (loader, now, version))
    return;
  loader->refreshed = now;
  loader->timestamp = version;
}

/* -- The loader ------------------------------------------------------------------------------------------------------- */

FloeLoader *
floe_loader_new (const FloeLoaderOptions *options, GError **error)
{
  g_autoptr (FloeLoader) loader = g_new0 (FloeLoader, 1);
  g_autofree char *state = g_build_filename (options->state, "hypervisor", NULL);
  g_autofree char *spool = g_build_filename (options->state, "spool", NULL);
  g_autoptr (GBytes) root = NULL;

  loader->wall = options->wall != NULL ? options->wall : wall_clock;
  loader->boot = options->boot != NULL ? options->boot : boot_clock;
  loader->begun = loader->boot ();
  loader->state_dir = loader->trust_dir = -1;
  loader->state_dir = floe_dir_make (state, 0755, error);
  if (loader->state_dir < 0)
    return NULL;
  loader->trust_dir = floe_dir_make_at (loader->state_dir, "trust", 0700, error);
  if (loader->trust_dir < 0 || !read_clock (loader, error))
    return NULL;
  loader->base = loader->highest;
  loader->images_path = g_build_filename (state, "images", NULL);
  loader->target = g_strdup_printf ("policy/%s.json", options->group);
  loader->spool = floe_trust_transport_directory (spool);
  root = floe_file_read (options->root, ROOT_MAX_BYTES, error);
  if (root == NULL || !floe_trust_init (loader->trust_dir, root, error))
    return NULL;
  return g_steal_pointer (&loader);
}

void
floe_loader_free (FloeLoader *loader)
{
  if (loader == NULL)
    return;
  floe_trust_transport_free (loader->spool);
  floe_fd_clear (&loader->trust_dir);
  floe_fd_clear (&loader->state_dir);
  g_free (loader->images_path);
  g_free (loader->target);
  g_free (loader);
}

FloeInForce *
floe_in_force_ref (FloeInForce *in_force)
{
  g_atomic_ref_count_inc (&in_force->references);
  return in_force;
}

void
floe_in_force_unref (FloeInForce *in_force)
{
  if (in_force == NULL || !g_atomic_ref_count_dec (&in_force->references))
    return;
  floe_policy_unref (in_force->policy);
  g_hash_table_unref (in_force->images);
  g_hash_table_unref (in_force->problems);
  g_free (in_force);
}

/* -- Loading ---------------------------------------------------------------------------------------------------------- */

/* One image that cannot be had keeps its machines from starting, not the policy from being in force. */
static void
take_image (FloeLoader *loader, FloeTrust *trust, const FloePolicyImage *wanted, FloeInForce *in_force)
{
  g_autofree char *key = g_strdup_printf ("%s/%s", wanted->name, wanted->channel);
  g_autofree char *target = floe_image_channel_target (wanted->name, wanted->channel);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeVerified) info = floe_trust_target (trust, target, FLOE_IMAGE_INFO_MAX_BYTES, NULL, &error);
  FloeLibraryImage *image = NULL;

  if (info != NULL)
    image = floe_library_take (loader->images_path, trust, info, wanted->name, NULL, &error);
  if (image != NULL)
    g_hash_table_insert (in_force->images, g_steal_pointer (&key), image);
  else
    g_hash_table_insert (in_force->problems, g_steal_pointer (&key),
                         g_strdup_printf ("image %s: %s", target, error->message));
}

/* The policy from the spool, or the copy of it that was kept when it came into force: judged by the same metadata. */
static FloeVerified *
find_policy (FloeLoader *loader, FloeTrust *trust, GError **error)
{
  g_autoptr (GError) local = NULL;
  FloeVerified *verified = floe_trust_target (trust, loader->target, FLOE_POLICY_SIZE_MAX, NULL, &local);
  g_autoptr (GBytes) document = NULL;
  floe_autofd kept = -1;

  if (verified != NULL)
    return verified;
  kept = floe_kept_open (loader->state_dir, NULL);
  document = kept < 0 ? NULL : floe_kept_document (kept, NULL);
  if (document != NULL)
    verified = floe_trust_adopt (trust, loader->target, document, NULL, NULL);
  if (verified == NULL)
    g_propagate_error (error, g_steal_pointer (&local));
  return verified;
}

static FloeInForce *
build (FloeLoader *loader, FloeTrust *trust, FloeVerified *verified, GError **error)
{
  g_autoptr (FloePolicy) policy = floe_policy_new (verified, error);
  g_autoptr (FloeInForce) in_force = NULL;
  const FloePolicyImage *images;
  size_t n_images;

  if (policy == NULL)
    return NULL;
  in_force = g_new0 (FloeInForce, 1);
  g_atomic_ref_count_init (&in_force->references);
  in_force->policy = g_steal_pointer (&policy);
  in_force->images = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)floe_library_image_unref);
  in_force->problems = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  in_force->refreshed = loader->refreshed;
  images = floe_policy_images (floe_policy_content (in_force->policy), &n_images);
  for (size_t i = 0; i < n_images; i++)
    take_image (loader, trust, &images[i], in_force);
  return g_steal_pointer (&in_force);
}

static FloeInForce *
load (FloeLoader *loader, FloeTrust *trust, GError **error)
{
  g_autoptr (FloeVerified) verified = find_policy (loader, trust, error);
  g_autoptr (FloeInForce) in_force = verified == NULL ? NULL : build (loader, trust, verified, error);

  /* Before anybody enforces it, or a restart could go back behind it. */
  if (in_force == NULL
      || !floe_kept_save (loader->state_dir, loader->trust_dir, floe_verified_bytes (verified), error))
    return NULL;
  return g_steal_pointer (&in_force);
}

/* By the metadata of its own time. */
static FloeInForce *
load_kept (FloeLoader *loader, GError **error)
{
  floe_autofd kept = floe_kept_open (loader->state_dir, error);
  g_autoptr (FloeTrust) trust = kept < 0 ? NULL : floe_trust_open (kept, loader->spool, error);
  g_autoptr (GBytes) document = NULL;
  g_autoptr (FloeVerified) verified = NULL;

  if (trust == NULL || !floe_trust_resume (trust, error))
    return NULL;
  document = floe_kept_document (kept, error);
  verified = document == NULL ? NULL : floe_trust_adopt (trust, loader->target, document, NULL, error);
  return verified == NULL ? NULL : build (loader, trust, verified, error);
}

FloeInForce *
floe_loader_resume (FloeLoader *loader, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (FloeTrust) trust = floe_trust_open (loader->trust_dir, loader->spool, &local);
  FloeInForce *in_force = NULL;

  if (trust != NULL && floe_trust_resume (trust, &local))
    in_force = load (loader, trust, &local);
  if (in_force == NULL)
    in_force = load_kept (loader, NULL);
  if (in_force == NULL)
    g_propagate_error (error, g_steal_pointer (&local));
  else if (local != NULL)
    floe_log (G_LOG_LEVEL_WARNING, "newest policy not usable, the last one that was stays in force", "REASON",
              local->message, NULL);
  return in_force;
}

gboolean
floe_loader_waits (FloeLoader *loader, const GError *error)
{
  return loader->timestamp == 0 && g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND);
}

FloeInForce *
floe_loader_refresh (FloeLoader *loader, GError **error)
{
  gint64 now = floe_loader_time (loader);
  g_autoptr (FloeTrust) trust = floe_trust_open (loader->trust_dir, loader->spool, error);

  if (trust == NULL || !floe_trust_refresh (trust, now, NULL, error))
    return NULL;
  note_contact (loader, trust, now);
  return load (loader, trust, error);
}
