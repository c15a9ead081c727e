/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "policy/signing/floe-signer.h"

#include <jansson.h>

/* One role's metadata as its signers see it: {"signed": ..., "signatures": [...]} (TUF 1.0, section 4), editable. What is read is
 * checked for form more strictly than a client would: the signing side only ever builds upon what the signing side made. */

#define FLOE_ENVELOPE_MAX (64u << 20)
#define FLOE_VERSION_MAX (G_GINT64_CONSTANT (1) << 53)
#define FLOE_SPEC_VERSION "1.0.31"

typedef struct _FloeEnvelope FloeEnvelope;

/* Reads TEXT as metadata of ROLE: root, timestamp, snapshot, or anything else for a role of targets. INVALID names what is wrong,
 * beginning with SOURCE. */
FloeEnvelope *floe_envelope_parse (GBytes *text, const char *source, const char *role, GError **error) FLOE_WARN_UNUSED;
/* Takes the reference to SIGNED; no signatures. */
FloeEnvelope *floe_envelope_new (json_t *signed_part);
void floe_envelope_free (FloeEnvelope *envelope);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeEnvelope, floe_envelope_free)

/* Borrowed. */
json_t *floe_envelope_signed (const FloeEnvelope *envelope);
gint64 floe_envelope_version (const FloeEnvelope *envelope);
/* Seconds since 1970. */
gint64 floe_envelope_expires (const FloeEnvelope *envelope);
/* The file's bytes. */
GBytes *floe_envelope_bytes (const FloeEnvelope *envelope);

/* Adds SIGNER's signature, or replaces the one it had. */
gboolean floe_envelope_sign (FloeEnvelope *envelope, FloeSigner *signer, FloePassphrase *passphrase,
                             GError **error) FLOE_WARN_UNUSED;

/* Who may sign a role, as its delegator's metadata says. */
typedef struct _FloeAuthority FloeAuthority;
/* DELEGATOR: root's or targets' metadata. NOT_FOUND when it knows no such ROLE. */
FloeAuthority *floe_authority_new (const FloeEnvelope *delegator, const char *role, GError **error) FLOE_WARN_UNUSED;
void floe_authority_free (FloeAuthority *authority);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeAuthority, floe_authority_free)
guint floe_authority_threshold (const FloeAuthority *authority);
gboolean floe_authority_has (const FloeAuthority *authority, const char *keyid);

/* Ids of AUTHORITY's keys whose signature over ENVELOPE is right, each public key once; free with g_ptr_array_unref(). NULL
 * only when the metadata has no canonical form. */
GPtrArray *floe_authority_signers (const FloeAuthority *authority, const FloeEnvelope *envelope,
                                   GError **error) FLOE_WARN_UNUSED;
/* Whether they reach the threshold; UNVERIFIED names WHAT and how many are missing. */
gboolean floe_authority_check (const FloeAuthority *authority, const FloeEnvelope *envelope, const char *what,
                               GError **error) FLOE_WARN_UNUSED;

/* The role's entry in its delegator: root's `roles` member or targets' delegation, borrowed; NULL if there is none. */
json_t *floe_envelope_role (const FloeEnvelope *delegator, const char *role);
json_t *floe_signed_role (json_t *delegator, const char *role);
/* The object that holds the delegator's keys by id, borrowed. */
json_t *floe_signed_keys (json_t *delegator);

/* YYYY-MM-DDTHH:MM:SSZ, the one form of time in TUF; free with g_free(). */
char *floe_time_format (gint64 seconds);
gboolean floe_time_parse (const char *text, gint64 *seconds, GError **error) FLOE_WARN_UNUSED;
