/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/image/floe-verity.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A hash tree over one and over three blocks of zeros. Nobody finds one that fits a root hash of zeros. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const FloeDigest root_hash = { { 0 } };
  int tree = memfd_create ("tree", MFD_CLOEXEC), blocks = memfd_create ("data", MFD_CLOEXEC);

  if (write (tree, data, size) == (ssize_t) size && ftruncate (blocks, 3 * FLOE_VERITY_BLOCK) == 0) {
    const FloeVerityPart part = { tree, 0, size };
    uint64_t data_size, tree_size;

    for (uint64_t count = 1; count <= 3; count += 2) {
      const FloeVerityPart below = { blocks, 0, count * FLOE_VERITY_BLOCK };

      g_assert (!floe_verity_check (&below, &part, &root_hash, NULL));
    }
    if (floe_verity_sizes (&part, &data_size, &tree_size, NULL))
      g_assert (data_size >= FLOE_VERITY_BLOCK && tree_size >= FLOE_VERITY_BLOCK && tree_size < data_size + 2 * FLOE_VERITY_BLOCK);
  }
  close (tree);
  close (blocks);
  return 0;
}
