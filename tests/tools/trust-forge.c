/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/forge.h"

#include "common/floe-fd.h"

#include <stdlib.h>

/* trust-forge DIR [TARGETS BINS]: writes a repository below DIR, and its first root as DIR/root.json; with TARGETS targets
 * `files/NUMBER` in BINS hashed bins, a power of 16 of them. */

static void
add_bins (Forge *forge, int n_targets, int n_bins)
{
  int digits = 0;

  for (int n = n_bins; n > 1; n /= 16)
    digits++;
  for (int i = 0; i < n_bins; i++) {
    g_autofree char *prefix = g_strdup_printf ("%0*x", digits, (unsigned) i), *name = g_strconcat ("bin-", prefix, NULL);

    forge_delegate (forge, "targets", name, TRUE, json_pack ("{s:[s]}", "path_hash_prefixes", prefix));
  }
  for (int i = 0; i < n_targets; i++) {
    g_autofree char *target = g_strdup_printf ("files/%d", i), *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, target, -1);
    g_autofree char *name = g_strdup_printf ("bin-%.*s", digits, digest);

    forge_add_target (forge, name, target, target);
  }
  for (int i = 0; i < n_bins; i++) {
    g_autofree char *name = g_strdup_printf ("bin-%0*x", digits, (unsigned) i);

    forge_publish (forge, name);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (Forge) forge = forge_new ();
  g_autofree char *root = NULL;
  GBytes *file = g_hash_table_lookup (forge->files, "metadata/1.root.json");

  if (argc != 2 && argc != 4)
    return 2;
  if (argc == 4)
    add_bins (forge, atoi (argv[2]), atoi (argv[3]));
  forge_release (forge, "targets", NULL);
  forge_write (forge, argv[1]);
  root = g_build_filename (argv[1], "root.json", NULL);
  return g_file_set_contents (root, g_bytes_get_data (file, NULL), (gssize) g_bytes_get_size (file), NULL) ? 0 : 1;
}
