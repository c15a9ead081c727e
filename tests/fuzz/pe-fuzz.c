/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-pe.h"
#include "tests/lib/pe-forge.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A section lies within its image; and nothing is signed by a key that is made here and now. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static GBytes *certificate;
  g_autoptr (GBytes) image = g_bytes_new (data, size);
  g_autoptr (GBytes) line = floe_pe_section (image, ".cmdline", NULL);

  if (certificate == NULL) {
    g_autoptr (PeSigner) signer = pe_signer_new ("Floe");

    certificate = pe_signer_certificate (signer);
  }
  g_assert (line == NULL || g_bytes_get_size (line) <= size);
  g_assert (!floe_pe_verify (image, certificate, NULL));
  return 0;
}
