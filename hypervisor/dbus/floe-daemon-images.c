/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/dbus/floe-daemon-images.h"

#include "common/floe-log.h"
#include "hypervisor/machine/floe-image-library.h"
#include "hypervisor/machine/floe-kept-disks.h"

struct _FloeDaemonImages {
  FloeHost *host;
  char *path;
  GHashTable *unneeded; /* labels: not in use when last looked at */
};

FloeDaemonImages *
floe_daemon_images_new (FloeHost *host)
{
  FloeDaemonImages *images = g_new0 (FloeDaemonImages, 1);

  images->host = host;
  images->path = g_build_filename (host->config->state, "hypervisor", "images", NULL);
  images->unneeded = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return images;
}

void
floe_daemon_images_free (FloeDaemonImages *images)
{
  if (images == NULL)
    return;
  g_hash_table_unref (images->unneeded);
  g_free (images->path);
  g_free (images);
}

static void
add_disk (const FloeDiskRecord *record, gpointer data)
{
  if (*record->image != '\0')
    g_hash_table_add (data, g_strdup (record->image));
}

GStrv
floe_daemon_images_in_use (FloeDaemonImages *images, FloeInForce *in_force, GError **error)
{
  g_autoptr (GHashTable) labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char **list = NULL;
  GHashTableIter iter;
  gpointer image;

  if (in_force != NULL) {
    g_hash_table_iter_init (&iter, in_force->images);
    while (g_hash_table_iter_next (&iter, NULL, &image))
      g_hash_table_add (labels, g_strdup (floe_library_image_label (image)));
  }
  if (!floe_kept_disks_foreach (images->host->machines_state, add_disk, labels, error))
    return NULL;
  list = (char **)g_hash_table_get_keys_as_array (labels, NULL);
  return g_strdupv (list);
}

void
floe_daemon_images_prune (FloeDaemonImages *images, FloeInForce *in_force)
{
  g_auto (GStrv) in_use = NULL;
  g_autoptr (GError) error = NULL;

  /* An image that cannot be had now may be one whose copies are all that is left of it. */
  if (in_force == NULL || g_hash_table_size (in_force->problems) > 0)
    return;
  in_use = floe_daemon_images_in_use (images, in_force, &error);
  if (in_use == NULL || !floe_library_prune (images->path, (const char *const *)in_use, &images->unneeded, &error))
    floe_log (G_LOG_LEVEL_WARNING, "copies of old images stay", "REASON", error->message, NULL);
}
