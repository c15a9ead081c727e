/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/signing/floe-repository.h"
#include "policy/signing/floe-signer.h"

/* Making a repository, and changing who signs what. A change of keys is a draft of the delegator (root, or targets for policy, images
 * and appliance) and, where the role's own metadata needs other signatures because of it, a draft of the role; both take force
 * together. */

typedef struct {
  const char *role;
  guint threshold;
  char **keys; /* names below KEYS; those that are not there are made */
  guint days;  /* how long a version of the role is valid */
} FloeRoleSpec;

/* The roles that floe_repository_init() makes, in order; ended by a NULL role. One key a role, `online` for timestamp and snapshot. */
FloeRoleSpec *floe_role_specs_new (void);
void floe_role_specs_free (FloeRoleSpec *specs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeRoleSpec, floe_role_specs_free)
/* "ROLE=M:KEY[,KEY...]" and "ROLE=DAYS". */
gboolean floe_role_specs_set_keys (FloeRoleSpec *specs, const char *text, GError **error) FLOE_WARN_UNUSED;
gboolean floe_role_specs_set_days (FloeRoleSpec *specs, const char *text, GError **error) FLOE_WARN_UNUSED;

/* Makes a repository and the missing keys. BUSY when there is one already; can be run again after it was interrupted. */
gboolean floe_repository_init (const char *repo_dir, const char *keys_dir, const FloeRoleSpec *specs, FloeSignerType type,
                               FloePassphrase *passphrase, gint64 now, GError **error) FLOE_WARN_UNUSED;

/* The four below stage their drafts, sign them with what is here and take into force what can be. PEM: a public key file's
 * bytes, NAME what it is called in status. KEY is a key's id, the beginning of it (8 digits or more), or its name. */
gboolean floe_repository_add_key (FloeRepository *repository, const char *role, GBytes *pem, const char *name, gint64 now,
                                  GError **error) FLOE_WARN_UNUSED;
gboolean floe_repository_remove_key (FloeRepository *repository, const char *role, const char *key, gint64 now,
                                     GError **error) FLOE_WARN_UNUSED;
gboolean floe_repository_rotate (FloeRepository *repository, const char *role, const char *old_key, GBytes *pem,
                                 const char *name, gint64 now, GError **error) FLOE_WARN_UNUSED;
gboolean floe_repository_set_threshold (FloeRepository *repository, const char *role, guint threshold, gint64 now,
                                        GError **error) FLOE_WARN_UNUSED;
/* The role signed anew as it is, for a further term, by who is here. */
gboolean floe_repository_extend (FloeRepository *repository, const char *role, gint64 now, GError **error) FLOE_WARN_UNUSED;

/* Adds the signatures of the keys here to the draft of ROLE and takes into force what can be. NOT_FOUND when there is no draft, or
 * no key here may sign it. */
gboolean floe_repository_sign_draft (FloeRepository *repository, const char *role, gint64 now, GError **error) FLOE_WARN_UNUSED;
gboolean floe_repository_discard_draft (FloeRepository *repository, const char *role, GError **error) FLOE_WARN_UNUSED;
gboolean floe_repository_has_draft (FloeRepository *repository, const char *role);
/* A new timestamp, and snapshot where it is due, by the online keys alone; drafts that were waiting for these take force. */
gboolean floe_repository_refresh (FloeRepository *repository, gint64 now, GError **error) FLOE_WARN_UNUSED;
