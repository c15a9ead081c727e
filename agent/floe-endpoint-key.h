/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/enrol/floe-enrol-message.h"

/* The endpoint's own Ed25519 key: its private half, 32 bytes as RFC 8032 has it, in STATE/agent/endpoint.key (0600). It is what the server
 * knows this endpoint by. */
typedef struct {
  uint8_t private_half[FLOE_ENROL_KEY_SIZE], public_half[FLOE_ENROL_KEY_SIZE];
} FloeEndpointKey;

/* Loads it from the directory AGENT_DIR, made and on disk before this returns if there was none. REFUSED when others can read it. */
gboolean floe_endpoint_key_load (int agent_dir, FloeEndpointKey *key, GError **error) FLOE_WARN_UNUSED;
void floe_endpoint_key_clear (FloeEndpointKey *key);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FloeEndpointKey, floe_endpoint_key_clear)
