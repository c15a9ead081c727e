/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/signing/floe-envelope.h"
#include "policy/signing/floe-repository.h"

/* Theory of operation
 *
 * Each role has up to three forms: what is in FORCE (metadata/, as timestamp and snapshot name it), a DRAFT of the version that follows
 * (drafts/ROLE.json, signed by some), and an EDIT of it in memory. floe_repository_edit() gives the edit, stage() makes it a signed
 * draft on disk, and commit() takes into force the largest set of drafts that is right as a whole: each with its threshold, by
 * the keys that its delegator names once the set is in force, and nothing in force left without a right signature. So a key can be
 * changed at a threshold above one, the draft of the delegator and that of the role waiting for each other.
 *
 * Order of durable writes: targets, role metadata, snapshot, timestamp, root. Until the timestamp is replaced nothing refers to the
 * new files; roles whose keys root changes are signed by old and new keys, so that clients with either root are content, and root
 * comes last. Where the old keys are lost, root has to come first, and clients wait for the timestamp that follows. */

struct _FloeRepository {
  int metadata, targets, drafts, keys, lock; /* directories, and the lock's descriptor; -1 where not open */
  char *path;
  FloePassphrase *passphrase; /* borrowed */
  GPtrArray *signers;         /* of FloeSigner; empty when read only */
  GHashTable *force;          /* role -> FloeEnvelope */
  GHashTable *draft;          /* role -> FloeEnvelope */
  GHashTable *edit;           /* role -> json_t, the signed part of the next version */
  GHashTable *stale;          /* roles in force without a right signature by their present keys */
  gboolean writable;
};

/* -- floe-repository.c: what is where */

/* A repository object with nothing in it, and the directories below its path, locked: for who makes a repository. */
FloeRepository *floe_repository_new (const char *repo_dir, FloePassphrase *passphrase);
gboolean floe_repository_open_directories (FloeRepository *repository, const char *keys_dir, GError **error) FLOE_WARN_UNUSED;

FloeEnvelope *floe_repository_force (FloeRepository *repository, const char *role);
/* The role whose metadata says who signs ROLE: root or targets. */
const char *floe_role_delegator (const char *role);
gboolean floe_role_is_online (const char *role);
/* Draft if there is one, else what is in force. NULL for a role that has neither. */
FloeEnvelope *floe_repository_newest (FloeRepository *repository, const char *role);
/* The edit if there is one, else as newest; borrowed. NULL for a role that has nothing. */
json_t *floe_repository_view (FloeRepository *repository, const char *role);
/* targets and the roles it delegates to, as in VIEW; free with g_strfreev(). */
char **floe_repository_roles (FloeRepository *repository);

/* The next version of ROLE, to be changed in place; borrowed. BUSY when a draft waits that no key here has signed: its content is not
 * signed unseen along with the change. */
json_t *floe_repository_edit (FloeRepository *repository, const char *role, GError **error) FLOE_WARN_UNUSED;
/* The edit of ROLE becomes a draft, expiring as long after NOW as the role's x-floe-days say, signed by all keys here that may. */
gboolean floe_repository_stage (FloeRepository *repository, const char *role, gint64 now, GError **error) FLOE_WARN_UNUSED;
/* Adds the signatures of all keys here that may sign ROLE to ENVELOPE; *ADDED (may be NULL) counts them. */
gboolean floe_repository_add_signatures (FloeRepository *repository, const char *role, FloeEnvelope *envelope, guint *added,
                                         GError **error) FLOE_WARN_UNUSED;
gboolean floe_repository_write_draft (FloeRepository *repository, const char *role, GError **error) FLOE_WARN_UNUSED;
gboolean floe_repository_discard (FloeRepository *repository, const char *role, GError **error) FLOE_WARN_UNUSED;
/* Private keys leave memory. Every function that signs ends with this. */
void floe_repository_forget_keys (FloeRepository *repository);

/* -- floe-commit.c */

/* Takes drafts into force, as far as they are right. RENEW: a new timestamp (and, when it is past half its life, snapshot) in any case. */
gboolean floe_repository_commit (FloeRepository *repository, gboolean renew, gint64 now, GError **error) FLOE_WARN_UNUSED;
