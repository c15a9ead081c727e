/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-record.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Records of machines; what parses must come out of building and parsing again the same. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (FloeRunRecord) run = floe_run_record_parse (bytes, "run", NULL);
  g_autoptr (FloeDiskRecord) disk = floe_disk_record_parse (bytes, "disk", NULL);

  if (run != NULL) {
    g_autoptr (GBytes) built = floe_run_record_build (run);
    g_autoptr (FloeRunRecord) again = floe_run_record_parse (built, "again", NULL);

    g_assert (again != NULL && again->slot == run->slot && again->qemu_pid == run->qemu_pid);
  }
  if (disk != NULL) {
    g_autoptr (GBytes) built = floe_disk_record_build (disk);
    g_autoptr (FloeDiskRecord) again = floe_disk_record_parse (built, "again", NULL);

    g_assert (again != NULL && again->slot == disk->slot);
  }
  return 0;
}
