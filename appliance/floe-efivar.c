/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-efivar.h"

#include "appliance/floe-dbx.h"
#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECURE_BOOT "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define DBX "dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define ATTRIBUTES 4u
/* Non-volatile, for boot services and at run time, authenticated with a time (UEFI 2.10, 8.2); append. */
#define APPEND 0x67

/* What follows the attributes; a variable that was never written is an empty file. */
static GBytes *
value_of (GBytes *file)
{
  gsize size = g_bytes_get_size (file);

  return size <= ATTRIBUTES ? g_bytes_new_static ("", 0) : g_bytes_new_from_bytes (file, ATTRIBUTES, size - ATTRIBUTES);
}

/* NULL without an error where there is none. */
static GBytes *
read_variable (const char *dir, const char *name, gsize max, GError **error)
{
  g_autoptr (GError) problem = NULL;
  floe_autofd variables = floe_dir_open (dir, &problem);
  g_autoptr (GBytes) file = variables < 0 ? NULL : floe_file_read_at (variables, name, max + ATTRIBUTES, &problem);

  if (file != NULL)
    return value_of (file);
  if (!g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    g_propagate_error (error, g_steal_pointer (&problem));
  return NULL;
}

gboolean
floe_efivar_secure_boot (const char *dir, gboolean *in_force, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) value = read_variable (dir, SECURE_BOOT, 1, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  *in_force = value != NULL && g_bytes_get_size (value) == 1 && *(const guint8 *) g_bytes_get_data (value, NULL) == 1;
  return TRUE;
}

GBytes *
floe_efivar_read_dbx (const char *dir, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) value = read_variable (dir, DBX, FLOE_DBX_MAX, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return NULL;
  }
  return value != NULL ? g_steal_pointer (&value) : g_bytes_new_static ("", 0);
}

/* *WAS is how it was. Where a file system has no such marks, nothing is immutable. */
static gboolean
set_immutable (int fd, gboolean immutable, gboolean *was, GError **error)
{
  int flags = 0;

  if (ioctl (fd, FS_IOC_GETFLAGS, &flags) < 0 && errno != ENOTTY && errno != EOPNOTSUPP)
    return floe_error_set_errno (error, errno, "marks of " DBX);
  if (was != NULL)
    *was = (flags & FS_IMMUTABLE_FL) != 0;
  if (((flags & FS_IMMUTABLE_FL) != 0) == immutable)
    return TRUE;
  flags ^= FS_IMMUTABLE_FL;
  return ioctl (fd, FS_IOC_SETFLAGS, &flags) == 0 || floe_error_set_errno (error, errno, "the mark 'immutable' of " DBX);
}

int
floe_efivar_open_dbx (const char *dir, GError **error)
{
  floe_autofd variables = floe_dir_open (dir, error), dbx = -1;
  floe_autofd marks = variables < 0 ? -1 : openat (variables, DBX, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  gboolean was = FALSE;
  int saved_errno;

  if (variables < 0 || (marks >= 0 && !set_immutable (marks, FALSE, &was, error)))
    return -1;
  dbx = openat (variables, DBX, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (marks < 0 ? O_CREAT | O_EXCL : 0), 0644);
  saved_errno = errno;
  if (was && !set_immutable (marks, TRUE, NULL, error))
    return -1;
  if (dbx < 0)
    floe_error_set_errno (error, saved_errno, "open " DBX);
  return floe_fd_steal (&dbx);
}

GBytes *
floe_efivar_get (int dbx, GError **error)
{
  gsize max = FLOE_DBX_MAX + ATTRIBUTES;
  g_autofree guint8 *data = g_malloc (max + 1);
  g_autoptr (GBytes) file = NULL;
  gsize size = 0;
  ssize_t got;

  while ((got = pread (dbx, data + size, max + 1 - size, (off_t) size)) != 0) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      floe_error_set_errno (error, errno, "read " DBX);
      return NULL;
    }
    size += (gsize) got;
    if (size > max) {
      floe_error_set (error, FLOE_ERROR_LIMIT, "read " DBX ": larger than %zu bytes", max);
      return NULL;
    }
  }
  file = g_bytes_new (data, size);
  return value_of (file);
}

gboolean
floe_efivar_append (int dbx, GBytes *update, GError **error)
{
  gsize size = g_bytes_get_size (update);
  g_autofree guint8 *data = g_malloc0 (ATTRIBUTES + size);
  ssize_t put;

  data[0] = APPEND;
  memcpy (data + ATTRIBUTES, g_bytes_get_data (update, NULL), size);
  /* One call, one SetVariable(). Interrupted is only the wait for others that talk to the firmware. */
  do
    put = write (dbx, data, ATTRIBUTES + size);
  while (put < 0 && errno == EINTR);
  if (put == (ssize_t) (ATTRIBUTES + size))
    return TRUE;
  /* The kernel's translation of EFI_SECURITY_VIOLATION. */
  if (put < 0 && errno == EACCES)
    return floe_error_set (error, FLOE_ERROR_REFUSED, "the firmware refuses the list: none of its keys for such changes (KEK) signed it");
  return floe_error_set_errno (error, put < 0 ? errno : EIO, "the firmware does not take the list");
}
