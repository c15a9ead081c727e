/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What targets are: bytes below targets/, and their length and digest in a role's metadata. */
#include "policy/signing/floe-repository-private.h"

#include "common/floe-digest.h"
#include "common/floe-fd.h"
#include "policy/trust/floe-metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 8
#define BLOCK 262144

static gboolean
check_name (const char *name, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (name, "/", DEPTH_MAX + 1);
  gboolean right = g_strv_length (parts) <= DEPTH_MAX && parts[0] != NULL;

  for (size_t i = 0; right && parts[i] != NULL; i++)
    right = floe_name_is_safe (parts[i]);
  return right || floe_error_set (error, FLOE_ERROR_INVALID,
                                  "target '%s': up to %d parts of A-Z a-z 0-9 . _ -, none beginning with a dot, wanted", name,
                                  DEPTH_MAX);
}

static gboolean
role_may_sign (FloeRepository *repository, const char *role, const char *name, GError **error)
{
  json_t *entry = floe_signed_role (floe_repository_view (repository, "targets"), role);
  json_t *pattern;
  size_t i;

  if (entry == NULL || strcmp (floe_role_delegator (role), "targets") != 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "targets delegates to no role '%s'", role);
  json_array_foreach (json_object_get (entry, "paths"), i, pattern)
    if (floe_path_matches (json_string_value (pattern), name))
      return TRUE;
  return floe_error_set (error, FLOE_ERROR_REFUSED, "role %s may not sign %s: the paths that targets delegates to it do not match",
                         role, name);
}

/* The directory of target NAME, made if it is not there; every directory made is durable. -1 on failure. */
static int
make_directory (int targets, char **parts, GError **error)
{
  floe_autofd dir = fcntl (targets, F_DUPFD_CLOEXEC, 3);

  if (dir < 0) {
    floe_error_set_errno (error, errno, "targets");
    return -1;
  }
  for (size_t i = 0; parts[i + 1] != NULL; i++) {
    floe_autofd next = floe_dir_make_at (dir, parts[i], 0755, error);

    if (next < 0 || !floe_dir_sync (dir, error))
      return -1;
    floe_fd_clear (&dir);
    dir = floe_fd_steal (&next);
  }
  return floe_fd_steal (&dir);
}

/* Copies FD from its beginning into TO, digesting what is written: the digest is of these bytes even if the source changes. */
static gboolean
copy_digesting (int from, int to, FloeDigest *digest, gint64 *length, GError **error)
{
  g_autoptr (FloeDigester) digester = floe_digester_new ();
  g_autofree guint8 *block = g_malloc (BLOCK);
  off_t at = 0;

  for (;;) {
    ssize_t got = pread (from, block, BLOCK, at);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return floe_error_set_errno (error, errno, "read");
    if (got == 0)
      break;
    floe_digester_update (digester, block, (size_t) got);
    if (!floe_write_all (to, block, (size_t) got, error))
      return FALSE;
    at += got;
  }
  floe_digester_finish (digester, digest);
  *length = at;
  return TRUE;
}

/* Fills TEMPORARY below DIR from FD and makes it DIGEST.NAME, durably. */
static gboolean
store_as (int dir, const char *temporary, const char *name, int fd, FloeDigest *digest, gint64 *length, GError **error)
{
  floe_autofd to = openat (dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  char hex[FLOE_DIGEST_HEX_SIZE];
  g_autofree char *stored = NULL;

  if (to < 0)
    return floe_error_set_errno (error, errno, "create %s", temporary);
  if (!copy_digesting (fd, to, digest, length, error))
    return FALSE;
  floe_digest_to_hex (digest, hex);
  stored = g_strdup_printf ("%s.%s", hex, name);
  if (fchmod (to, 0644) < 0 || fsync (to) < 0 || renameat (dir, temporary, dir, stored) < 0)
    return floe_error_set_errno (error, errno, "store %s", stored);
  return floe_dir_sync (dir, error);
}

static gboolean
store (FloeRepository *repository, const char *name, int fd, FloeDigest *digest, gint64 *length, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (name, "/", -1);
  const char *last = parts[g_strv_length (parts) - 1];
  floe_autofd dir = make_directory (repository->targets, parts, error);
  g_autofree char *temporary = g_strdup_printf (".new.%08x%08x", g_random_int (), g_random_int ());

  if (dir < 0)
    return FALSE;
  if (store_as (dir, temporary, last, fd, digest, length, error))
    return TRUE;
  unlinkat (dir, temporary, 0);
  g_prefix_error (error, "target %s: ", name);
  return FALSE;
}

static json_t *
entry_of (FloeRepository *repository, const char *role, const char *name)
{
  return json_object_get (json_object_get (floe_repository_view (repository, role), "targets"), name);
}

static gboolean
is_recorded (json_t *entry, const char *hex, gint64 length)
{
  return entry != NULL && json_integer_value (json_object_get (entry, "length")) == length &&
         g_strcmp0 (json_string_value (json_object_get (json_object_get (entry, "hashes"), "sha256")), hex) == 0;
}

gboolean
floe_repository_set_target_fd (FloeRepository *repository, const char *role, const char *name, int fd, GError **error)
{
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeDigest digest;
  gint64 length = 0;
  json_t *edit;

  if (!repository->writable)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "target %s: this repository was opened to be read", name);
  if (!check_name (name, error) || !role_may_sign (repository, role, name, error))
    return FALSE;
  if (!store (repository, name, fd, &digest, &length, error))
    return FALSE;
  floe_digest_to_hex (&digest, hex);
  if (is_recorded (entry_of (repository, role, name), hex, length))
    return TRUE;
  edit = floe_repository_edit (repository, role, error);
  if (edit == NULL)
    return FALSE;
  json_object_set_new (json_object_get (edit, "targets"), name,
                       json_pack ("{s:I, s:{s:s}}", "length", (json_int_t) length, "hashes", "sha256", hex));
  return TRUE;
}

gboolean
floe_repository_set_target (FloeRepository *repository, const char *role, const char *name, GBytes *content, GError **error)
{
  floe_autofd fd = memfd_create ("target", MFD_CLOEXEC);
  gsize size;
  const void *data = g_bytes_get_data (content, &size);

  if (fd < 0)
    return floe_error_set_errno (error, errno, "target %s", name);
  return floe_write_all (fd, data, size, error) && floe_repository_set_target_fd (repository, role, name, fd, error);
}

gboolean
floe_repository_remove_target (FloeRepository *repository, const char *role, const char *name, GError **error)
{
  json_t *edit;

  if (entry_of (repository, role, name) == NULL)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "role %s has no target %s", role, name);
  edit = floe_repository_edit (repository, role, error);
  return edit != NULL && json_object_del (json_object_get (edit, "targets"), name) == 0;
}

GBytes *
floe_repository_get_target (FloeRepository *repository, const char *role, const char *name, size_t max, GError **error)
{
  json_t *entry = entry_of (repository, role, name);
  const char *hex = json_string_value (json_object_get (json_object_get (entry, "hashes"), "sha256"));
  g_auto (GStrv) parts = g_strsplit (name, "/", -1);
  g_autoptr (GBytes) content = NULL;
  g_autofree char *file = NULL;
  floe_autofd dir = -1;
  char found[FLOE_DIGEST_HEX_SIZE];
  FloeDigest digest;

  if (hex == NULL || !check_name (name, NULL)) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "role %s has no target %s", role, name);
    return NULL;
  }
  dir = make_directory (repository->targets, parts, error);
  file = g_strdup_printf ("%s.%s", hex, parts[g_strv_length (parts) - 1]);
  content = dir < 0 ? NULL : floe_file_read_at (dir, file, max, error);
  if (content == NULL)
    return NULL;
  floe_digest_of (g_bytes_get_data (content, NULL), g_bytes_get_size (content), &digest);
  floe_digest_to_hex (&digest, found);
  if (!is_recorded (entry, found, (gint64) g_bytes_get_size (content))) {
    floe_error_set (error, FLOE_ERROR_UNVERIFIED, "target %s is not what its digest says", name);
    return NULL;
  }
  return g_steal_pointer (&content);
}

static int
compare_strings (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char **
floe_repository_list_targets (FloeRepository *repository, const char *role, GError **error)
{
  json_t *signed_part = floe_repository_view (repository, role);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  const char *name;
  json_t *entry;

  if (signed_part == NULL && floe_signed_role (floe_repository_view (repository, "targets"), role) == NULL) {
    floe_error_set (error, FLOE_ERROR_NOT_FOUND, "there is no role '%s'", role);
    return NULL;
  }
  json_object_foreach (json_object_get (signed_part, "targets"), name, entry)
    g_ptr_array_add (names, g_strdup (name));
  if (names->len > 0)
    qsort (names->pdata, names->len, sizeof (char *), compare_strings);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}
