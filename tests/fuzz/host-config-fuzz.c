/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "hypervisor/machine/floe-host.h"

#include <stdlib.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* floe.conf as floe-hypervisord reads it: refused with a reason, or whole, and never with root's uid for a machine. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  floe_autofd fd = memfd_create ("floe.conf", MFD_CLOEXEC);
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeHostConfig) config = NULL;

  if (!floe_write_all (fd, data, size, NULL))
    abort ();
  config = floe_host_config_load (path, &error);
  if ((config == NULL) != (error != NULL))
    abort ();
  if (config != NULL
      && (config->uid_base < 1000 || (config->group != NULL && !floe_name_is_safe (config->group))
          || !g_path_is_absolute (config->state) || !g_path_is_absolute (config->run)))
    abort ();
  return 0;
}
