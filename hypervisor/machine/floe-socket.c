/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/machine/floe-socket.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

static void
set_address (struct sockaddr_un *address, int dir, const char *name, const char *suffix)
{
  *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  snprintf (address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s%s", dir, name, suffix);
}

int
floe_socket_listen_at (int dir, const char *name, uid_t uid, GError **error)
{
  floe_autofd fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_autofree char *fresh = g_strconcat (name, ".new", NULL);
  struct sockaddr_un address;

  set_address (&address, dir, name, ".new");
  unlinkat (dir, fresh, 0);
  if (fd < 0 || bind (fd, (struct sockaddr *)&address, sizeof address) < 0 || listen (fd, BACKLOG) < 0
      || fchmodat (dir, fresh, 0600, 0) < 0 || fchownat (dir, fresh, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0
      || renameat (dir, fresh, dir, name) < 0) {
    floe_error_set_errno (error, errno, "bind socket %s", name);
    return -1;
  }
  return floe_fd_steal (&fd);
}

int
floe_socket_connect_at (int dir, const char *name, GError **error)
{
  floe_autofd fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_un address;

  set_address (&address, dir, name, "");
  if (fd < 0 || connect (fd, (struct sockaddr *)&address, sizeof address) < 0) {
    floe_error_set_errno (error, errno, "connect to %s", name);
    return -1;
  }
  return floe_fd_steal (&fd);
}
