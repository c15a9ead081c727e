/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <sys/types.h>

/* What floe-agent takes from floe.conf (docs/architecture.md, "Endpoint"). The first four are NULL where the endpoint has still to enrol, or
 * learns them from what enrolment left: floe_agent_config_adopt(). */
typedef struct {
  char *url;      /* https://HOST[:PORT], no slash at the end */
  char *pin;      /* sha256//BASE64 */
  char *group;    /* floe_name_is_safe(), 64 bytes at most */
  char *id;       /* as the server calls this endpoint; only after enrolment */
  char *state;    /* absolute paths */
  char *run;
  char *root;
  char *address_file; /* [setup]: where a server's address may lie for the person who sets this endpoint up */
  char *channel;  /* of the appliance, [appliance]; NULL: this is none, or it is not updated */
  uid_t uid_base; /* a plugin runs as uid_base + 2 n + 1 */
} FloeAgentConfig;

/* A plugin's slots: uid_base + 2 * FLOE_AGENT_SLOTS is past the last uid that the chunk socket serves. */
#define FLOE_AGENT_SLOTS 16384u

/* TEXT in GKeyFile's form; SOURCE names it in errors. [server] and the group may be missing together. INVALID for what else is missing,
 * malformed or, in [server], [endpoint], [paths], [setup] and [appliance], unknown; other groups belong to other programs, of [host] only uid_base is read. */
FloeAgentConfig *floe_agent_config_parse (const char *text, size_t size, const char *source, GError **error) FLOE_WARN_UNUSED;
void floe_agent_config_free (FloeAgentConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeAgentConfig, floe_agent_config_free)

/* Whether a process of UID may be one of our plugins. */
gboolean floe_agent_config_is_plugin (const FloeAgentConfig *config, uid_t uid);

/* Puts what enrolment left (STATE/agent/enrolment.conf) into CONFIG, which knows no server yet. INVALID when it is not that. */
gboolean floe_agent_config_adopt (FloeAgentConfig *config, const char *text, size_t size, const char *source, GError **error) FLOE_WARN_UNUSED;
/* The text of that file, to be freed. */
char *floe_agent_config_enrolment (const char *url, const char *pin, const char *group, const char *id);
