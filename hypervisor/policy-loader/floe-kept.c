/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/policy-loader/floe-kept.h"

#include "common/floe-fd.h"
#include "policy/document/floe-policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEPT_DIR "in-force"
#define FRESH_DIR "in-force.new"
/* No role's file: those end in .json. */
#define DOCUMENT_FILE "document"
/* The trust client takes none that is larger. */
#define METADATA_MAX (64 * 1024 * 1024)

/* Calls each with the names in DIR until it fails. */
static gboolean
for_each (int dir, gboolean (*each) (int dir, const char *name, gpointer data, GError **error), gpointer data,
          GError **error)
{
  int copy = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy < 0 ? NULL : fdopendir (copy);
  struct dirent *entry;
  gboolean fine = TRUE;

  if (stream == NULL) {
    int saved_errno = errno;

    floe_fd_clear (&copy);
    return floe_error_set_errno (error, saved_errno, "read the trust state");
  }
  while (fine && (entry = readdir (stream)) != NULL)
    fine = each (dir, entry->d_name, data, error);
  closedir (stream);
  return fine;
}

static gboolean
remove_one (int dir, const char *name, gpointer data G_GNUC_UNUSED, GError **error)
{
  if (strcmp (name, ".") == 0 || strcmp (name, "..") == 0 || unlinkat (dir, name, 0) == 0)
    return TRUE;
  return floe_error_set_errno (error, errno, "remove %s/%s", FRESH_DIR, name);
}

static gboolean
copy_one (int dir, const char *name, gpointer data, GError **error)
{
  const int *to = data;
  g_autoptr (GBytes) bytes = NULL;
  gsize size;
  const void *content;

  if (name[0] == '.' || !g_str_has_suffix (name, ".json"))
    return TRUE;
  bytes = floe_file_read_at (dir, name, METADATA_MAX, error);
  if (bytes == NULL)
    return FALSE;
  content = g_bytes_get_data (bytes, &size);
  return floe_file_replace_at (*to, name, content, size, 0600, error);
}

/* What an interrupted save left, or what the last one put out of force. */
static gboolean
remove_fresh (int state_dir, GError **error)
{
  floe_autofd dir = openat (state_dir, FRESH_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

  if (dir < 0)
    return errno == ENOENT || floe_error_set_errno (error, errno, "open " FRESH_DIR);
  if (!for_each (dir, remove_one, NULL, error))
    return FALSE;
  return unlinkat (state_dir, FRESH_DIR, AT_REMOVEDIR) == 0 || floe_error_set_errno (error, errno, "remove " FRESH_DIR);
}

/* The one instant at which what is kept changes. */
static gboolean
exchange (int state_dir, GError **error)
{
  gboolean first = faccessat (state_dir, KEPT_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;

  if (renameat2 (state_dir, FRESH_DIR, state_dir, KEPT_DIR, first ? RENAME_NOREPLACE : RENAME_EXCHANGE) < 0)
    return floe_error_set_errno (error, errno, "rename " FRESH_DIR " to " KEPT_DIR);
  return floe_dir_sync (state_dir, error);
}

gboolean
floe_kept_save (int state_dir, int trust_dir, GBytes *document, GError **error)
{
  floe_autofd fresh = -1;
  gsize size;
  const void *data = g_bytes_get_data (document, &size);

  if (!remove_fresh (state_dir, error))
    return FALSE;
  fresh = floe_dir_make_at (state_dir, FRESH_DIR, 0700, error);
  return fresh >= 0 && for_each (trust_dir, copy_one, &fresh, error)
         && floe_file_replace_at (fresh, DOCUMENT_FILE, data, size, 0600, error) && exchange (state_dir, error)
         && remove_fresh (state_dir, error);
}

int
floe_kept_open (int state_dir, GError **error)
{
  int dir = openat (state_dir, KEPT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

  if (dir < 0)
    floe_error_set_errno (error, errno, "the policy that was in force");
  return dir;
}

GBytes *
floe_kept_document (int kept_dir, GError **error)
{
  return floe_file_read_at (kept_dir, DOCUMENT_FILE, FLOE_POLICY_SIZE_MAX, error);
}
