/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/endpoint.h"

#include "common/floe-fd.h"

#include <glib/gstdio.h>
#include <string.h>

Endpoint *
endpoint_new (void)
{
  Endpoint *endpoint = g_new0 (Endpoint, 1);
  g_autoptr (GError) error = NULL;

  endpoint->forge = forge_new ();
  endpoint->path = g_dir_make_tmp ("floe-trust-XXXXXX", &error);
  g_assert_no_error (error);
  endpoint->state = floe_dir_open (endpoint->path, &error);
  g_assert_no_error (error);
  g_assert_true (floe_trust_init (endpoint->state, g_hash_table_lookup (endpoint->forge->files, "metadata/1.root.json"), &error));
  g_assert_no_error (error);
  return endpoint;
}

Endpoint *
endpoint_new_current (void)
{
  Endpoint *endpoint = endpoint_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeVerified) verified = endpoint_fetch (endpoint, "policy/office.json", FORGE_NOW, &error);

  g_assert_no_error (error);
  g_assert_nonnull (verified);
  return endpoint;
}

void
endpoint_free (Endpoint *endpoint)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (endpoint == NULL)
    return;
  dir = g_dir_open (endpoint->path, 0, NULL);
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *file = g_build_filename (endpoint->path, name, NULL);

    g_unlink (file);
  }
  g_rmdir (endpoint->path);
  floe_fd_clear (&endpoint->state);
  forge_free (endpoint->forge);
  g_free (endpoint->path);
  g_free (endpoint);
}

gboolean
endpoint_refresh (Endpoint *endpoint, gint64 now, GError **error)
{
  g_autoptr (FloeTrust) trust = floe_trust_open (endpoint->state, &endpoint->forge->transport, error);

  return trust != NULL && floe_trust_refresh (trust, now, NULL, error);
}

FloeVerified *
endpoint_fetch (Endpoint *endpoint, const char *target, gint64 now, GError **error)
{
  g_autoptr (FloeTrust) trust = floe_trust_open (endpoint->state, &endpoint->forge->transport, error);

  if (trust == NULL || !floe_trust_refresh (trust, now, NULL, error))
    return NULL;
  return floe_trust_target (trust, target, 1u << 20, NULL, error);
}

gint64
endpoint_version (Endpoint *endpoint, const char *role)
{
  g_autofree char *name = g_strconcat (role, ".json", NULL);
  g_autoptr (GBytes) file = floe_file_read_at (endpoint->state, name, 1u << 20, NULL);
  json_t *json;
  gint64 version;

  if (file == NULL)
    return 0;
  json = json_loadb (g_bytes_get_data (file, NULL), g_bytes_get_size (file), 0, NULL);
  version = json_integer_value (json_object_get (json_object_get (json, "signed"), "version"));
  json_decref (json);
  return version;
}

static int
compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char *
endpoint_state (Endpoint *endpoint, const char *except)
{
  g_autoptr (GDir) dir = g_dir_open (endpoint->path, 0, NULL);
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) excepted = g_strsplit (except, " ", -1);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *file = g_build_filename (endpoint->path, name, NULL), *content = NULL, *digest = NULL;
    gsize size;

    if (g_strv_contains ((const char *const *) excepted, name))
      continue;
    g_assert_true (g_file_get_contents (file, &content, &size, NULL));
    digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) content, size);
    g_ptr_array_add (lines, g_strdup_printf ("%s %s", name, digest));
  }
  g_ptr_array_sort (lines, compare_lines);
  g_ptr_array_add (lines, NULL);
  return g_strjoinv ("\n", (char **) lines->pdata);
}
