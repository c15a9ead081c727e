/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-trust.h"

#include <jansson.h>

/* A TUF repository in memory that can be made to lie in any way: what the tests of policy/trust fetch from. It shares no code with the
 * signing side, and of the client only the canonical form and key ids, which have tests of their own. Metadata is kept as
 * JSON to be edited; nothing is checked. */

typedef struct _ForgeKey ForgeKey;
/* TYPE is "ed25519", "ecdsa", or "rsa" and its bits as in "rsa2048". */
ForgeKey *forge_key_new (const char *type);
ForgeKey *forge_key_ref (ForgeKey *key);
void forge_key_unref (ForgeKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ForgeKey, forge_key_unref)
json_t *forge_key_json (ForgeKey *key); /* borrowed; the id follows edits */
char *forge_key_id (ForgeKey *key);
char *forge_key_sign (ForgeKey *key, GBytes *data); /* hexadecimal */
/* The same private key with another id: its JSON has a field more. */
ForgeKey *forge_key_alias (ForgeKey *key);

typedef struct {
  FloeTrustTransport transport; /* serves `files`; more than the client allows when a file is longer; freeing it frees nothing */
  GHashTable *files;            /* path → GBytes */
  GHashTable *bodies;           /* role → json_t, the "signed" part */
  GHashTable *signers;          /* role → GPtrArray of ForgeKey that sign it when published */
  GPtrArray *requests;          /* paths asked for */
  const char *endless;          /* this path never ends */
  const char *broken;           /* the connection breaks here */
  guint64 served;               /* bytes */
  gboolean hashes;              /* snapshot and timestamp say lengths and hashes; on at first */
} Forge;

/* A repository as Floe's: targets delegates `policy/STAR` to policy and `images/STAR/STAR` to images, terminating; one Ed25519 key
 * each; `policy/office.json` in policy. Version 1 of everything is published; expires in 2030. */
Forge *forge_new (void);
void forge_free (Forge *forge);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Forge, forge_free)

json_t *forge_body (Forge *forge, const char *role);
json_int_t forge_version (Forge *forge, const char *role);
void forge_set_version (Forge *forge, const char *role, json_int_t version);
GPtrArray *forge_signers (Forge *forge, const char *role);
/* Signs BODY with KEYS: the whole file. */
GBytes *forge_sign (json_t *body, GPtrArray *keys);
/* Signs ROLE as it is and puts it under its name, and into its parent's (snapshot's, timestamp's) list. */
void forge_publish (Forge *forge, const char *role);
/* Adds 1 to the version first. */
void forge_bump (Forge *forge, const char *role);
/* Bumps snapshot and timestamp, after the roles named, ended by NULL. */
void forge_release (Forge *forge, const char *role, ...) G_GNUC_NULL_TERMINATED;
/* Path of the version that ROLE is at. */
char *forge_path (Forge *forge, const char *role);
void forge_put (Forge *forge, const char *path, GBytes *content);
void forge_put_text (Forge *forge, const char *path, const char *text);
/* Puts a target and lists it in ROLE (not published). */
void forge_add_target (Forge *forge, const char *role, const char *name, const char *content);
void forge_add_target_bytes (Forge *forge, const char *role, const char *name, GBytes *content);
/* Lists KEY for ROLE in FROM ("root" or a targets role), and has it sign. */
void forge_add_key (Forge *forge, const char *from, const char *role, ForgeKey *key);
void forge_set_threshold (Forge *forge, const char *from, const char *role, int threshold);
/* Another Ed25519 key takes the place of ROLE's in root. */
void forge_rotate (Forge *forge, const char *role);
/* FROM delegates to NAME, with a key of its own; MATCH is `{"paths": […]}` or the like (reference taken). NAME has empty targets. */
void forge_delegate (Forge *forge, const char *from, const char *name, gboolean terminating, json_t *match);
/* The entry of NAME in FROM's delegations. */
json_t *forge_delegation (Forge *forge, const char *from, const char *name);
/* Writes all files below DIR. */
void forge_write (Forge *forge, const char *dir);

#define FORGE_NOW G_GINT64_CONSTANT (1767225600)    /* 2026-01-01 */
#define FORGE_EXPIRY "2030-01-01T00:00:00Z"
#define FORGE_OFFICE "{\"floe\":1,\"group\":\"office\"}"
