/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "policy/trust/floe-trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 65536
#define MAX_DEPTH 32 /* components of a path */

gboolean
floe_trust_transport_fetch (FloeTrustTransport *self, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
                            GCancellable *cancellable, GError **error)
{
  return self->fetch (self, path, max, sink, context, cancellable, error);
}

void
floe_trust_transport_free (FloeTrustTransport *self)
{
  if (self != NULL)
    self->free (self);
}

/* -- Paths as files -------------------------------------------------------------------------------------------------- */

/* COMPONENT decoded, as a server would, if that is one file name; otherwise as it is, so that no name escapes its directory. What
 * the tee writes the directory transport finds, both asking here. */
static char *
file_name (const char *component)
{
  g_autofree char *decoded = g_uri_unescape_string (component, "/");

  if (decoded == NULL || *decoded == '\0' || *decoded == '.')
    return g_strdup (component);
  return g_steal_pointer (&decoded);
}

/* The file names along PATH; NULL if it is not one that the client makes. */
static GStrv
split_path (const char *path, GError **error)
{
  g_auto (GStrv) names = g_strsplit (path, "/", MAX_DEPTH + 1);

  if (*path == '\0') {
    floe_error_set (error, FLOE_ERROR_INVALID, "an empty path is none in a repository");
    return NULL;
  }
  for (size_t i = 0; names[i] != NULL; i++) {
    char *name = i < MAX_DEPTH ? file_name (names[i]) : NULL;

    if (name == NULL || *name == '\0' || *name == '.') {
      g_free (name);
      floe_error_set (error, FLOE_ERROR_INVALID, "'%s' is no path in a repository", path);
      return NULL;
    }
    g_free (names[i]);
    names[i] = name;
  }
  return g_steal_pointer (&names);
}

/* -- A directory ----------------------------------------------------------------------------------------------------- */

typedef struct {
  FloeTrustTransport base;
  char *path;
} Directory;

/* Opens the file that NAMES lead to, following no link. -1 on failure. */
static int
open_below (int top, GStrv names, GError **error)
{
  floe_autofd dir = fcntl (top, F_DUPFD_CLOEXEC, 0);

  for (; names[1] != NULL; names++) {
    int next = openat (dir, names[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (next < 0) {
      floe_error_set_errno (error, errno, "open directory %s", names[0]);
      return -1;
    }
    floe_fd_clear (&dir);
    dir = next;
  }
  return floe_file_open_at (dir, names[0], error);
}

static gboolean
pump (int fd, const char *path, guint64 max, FloeTrustSink sink, gpointer context, GCancellable *cancellable, GError **error)
{
  g_autofree char *block = g_malloc (BLOCK);
  guint64 total = 0;

  for (;;) {
    ssize_t got = read (fd, block, BLOCK);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return floe_error_set_errno (error, errno, "read %s", path);
    if (got == 0)
      return TRUE;
    total += (guint64) got;
    if (total > max)
      return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: more than the %" G_GUINT64_FORMAT " bytes that it may have", path, max);
    if (!sink (block, (size_t) got, context, error))
      return FALSE;
    if (g_cancellable_is_cancelled (cancellable))
      return floe_error_set (error, FLOE_ERROR_CANCELLED, "%s: cancelled", path);
  }
}

static gboolean
directory_fetch (FloeTrustTransport *base, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
                 GCancellable *cancellable, GError **error)
{
  Directory *self = (Directory *) base;
  g_auto (GStrv) names = split_path (path, error);
  floe_autofd top = -1;
  floe_autofd fd = -1;

  if (names == NULL)
    return FALSE;
  /* Opened each time: a spool may be made, a key plugged in, after the daemon started. */
  top = floe_dir_open (self->path, error);
  if (top < 0)
    return FALSE;
  fd = open_below (top, names, error);
  return fd >= 0 && pump (fd, path, max, sink, context, cancellable, error);
}

static void
directory_free (FloeTrustTransport *base)
{
  Directory *self = (Directory *) base;

  g_free (self->path);
  g_free (self);
}

FloeTrustTransport *
floe_trust_transport_directory (const char *path)
{
  Directory *self = g_new0 (Directory, 1);

  self->base.fetch = directory_fetch;
  self->base.free = directory_free;
  self->path = g_strdup (path);
  return &self->base;
}

/* -- A tee ----------------------------------------------------------------------------------------------------------- */

typedef struct {
  FloeTrustTransport base;
  FloeTrustTransport *inner;
  int spool_dir;
} Tee;

typedef struct {
  FloeTrustSink sink;
  gpointer context;
  GByteArray *content;
} Tap;

static gboolean
tee_sink (const void *data, size_t size, gpointer context, GError **error)
{
  Tap *tap = context;

  if (!tap->sink (data, size, tap->context, error))
    return FALSE;
  g_byte_array_append (tap->content, data, (guint) size);
  return TRUE;
}

static gboolean
spool_file (int top, GStrv names, GByteArray *content, GError **error)
{
  floe_autofd dir = fcntl (top, F_DUPFD_CLOEXEC, 0);

  for (; names[1] != NULL; names++) {
    int next = floe_dir_make_at (dir, names[0], 0755, error);

    if (next < 0)
      return FALSE;
    floe_fd_clear (&dir);
    dir = next;
  }
  return floe_file_replace_at (dir, names[0], content->data, content->len, 0644, error);
}

static gboolean
tee_fetch (FloeTrustTransport *base, const char *path, guint64 max, FloeTrustSink sink, gpointer context,
           GCancellable *cancellable, GError **error)
{
  Tee *self = (Tee *) base;
  g_autoptr (GByteArray) content = g_byte_array_new ();
  g_auto (GStrv) names = split_path (path, error);
  Tap tap = { sink, context, content };

  if (names == NULL || !floe_trust_transport_fetch (self->inner, path, max, tee_sink, &tap, cancellable, error))
    return FALSE;
  if (spool_file (self->spool_dir, names, content, error))
    return TRUE;
  g_prefix_error (error, "spool %s: ", path);
  return FALSE;
}

static void
tee_free (FloeTrustTransport *base)
{
  Tee *self = (Tee *) base;

  floe_trust_transport_free (self->inner);
  g_free (self);
}

FloeTrustTransport *
floe_trust_transport_tee (FloeTrustTransport *inner, int spool_dir)
{
  Tee *self = g_new0 (Tee, 1);

  self->base.fetch = tee_fetch;
  self->base.free = tee_free;
  self->inner = inner;
  self->spool_dir = spool_dir;
  return &self->base;
}
