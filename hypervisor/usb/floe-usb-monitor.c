/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-monitor.h"

#include "common/floe-fd.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#define KERNEL_GROUP 1
/* At most this many messages before the main loop has its turn: a flood of events must not starve the rest. */
#define BURST 256

struct _FloeUsbMonitor {
  int fd;
  guint source;
  void (*changed) (gpointer data);
  gpointer data;
};

gboolean
floe_usb_uevent_matters (const char *message, size_t size)
{
  static const char wanted[] = "SUBSYSTEM=usb";

  for (size_t at = 0; at < size;) {
    size_t length = strnlen (message + at, size - at);

    if (length == sizeof wanted - 1 && memcmp (message + at, wanted, length) == 0)
      return TRUE;
    at += length + 1;
  }
  return FALSE;
}

/* 1 something that matters, 0 nothing more, -1 something else. */
static int
receive (FloeUsbMonitor *monitor)
{
  char buffer[8192];
  struct sockaddr_nl sender = { 0 };
  socklen_t length = sizeof sender;
  ssize_t got = recvfrom (monitor->fd, buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&sender, &length);

  if (got < 0) {
    if (errno == EINTR)
      return -1;
    /* Messages were lost: what they said is on the bus. */
    return errno == ENOBUFS;
  }
  /* Only the kernel: any process of root's may send to the group. */
  return sender.nl_pid == 0 && floe_usb_uevent_matters (buffer, (size_t)got) ? 1 : -1;
}

static gboolean
readable (gint fd, GIOCondition condition, gpointer data)
{
  FloeUsbMonitor *monitor = data;
  gboolean matters = FALSE;

  (void)fd;
  (void)condition;
  for (unsigned i = 0; i < BURST; i++) {
    int got = receive (monitor);

    if (got == 0)
      break;
    matters |= got > 0;
  }
  if (matters)
    monitor->changed (monitor->data);
  return G_SOURCE_CONTINUE;
}

FloeUsbMonitor *
floe_usb_monitor_new (void (*changed) (gpointer data), gpointer data, GError **error)
{
  g_autoptr (FloeUsbMonitor) monitor = g_new0 (FloeUsbMonitor, 1);
  const struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };

  monitor->changed = changed;
  monitor->data = data;
  monitor->fd = socket (AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  if (monitor->fd < 0 || bind (monitor->fd, (const struct sockaddr *)&group, sizeof group) < 0) {
    floe_error_set_errno (error, errno, "kernel uevents");
    return NULL;
  }
  monitor->source = g_unix_fd_add (monitor->fd, G_IO_IN | G_IO_ERR, readable, monitor);
  return g_steal_pointer (&monitor);
}

void
floe_usb_monitor_free (FloeUsbMonitor *monitor)
{
  if (monitor == NULL)
    return;
  g_clear_handle_id (&monitor->source, g_source_remove);
  floe_fd_clear (&monitor->fd);
  g_free (monitor);
}
