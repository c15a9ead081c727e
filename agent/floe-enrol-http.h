/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* The two HTTPS requests of enrolment, and that of a check-in, by libcurl: one to any server, to learn its key, and one to the server that has this key. No
 * redirects, small answers, a deadline. */

typedef struct {
  long status;
  GBytes *body;
  char *proof;       /* header Floe-Proof, or NULL */
  FloeDigest server; /* SHA-256 of the TLS key's SubjectPublicKeyInfo */
} FloeEnrolResponse;

void floe_enrol_response_clear (FloeEnrolResponse *response);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FloeEnrolResponse, floe_enrol_response_clear)

/* Whoever answers at URL, with whatever certificate: nothing secret may be in what is asked. IO, LIMIT, CANCELLED. */
gboolean floe_enrol_get (const char *url, GCancellable *cancellable, FloeEnrolResponse *response, GError **error) FLOE_WARN_UNUSED;
/* UNVERIFIED when the key of who answers is not SERVER; nothing is sent to it then. PROOF may be NULL. */
gboolean floe_enrol_post (const char *url, const FloeDigest *server, GBytes *body, const char *proof, const char *signature,
                          GCancellable *cancellable, FloeEnrolResponse *response, GError **error) FLOE_WARN_UNUSED;
/* "sha256//BASE64", to be freed. */
char *floe_enrol_pin (const FloeDigest *server);
