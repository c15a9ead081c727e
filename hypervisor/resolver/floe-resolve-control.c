/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolve.h"

#include <linux/if_packet.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- Configuration ------------------------------------------------------------------------------------------------------ */

typedef struct {
  int fds[FLOE_RESOLVER_FDS_MAX];
  size_t n, taken;
} Handed;

static int
take_fd (Handed *handed)
{
  return handed->taken < handed->n ? handed->fds[handed->taken++] : -1;
}

static bool
take_names (FloeResolve *resolve, Handed *handed)
{
  int fd = take_fd (handed);
  off_t size = fd < 0 ? -1 : lseek (fd, 0, SEEK_END);
  void *block;

  if (resolve->names.block != NULL)
    munmap ((void *)(uintptr_t)resolve->names.block, resolve->names.size);
  resolve->names = (FloeDnsNames){ 0 };
  if (size <= 0 || size > FLOE_DNS_NAMES_SIZE_MAX)
    return false;
  block = mmap (NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
  close (fd);
  return block != MAP_FAILED && floe_dns_names_open (block, (size_t)size, &resolve->names);
}

static bool
take_listeners (FloeResolve *resolve, Handed *handed)
{
  for (unsigned i = 0; i < 4; i++) {
    if (resolve->listeners[i] >= 0) {
      floe_resolve_unwatch (resolve, resolve->listeners[i]);
      close (resolve->listeners[i]);
    }
    resolve->listeners[i] = i < 2 || resolve->config.ipv6 ? take_fd (handed) : -1;
    if (resolve->listeners[i] < 0) {
      if (i < 2 || resolve->config.ipv6)
        return false;
      continue;
    }
    floe_resolve_watch (resolve, resolve->listeners[i], resolve->paused ? 0 : EPOLLIN, FLOE_WATCH_LISTENER, i);
  }
  return true;
}

static void
close_upstream (FloeResolve *resolve, FloeUpstream *upstream)
{
  for (unsigned i = 0; i < upstream->n_udp; i++) {
    floe_resolve_unwatch (resolve, upstream->udp[i].fd);
    close (upstream->udp[i].fd);
  }
  for (unsigned i = 0; i < upstream->n_tcp; i++)
    close (upstream->tcp[i].fd);
  upstream->n_udp = upstream->n_tcp = 0;
}

/* Questions give their sockets back first: what is asked anew is asked with new ones. */
static bool
take_upstream (FloeResolve *resolve, Handed *handed)
{
  for (size_t i = 0; i < FLOE_RESOLVE_QUESTIONS; i++)
    if (resolve->questions[i].state == FLOE_QUESTION_UDP || resolve->questions[i].state == FLOE_QUESTION_TCP)
      floe_resolve_release (resolve, &resolve->questions[i]);
  resolve->preferred = 0;
  for (unsigned family = 0; family < 2; family++) {
    FloeUpstream *upstream = &resolve->upstream[family];
    bool wanted = false;

    close_upstream (resolve, upstream);
    for (size_t i = 0; i < resolve->config.n_servers; i++)
      wanted = wanted || (resolve->config.servers[i].family == 6) == family;
    for (unsigned i = 0; wanted && i < FLOE_RESOLVER_UDP_SOCKETS; i++) {
      upstream->udp[i] = (FloeUdpSocket){ take_fd (handed), -1 };
      if (upstream->udp[i].fd < 0)
        return false;
      upstream->n_udp++;
      floe_resolve_watch (resolve, upstream->udp[i].fd, EPOLLIN, FLOE_WATCH_UDP, family * FLOE_RESOLVER_UDP_SOCKETS + i);
    }
    for (unsigned i = 0; wanted && i < FLOE_RESOLVER_TCP_SOCKETS; i++) {
      upstream->tcp[i].fd = take_fd (handed);
      upstream->tcp[i].question = -1;
      if (upstream->tcp[i].fd < 0)
        return false;
      upstream->n_tcp++;
    }
  }
  return true;
}

static bool
take_lease_socket (FloeResolve *resolve, Handed *handed)
{
  if (resolve->lease >= 0) {
    floe_resolve_unwatch (resolve, resolve->lease);
    close (resolve->lease);
  }
  resolve->lease = take_fd (handed);
  if (resolve->lease < 0)
    return false;
  floe_resolve_watch (resolve, resolve->lease, EPOLLIN, FLOE_WATCH_LEASE, 0);
  return true;
}

static bool
configure (FloeResolve *resolve, const FloeResolverConfig *config, Handed *handed)
{
  if (config->n_servers > FLOE_RESOLVER_SERVERS || config->n_dhcp > FLOE_RESOLVER_SERVERS || config->n_rebind > FLOE_RESOLVER_PREFIXES
      || config->n_inside > FLOE_RESOLVER_PREFIXES)
    return false;
  resolve->config = *config;
  resolve->dhcp.mac = resolve->config.mac;
  resolve->dhcp.servers = resolve->config.dhcp;
  resolve->dhcp.n_servers = config->n_dhcp;
  if (((config->has & FLOE_RESOLVER_HAS_NAMES) != 0 && !take_names (resolve, handed))
      || ((config->has & FLOE_RESOLVER_HAS_LISTEN) != 0 && !take_listeners (resolve, handed))
      || ((config->has & FLOE_RESOLVER_HAS_LEASE) != 0 && !take_lease_socket (resolve, handed)))
    return false;
  if ((config->has & FLOE_RESOLVER_HAS_UPSTREAM) != 0) {
    if (!take_upstream (resolve, handed))
      return false;
    floe_resolve_ask_anew (resolve);
  }
  if (!resolve->confined && !floe_resolve_confine (resolve->lease >= 0))
    return false;
  resolve->configured = resolve->confined = true;
  return handed->taken == handed->n;
}

/* -- Binding ------------------------------------------------------------------------------------------------------------ */

void
floe_resolve_bind (FloeResolve *resolve, FloeQuestion *question)
{
  FloeResolverBind bind = { .kind = FLOE_RESOLVER_MESSAGE_BIND, .id = ++resolve->next_bind_id, .ttl = question->answer.ttl };

  bind.n_addresses = (uint32_t)question->answer.n_records;
  for (size_t i = 0; i < question->answer.n_records; i++)
    bind.addresses[i] = floe_dns_answer_address (&question->answer, i);
  if (!floe_dns_name_to_text (&question->query.name, bind.name) || write (FLOE_RESOLVER_CONTROL_FD, &bind, sizeof bind) != sizeof bind) {
    floe_resolve_report (resolve, FLOE_EVENT_LIMIT, &question->query.name, NULL);
    floe_resolve_finish (resolve, question, FLOE_DNS_SERVFAIL, FLOE_DNS_EDE_NONE, NULL);
    return;
  }
  question->bind_id = bind.id;
  question->state = FLOE_QUESTION_BINDING;
  question->deadline = resolve->now + FLOE_RESOLVE_BIND_MS;
}

static void
on_verdict (FloeResolve *resolve, const FloeResolverVerdict *verdict)
{
  for (size_t i = 0; i < FLOE_RESOLVE_QUESTIONS; i++) {
    FloeQuestion *question = &resolve->questions[i];

    if (question->state != FLOE_QUESTION_BINDING || question->bind_id != verdict->id)
      continue;
    if (verdict->verdict != FLOE_RESOLVER_VERDICT_BOUND) {
      floe_resolve_finish (resolve, question, FLOE_DNS_SERVFAIL, FLOE_DNS_EDE_NONE, NULL);
      return;
    }
    floe_dns_answer_keep (&question->answer, verdict->keep);
    floe_resolve_finish (resolve, question, FLOE_DNS_NOERROR, question->answer.n_records == 0 ? FLOE_DNS_EDE_BLOCKED : FLOE_DNS_EDE_NONE,
                         &question->answer);
    return;
  }
}

/* -- Reports ------------------------------------------------------------------------------------------------------------ */

void
floe_resolve_report (FloeResolve *resolve, unsigned event, const FloeDnsName *name, const FloeDnsAddress *address)
{
  FloeResolverReport report = { .kind = FLOE_RESOLVER_MESSAGE_EVENT, .event = event, .count = 1, .left_out = resolve->events_left_out };

  if (name != NULL)
    floe_dns_name_print (name, report.name);
  if (address != NULL)
    report.address = *address;
  if (!floe_bucket_take (&resolve->events_bucket, FLOE_RESOLVE_EVENTS, resolve->now)
      || write (FLOE_RESOLVER_CONTROL_FD, &report, sizeof report) != sizeof report)
    resolve->events_left_out += resolve->events_left_out < UINT32_MAX;
  else
    resolve->events_left_out = 0;
}

/* -- Leases ------------------------------------------------------------------------------------------------------------- */

void
floe_resolve_on_lease (FloeResolve *resolve)
{
  uint8_t frame[FLOE_DHCP_FRAME_MAX];

  for (unsigned i = 0; i < 16; i++) {
    FloeResolverLease message = { .kind = FLOE_RESOLVER_MESSAGE_LEASE };
    struct sockaddr_ll from = { 0 };
    socklen_t size = sizeof from;
    ssize_t got = recvfrom (resolve->lease, frame, sizeof frame, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    FloeDhcpLease lease;

    if (got < 0)
      return;
    switch (floe_dhcp_frame_parse (frame, (size_t)got, from.sll_pkttype == PACKET_OUTGOING, &resolve->dhcp, &lease)) {
    case FLOE_DHCP_OTHER:
    case FLOE_DHCP_REQUEST:
      break;
    case FLOE_DHCP_STRANGER:
    case FLOE_DHCP_MALFORMED:
      floe_resolve_report (resolve, FLOE_EVENT_DHCP, NULL, lease.server.family != 0 ? &lease.server : NULL);
      break;
    case FLOE_DHCP_LEASE:
      message.lease_s = lease.lease_s;
      message.address = lease.address;
      message.server = lease.server;
      /* Lost when hypervisord does not read: the guest asks again at half the lease. */
      (void)!write (FLOE_RESOLVER_CONTROL_FD, &message, sizeof message);
      break;
    }
  }
}

/* -- hypervisord --------------------------------------------------------------------------------------------------------- */

bool
floe_resolve_on_control (FloeResolve *resolve)
{
  union {
    uint32_t kind;
    FloeResolverConfig config;
    FloeResolverVerdict verdict;
  } message;
  union {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE (sizeof (int) * FLOE_RESOLVER_FDS_MAX)];
  } control;
  struct iovec part = { &message, sizeof message };
  struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
  Handed handed = { .n = 0 };
  ssize_t got = recvmsg (FLOE_RESOLVER_CONTROL_FD, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

  if (got < (ssize_t)sizeof message.kind || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return false;
  for (struct cmsghdr *at = CMSG_FIRSTHDR (&header); at != NULL; at = CMSG_NXTHDR (&header, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
      return false;
    handed.n = (at->cmsg_len - CMSG_LEN (0)) / sizeof (int);
    memcpy (handed.fds, CMSG_DATA (at), handed.n * sizeof (int));
  }
  if (message.kind == FLOE_RESOLVER_MESSAGE_CONFIG && got == sizeof message.config)
    return configure (resolve, &message.config, &handed);
  if (message.kind != FLOE_RESOLVER_MESSAGE_VERDICT || got != sizeof message.verdict || handed.n != 0)
    return false;
  on_verdict (resolve, &message.verdict);
  return true;
}
