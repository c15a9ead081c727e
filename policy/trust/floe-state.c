/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-state.h"

#include "common/floe-fd.h"
#include "policy/trust/floe-metadata.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define INTENT ".recover"
#define MAX_INTENT 32

struct _FloeState {
  int dir;
};

/* A role's name can be anything; its file's is one component, never hidden (the temporaries are), never the intent's. */
static char *
file_of (const char *role)
{
  g_autofree char *encoded = floe_percent_encode (role, "");

  if (*encoded == '.')
    return g_strconcat ("%2E", encoded + 1, ".json", NULL);
  return g_strconcat (encoded, ".json", NULL);
}

/* floe_file_replace_at() names its temporaries .NAME.RANDOM; those of a process that was killed would pile up. */
static gboolean
is_temporary (const char *name)
{
  size_t length = strlen (name);

  return name[0] == '.' && length > 9 && name[length - 9] == '.' && strspn (name + length - 8, "0123456789abcdef") == 8
         && (g_str_has_prefix (name, "." INTENT ".") || strstr (name, ".json.") != NULL);
}

static void
remove_temporaries (int dir)
{
  int fd = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *list = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;

  if (list == NULL) {
    floe_fd_clear (&fd);
    return;
  }
  while ((entry = readdir (list)) != NULL)
    if (is_temporary (entry->d_name))
      unlinkat (dir, entry->d_name, 0);
  closedir (list);
}

FloeState *
floe_state_open (int dir, GError **error)
{
  /* An open file of our own, since the lock belongs to it. */
  floe_autofd own = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  FloeState *state;

  if (own < 0) {
    floe_error_set_errno (error, errno, "open the trust state");
    return NULL;
  }
  if (flock (own, LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      floe_error_set (error, FLOE_ERROR_BUSY, "the trust state is in use by another process; try again when that has ended");
    else
      floe_error_set_errno (error, errno, "lock the trust state");
    return NULL;
  }
  remove_temporaries (own);
  state = g_new0 (FloeState, 1);
  state->dir = floe_fd_steal (&own);
  return state;
}

void
floe_state_free (FloeState *state)
{
  if (state == NULL)
    return;
  floe_fd_clear (&state->dir);
  g_free (state);
}

GBytes *
floe_state_load (FloeState *state, const char *role, GError **error)
{
  g_autofree char *name = file_of (role);

  return floe_file_read_at (state->dir, name, FLOE_METADATA_MAX_SIZE, error);
}

gboolean
floe_state_store (FloeState *state, const char *role, GBytes *content, GError **error)
{
  g_autofree char *name = file_of (role);
  gsize size;
  const void *data = g_bytes_get_data (content, &size);

  return floe_file_replace_at (state->dir, name, data, size, 0644, error);
}

static gboolean
finish_recovery (FloeState *state, GError **error)
{
  return floe_file_remove_at (state->dir, "timestamp.json", error) && floe_file_remove_at (state->dir, "snapshot.json", error)
         && floe_file_remove_at (state->dir, INTENT, error);
}

gboolean
floe_state_store_root (FloeState *state, GBytes *content, gint64 version, gboolean recover, GError **error)
{
  g_autofree char *intent = g_strdup_printf ("%" G_GINT64_FORMAT "\n", version);

  if (recover && !floe_file_replace_at (state->dir, INTENT, intent, strlen (intent), 0644, error))
    return FALSE;
  return floe_state_store (state, "root", content, error) && (!recover || finish_recovery (state, error));
}

gboolean
floe_state_settle (FloeState *state, gint64 version, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (GBytes) intent = floe_file_read_at (state->dir, INTENT, MAX_INTENT, &why);
  g_autofree char *text = NULL;

  if (intent == NULL) {
    if (g_error_matches (why, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
      return TRUE;
    g_propagate_error (error, g_steal_pointer (&why));
    return FALSE;
  }
  text = g_strndup (g_bytes_get_data (intent, NULL), g_bytes_get_size (intent));
  if (version > 0 && version >= g_ascii_strtoll (text, NULL, 10))
    return finish_recovery (state, error);
  return floe_file_remove_at (state->dir, INTENT, error);
}
