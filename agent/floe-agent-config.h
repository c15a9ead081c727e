/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <sys/types.h>

/* What floe-agent takes from floe.conf (docs/architecture.md, "Endpoint"). */
typedef struct {
  char *url;      /* https://HOST[:PORT], no slash at the end */
  char *pin;      /* sha256//BASE64 */
  char *group;    /* floe_name_is_safe(), 64 bytes at most */
  char *state;    /* absolute paths */
  char *run;
  char *root;
  uid_t uid_base; /* a plugin runs as uid_base + 2 n + 1 */
} FloeAgentConfig;

/* A plugin's slots: uid_base + 2 * FLOE_AGENT_SLOTS is past the last uid that the chunk socket serves. */
#define FLOE_AGENT_SLOTS 16384u

/* TEXT in GKeyFile's form; SOURCE names it in errors. INVALID for what is missing, malformed or, in [server], [endpoint] and
 * [paths], unknown; other groups belong to other programs, of [host] only uid_base is read. */
FloeAgentConfig *floe_agent_config_parse (const char *text, size_t size, const char *source, GError **error) FLOE_WARN_UNUSED;
void floe_agent_config_free (FloeAgentConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeAgentConfig, floe_agent_config_free)

/* Whether a process of UID may be one of our plugins. */
gboolean floe_agent_config_is_plugin (const FloeAgentConfig *config, uid_t uid);
