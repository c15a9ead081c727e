/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/server/floe-registry.h"

/* One check-in, judged: everything between the bytes of POST /checkin and those of its answer. SERVER is SHA-256 of the TLS key's SubjectPublicKeyInfo,
 * SIGNATURE the header (NULL: absent). Never fails: what goes wrong here is logged and answered "busy". From any thread. *status is HTTP's. */
GBytes *floe_server_check_in (FloeRegistry *registry, const FloeDigest *server, GBytes *body, const char *signature, gint64 now, unsigned *status);
