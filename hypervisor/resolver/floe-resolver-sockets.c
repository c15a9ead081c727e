/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolver-sockets.h"

#include "common/floe-fd.h"
#include "hypervisor/resolver/floe-dhcp-ack.h"
#include "hypervisor/resolver/floe-resolver-message.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define DNS_PORT 53
#define BACKLOG 8

static void
close_one (gpointer data)
{
  floe_fd_clear (data);
}

GArray *
floe_sockets_new (void)
{
  GArray *fds = g_array_new (FALSE, FALSE, sizeof (int));

  g_array_set_clear_func (fds, close_one);
  return fds;
}

static gboolean
set_option (int fd, int level, int option, int value, GError **error)
{
  return setsockopt (fd, level, option, &value, sizeof value) == 0
         || floe_error_set_errno (error, errno, "resolver's socket: option %d", option);
}

/* Packets that PROGRAM passes reach the socket, and it stays so: whoever holds the socket cannot take the filter off. */
static gboolean
lock_filter (int fd, struct sock_filter *filter, size_t n, GError **error)
{
  const struct sock_fprog program = { (unsigned short)n, filter };

  if (setsockopt (fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
    return floe_error_set_errno (error, errno, "resolver's socket: filter");
  return set_option (fd, SOL_SOCKET, SO_LOCK_FILTER, 1, error);
}

/* -- Towards the guest --------------------------------------------------------------------------------------------------- */

static gboolean
add_listener (GArray *fds, const FloeNetIdentity *identity, int family, int type, GError **error)
{
  struct sockaddr_in at4 = { .sin_family = AF_INET, .sin_port = htons (DNS_PORT) };
  struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_port = htons (DNS_PORT) };
  floe_autofd fd = socket (family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int kept;

  if (fd < 0)
    return floe_error_set_errno (error, errno, "resolver's socket");
  memcpy (&at4.sin_addr, identity->host, 4);
  memcpy (&at6.sin6_addr, identity->host6, 16);
  /* An address that is still being checked for duplicates counts as there; what a process that is just ending still holds is no hindrance. */
  if (!set_option (fd, SOL_SOCKET, SO_REUSEADDR, 1, error) || !set_option (fd, SOL_SOCKET, SO_REUSEPORT, 1, error)
      || !set_option (fd, IPPROTO_IP, IP_FREEBIND, 1, error)
      || (family == AF_INET6 && !set_option (fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, error)))
    return FALSE;
  if (setsockopt (fd, SOL_SOCKET, SO_BINDTODEVICE, identity->tap, (socklen_t)strlen (identity->tap)) < 0)
    return floe_error_set_errno (error, errno, "resolver's socket: bind to %s", identity->tap);
  if (bind (fd, family == AF_INET ? (const struct sockaddr *)&at4 : (const struct sockaddr *)&at6,
            family == AF_INET ? sizeof at4 : sizeof at6)
      < 0)
    return floe_error_set_errno (error, errno, "resolver's socket: %s port %d", family == AF_INET ? identity->host_text : identity->host6_text,
                                 DNS_PORT);
  if (type == SOCK_STREAM && listen (fd, BACKLOG) < 0)
    return floe_error_set_errno (error, errno, "resolver's socket: listen");
  kept = floe_fd_steal (&fd);
  g_array_append_val (fds, kept);
  return TRUE;
}

gboolean
floe_sockets_add_listeners (GArray *fds, const FloeNetIdentity *identity, gboolean ipv6, GError **error)
{
  return add_listener (fds, identity, AF_INET, SOCK_DGRAM, error) && add_listener (fds, identity, AF_INET, SOCK_STREAM, error)
         && (!ipv6
             || (add_listener (fds, identity, AF_INET6, SOCK_DGRAM, error) && add_listener (fds, identity, AF_INET6, SOCK_STREAM, error)));
}

/* -- Towards servers ----------------------------------------------------------------------------------------------------- */

static uint32_t
word_of (const FloePolicyAddress *address, unsigned word)
{
  uint32_t value;

  memcpy (&value, address->bytes + 4 * word, sizeof value);
  return ntohl (value);
}

/* Data begins with the UDP or TCP header, whose first half word is the source port; the source address is in the IP header before it. */
static GArray *
server_filter (const FloePolicyAddress *servers, size_t n_servers, uint8_t family)
{
  GArray *filter = g_array_new (FALSE, FALSE, sizeof (struct sock_filter));
  unsigned words = family == 4 ? 1 : 4;
  uint32_t offset = (uint32_t)SKF_NET_OFF + (family == 4 ? 12 : 8);
  const struct sock_filter head[] = {
    BPF_STMT (BPF_LD | BPF_H | BPF_ABS, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, DNS_PORT, 1, 0),
    BPF_STMT (BPF_RET | BPF_K, 0),
  };
  const struct sock_filter refuse = BPF_STMT (BPF_RET | BPF_K, 0), pass = BPF_STMT (BPF_RET | BPF_K, UINT32_MAX);

  g_array_append_vals (filter, head, G_N_ELEMENTS (head));
  for (size_t i = 0; i < n_servers; i++) {
    if (servers[i].family != family)
      continue;
    for (unsigned word = 0; word < words; word++) {
      const struct sock_filter load = BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offset + 4 * word);
      /* What differs jumps behind this server's `pass`. */
      const struct sock_filter compare
          = BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, word_of (&servers[i], word), 0, (uint8_t)(2 * (words - 1 - word) + 1));

      g_array_append_val (filter, load);
      g_array_append_val (filter, compare);
    }
    g_array_append_val (filter, pass);
  }
  g_array_append_val (filter, refuse);
  return filter;
}

gboolean
floe_sockets_add_upstream (GArray *fds, const FloePolicyAddress *servers, size_t n_servers, GError **error)
{
  for (uint8_t family = 4; family <= 6; family += 2) {
    g_autoptr (GArray) filter = server_filter (servers, n_servers, family);
    gboolean wanted = FALSE;

    for (size_t i = 0; i < n_servers; i++)
      wanted = wanted || servers[i].family == family;
    for (unsigned i = 0; wanted && i < FLOE_RESOLVER_UDP_SOCKETS + FLOE_RESOLVER_TCP_SOCKETS; i++) {
      floe_autofd fd = socket (family == 4 ? AF_INET : AF_INET6,
                               (i < FLOE_RESOLVER_UDP_SOCKETS ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      int kept;

      if (fd < 0)
        return floe_error_set_errno (error, errno, "resolver's socket towards servers");
      if (!lock_filter (fd, (struct sock_filter *)(void *)filter->data, filter->len, error))
        return FALSE;
      kept = floe_fd_steal (&fd);
      g_array_append_val (fds, kept);
    }
  }
  return TRUE;
}

/* -- DHCP ---------------------------------------------------------------------------------------------------------------- */

gboolean
floe_sockets_add_lease (GArray *fds, const char *interface, GError **error)
{
  /* An IPv4 packet that is no fragment, UDP, between ports 67 and 68: replies as they leave towards the guest, requests as they come. */
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_H | BPF_ABS, 12),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 11),
    BPF_STMT (BPF_LD | BPF_B | BPF_ABS, 14 + 9),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 9),
    BPF_STMT (BPF_LD | BPF_H | BPF_ABS, 14 + 6),
    BPF_JUMP (BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 7, 0),
    BPF_STMT (BPF_LDX | BPF_B | BPF_MSH, 14),
    BPF_STMT (BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 2),
    BPF_STMT (BPF_LD | BPF_W | BPF_IND, 14),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, 67 << 16 | 68, 3, 2),
    BPF_STMT (BPF_LD | BPF_W | BPF_IND, 14),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, 68 << 16 | 67, 1, 0),
    BPF_STMT (BPF_RET | BPF_K, 0),
    BPF_STMT (BPF_RET | BPF_K, FLOE_DHCP_FRAME_MAX),
  };
  struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex (interface) };
  /* Protocol 0 until the filter is on: nothing is queued before. */
  floe_autofd fd = socket (AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int kept;

  if (fd < 0)
    return floe_error_set_errno (error, errno, "packet socket for DHCP of %s", interface);
  if (at.sll_ifindex == 0)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "DHCP of %s: no such interface", interface);
  if (!lock_filter (fd, filter, G_N_ELEMENTS (filter), error))
    return FALSE;
  at.sll_protocol = htons (ETH_P_ALL);
  if (bind (fd, (const struct sockaddr *)&at, sizeof at) < 0)
    return floe_error_set_errno (error, errno, "packet socket for DHCP of %s", interface);
  kept = floe_fd_steal (&fd);
  g_array_append_val (fds, kept);
  return TRUE;
}
