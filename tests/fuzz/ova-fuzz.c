/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "image-builder/floe-foreign.h"
#include "image-builder/floe-ova.h"

#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The same bytes as an archive, as a descriptor, as the head of each format and as qemu-img's words. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const drivers[] = { "qcow2", "vmdk", "vhdx", "vdi", "vpc", "raw" };
  floe_autofd fd = memfd_create ("fuzz", MFD_CLOEXEC);
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autofree char *name = floe_ovf_disk (bytes, "fuzz", NULL);
  FloeOvaDisk disk;
  uint64_t virtual_size;

  g_assert (name == NULL || floe_name_is_safe (name));
  if (floe_write_all (fd, data, size, NULL) && floe_ova_find_disk (fd, &disk, NULL))
    g_assert (floe_name_is_safe (disk.name) && disk.offset <= size && disk.size <= size - disk.offset);
  for (size_t i = 0; i < G_N_ELEMENTS (drivers); i++)
    if (floe_foreign_check_head (drivers[i], data, size, NULL) && size >= 512
        && floe_foreign_check_length (drivers[i], data, size, data + size - 512, size, NULL))
      continue;
  if (floe_foreign_check_info (bytes, "/x", &virtual_size, NULL))
    g_assert (virtual_size > 0);
  return 0;
}
