/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-agent-config.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeAgentConfig) config = floe_agent_config_parse ((const char *) data, size, "fuzz", &error);

  if ((config == NULL) != (error != NULL))
    abort ();
  /* Root and people are no plugins, whatever the file says. */
  if (config != NULL && (floe_agent_config_is_plugin (config, 0) || floe_agent_config_is_plugin (config, 999)))
    abort ();
  return 0;
}
