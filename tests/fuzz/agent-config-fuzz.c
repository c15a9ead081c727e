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
  if (config != NULL && config->url == NULL && (config->pin != NULL || config->group != NULL))
    abort ();
  /* The same bytes as what enrolment left: all of it or nothing is taken. */
  if (config != NULL && config->url == NULL &&
      floe_agent_config_adopt (config, (const char *) data, size, "fuzz", NULL) != (config->url != NULL && config->id != NULL))
    abort ();
  return 0;
}
