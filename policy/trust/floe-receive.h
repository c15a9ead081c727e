/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-metadata.h"
#include "policy/trust/floe-trust.h"

/* The largest object that is held in memory. */
#define FLOE_RECEIVE_MAX ((guint64) G_MAXINT32)

/* Fetches PATH through TRANSPORT, digesting as bytes arrive, and ends the transfer at the first byte over what EXPECTED or MAX allows.
 * LIMIT when MAX is passed, UNVERIFIED when length or a hash is not the expected one, or all hashes are of unknown algorithms. */
GBytes *floe_receive (FloeTrustTransport *transport, const char *path, const FloeExpected *expected, guint64 max,
                      GCancellable *cancellable, GError **error) FLOE_WARN_UNUSED;

/* Whether CONTENT, called NAME in errors, is what EXPECTED says; UNVERIFIED if not. */
gboolean floe_expected_check (const FloeExpected *expected, GBytes *content, const char *name, GError **error) FLOE_WARN_UNUSED;
