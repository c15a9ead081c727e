/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-registry.h"

#include "common/floe-fd.h"
#include "server-sync/enrol/floe-enrol-proof.h"
#include "server-sync/server/floe-recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA 2
#define APPLICATION_ID 0x466c6f65 /* "Floe" */
#define BUSY_MS 2000
#define KEPT_SECONDS (30 * 24 * 3600) /* of an expired code, for who asks what became of it */
#define DIRECTORY "enrol"
#define DATABASE "floe.db"

struct _FloeRegistry {
  GMutex lock;
  sqlite3 *database;
  int directory;
  GHashTable *failures; /* id of a code that exists -> count, not on disk yet */
  FloeDigest nobody;    /* the key of codes that do not exist */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC (sqlite3_stmt, sqlite3_finalize)

static const char schema[] =
    "CREATE TABLE codes (id TEXT PRIMARY KEY, key BLOB NOT NULL, policy_group TEXT NOT NULL, created INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL, uses INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
    "  CHECK (used <= uses)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE endpoints (key BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, policy_group TEXT NOT NULL,"
    "  code TEXT NOT NULL, enrolled INTEGER NOT NULL, facts TEXT NOT NULL, recovery BLOB, sealed INTEGER NOT NULL DEFAULT 0)"
    "  STRICT, WITHOUT ROWID;"
    "PRAGMA application_id = 0x466c6f65;";
/* Came with schema 2: what each endpoint said last. */
static const char schema_checkins[] =
    "CREATE TABLE checkins (endpoint TEXT PRIMARY KEY REFERENCES endpoints (id), sequence INTEGER NOT NULL, seen INTEGER NOT NULL,"
    "  version TEXT NOT NULL, appliance TEXT) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 2;";

/* -- SQLite --------------------------------------------------------------------------------------------------------- */

static gboolean
fail (FloeRegistry *registry, const char *what, GError **error)
{
  int code = sqlite3_errcode (registry->database);
  FloeError kind = code == SQLITE_FULL ? FLOE_ERROR_NO_SPACE : code == SQLITE_BUSY || code == SQLITE_LOCKED ? FLOE_ERROR_BUSY : FLOE_ERROR_IO;

  return floe_error_set (error, kind, DIRECTORY "/" DATABASE ": %s: %s", what, sqlite3_errmsg (registry->database));
}

static gboolean
execute (FloeRegistry *registry, const char *sql, GError **error)
{
  return sqlite3_exec (registry->database, sql, NULL, NULL, NULL) == SQLITE_OK || fail (registry, "execute", error);
}

static sqlite3_stmt *
prepare (FloeRegistry *registry, const char *sql, GError **error)
{
  sqlite3_stmt *statement = NULL;

  if (sqlite3_prepare_v2 (registry->database, sql, -1, &statement, NULL) != SQLITE_OK)
    fail (registry, "prepare", error);
  return statement;
}

/* TRUE with *row telling whether there is one. */
static gboolean
step (FloeRegistry *registry, sqlite3_stmt *statement, gboolean *row, GError **error)
{
  int status = sqlite3_step (statement);

  *row = status == SQLITE_ROW;
  return *row || status == SQLITE_DONE || fail (registry, "step", error);
}

static gboolean
run (FloeRegistry *registry, sqlite3_stmt *statement, GError **error)
{
  gboolean row;

  return step (registry, statement, &row, error);
}

static void
bind_text (sqlite3_stmt *statement, int index, const char *text)
{
  sqlite3_bind_text (statement, index, text, -1, SQLITE_TRANSIENT);
}

static char *
column_text (sqlite3_stmt *statement, int index)
{
  return g_strdup ((const char *) sqlite3_column_text (statement, index));
}

static gboolean
column_bytes (sqlite3_stmt *statement, int index, void *data, size_t size)
{
  if (sqlite3_column_type (statement, index) != SQLITE_BLOB || (size_t) sqlite3_column_bytes (statement, index) != size)
    return FALSE;
  memcpy (data, sqlite3_column_blob (statement, index), size);
  return TRUE;
}

static gint64
query_number (FloeRegistry *registry, const char *sql)
{
  g_autoptr (sqlite3_stmt) statement = prepare (registry, sql, NULL);

  return statement != NULL && sqlite3_step (statement) == SQLITE_ROW ? sqlite3_column_int64 (statement, 0) : -1;
}

/* -- Opening -------------------------------------------------------------------------------------------------------- */

static gboolean
make_schema (FloeRegistry *registry, GError **error)
{
  gint64 version;

  if (!execute (registry, "BEGIN IMMEDIATE", error))
    return FALSE;
  version = query_number (registry, "PRAGMA user_version");
  if ((version == 0 && !execute (registry, schema, error)) ||
      (version < SCHEMA && query_number (registry, "PRAGMA application_id") == APPLICATION_ID && !execute (registry, schema_checkins, error)))
    return FALSE;
  if (version > SCHEMA || (version > 0 && query_number (registry, "PRAGMA application_id") != APPLICATION_ID))
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                           DIRECTORY "/" DATABASE ": written by a newer floe-server (schema %" G_GINT64_FORMAT ", this one knows %d), or no "
                                     "database of ours",
                           version, SCHEMA);
  return execute (registry, "COMMIT", error);
}

static gboolean
open_database (FloeRegistry *registry, const char *path, GError **error)
{
  int status = sqlite3_open_v2 (path, &registry->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

  if (status != SQLITE_OK)
    return registry->database != NULL ? fail (registry, "open", error)
                                      : floe_error_set (error, FLOE_ERROR_NO_SPACE, "no memory for a database");
  sqlite3_busy_timeout (registry->database, BUSY_MS);
  sqlite3_db_config (registry->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config (registry->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  /* synchronous FULL: in WAL mode NORMAL may lose the last commits, and they were answered. */
  return execute (registry, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;", error) &&
         make_schema (registry, error);
}

/* Root gives all that is there to the directory's owner. SQLite gives files beside a database that come later the database's owner. */
static gboolean
give_files (int directory, const struct stat *owner, GError **error)
{
  static const char *const names[] = { DATABASE, DATABASE "-wal", DATABASE "-shm" };

  for (size_t i = 0; geteuid () == 0 && i < G_N_ELEMENTS (names); i++)
    if (fchownat (directory, names[i], owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
      return floe_error_set_errno (error, errno, "give " DIRECTORY "/%s to its user", names[i]);
  return TRUE;
}

static gboolean
make_files (int directory, uid_t user, gid_t group, GError **error)
{
  struct stat st;
  floe_autofd file = -1;

  if (geteuid () == 0 && user != (uid_t) -1 && fchown (directory, user, group) < 0)
    return floe_error_set_errno (error, errno, "give " DIRECTORY " to its user");
  if (fstat (directory, &st) < 0 || ((st.st_mode & 077) != 0 && fchmod (directory, 0700) < 0))
    return floe_error_set_errno (error, errno, "make " DIRECTORY " private");
  file = openat (directory, DATABASE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0)
    return floe_error_set_errno (error, errno, "make " DIRECTORY "/" DATABASE);
  return give_files (directory, &st, error);
}

/* DATA/enrol, made if need be: USER's, or that of whom DATA belongs to. */
static int
open_directory (int data_dir, uid_t *user, gid_t *group, GError **error)
{
  struct stat st;

  if (*user == (uid_t) -1 && fstatat (data_dir, DIRECTORY, &st, AT_SYMLINK_NOFOLLOW) < 0 && fstat (data_dir, &st) == 0) {
    *user = st.st_uid;
    *group = st.st_gid;
  }
  return floe_dir_make_at (data_dir, DIRECTORY, 0700, error);
}

FloeRegistry *
floe_registry_open (const char *data, uid_t user, gid_t group, GError **error)
{
  g_autoptr (FloeRegistry) registry = g_new0 (FloeRegistry, 1);
  g_autofree char *absolute = g_canonicalize_filename (data, NULL);
  g_autofree char *path = NULL;
  floe_autofd data_dir = floe_dir_open (data, error);
  g_autofree char *real = NULL;

  g_mutex_init (&registry->lock);
  registry->directory = -1;
  registry->failures = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (data_dir < 0)
    return NULL;
  registry->directory = open_directory (data_dir, &user, &group, error);
  if (registry->directory < 0 || !make_files (registry->directory, user, group, error))
    return NULL;
  /* SQLite follows no link on the way, so the way must have none. */
  real = realpath (absolute, NULL);
  path = g_build_filename (real != NULL ? real : absolute, DIRECTORY, DATABASE, NULL);
  if (RAND_bytes (registry->nobody.bytes, FLOE_DIGEST_SIZE) != 1) {
    floe_error_set (error, FLOE_ERROR_FAILED, "OpenSSL has no random bytes");
    return NULL;
  }
  return open_database (registry, path, error) ? g_steal_pointer (&registry) : NULL;
}

void
floe_registry_free (FloeRegistry *registry)
{
  if (registry == NULL)
    return;
  if (registry->database != NULL)
    (void) !floe_registry_flush (registry, NULL);
  sqlite3_close (registry->database);
  floe_fd_clear (&registry->directory);
  g_hash_table_unref (registry->failures);
  g_mutex_clear (&registry->lock);
  g_free (registry);
}

/* -- Codes ---------------------------------------------------------------------------------------------------------- */

void
floe_registry_code_free (FloeRegistryCode *code)
{
  g_free (code->group);
  g_free (code);
}

gboolean
floe_registry_add_code (FloeRegistry *registry, const FloeRegistryCode *code, const FloeDigest *key, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) old = prepare (registry, "DELETE FROM codes WHERE expires < ?", error);
  g_autoptr (sqlite3_stmt) statement = old == NULL ? NULL
      : prepare (registry, "INSERT INTO codes (id, key, policy_group, created, expires, uses) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", error);

  if (statement == NULL)
    return FALSE;
  sqlite3_bind_int64 (old, 1, code->created - KEPT_SECONDS);
  bind_text (statement, 1, code->id);
  sqlite3_bind_blob (statement, 2, key->bytes, FLOE_DIGEST_SIZE, SQLITE_TRANSIENT);
  bind_text (statement, 3, code->group);
  sqlite3_bind_int64 (statement, 4, code->created);
  sqlite3_bind_int64 (statement, 5, code->expires);
  sqlite3_bind_int (statement, 6, code->uses);
  if (!run (registry, old, error) || !run (registry, statement, error))
    return FALSE;
  return sqlite3_changes (registry->database) == 1 ||
         floe_error_set (error, FLOE_ERROR_BUSY, "there is a code %s already", code->id);
}

GPtrArray *
floe_registry_list_codes (FloeRegistry *registry, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) statement =
      prepare (registry, "SELECT id, policy_group, created, expires, uses, used, failures FROM codes ORDER BY created DESC, id", error);
  g_autoptr (GPtrArray) codes = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_registry_code_free);
  gboolean row = FALSE;

  if (statement == NULL)
    return NULL;
  while (step (registry, statement, &row, error) && row) {
    FloeRegistryCode *code = g_new0 (FloeRegistryCode, 1);

    g_ptr_array_add (codes, code);
    g_strlcpy (code->id, (const char *) sqlite3_column_text (statement, 0), sizeof code->id);
    code->group = column_text (statement, 1);
    code->created = sqlite3_column_int64 (statement, 2);
    code->expires = sqlite3_column_int64 (statement, 3);
    code->uses = sqlite3_column_int (statement, 4);
    code->used = sqlite3_column_int (statement, 5);
    code->failures = sqlite3_column_int (statement, 6);
  }
  return sqlite3_errcode (registry->database) == SQLITE_DONE ? g_steal_pointer (&codes) : NULL;
}

gboolean
floe_registry_withdraw_code (FloeRegistry *registry, const char *id, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "DELETE FROM codes WHERE id = ?", error);

  if (statement == NULL)
    return FALSE;
  bind_text (statement, 1, id);
  if (!run (registry, statement, error))
    return FALSE;
  return sqlite3_changes (registry->database) == 1 || floe_error_set (error, FLOE_ERROR_NOT_FOUND, "no code %s", id);
}

gboolean
floe_registry_find_key (FloeRegistry *registry, const char *id, FloeDigest *key, gboolean *usable, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "SELECT key, failures FROM codes WHERE id = ?", error);
  gboolean row;

  if (statement == NULL)
    return FALSE;
  bind_text (statement, 1, id);
  if (!step (registry, statement, &row, error))
    return FALSE;
  *key = registry->nobody;
  *usable = row && column_bytes (statement, 0, key->bytes, FLOE_DIGEST_SIZE) &&
            sqlite3_column_int (statement, 1) + GPOINTER_TO_INT (g_hash_table_lookup (registry->failures, id)) < FLOE_REGISTRY_FAILURES_MAX;
  return TRUE;
}

void
floe_registry_count_failure (FloeRegistry *registry, const char *id)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  int count = GPOINTER_TO_INT (g_hash_table_lookup (registry->failures, id));

  /* Bounded by the number of codes: only of those that exist is it called. */
  g_hash_table_insert (registry->failures, g_strdup (id), GINT_TO_POINTER (count + 1));
}

gboolean
floe_registry_flush (FloeRegistry *registry, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  GHashTableIter iter;
  gpointer id, count;

  g_hash_table_iter_init (&iter, registry->failures);
  while (g_hash_table_iter_next (&iter, &id, &count)) {
    g_autoptr (sqlite3_stmt) statement = prepare (registry, "UPDATE codes SET failures = failures + ? WHERE id = ?", error);

    if (statement == NULL)
      return FALSE;
    sqlite3_bind_int (statement, 1, GPOINTER_TO_INT (count));
    bind_text (statement, 2, id);
    if (!run (registry, statement, error))
      return FALSE;
    g_hash_table_iter_remove (&iter);
  }
  return TRUE;
}

/* -- Endpoints ------------------------------------------------------------------------------------------------------ */

static char *
facts_text (const FloeEnrolRequest *request)
{
  json_t *facts = json_object ();
  char *text, *copy;

  for (char **at = request->facts; at != NULL && at[0] != NULL && at[1] != NULL; at += 2)
    json_object_set_new (facts, at[0], json_string (at[1]));
  text = json_dumps (facts, JSON_COMPACT);
  copy = g_strdup (text);
  free (text);
  json_decref (facts);
  return copy;
}

/* Whether this key enrolled with this code before: then its group is *answer's. */
static gboolean
find_again (FloeRegistry *registry, const FloeEnrolRequest *request, FloeEnrolAnswer *answer, gboolean *again, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "SELECT policy_group FROM endpoints WHERE key = ? AND code = ?", error);

  if (statement == NULL)
    return FALSE;
  sqlite3_bind_blob (statement, 1, request->key, sizeof request->key, SQLITE_TRANSIENT);
  bind_text (statement, 2, request->code);
  if (!step (registry, statement, again, error))
    return FALSE;
  if (*again)
    g_strlcpy (answer->group, (const char *) sqlite3_column_text (statement, 0), sizeof answer->group);
  return TRUE;
}

/* Sets a refusal, or the group. */
static gboolean
judge_code (FloeRegistry *registry, const FloeEnrolRequest *request, gint64 now, FloeEnrolAnswer *answer, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "SELECT policy_group, expires, uses, used FROM codes WHERE id = ?", error);
  gboolean row;

  if (statement == NULL)
    return FALSE;
  bind_text (statement, 1, request->code);
  if (!step (registry, statement, &row, error))
    return FALSE;
  if (!row) /* withdrawn a moment ago */
    answer->refused = FLOE_ENROL_REFUSED_CODE;
  else if (sqlite3_column_int (statement, 3) >= sqlite3_column_int (statement, 2))
    answer->refused = FLOE_ENROL_REFUSED_USED;
  else if (sqlite3_column_int64 (statement, 1) <= now)
    answer->refused = FLOE_ENROL_REFUSED_EXPIRED;
  else
    g_strlcpy (answer->group, (const char *) sqlite3_column_text (statement, 0), sizeof answer->group);
  return TRUE;
}

static gboolean
store_endpoint (FloeRegistry *registry, const FloeEnrolRequest *request, const FloeEnrolAnswer *answer, GError **error)
{
  g_autoptr (sqlite3_stmt) use = prepare (registry, "UPDATE codes SET used = used + 1 WHERE id = ?", error);
  g_autoptr (sqlite3_stmt) statement = use == NULL ? NULL
      : prepare (registry,
                 "INSERT INTO endpoints (key, id, name, policy_group, code, enrolled, facts) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO "
                 "UPDATE SET name = excluded.name, policy_group = excluded.policy_group, code = excluded.code, enrolled = excluded.enrolled, "
                 "facts = excluded.facts",
                 error);
  g_autofree char *facts = facts_text (request);

  if (statement == NULL)
    return FALSE;
  bind_text (use, 1, request->code);
  sqlite3_bind_blob (statement, 1, request->key, sizeof request->key, SQLITE_TRANSIENT);
  bind_text (statement, 2, answer->id);
  bind_text (statement, 3, request->name);
  bind_text (statement, 4, answer->group);
  bind_text (statement, 5, request->code);
  sqlite3_bind_int64 (statement, 6, answer->time);
  bind_text (statement, 7, facts);
  return run (registry, use, error) && run (registry, statement, error);
}

static gboolean
store_recovery (FloeRegistry *registry, const FloeEnrolRequest *request, GBytes *recovery, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "UPDATE endpoints SET recovery = ?, sealed = ? WHERE key = ?", error);
  g_autoptr (GBytes) kept = NULL;
  gboolean sealed = FALSE;
  gsize size;
  const void *data;

  if (statement == NULL)
    return FALSE;
  kept = floe_recovery_keep (registry->directory, recovery, &sealed, error);
  if (kept == NULL)
    return FALSE;
  data = g_bytes_get_data (kept, &size);
  sqlite3_bind_blob (statement, 1, data, (int) size, SQLITE_TRANSIENT);
  sqlite3_bind_int (statement, 2, sealed);
  sqlite3_bind_blob (statement, 3, request->key, sizeof request->key, SQLITE_TRANSIENT);
  return run (registry, statement, error);
}

static gboolean
enrol_in_transaction (FloeRegistry *registry, const FloeEnrolRequest *request, GBytes *recovery, gint64 now, FloeEnrolAnswer *answer,
                      GError **error)
{
  gboolean again = FALSE;

  if (!find_again (registry, request, answer, &again, error))
    return FALSE;
  if (!again) {
    if (!judge_code (registry, request, now, answer, error))
      return FALSE;
    if (answer->refused != FLOE_ENROL_REFUSED_NOT)
      return TRUE;
    if (!store_endpoint (registry, request, answer, error))
      return FALSE;
  }
  return recovery == NULL || store_recovery (registry, request, recovery, error);
}

gboolean
floe_registry_enrol (FloeRegistry *registry, const FloeEnrolRequest *request, GBytes *recovery, gint64 now, FloeEnrolAnswer *answer,
                     GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  FloeEnrolAnswer made = { .time = now };

  floe_enrol_endpoint_id (request->key, made.id);
  /* Immediate: whoever comes second waits here, and finds the code used. */
  if (!execute (registry, "BEGIN IMMEDIATE", error))
    return FALSE;
  if (!enrol_in_transaction (registry, request, recovery, now, &made, error) || !execute (registry, "COMMIT", error)) {
    execute (registry, "ROLLBACK", NULL);
    return FALSE;
  }
  *answer = made;
  return TRUE;
}

void
floe_registry_endpoint_free (FloeRegistryEndpoint *endpoint)
{
  g_free (endpoint->id);
  g_free (endpoint->name);
  g_free (endpoint->group);
  g_free (endpoint->facts);
  g_free (endpoint->version);
  g_free (endpoint->appliance);
  g_free (endpoint);
}

GPtrArray *
floe_registry_list_endpoints (FloeRegistry *registry, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) statement =
      prepare (registry,
               "SELECT id, name, policy_group, facts, key, enrolled, recovery IS NOT NULL, COALESCE (seen, 0), version, appliance FROM endpoints "
               "LEFT JOIN checkins ON checkins.endpoint = endpoints.id ORDER BY name, id",
               error);
  g_autoptr (GPtrArray) endpoints = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_registry_endpoint_free);
  gboolean row = FALSE;

  if (statement == NULL)
    return NULL;
  while (step (registry, statement, &row, error) && row) {
    FloeRegistryEndpoint *endpoint = g_new0 (FloeRegistryEndpoint, 1);

    g_ptr_array_add (endpoints, endpoint);
    endpoint->id = column_text (statement, 0);
    endpoint->name = column_text (statement, 1);
    endpoint->group = column_text (statement, 2);
    endpoint->facts = column_text (statement, 3);
    column_bytes (statement, 4, endpoint->key, sizeof endpoint->key);
    endpoint->enrolled = sqlite3_column_int64 (statement, 5);
    endpoint->has_recovery = sqlite3_column_int (statement, 6) != 0;
    endpoint->seen = sqlite3_column_int64 (statement, 7);
    endpoint->version = column_text (statement, 8);
    endpoint->appliance = column_text (statement, 9);
  }
  return sqlite3_errcode (registry->database) == SQLITE_DONE ? g_steal_pointer (&endpoints) : NULL;
}

/* -- Check-ins ------------------------------------------------------------------------------------------------------- */

gboolean
floe_registry_find_endpoint (FloeRegistry *registry, const char *id, uint8_t key[FLOE_ENROL_KEY_SIZE], gboolean *known, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "SELECT key FROM endpoints WHERE id = ?", error);
  gboolean row;

  if (statement == NULL)
    return FALSE;
  bind_text (statement, 1, id);
  if (!step (registry, statement, &row, error))
    return FALSE;
  memcpy (key, registry->nobody.bytes, FLOE_ENROL_KEY_SIZE);
  *known = row && column_bytes (statement, 0, key, FLOE_ENROL_KEY_SIZE);
  return TRUE;
}

static gboolean
find_sequence (FloeRegistry *registry, const char *id, gint64 *sequence, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "SELECT sequence FROM checkins WHERE endpoint = ?", error);
  gboolean row;

  if (statement == NULL)
    return FALSE;
  bind_text (statement, 1, id);
  if (!step (registry, statement, &row, error))
    return FALSE;
  *sequence = row ? sqlite3_column_int64 (statement, 0) : 0;
  return TRUE;
}

/* One statement: of two that come at once, whichever order, the larger sequence is what stays. */
gboolean
floe_registry_check_in (FloeRegistry *registry, const FloeCheckin *checkin, gint64 now, gint64 *newest, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) statement =
      prepare (registry,
               "INSERT INTO checkins (endpoint, sequence, seen, version, appliance) VALUES (?, ?, ?, ?, ?) ON CONFLICT (endpoint) DO UPDATE SET "
               "sequence = excluded.sequence, seen = excluded.seen, version = excluded.version, appliance = excluded.appliance "
               "WHERE excluded.sequence > sequence",
               error);
  json_t *appliance = checkin->is_appliance ? floe_appliance_report_value (&checkin->appliance) : NULL;
  char *text = appliance != NULL ? json_dumps (appliance, JSON_COMPACT) : NULL;
  gboolean ok = FALSE;

  if (statement != NULL) {
    bind_text (statement, 1, checkin->endpoint);
    sqlite3_bind_int64 (statement, 2, checkin->sequence);
    sqlite3_bind_int64 (statement, 3, now);
    bind_text (statement, 4, checkin->version);
    sqlite3_bind_text (statement, 5, text, -1, SQLITE_TRANSIENT);
    ok = run (registry, statement, error);
  }
  json_decref (appliance);
  free (text);
  if (!ok)
    return FALSE;
  *newest = 0;
  return sqlite3_changes (registry->database) == 1 || find_sequence (registry, checkin->endpoint, newest, error);
}

GBytes *
floe_registry_recovery_key (FloeRegistry *registry, const char *id, gboolean *sealed, GError **error)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&registry->lock);
  g_autoptr (sqlite3_stmt) statement = prepare (registry, "SELECT recovery, sealed FROM endpoints WHERE id = ?", error);
  gboolean row;

  if (statement == NULL)
    return NULL;
  bind_text (statement, 1, id);
  if (!step (registry, statement, &row, error))
    return NULL;
  if (!row || sqlite3_column_type (statement, 0) != SQLITE_BLOB) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, row ? "endpoint %s handed over no recovery key" : "no endpoint %s: 'floe-server endpoints' lists them", id);
    return NULL;
  }
  *sealed = sqlite3_column_int (statement, 1) != 0;
  return g_bytes_new (sqlite3_column_blob (statement, 0), (gsize) sqlite3_column_bytes (statement, 0));
}
