/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-trust.h"

/* A repository over HTTPS (or HTTP, which a repository's signatures allow), by libcurl. In a library of its own, so that what only judges
 * links no network code. TLS 1.2 at least. Redirects are followed four times at most and never to another protocol. A transfer that stays
 * below 256 bytes a second for as long as `patience` says, or a connection not made in that time, ends. */
typedef struct {
  const char *url;                  /* base of `metadata/` and `targets/`; or NULL and both of: */
  const char *metadata_url, *targets_url;
  const char *pin;                  /* `sha256//BASE64` of the server's public key, which then is all it is known by; NULL: the
                                     * host's certificate authorities decide */
  const char *const *headers;       /* more request headers ("Name: value"), ended by NULL; or NULL */
  unsigned patience;                /* seconds; 0: 30 */
} FloeTrustHttpOptions;

/* Errors of fetches: NOT_FOUND for 403, 404 and 410, PEER for other answers, UNVERIFIED for a server that is not the pinned one or whose
 * certificate is not valid, LIMIT for too much or too slow, REFUSED for a redirect elsewhere, IO when there is no connection. */
FloeTrustTransport *floe_trust_transport_http (const FloeTrustHttpOptions *options, GError **error) FLOE_WARN_UNUSED;
