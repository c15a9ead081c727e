/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/enrol/floe-checkin.h"

#include <sys/types.h>

/* What the server remembers: one-time codes and the endpoints that enrolled with them, in DATA/enrol/floe.db (SQLite, WAL, every commit on
 * disk before it is answered). The directory is 0700: it holds keys made of codes, and recovery keys.
 *
 * Locks: one mutex, held for one function at a time; safe from every thread of the server. Other processes (the administrator's commands)
 * may have it open too. */

#define FLOE_REGISTRY_FAILURES_MAX 20 /* wrong proofs that a code bears */
#define FLOE_REGISTRY_RECOVERY_MAX 256 /* bytes of a recovery key */

typedef struct _FloeRegistry FloeRegistry;

/* Opens, and makes, DATA/enrol/floe.db. Started by root, it belongs to USER (-1: to whom it
 * did, or DATA does).
 * UNSUPPORTED for the database of a newer version. */
FloeRegistry *floe_registry_open (const char *data, uid_t user, gid_t group, GError **error) FLOE_WARN_UNUSED;
void floe_registry_free (FloeRegistry *registry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeRegistry, floe_registry_free)

typedef struct {
  char id[FLOE_CODE_ID_CHARS + 1];
  char *group;
  gint64 created, expires; /* seconds since 1970 */
  int uses, used, failures;
} FloeRegistryCode;

void floe_registry_code_free (FloeRegistryCode *code);

/* BUSY when a code of this public part exists: make another. */
gboolean floe_registry_add_code (FloeRegistry *registry, const FloeRegistryCode *code, const FloeDigest *key, GError **error) FLOE_WARN_UNUSED;
/* Of FloeRegistryCode, the newest first. */
GPtrArray *floe_registry_list_codes (FloeRegistry *registry, GError **error) FLOE_WARN_UNUSED;
/* The code ends now; NOT_FOUND. */
gboolean floe_registry_withdraw_code (FloeRegistry *registry, const char *id, GError **error) FLOE_WARN_UNUSED;

/* The key of the code ID. *usable is FALSE for one that is not there (KEY is then one that nobody has) or was tried too often: work goes
 * on all the same, so that the answer takes as long. */
gboolean floe_registry_find_key (FloeRegistry *registry, const char *id, FloeDigest *key, gboolean *usable, GError **error) FLOE_WARN_UNUSED;
/* A wrong proof for ID. Counted at once, on disk at the next flush: a write here would tell by its time that the code exists. */
void floe_registry_count_failure (FloeRegistry *registry, const char *id);
/* To be called about once a second. */
gboolean floe_registry_flush (FloeRegistry *registry, GError **error) FLOE_WARN_UNUSED;

/* REQUEST has proved to have the code and the key. One transaction: either the code is used and the endpoint known, or neither. The same key
 * with the same code gets the same answer again and uses nothing. RECOVERY is the recovery key in plain, or NULL. ANSWER may be a refusal. */
gboolean floe_registry_enrol (FloeRegistry *registry, const FloeEnrolRequest *request, GBytes *recovery, gint64 now,
                              FloeEnrolAnswer *answer, GError **error) FLOE_WARN_UNUSED;

typedef struct {
  char *id, *name, *group, *facts; /* facts: a JSON object */
  uint8_t key[FLOE_ENROL_KEY_SIZE];
  gint64 enrolled;
  gboolean has_recovery;
  gint64 seen;              /* of its last check-in; 0: none yet */
  char *version, *appliance; /* as it said then: Floe's version; its report as JSON, NULL of what is no appliance */
} FloeRegistryEndpoint;

void floe_registry_endpoint_free (FloeRegistryEndpoint *endpoint);
/* Of FloeRegistryEndpoint, in order of name. */
GPtrArray *floe_registry_list_endpoints (FloeRegistry *registry, GError **error) FLOE_WARN_UNUSED;

/* The key that the endpoint ID enrolled with; *known is FALSE, and KEY one that nobody has, for one that is not there. */
gboolean floe_registry_find_endpoint (FloeRegistry *registry, const char *id, uint8_t key[FLOE_ENROL_KEY_SIZE], gboolean *known,
                                      GError **error) FLOE_WARN_UNUSED;
/* CHECKIN, whose signature is right, becomes the last one of its endpoint, durably, if its sequence is above that of the last one; if not,
 * *newest is that, and otherwise 0. */
gboolean floe_registry_check_in (FloeRegistry *registry, const FloeCheckin *checkin, gint64 now, gint64 *newest, GError **error) FLOE_WARN_UNUSED;

/* The recovery key of the endpoint ID. *sealed: encrypted to DATA/enrol/recovery.pem (RSA-OAEP, SHA-256) when it came. NOT_FOUND. */
GBytes *floe_registry_recovery_key (FloeRegistry *registry, const char *id, gboolean *sealed, GError **error) FLOE_WARN_UNUSED;
