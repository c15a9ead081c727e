/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-index.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What is accepted can be read in full, and written again it is the same but for the feature flags that do not matter. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (FloeIndex) index = floe_index_parse (bytes, "fuzz", NULL);
  g_autoptr (GBytes) again = NULL;
  g_autofree FloeDigest *digests = NULL;
  uint64_t total = 0;

  if (index == NULL)
    return 0;
  digests = g_new0 (FloeDigest, floe_index_chunks (index) + 1);
  for (size_t i = 0; i < floe_index_chunks (index); i++) {
    uint32_t chunk;

    floe_index_chunk (index, i, &digests[i], &chunk);
    g_assert (chunk >= 1 && chunk <= FLOE_CHUNK_SIZE);
    total += chunk;
  }
  g_assert (total == floe_index_size (index));
  again = floe_index_build (digests, total);
  g_assert (g_bytes_get_size (again) == size);
  g_assert (memcmp ((const uint8_t *) g_bytes_get_data (again, NULL) + 24, data + 24, size - 24) == 0);
  return 0;
}
