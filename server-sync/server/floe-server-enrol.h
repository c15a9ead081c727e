/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/enrol/floe-enrol-proof.h"
#include "server-sync/server/floe-registry.h"

/* One request to enrol, judged: everything between the bytes of POST /enrol and those of its answer. */

typedef struct {
  unsigned status;  /* of HTTP */
  GBytes *body;
  char *proof;      /* for FLOE_ENROL_PROOF_HEADER; NULL: the client has not proved to have the code */
} FloeServerEnrolled;

/* SERVER is SHA-256 of the TLS key's SubjectPublicKeyInfo, PROOF and SIGNATURE the headers (NULL: absent). Never fails: what goes wrong here is
 * logged and answered "busy". From any thread. */
void floe_server_enrol (FloeRegistry *registry, const FloeDigest *server, GBytes *request, const char *proof, const char *signature,
                        gint64 now, FloeServerEnrolled *enrolled);
