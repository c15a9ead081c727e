/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
floe_fd_clear (int *fd)
{
  int saved = errno;

  if (*fd >= 0)
    close (*fd);
  *fd = -1;
  errno = saved;
}

int
floe_fd_steal (int *fd)
{
  int stolen = *fd;

  *fd = -1;
  return stolen;
}

gboolean
floe_name_is_safe (const char *name)
{
  size_t length = strspn (name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-");

  return length >= 1 && length <= 128 && name[length] == '\0' && name[0] != '.';
}

int
floe_dir_open (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    floe_error_set_errno (error, errno, "open directory %s", path);
  return fd;
}

int
floe_dir_make_at (int dir, const char *name, mode_t mode, GError **error)
{
  int fd;

  if (mkdirat (dir, name, mode) < 0 && errno != EEXIST) {
    floe_error_set_errno (error, errno, "make directory %s", name);
    return -1;
  }
  fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    floe_error_set_errno (error, errno, "open directory %s", name);
  return fd;
}

int
floe_dir_make (const char *path, mode_t mode, GError **error)
{
  if (g_mkdir_with_parents (path, (int) mode) < 0) {
    floe_error_set_errno (error, errno, "make directory %s", path);
    return -1;
  }
  return floe_dir_open (path, error);
}

int
floe_file_open_at (int dir, const char *name, GError **error)
{
  /* O_NONBLOCK: a FIFO put in the file's place must not hang the open. */
  floe_autofd fd = openat (dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0) {
    floe_error_set_errno (error, errno, "open %s", name);
    return -1;
  }
  if (!S_ISREG (st.st_mode)) {
    floe_error_set (error, FLOE_ERROR_INVALID, "open %s: not a regular file", name);
    return -1;
  }
  return floe_fd_steal (&fd);
}

/* Reads up to the end, whatever fstat says: a file may grow while it is read. */
static GBytes *
read_bounded (int fd, const char *name, size_t max, GError **error)
{
  g_autoptr (GByteArray) content = g_byte_array_new ();
  guint8 block[65536];

  for (;;) {
    ssize_t got = read (fd, block, sizeof block);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      floe_error_set_errno (error, errno, "read %s", name);
      return NULL;
    }
    if (got == 0)
      return g_byte_array_free_to_bytes (g_steal_pointer (&content));
    if ((size_t) got > max - content->len) {
      floe_error_set (error, FLOE_ERROR_LIMIT, "read %s: larger than %zu bytes", name, max);
      return NULL;
    }
    g_byte_array_append (content, block, (guint) got);
  }
}

GBytes *
floe_file_read_at (int dir, const char *name, size_t max, GError **error)
{
  floe_autofd fd = floe_file_open_at (dir, name, error);

  return fd < 0 ? NULL : read_bounded (fd, name, max, error);
}

GBytes *
floe_file_read (const char *path, size_t max, GError **error)
{
  floe_autofd fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0) {
    floe_error_set_errno (error, errno, "open %s", path);
    return NULL;
  }
  return read_bounded (fd, path, max, error);
}

gboolean
floe_write_all (int fd, const void *data, size_t size, GError **error)
{
  const char *at = data;

  while (size > 0) {
    ssize_t put = write (fd, at, size);

    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return floe_error_set_errno (error, errno, "write");
    at += put;
    size -= (size_t) put;
  }
  return TRUE;
}

gboolean
floe_pread_all (int fd, void *data, size_t size, off_t offset, GError **error)
{
  char *at = data;

  while (size > 0) {
    ssize_t got = pread (fd, at, size, offset);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return floe_error_set_errno (error, errno, "read");
    if (got == 0)
      return floe_error_set (error, FLOE_ERROR_INVALID, "read: the file ends %zu bytes early", size);
    at += got;
    size -= (size_t) got;
    offset += got;
  }
  return TRUE;
}

GPtrArray *
floe_dir_names_at (int dir, const char *name, GError **error)
{
  int fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir (fd);
  struct dirent *entry;
  GPtrArray *names;

  if (stream == NULL) {
    floe_error_set_errno (error, errno, "list directory %s", name);
    floe_fd_clear (&fd);
    return NULL;
  }
  names = g_ptr_array_new_with_free_func (g_free);
  while ((entry = readdir (stream)) != NULL)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
  closedir (stream);
  return names;
}

gboolean
floe_dir_sync (int dir, GError **error)
{
  return fsync (dir) == 0 || floe_error_set_errno (error, errno, "sync directory");
}

static gboolean
write_and_rename (int dir, const char *temporary, const char *name, const void *data, size_t size, mode_t mode,
                  GError **error)
{
  floe_autofd fd = openat (dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

  if (fd < 0)
    return floe_error_set_errno (error, errno, "create %s", temporary);
  if (!floe_write_all (fd, data, size, error)) {
    g_prefix_error (error, "%s: ", name);
    return FALSE;
  }
  /* The umask must not decide who can read what another user needs. */
  if (fchmod (fd, mode) < 0 || fsync (fd) < 0)
    return floe_error_set_errno (error, errno, "sync %s", name);
  if (renameat (dir, temporary, dir, name) < 0)
    return floe_error_set_errno (error, errno, "rename to %s", name);
  return TRUE;
}

gboolean
floe_file_replace_at (int dir, const char *name, const void *data, size_t size, mode_t mode, GError **error)
{
  g_autofree char *temporary = g_strdup_printf (".%s.%08x", name, g_random_int ());

  if (!write_and_rename (dir, temporary, name, data, size, mode, error)) {
    unlinkat (dir, temporary, 0);
    return FALSE;
  }
  return floe_dir_sync (dir, error);
}

gboolean
floe_file_remove_at (int dir, const char *name, GError **error)
{
  if (unlinkat (dir, name, 0) < 0) {
    if (errno == ENOENT)
      return TRUE;
    return floe_error_set_errno (error, errno, "remove %s", name);
  }
  return floe_dir_sync (dir, error);
}
