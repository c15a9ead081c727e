/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* The signing side of a TUF repository (The Update Framework 1.0.x) on disk, as docs/architecture.md lays it out:
 *
 *   REPO/metadata/  N.root.json, timestamp.json, N.snapshot.json, N.ROLE.json: what is in force
 *   REPO/targets/   .../HASH.NAME
 *   REPO/drafts/    ROLE.json: the next version of a role, collecting signatures
 *   KEYS/           NAME.pub (PEM) and NAME.key (encrypted PKCS#8) or NAME.uri (pkcs11:...), root.json (what is trusted here)
 *
 * Roles: root, timestamp, snapshot, targets; targets delegates `policy/` + `*` to role policy, `images/` + two levels to
 * images, `appliance/` + `*` to appliance, each terminating. Consistent snapshots.
 *
 * Whoever holds KEYS signs with what is there. A version takes force only with its role's threshold met, otherwise it stays a
 * draft, to which others add. A client sees a consistent repository at any instant and after a power cut: targets and role
 * metadata are durable before the snapshot that names them, and the timestamp is replaced last. What is in force is verified
 * from KEYS/root.json on before anything is built upon it, so an altered repository is refused (UNVERIFIED), never signed. */

typedef struct _FloeRepository FloeRepository;

/* Where passphrases of encrypted private keys come from: the first line of FILE, or the terminal when FILE is NULL (asked when
 * first needed). Wiped from memory when freed. */
typedef struct _FloePassphrase FloePassphrase;
FloePassphrase *floe_passphrase_new (const char *file);
void floe_passphrase_free (FloePassphrase *passphrase);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloePassphrase, floe_passphrase_free)

/* Opens the repository below REPO_DIR and locks it against other writers until freed (BUSY when another holds it for more than
 * ten seconds). KEYS_DIR may be NULL: then it can only be read, and takes no lock. PASSPHRASE is borrowed and may be NULL when
 * nothing will be signed. NOT_FOUND when there is no repository: `floe-policy init` makes one. */
FloeRepository *floe_repository_open (const char *repo_dir, const char *keys_dir, FloePassphrase *passphrase,
                                      GError **error) FLOE_WARN_UNUSED;
void floe_repository_free (FloeRepository *repository);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeRepository, floe_repository_free)

/* Puts CONTENT at target NAME (`images/desktop/stable.json`) of ROLE (`images`): durable below targets/ at once, in force only
 * with floe_repository_publish(). REFUSED when ROLE may not sign NAME, INVALID for a name that is no safe path. A target that is
 * already as wanted changes nothing. */
gboolean floe_repository_set_target (FloeRepository *repository, const char *role, const char *name, GBytes *content,
                                     GError **error) FLOE_WARN_UNUSED;
/* The same for large content: all of the open file FD, read from its beginning; any size, in constant memory. */
gboolean floe_repository_set_target_fd (FloeRepository *repository, const char *role, const char *name, int fd,
                                        GError **error) FLOE_WARN_UNUSED;
/* Withdraws NAME from ROLE's next version. The bytes stay below targets/ for clients in mid-update. NOT_FOUND if absent. */
gboolean floe_repository_remove_target (FloeRepository *repository, const char *role, const char *name,
                                        GError **error) FLOE_WARN_UNUSED;
/* The bytes of target NAME, in force or as set since, checked against its digest; NOT_FOUND when ROLE has no such target. */
GBytes *floe_repository_get_target (FloeRepository *repository, const char *role, const char *name, size_t max,
                                    GError **error) FLOE_WARN_UNUSED;
/* Names of ROLE's targets, in force or as set since, sorted; NULL-terminated, free with g_strfreev(). */
char **floe_repository_list_targets (FloeRepository *repository, const char *role, GError **error) FLOE_WARN_UNUSED;

/* Makes what was set the next version of ROLE, signs it with the keys that are here, then snapshot and timestamp. *IN_FORCE
 * (may be NULL) tells whether it is in force; if not, a draft waits for more signatures (`floe-policy sign ROLE`). Nothing set
 * and no draft: nothing is written, and TRUE. NOW in seconds since 1970: expiries count from it. */
gboolean floe_repository_publish (FloeRepository *repository, const char *role, gint64 now, gboolean *in_force,
                                  GError **error) FLOE_WARN_UNUSED;
