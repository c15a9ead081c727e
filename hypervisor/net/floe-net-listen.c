/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

/* What is read at a time before others of the main loop have their turn. */
#define READS_MAX 32
#define MESSAGE_MAX 65536
/* Room in the kernel: what does not fit is thrown away there, and said. */
#define ROOM (512 * 1024)
/* Gathered in the kernel for as long (hundredths of a second), or until so many are there. */
#define GATHER_CENTISECONDS 20
#define GATHER_PACKETS 64

struct _FloeNetListener {
  struct mnl_socket *socket;
  guint source;
  FloeNetLogged logged;
  gpointer data;
  unsigned overruns;
  uint8_t buffer[MESSAGE_MAX];
};

static void
take_messages (FloeNetListener *listener, size_t size)
{
  const struct nlmsghdr *message = (const void *)listener->buffer;
  int left = (int)size;

  for (; mnl_nlmsg_ok (message, left); message = mnl_nlmsg_next (message, &left)) {
    FloeNetLogEntry entry;

    if (message->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)
        && floe_net_log_decode (mnl_nlmsg_get_payload (message), mnl_nlmsg_get_payload_len (message), &entry))
      listener->logged (&entry, listener->data);
  }
}

static gboolean
on_packets (gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  FloeNetListener *listener = data;

  for (unsigned i = 0; i < READS_MAX; i++) {
    ssize_t got = mnl_socket_recvfrom (listener->socket, listener->buffer, sizeof listener->buffer);

    if (got > 0)
      take_messages (listener, (size_t)got);
    else if (got < 0 && errno == ENOBUFS)
      listener->overruns++;
    else if (got == 0 || errno != EINTR)
      break;
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
configure (FloeNetListener *listener, uint16_t group, uint32_t bytes, GError **error)
{
  char buffer[256] = { 0 };
  struct nlmsghdr *message = mnl_nlmsg_put_header (buffer);
  struct nfgenmsg *header;
  const struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
  const struct nfulnl_msg_config_mode mode = { .copy_mode = NFULNL_COPY_PACKET, .copy_range = htonl (bytes) };
  ssize_t got;

  message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message->nlmsg_seq = 1;
  header = mnl_nlmsg_put_extra_header (message, sizeof *header);
  header->nfgen_family = AF_UNSPEC;
  header->version = NFNETLINK_V0;
  header->res_id = htons (group);
  mnl_attr_put (message, NFULA_CFG_CMD, sizeof bind, &bind);
  mnl_attr_put (message, NFULA_CFG_MODE, sizeof mode, &mode);
  mnl_attr_put_u32 (message, NFULA_CFG_TIMEOUT, htonl (GATHER_CENTISECONDS));
  mnl_attr_put_u32 (message, NFULA_CFG_QTHRESH, htonl (GATHER_PACKETS));
  if (mnl_socket_sendto (listener->socket, message, message->nlmsg_len) < 0)
    return floe_error_set_errno (error, errno, "packet log");
  got = mnl_socket_recvfrom (listener->socket, listener->buffer, sizeof listener->buffer);
  if (got >= 0 && mnl_cb_run (listener->buffer, (size_t)got, 1, mnl_socket_get_portid (listener->socket), NULL, NULL) >= 0)
    return TRUE;
  if (errno == EBUSY)
    return floe_error_set (error, FLOE_ERROR_BUSY, "packet log: another process listens to group %u", group);
  return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "packet log, group %u: %s (CONFIG_NETFILTER_NETLINK_LOG)", group,
                         g_strerror (errno));
}

FloeNetListener *
floe_net_listen (uint16_t group, uint32_t bytes, FloeNetLogged logged, gpointer data, GError **error)
{
  g_autoptr (FloeNetListener) listener = g_new0 (FloeNetListener, 1);
  const int room = ROOM;

  listener->logged = logged;
  listener->data = data;
  listener->socket = mnl_socket_open2 (NETLINK_NETFILTER, SOCK_CLOEXEC);
  if (listener->socket == NULL || mnl_socket_bind (listener->socket, 0, MNL_SOCKET_AUTOPID) < 0
      || setsockopt (mnl_socket_get_fd (listener->socket), SOL_SOCKET, SO_RCVBUF, &room, sizeof room) < 0) {
    floe_error_set_errno (error, errno, "packet log: netlink socket");
    return NULL;
  }
  if (!configure (listener, group, bytes, error))
    return NULL;
  if (!g_unix_set_fd_nonblocking (mnl_socket_get_fd (listener->socket), TRUE, error))
    return NULL;
  /* Below D-Bus and everything else that waits for an answer. */
  listener->source = g_unix_fd_add_full (G_PRIORITY_LOW, mnl_socket_get_fd (listener->socket), G_IO_IN | G_IO_ERR, on_packets, listener,
                                         NULL);
  return g_steal_pointer (&listener);
}

void
floe_net_listener_free (FloeNetListener *listener)
{
  if (listener == NULL)
    return;
  g_clear_handle_id (&listener->source, g_source_remove);
  if (listener->socket != NULL)
    mnl_socket_close (listener->socket);
  g_free (listener);
}

unsigned
floe_net_listener_take_overruns (FloeNetListener *listener)
{
  unsigned overruns = listener->overruns;

  listener->overruns = 0;
  return overruns;
}
