/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-cli.h"
#include "common/floe-fd.h"

#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* `open-display MACHINE`: opens two SPICE channels through OpenDisplay and checks that a SPICE server answers on each. */

/* SpiceLinkHeader and SpiceLinkMess (spice/protocol.h): main channel, no capabilities. All little-endian. */
static const unsigned char link_message[] = { 'R', 'E', 'D', 'Q', 2, 0, 0, 0, 2, 0, 0, 0, 18, 0, 0,  0, 0, 0,
                                              0,   0,   1,   0,   0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 18, 0, 0, 0 };

static gboolean
open_one (GDBusConnection *bus, const char *path, GError **error)
{
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_with_unix_fd_list_sync (
      bus, "org.floe.Hypervisor1", path, "org.floe.Hypervisor1.Machine", "OpenDisplay", NULL, G_VARIANT_TYPE ("(h)"),
      G_DBUS_CALL_FLAGS_NONE, -1, NULL, &fds, NULL, error);
  floe_autofd channel = -1;
  struct timeval limit = { .tv_sec = 20 };
  char answer[4];

  if (reply == NULL)
    return FALSE;
  channel = g_unix_fd_list_get (fds, 0, error);
  if (channel < 0)
    return FALSE;
  setsockopt (channel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (!floe_write_all (channel, link_message, 34, error))
    return FALSE;
  if (recv (channel, answer, sizeof answer, MSG_WAITALL) != sizeof answer || memcmp (answer, "REDQ", sizeof answer) != 0)
    return floe_error_set (error, FLOE_ERROR_PEER, "no SPICE server answers");
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = argc != 2 ? NULL : g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &error);
  g_autofree char *path = g_strconcat ("/org/floe/Hypervisor1/machine/", argc != 2 ? "" : argv[1], NULL);

  if (argc != 2)
    return 2;
  if (bus == NULL || !open_one (bus, path, &error) || !open_one (bus, path, &error))
    return floe_cli_fail ("open-display", error);
  return 0;
}
