/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"
#include "policy/trust/floe-key.h"

/* The metadata of each role as typed structs (specification 4.3 to 4.6). Reading goes in two steps, so that as little as possible looks at
 * bytes that nobody has vouched for: floe_metadata_open() reads the envelope and makes the canonical form; floe_metadata_verify()
 * counts signatures; floe_metadata_parse() then reads what was signed. Unknown fields are ignored everywhere, as the specification
 * asks; they are covered by the signatures. */

typedef enum { FLOE_ROLE_ROOT, FLOE_ROLE_TIMESTAMP, FLOE_ROLE_SNAPSHOT, FLOE_ROLE_TARGETS, FLOE_N_ROLES } FloeRoleType;
const char *floe_role_type_name (FloeRoleType type);

#define FLOE_METADATA_MAX_SIZE (64u << 20) /* of one file, whatever other metadata says of its length */
#define FLOE_METADATA_MAX_ROLES 65536u     /* delegated by one role; hashed bins of large repositories are 16,384 */
#define FLOE_METADATA_MAX_TARGETS 1000000u
#define FLOE_METADATA_MAX_KEYS 1024u       /* of one role, and signatures of one file */
#define FLOE_METADATA_MAX_NAME 200u        /* bytes of a role's name as it stands in a URL, so that it fits a file's name */

#define FLOE_SHA512_SIZE 64

/* Length and hashes that one file says another must have. */
typedef struct {
  gint64 length; /* -1: not said */
  gboolean hashed;
  gboolean has_sha256, has_sha512; /* both FALSE though hashed: only algorithms that we do not know */
  FloeDigest sha256;
  guint8 sha512[FLOE_SHA512_SIZE];
} FloeExpected;

typedef struct {
  gint64 version;
  FloeExpected expected;
} FloeMetaFile;

/* A role as its delegator describes it: who may sign it, and, if delegated, for which targets. */
typedef struct {
  char *name;
  GPtrArray *keys; /* of FloeKey, owned */
  gint64 threshold;
  gboolean terminating;
  GPtrArray *paths, *prefixes; /* of char *; NULL when not given */
} FloeRole;

typedef struct {
  char *keyid, *signature;
} FloeSignature;

typedef struct {
  char *source; /* what it is called in errors: "timestamp.json" */
  GBytes *raw;  /* as it arrived */
  GBytes *canonical;
  GPtrArray *signatures; /* of FloeSignature */
  struct _FloeJsonDocument *document; /* NULL once parsed */

  FloeRoleType type;
  gint64 version, expires;
  gboolean consistent;           /* root: consistent_snapshot */
  FloeRole *roles[FLOE_N_ROLES]; /* root */
  GHashTable *files;             /* timestamp, snapshot: name without ".json" → FloeMetaFile */
  GHashTable *targets;           /* targets: path → FloeExpected */
  GPtrArray *delegations;        /* targets: of FloeRole, in order */
} FloeMetadata;

/* SOURCE names the file in errors. INVALID when it is not signed JSON of TUF's form or has two signatures of one key id. */
FloeMetadata *floe_metadata_open (GBytes *raw, const char *source, GError **error) FLOE_WARN_UNUSED;
void floe_metadata_free (FloeMetadata *metadata);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeMetadata, floe_metadata_free)

/* Whether ROLE's threshold of its keys signed this. Each key counts once, by its id and by its value. UNVERIFIED if not. */
gboolean floe_metadata_verify (FloeMetadata *metadata, const FloeRole *role, GError **error) FLOE_WARN_UNUSED;
/* Reads what is signed, which must be metadata of TYPE. Once only. INVALID, or UNSUPPORTED for another major version of TUF. */
gboolean floe_metadata_parse (FloeMetadata *metadata, FloeRoleType type, GError **error) FLOE_WARN_UNUSED;

/* What timestamp or snapshot metadata says of ROLE's file; NULL if nothing. */
const FloeMetaFile *floe_metadata_file (FloeMetadata *metadata, const char *role);

/* Whether the delegation ROLE covers the target PATH (4.5): one of its patterns, of which wildcards match no `/`, or one of the prefixes of
 * the SHA-256 of PATH. Pure. */
gboolean floe_role_covers (const FloeRole *role, const char *path);
/* Whether PATH matches the shell pattern PATTERN: `*`, `?`, `[a-z]`, `[!a-z]`, component by component. Linear in the product of
 * both lengths whatever the pattern. Pure. */
gboolean floe_path_matches (const char *pattern, const char *path);
/* TEXT percent-encoded, all but unreserved characters (RFC 3986) and those in KEEP; free with g_free(). */
char *floe_percent_encode (const char *text, const char *keep);
