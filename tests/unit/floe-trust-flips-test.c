/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/endpoint.h"

#include <string.h>

/* A single bit flipped anywhere in any metadata file: refused, and the unaltered file accepted afterwards. */

static unsigned tried, accepted;

/* Whether the bit only changes the case of a hexadecimal digit of the signature, which is the same signature. */
static gboolean
is_case_of_signature (const char *text, gsize bit)
{
  const char *signature = strstr (text, "\"sig\":\"");
  const char *at = text + bit / 8;

  signature += strlen ("\"sig\":\"");
  return bit % 8 == 5 && at >= signature && at < signature + 128 && g_ascii_isalpha (*at);
}

/* Flips every seventh bit of PATH, so each bit of a byte has its turn, in a repository whose next version it belongs to. */
static void
test_flips (gconstpointer data)
{
  const char *path = data;
  g_autoptr (Endpoint) endpoint = endpoint_new ();
  Forge *forge = endpoint->forge;
  g_autofree char *text = NULL;
  g_autoptr (FloeVerified) honest = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;

  forge->hashes = FALSE;
  forge_bump (forge, "root");
  forge_release (forge, "targets", "policy", NULL);
  size = g_bytes_get_size (g_hash_table_lookup (forge->files, path));
  text = g_strndup (g_bytes_get_data (g_hash_table_lookup (forge->files, path), NULL), size);
  for (gsize bit = 0; bit < 8 * size; bit += 7) {
    g_autofree char *copy = g_memdup2 (text, size);
    g_autoptr (GBytes) wrong = NULL;
    g_autoptr (FloeVerified) got = NULL;

    if (is_case_of_signature (text, bit))
      continue;
    copy[bit / 8] ^= (char) (1 << bit % 8);
    wrong = g_bytes_new (copy, size);
    forge_put (forge, path, wrong);
    got = endpoint_fetch (endpoint, "policy/office.json", FORGE_NOW, NULL);
    tried++;
    accepted += got != NULL;
    g_assert_null (got);
  }
  /* Unaltered, it is accepted: what was refused was refused for the bit. */
  forge_put_text (forge, path, text);
  honest = endpoint_fetch (endpoint, "policy/office.json", FORGE_NOW, &error);
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  static const char *const files[] = { "metadata/2.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json",
                                       "metadata/2.targets.json", "metadata/2.policy.json" };
  int status;

  g_test_init (&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *name = g_strconcat ("/flips/", files[i], NULL);

    g_test_add_data_func (name, files[i], test_flips);
  }
  status = g_test_run ();
  g_print ("figure: trust_flips_tried = %u\nfigure: trust_flips_accepted = %u\n", tried, accepted);
  return status;
}
