/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-session.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static gboolean
draws_in_hardware (const char *driver)
{
  static const char *const drivers[] = { "i915", "xe", "amdgpu", "radeon", "nouveau", NULL };

  return g_strv_contains (drivers, driver);
}

static gboolean
has_card (const char *sys)
{
  g_autofree char *cards = g_build_filename (sys, "class", "drm", NULL);
  g_autoptr (GDir) dir = g_dir_open (cards, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *link = g_build_filename (cards, name, "device", "driver", NULL);
    g_autofree char *target = g_str_has_prefix (name, "card") ? g_file_read_link (link, NULL) : NULL;
    g_autofree char *driver = target != NULL ? g_path_get_basename (target) : NULL;

    if (driver != NULL && draws_in_hardware (driver))
      return TRUE;
  }
  return FALSE;
}

static gboolean
has_mesa (const char *mesa)
{
  g_autoptr (GDir) dir = g_dir_open (mesa, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, "_dri.so"))
      return TRUE;
  return FALSE;
}

gboolean
floe_session_has_gpu (const char *sys, const char *mesa)
{
  return has_card (sys) && has_mesa (mesa);
}

void
floe_session_ready (void)
{
  static const char message[] = "READY=1";
  const char *path = g_getenv ("NOTIFY_SOCKET");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  size_t length = path != NULL ? strlen (path) : 0;
  floe_autofd fd = -1;

  if (length == 0 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
    return;
  memcpy (address.sun_path, path, length);
  /* An abstract name: unix(7). */
  if (path[0] == '@')
    address.sun_path[0] = 0;
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || sendto (fd, message, strlen (message), MSG_NOSIGNAL, (struct sockaddr *)&address,
                        (socklen_t)(offsetof (struct sockaddr_un, sun_path) + length)) < 0)
    g_debug ("the service manager was not told: %s", g_strerror (errno));
}
