/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-netlink.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Room in the kernel for answers and for most batches; a batch of 50,000 rules has about 10 MiB. */
#define BATCH_ROOM (16 * 1024 * 1024)
#define DUMP_TRIES 20

struct _FloeNetlink {
  struct mnl_socket *socket;
  uint32_t sequence;
};

FloeNetlink *
floe_netlink_open (int protocol, GError **error)
{
  g_autoptr (FloeNetlink) netlink = g_new0 (FloeNetlink, 1);
  /* The kernel answers at once; a deadline only keeps a broken one from hanging us. */
  const struct timeval deadline = { .tv_sec = 10 };
  const int room = BATCH_ROOM, on = 1;
  int fd;

  netlink->socket = mnl_socket_open2 (protocol, SOCK_CLOEXEC);
  if (netlink->socket == NULL) {
    floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "netlink %s: %s",
                    protocol == NETLINK_ROUTE ? "route" : "netfilter (CONFIG_NETFILTER_NETLINK)", g_strerror (errno));
    return NULL;
  }
  fd = mnl_socket_get_fd (netlink->socket);
  if (mnl_socket_bind (netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0
      || setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) < 0
      || setsockopt (fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0) {
    floe_error_set_errno (error, errno, "netlink socket");
    return NULL;
  }
  /* The FORCE variants need a privilege of the first user namespace; without it the ordinary limits must do. */
  if (setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
    setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
    setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  return g_steal_pointer (&netlink);
}

void
floe_netlink_close (FloeNetlink *netlink)
{
  if (netlink == NULL)
    return;
  if (netlink->socket != NULL)
    mnl_socket_close (netlink->socket);
  g_free (netlink);
}

static gboolean
set_kernel_error (GError **error, int code, const char *what)
{
  if (code == EOPNOTSUPP || code == EPROTONOSUPPORT || code == EAFNOSUPPORT)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s: this kernel does not have it (%s)", what, g_strerror (code));
  if (code == EEXIST)
    return floe_error_set (error, FLOE_ERROR_BUSY, "%s: it is there already", what);
  if (code == ESRCH || code == ENODEV)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "%s: %s", what, g_strerror (code));
  return floe_error_set_errno (error, code, "%s", what);
}

/* What an abandoned dump still has to say would be taken for answers to the next question. */
static void
drain (FloeNetlink *netlink)
{
  char buffer[8192];

  while (recv (mnl_socket_get_fd (netlink->socket), buffer, sizeof buffer, MSG_DONTWAIT) > 0)
    continue;
}

/* Sends MESSAGE and hands every answer to CALLBACK until the kernel says that it is done. 1 done, 0 torn dump, -1 errno. */
static int
talk (FloeNetlink *netlink, struct nlmsghdr *message, mnl_cb_t callback, void *data)
{
  unsigned port = mnl_socket_get_portid (netlink->socket);
  g_autofree char *buffer = g_malloc (FLOE_NETLINK_MESSAGE_MAX);
  int more = MNL_CB_OK;

  drain (netlink);
  message->nlmsg_seq = ++netlink->sequence;
  if (mnl_socket_sendto (netlink->socket, message, message->nlmsg_len) < 0)
    return -1;
  while (more > MNL_CB_STOP) {
    ssize_t got = mnl_socket_recvfrom (netlink->socket, buffer, FLOE_NETLINK_MESSAGE_MAX);

    if (got < 0)
      return errno == EINTR ? 0 : -1;
    more = mnl_cb_run (buffer, (size_t)got, message->nlmsg_seq, port, callback, data);
  }
  if (more == MNL_CB_ERROR)
    return errno == EINTR ? 0 : -1;
  return 1;
}

gboolean
floe_netlink_query (FloeNetlink *netlink, struct nlmsghdr *message, mnl_cb_t callback, void *data, const char *what, GError **error)
{
  int result;

  message->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  result = talk (netlink, message, callback, data);
  return result == 1 || set_kernel_error (error, result == 0 ? EINTR : errno, what);
}

gboolean
floe_netlink_request (FloeNetlink *netlink, struct nlmsghdr *message, const char *what, GError **error)
{
  return floe_netlink_query (netlink, message, NULL, NULL, what, error);
}

gboolean
floe_netlink_dump (FloeNetlink *netlink, struct nlmsghdr *message, mnl_cb_t callback, void (*restart) (void *), void *data,
                   const char *what, GError **error)
{
  message->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  for (unsigned i = 0; i < DUMP_TRIES; i++) {
    int result = talk (netlink, message, callback, data);

    if (result == 1)
      return TRUE;
    if (result < 0)
      return set_kernel_error (error, errno, what);
    restart (data);
  }
  return floe_error_set (error, FLOE_ERROR_BUSY, "%s: changed while it was being read, %d times", what, DUMP_TRIES);
}

/* -- Transactions --------------------------------------------------------------------------------------------------- */

struct _FloeBatch {
  GByteArray *bytes; /* whole messages */
  GPtrArray *whats;  /* what each is; index = its sequence number within the batch */
  size_t last;       /* offset of the last whole message */
  char *scratch;     /* the message being built, or all zeros */
  gboolean building;
};

FloeBatch *
floe_batch_new (void)
{
  FloeBatch *batch = g_new0 (FloeBatch, 1);

  batch->bytes = g_byte_array_new ();
  batch->whats = g_ptr_array_new_with_free_func (g_free);
  batch->scratch = g_malloc0 (FLOE_NETLINK_MESSAGE_MAX);
  nftnl_batch_begin (batch->scratch, 0);
  g_ptr_array_add (batch->whats, g_strdup ("nf_tables transaction (CAP_NET_ADMIN)"));
  batch->building = TRUE;
  return batch;
}

void
floe_batch_free (FloeBatch *batch)
{
  if (batch == NULL)
    return;
  g_byte_array_unref (batch->bytes);
  g_ptr_array_unref (batch->whats);
  g_free (batch->scratch);
  g_free (batch);
}

static void
flush_message (FloeBatch *batch)
{
  const struct nlmsghdr *message = (const struct nlmsghdr *)batch->scratch;

  if (!batch->building)
    return;
  g_assert (message->nlmsg_len <= FLOE_NETLINK_MESSAGE_MAX);
  batch->last = batch->bytes->len;
  g_byte_array_append (batch->bytes, (const guint8 *)batch->scratch, NLMSG_ALIGN (message->nlmsg_len));
  memset (batch->scratch, 0, NLMSG_ALIGN (message->nlmsg_len));
  batch->building = FALSE;
}

struct nlmsghdr *
floe_batch_add (FloeBatch *batch, uint16_t type, uint16_t family, uint16_t flags, const char *format, ...)
{
  va_list arguments;

  flush_message (batch);
  va_start (arguments, format);
  g_ptr_array_add (batch->whats, g_strdup_vprintf (format, arguments));
  va_end (arguments);
  batch->building = TRUE;
  return nftnl_nlmsg_build_hdr (batch->scratch, type, family, flags, batch->whats->len - 1);
}

/* Sequence numbers of the batch are small; those of this socket's other requests are not mixed with them, for a batch's
 * answers are all there when the send returns. */
static gboolean
read_answers (FloeBatch *batch, FloeNetlink *netlink, uint32_t wanted, GError **error)
{
  int fd = mnl_socket_get_fd (netlink->socket);
  g_autofree char *buffer = g_malloc (FLOE_NETLINK_MESSAGE_MAX);
  gboolean acknowledged = FALSE;
  int refused = 0;
  uint32_t which = 0;

  for (;;) {
    ssize_t got = recv (fd, buffer, FLOE_NETLINK_MESSAGE_MAX, MSG_DONTWAIT);
    struct nlmsghdr *message = (struct nlmsghdr *)buffer;

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && errno != EAGAIN)
      return floe_error_set_errno (error, errno, "nf_tables transaction: reading the answer");
    if (got <= 0)
      break;
    for (int left = (int)got; NLMSG_OK (message, (unsigned)left); message = NLMSG_NEXT (message, left)) {
      const struct nlmsgerr *answer = NLMSG_DATA (message);

      if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_len < NLMSG_LENGTH (sizeof *answer))
        continue;
      if (answer->error == 0 && message->nlmsg_seq == wanted)
        acknowledged = TRUE;
      if (answer->error != 0 && refused == 0) {
        refused = -answer->error;
        which = message->nlmsg_seq;
      }
    }
  }
  if (refused != 0)
    return set_kernel_error (error, refused,
                             which < batch->whats->len ? g_ptr_array_index (batch->whats, which) : "nf_tables");
  return acknowledged || floe_error_set (error, FLOE_ERROR_IO, "nf_tables transaction: the kernel did not confirm it");
}

/* A transaction is one datagram. */
static void
make_room (FloeNetlink *netlink, guint size)
{
  const int room = (int)MIN (size, (guint)G_MAXINT / 4) + BATCH_ROOM;

  if (size > BATCH_ROOM)
    setsockopt (mnl_socket_get_fd (netlink->socket), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
}

gboolean
floe_batch_run (FloeBatch *batch, FloeNetlink *netlink, gboolean commit, GError **error)
{
  uint32_t wanted = batch->whats->len - 1;
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  struct iovec vector;
  struct msghdr message = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &vector, .msg_iovlen = 1 };

  flush_message (batch);
  ((struct nlmsghdr *)(batch->bytes->data + batch->last))->nlmsg_flags |= NLM_F_ACK;
  if (commit) {
    nftnl_batch_end (batch->scratch, wanted + 1);
    batch->building = TRUE;
    flush_message (batch);
  }
  make_room (netlink, batch->bytes->len);
  vector = (struct iovec){ batch->bytes->data, batch->bytes->len };
  if (sendmsg (mnl_socket_get_fd (netlink->socket), &message, 0) < 0)
    return floe_error_set_errno (error, errno, "nf_tables transaction of %u bytes", batch->bytes->len);
  return read_answers (batch, netlink, wanted, error);
}
