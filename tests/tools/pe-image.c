/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/pe-forge.h"

#include <stdio.h>

/* pe-image COMMAND-LINE IMAGE CERTIFICATE: an image for the firmware with this command line, signed with a key that nobody keeps, and its certificate. */

static gboolean
put (const char *path, GBytes *bytes)
{
  return g_file_set_contents (path, g_bytes_get_data (bytes, NULL), (gssize) g_bytes_get_size (bytes), NULL);
}

int
main (int argc, char **argv)
{
  g_autoptr (PeSigner) signer = NULL;
  g_autoptr (GBytes) image = NULL, certificate = NULL;

  if (argc != 4) {
    fprintf (stderr, "usage: pe-image COMMAND-LINE IMAGE CERTIFICATE\n");
    return 2;
  }
  signer = pe_signer_new ("Floe");
  image = pe_forge (argv[1], 60000, signer);
  certificate = pe_signer_certificate (signer);
  return put (argv[2], image) && put (argv[3], certificate) ? 0 : 1;
}
