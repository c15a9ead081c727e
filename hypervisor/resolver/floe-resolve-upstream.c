/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolve.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Asking servers, so that who does not see the question cannot answer it: each attempt has a source port of the kernel's choice, a random
 * id and random case (0x20), and its socket hears one server only. The sockets were made in the host's network namespace and handed over;
 * connecting to nowhere gives a port back, connecting again takes another. An answer that differs in case only may come from an old
 * server: the question goes over TCP then, as it does for an answer that was truncated. */

static const int attempt_ms[FLOE_RESOLVE_ATTEMPTS] = { 1500, 1500, 2000 };

static const struct sockaddr disconnected = { .sa_family = AF_UNSPEC };

static void fail_attempt (FloeResolve *resolve, FloeQuestion *question);

static int
number_of (const FloeResolve *resolve, const FloeQuestion *question)
{
  return (int)(question - resolve->questions);
}

static int
connect_to (int fd, const FloeDnsAddress *server)
{
  struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons (53) };
  struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons (53) };

  memcpy (&to4.sin_addr, server->bytes, 4);
  memcpy (&to6.sin6_addr, server->bytes, 16);
  return server->family == 4 ? connect (fd, (const struct sockaddr *)&to4, sizeof to4)
                             : connect (fd, (const struct sockaddr *)&to6, sizeof to6);
}

static bool
is_server (const FloeDnsAddress *server, const struct sockaddr_in6 *from)
{
  const struct sockaddr_in *from4 = (const struct sockaddr_in *)(const void *)from;

  if (server->family == 4)
    return from4->sin_family == AF_INET && from4->sin_port == htons (53) && memcmp (&from4->sin_addr, server->bytes, 4) == 0;
  return from->sin6_family == AF_INET6 && from->sin6_port == htons (53) && memcmp (&from->sin6_addr, server->bytes, 16) == 0;
}

void
floe_resolve_release (FloeResolve *resolve, FloeQuestion *question)
{
  FloeUpstream *upstream = &resolve->upstream[question->family];

  if (question->state == FLOE_QUESTION_UDP) {
    (void)connect (upstream->udp[question->socket].fd, &disconnected, sizeof disconnected);
    upstream->udp[question->socket].question = -1;
  } else if (question->state == FLOE_QUESTION_TCP) {
    FloeTcpSocket *tcp = &upstream->tcp[question->socket];

    floe_resolve_unwatch (resolve, tcp->fd);
    (void)connect (tcp->fd, &disconnected, sizeof disconnected);
    tcp->question = -1;
  }
  question->state = FLOE_QUESTION_QUEUED;
}

/* -- UDP --------------------------------------------------------------------------------------------------------------- */

static void
drain (int fd)
{
  uint8_t byte;

  for (unsigned i = 0; i < 256 && recv (fd, &byte, 1, MSG_DONTWAIT) >= 0; i++)
    continue;
}

static bool
ask_over_udp (FloeResolve *resolve, FloeQuestion *question, FloeUdpSocket *udp)
{
  const FloeDnsAddress *server = &resolve->config.servers[question->server];
  uint8_t bits[32], message[FLOE_DNS_QUERY_MAX];
  size_t size;

  floe_resolve_random (bits, sizeof bits);
  floe_resolve_random (&question->id, sizeof question->id);
  question->asked = question->query.name;
  floe_dns_name_mix (&question->asked, bits);
  size = floe_dns_question_write (message, question->id, &question->asked, question->query.type, !question->no_edns);
  (void)connect (udp->fd, &disconnected, sizeof disconnected);
  drain (udp->fd);
  if (connect_to (udp->fd, server) < 0 || send (udp->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    return false;
  udp->question = number_of (resolve, question);
  question->state = FLOE_QUESTION_UDP;
  question->deadline = resolve->now + attempt_ms[question->attempt];
  return true;
}

/* The question's next server, over a free socket of its family; without one it waits. */
static void
start_attempt (FloeResolve *resolve, FloeQuestion *question)
{
  FloeUpstream *upstream;

  if (resolve->config.n_servers == 0) {
    floe_resolve_finish (resolve, question, FLOE_DNS_SERVFAIL, FLOE_DNS_EDE_NONE, NULL);
    return;
  }
  question->server = (resolve->preferred + question->attempt) % resolve->config.n_servers;
  question->family = resolve->config.servers[question->server].family == 6;
  upstream = &resolve->upstream[question->family];
  for (unsigned i = 0; i < upstream->n_udp; i++) {
    if (upstream->udp[i].question >= 0)
      continue;
    question->socket = i;
    if (!ask_over_udp (resolve, question, &upstream->udp[i]))
      fail_attempt (resolve, question);
    return;
  }
  question->state = FLOE_QUESTION_QUEUED;
}

static void
fail_attempt (FloeResolve *resolve, FloeQuestion *question)
{
  floe_resolve_release (resolve, question);
  if (++question->attempt < FLOE_RESOLVE_ATTEMPTS) {
    question->deadline = resolve->now + FLOE_RESOLVE_QUEUE_MS;
    start_attempt (resolve, question);
    return;
  }
  floe_resolve_report (resolve, FLOE_EVENT_UPSTREAM, &question->query.name, NULL);
  floe_resolve_finish (resolve, question, FLOE_DNS_SERVFAIL, FLOE_DNS_EDE_NONE, NULL);
}

void
floe_resolve_ask (FloeResolve *resolve, FloeQuestion *question)
{
  question->state = FLOE_QUESTION_QUEUED;
  question->deadline = resolve->now + FLOE_RESOLVE_QUEUE_MS;
  start_attempt (resolve, question);
}

void
floe_resolve_ask_anew (FloeResolve *resolve)
{
  for (size_t i = 0; i < FLOE_RESOLVE_QUESTIONS; i++) {
    FloeQuestion *question = &resolve->questions[i];

    if (question->state == FLOE_QUESTION_FREE || question->state == FLOE_QUESTION_BINDING)
      continue;
    question->attempt = question->refusals = 0;
    floe_resolve_ask (resolve, question);
  }
}

/* -- Answers ------------------------------------------------------------------------------------------------------------ */

/* Takes out what points inside; what is left goes to hypervisord. */
static void
take_addresses (FloeResolve *resolve, FloeQuestion *question)
{
  FloeDnsAnswer *answer = &question->answer;
  FloeDnsAddress first = { 0 };
  uint32_t keep = 0;

  for (size_t i = 0; i < answer->n_records; i++) {
    FloeDnsAddress address = floe_dns_answer_address (answer, i);
    bool inside = floe_dns_address_is_inside (&address);

    for (size_t k = 0; inside && k < resolve->config.n_rebind; k++)
      inside = !floe_dns_prefix_contains (&resolve->config.rebind[k], &address);
    for (size_t k = 0; !inside && k < resolve->config.n_inside; k++)
      inside = floe_dns_prefix_contains (&resolve->config.inside[k], &address);
    if (!inside)
      keep |= UINT32_C (1) << i;
    else if (first.family == 0)
      first = address;
  }
  if (first.family != 0)
    floe_resolve_report (resolve, FLOE_EVENT_INSIDE, &question->query.name, &first);
  floe_dns_answer_keep (answer, keep);
  if (answer->n_records == 0)
    floe_resolve_finish (resolve, question, FLOE_DNS_NOERROR, FLOE_DNS_EDE_BLOCKED, NULL);
  else
    floe_resolve_bind (resolve, question);
}

static void
take_answer (FloeResolve *resolve, FloeQuestion *question)
{
  FloeDnsAnswer *answer = &question->answer;

  floe_resolve_release (resolve, question);
  if (answer->rcode != FLOE_DNS_NOERROR && answer->rcode != FLOE_DNS_NXDOMAIN) {
    /* RFC 6891 section 7: an old server refuses what it does not know. */
    if (!question->no_edns && (answer->rcode == FLOE_DNS_FORMERR || answer->rcode == FLOE_DNS_NOTIMP)) {
      question->no_edns = true;
      question->deadline = resolve->now + FLOE_RESOLVE_QUEUE_MS;
      start_attempt (resolve, question);
    } else if (++question->refusals < resolve->config.n_servers) {
      fail_attempt (resolve, question);
    } else {
      floe_resolve_report (resolve, FLOE_EVENT_UPSTREAM, &question->query.name, NULL);
      floe_resolve_finish (resolve, question, FLOE_DNS_SERVFAIL, FLOE_DNS_EDE_NONE, NULL);
    }
    return;
  }
  resolve->preferred = question->server;
  if (answer->ttl > resolve->config.ttl_ceiling)
    answer->ttl = resolve->config.ttl_ceiling;
  if (answer->rcode == FLOE_DNS_NXDOMAIN || answer->n_records == 0)
    floe_resolve_finish (resolve, question, answer->rcode, FLOE_DNS_EDE_NONE, NULL);
  else if (question->query.type == FLOE_DNS_A || question->query.type == FLOE_DNS_AAAA)
    take_addresses (resolve, question);
  else
    floe_resolve_finish (resolve, question, FLOE_DNS_NOERROR, FLOE_DNS_EDE_NONE, answer);
}

static void
ask_over_tcp (FloeResolve *resolve, FloeQuestion *question)
{
  FloeUpstream *upstream = &resolve->upstream[question->family];
  FloeTcpSocket *tcp = NULL;
  static const uint8_t lower_case[32] = { 0 };
  bool waited = question->state == FLOE_QUESTION_QUEUED_TCP;
  size_t size;

  floe_resolve_release (resolve, question);
  for (unsigned i = 0; i < upstream->n_tcp && tcp == NULL; i++)
    if (upstream->tcp[i].question < 0)
      tcp = &upstream->tcp[question->socket = i];
  if (tcp == NULL) {
    question->state = FLOE_QUESTION_QUEUED_TCP;
    if (!waited)
      question->deadline = resolve->now + FLOE_RESOLVE_QUEUE_MS;
    return;
  }
  if (connect_to (tcp->fd, &resolve->config.servers[question->server]) < 0 && errno != EINPROGRESS) {
    fail_attempt (resolve, question);
    return;
  }
  floe_resolve_random (&question->id, sizeof question->id);
  question->asked = question->query.name;
  floe_dns_name_mix (&question->asked, lower_case);
  size = floe_dns_question_write (tcp->out + 2, question->id, &question->asked, question->query.type, !question->no_edns);
  tcp->out[0] = (uint8_t)(size >> 8);
  tcp->out[1] = (uint8_t)size;
  tcp->out_size = 2 + size;
  tcp->out_at = tcp->in_at = 0;
  tcp->question = number_of (resolve, question);
  question->state = FLOE_QUESTION_TCP;
  question->deadline = resolve->now + FLOE_RESOLVE_TCP_MS;
  floe_resolve_watch (resolve, tcp->fd, EPOLLOUT, FLOE_WATCH_TCP, question->family * FLOE_RESOLVER_TCP_SOCKETS + question->socket);
}

static void
on_answer (FloeResolve *resolve, FloeQuestion *question, const uint8_t *message, size_t size)
{
  bool tcp = question->state == FLOE_QUESTION_TCP;

  switch (floe_dns_answer_parse (message, size, question->id, &question->asked, question->query.type, &question->answer)) {
  case FLOE_DNS_ANSWER_OK:
    if (!question->answer.truncated)
      take_answer (resolve, question);
    else if (!tcp)
      ask_over_tcp (resolve, question);
    else
      fail_attempt (resolve, question);
    return;
  case FLOE_DNS_ANSWER_CASE:
    if (!tcp) {
      ask_over_tcp (resolve, question);
      return;
    }
    break;
  case FLOE_DNS_ANSWER_FOREIGN:
    if (!tcp)
      return;
    break;
  case FLOE_DNS_ANSWER_MALFORMED:
    break;
  }
  fail_attempt (resolve, question);
}

void
floe_resolve_on_udp (FloeResolve *resolve, unsigned index)
{
  FloeUdpSocket *udp = &resolve->upstream[index / FLOE_RESOLVER_UDP_SOCKETS].udp[index % FLOE_RESOLVER_UDP_SOCKETS];
  uint8_t message[FLOE_DNS_UDP_MAX + 1];

  for (unsigned i = 0; i < 32; i++) {
    FloeQuestion *question = udp->question < 0 ? NULL : &resolve->questions[udp->question];
    struct sockaddr_in6 from = { 0 };
    socklen_t from_size = sizeof from;
    ssize_t got = recvfrom (udp->fd, message, sizeof message, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (question == NULL)
      continue; /* too late, or somebody's guess */
    if (got < 0) {
      fail_attempt (resolve, question); /* nobody is there: ICMP says so */
      return;
    }
    if ((size_t)got <= FLOE_DNS_UDP_MAX && is_server (&resolve->config.servers[question->server], &from))
      on_answer (resolve, question, message, (size_t)got);
  }
}

void
floe_resolve_on_tcp (FloeResolve *resolve, unsigned index, uint32_t events)
{
  FloeTcpSocket *tcp = &resolve->upstream[index / FLOE_RESOLVER_TCP_SOCKETS].tcp[index % FLOE_RESOLVER_TCP_SOCKETS];
  FloeQuestion *question = tcp->question < 0 ? NULL : &resolve->questions[tcp->question];
  size_t wanted;
  ssize_t moved;

  if (question == NULL)
    return;
  if (tcp->out_at < tcp->out_size) {
    moved = (events & (EPOLLERR | EPOLLHUP)) != 0 ? 0 : send (tcp->fd, tcp->out + tcp->out_at, tcp->out_size - tcp->out_at, MSG_NOSIGNAL);
    if (moved < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (moved <= 0) {
      fail_attempt (resolve, question);
      return;
    }
    tcp->out_at += (size_t)moved;
    if (tcp->out_at == tcp->out_size)
      floe_resolve_watch (resolve, tcp->fd, EPOLLIN, FLOE_WATCH_TCP, index);
    return;
  }
  wanted = tcp->in_at < 2 ? 2 : 2 + ((size_t)tcp->in[0] << 8 | tcp->in[1]);
  moved = recvfrom (tcp->fd, tcp->in + tcp->in_at, wanted - tcp->in_at, MSG_DONTWAIT, NULL, NULL);
  if (moved < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (moved <= 0) {
    fail_attempt (resolve, question);
    return;
  }
  tcp->in_at += (size_t)moved;
  wanted = tcp->in_at < 2 ? 2 : 2 + ((size_t)tcp->in[0] << 8 | tcp->in[1]);
  if (tcp->in_at >= 2 && tcp->in_at == wanted)
    on_answer (resolve, question, tcp->in + 2, wanted - 2);
}

void
floe_resolve_questions_tick (FloeResolve *resolve)
{
  for (size_t i = 0; i < FLOE_RESOLVE_QUESTIONS; i++) {
    FloeQuestion *question = &resolve->questions[i];

    if (question->state == FLOE_QUESTION_FREE)
      continue;
    if (resolve->now < question->deadline) {
      if (question->state == FLOE_QUESTION_QUEUED)
        start_attempt (resolve, question);
      else if (question->state == FLOE_QUESTION_QUEUED_TCP)
        ask_over_tcp (resolve, question);
    } else if (question->state != FLOE_QUESTION_UDP && question->state != FLOE_QUESTION_TCP) {
      floe_resolve_report (resolve, FLOE_EVENT_LIMIT, &question->query.name, NULL);
      floe_resolve_finish (resolve, question, FLOE_DNS_SERVFAIL, FLOE_DNS_EDE_NONE, NULL);
    } else {
      fail_attempt (resolve, question);
    }
  }
}
