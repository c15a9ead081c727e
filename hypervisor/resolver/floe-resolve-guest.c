/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolve.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32 /* datagrams read at one go, so that the other sockets have their turn */

/* -- Answers ----------------------------------------------------------------------------------------------------------- */

static void
client_close (FloeResolve *resolve, FloeClient *client)
{
  floe_resolve_unwatch (resolve, client->fd);
  close (client->fd);
  client->fd = -1;
}

static void
client_flush (FloeResolve *resolve, FloeClient *client)
{
  unsigned index = (unsigned)(client - resolve->clients);

  while (client->out_at < client->out_size) {
    ssize_t sent = send (client->fd, client->out + client->out_at, client->out_size - client->out_at, MSG_NOSIGNAL);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
      floe_resolve_watch (resolve, client->fd, EPOLLOUT, FLOE_WATCH_CLIENT, index);
      return;
    }
    if (sent < 0) {
      client_close (resolve, client);
      return;
    }
    client->out_at += (size_t)sent;
  }
  client->out_size = client->out_at = 0;
  floe_resolve_watch (resolve, client->fd, client->waiting ? 0 : EPOLLIN, FLOE_WATCH_CLIENT, index);
}

typedef struct {
  int client;
  uint32_t generation;
  unsigned listener;
  const struct sockaddr_in6 *from;
} Asker;

static void
reply (FloeResolve *resolve, const Asker *asker, const FloeDnsQuery *query, unsigned rcode, unsigned ede, const FloeDnsAnswer *answer)
{
  uint8_t out[FLOE_DNS_UDP_MAX];
  size_t size;

  if (asker->client < 0) {
    size = floe_dns_answer_write (out, query->room, query, rcode, ede, answer);
    /* Lost as datagrams may be, when the socket is full. */
    (void)sendto (resolve->listeners[asker->listener], out, size, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)asker->from,
                  asker->listener == 0 ? sizeof (struct sockaddr_in) : sizeof (struct sockaddr_in6));
  } else {
    FloeClient *client = &resolve->clients[asker->client];

    if (client->fd < 0 || client->generation != asker->generation)
      return;
    size = floe_dns_answer_write (client->out + 2, FLOE_DNS_ANSWER_MAX, query, rcode, ede, answer);
    client->out[0] = (uint8_t)(size >> 8);
    client->out[1] = (uint8_t)size;
    client->out_size = 2 + size;
    client->out_at = 0;
    client->waiting = false;
    client->used = resolve->now;
    client_flush (resolve, client);
  }
}

void
floe_resolve_finish (FloeResolve *resolve, FloeQuestion *question, unsigned rcode, unsigned ede, const FloeDnsAnswer *answer)
{
  const Asker asker = { question->client, question->generation, question->listener, &question->from };

  floe_resolve_release (resolve, question);
  reply (resolve, &asker, &question->query, rcode, ede, answer);
  question->state = FLOE_QUESTION_FREE;
}

/* -- Judgement --------------------------------------------------------------------------------------------------------- */

typedef enum {
  ASK,
  EMPTY,   /* it may be there, and has nothing of that type that we would answer */
  ABSENT,  /* it is not there */
  REFUSED, /* not there either, as the guest is told, and policy is why */
  REFUSED_EMPTY, /* the same, for a name above others that may be asked for */
} Judgement;

/* What no server may be asked for: what is the guest's own (RFC 6761 section 6.3), and the name by which a network asks Firefox to leave
 * names to its resolver. */
static bool
is_never_asked (const FloeDnsName *name)
{
  static const char *const names[] = { "localhost", "use-application-dns.net" };

  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    FloeDnsName known, tail = *name;

    if (!floe_dns_name_from_text (names[i], &known) || known.size > name->size)
      continue;
    for (size_t at = 0; name->bytes[at] != 0; at += 1u + name->bytes[at]) {
      tail.size = (uint8_t)(name->size - at);
      memcpy (tail.bytes, name->bytes + at, tail.size);
      if (floe_dns_name_equal (&tail, &known))
        return true;
    }
  }
  return false;
}

static Judgement
judge (const FloeResolve *resolve, const FloeDnsQuery *query)
{
  FloeDnsNamesMatch match = floe_dns_names_match (&resolve->names, &query->name);

  if (!floe_dns_name_is_plain (&query->name))
    return REFUSED;
  if (match != FLOE_DNS_NAMES_YES && !resolve->config.any)
    return match == FLOE_DNS_NAMES_PARENT ? REFUSED_EMPTY : REFUSED;
  if (match != FLOE_DNS_NAMES_YES && is_never_asked (&query->name))
    return ABSENT;
  switch (query->type) {
  case FLOE_DNS_A:
    return ASK;
  case FLOE_DNS_AAAA:
    return resolve->config.ipv6 ? ASK : EMPTY;
  case FLOE_DNS_PTR:
  case FLOE_DNS_MX:
  case FLOE_DNS_TXT:
  case FLOE_DNS_SRV:
    return resolve->config.any ? ASK : EMPTY;
  default:
    return EMPTY;
  }
}

/* The same datagram again, from a guest that has waited for a second. */
static bool
is_known (const FloeResolve *resolve, const Asker *asker, const FloeDnsQuery *query)
{
  for (size_t i = 0; asker->client < 0 && i < FLOE_RESOLVE_QUESTIONS; i++) {
    const FloeQuestion *question = &resolve->questions[i];

    if (question->state != FLOE_QUESTION_FREE && question->client < 0 && question->listener == asker->listener
        && question->query.id == query->id && question->from.sin6_port == asker->from->sin6_port && question->query.type == query->type
        && floe_dns_name_equal (&question->query.name, &query->name))
      return true;
  }
  return false;
}

static void
take_question (FloeResolve *resolve, const Asker *asker, const FloeDnsQuery *query)
{
  FloeQuestion *question = NULL;

  if (is_known (resolve, asker, query))
    return;
  for (size_t i = 0; i < FLOE_RESOLVE_QUESTIONS && question == NULL; i++)
    if (resolve->questions[i].state == FLOE_QUESTION_FREE)
      question = &resolve->questions[i];
  if (question == NULL) {
    floe_resolve_report (resolve, FLOE_EVENT_LIMIT, &query->name, NULL);
    reply (resolve, asker, query, FLOE_DNS_SERVFAIL, FLOE_DNS_EDE_NONE, NULL);
    return;
  }
  memset (question, 0, offsetof (FloeQuestion, answer));
  question->query = *query;
  question->client = asker->client;
  question->generation = asker->generation;
  question->listener = asker->listener;
  if (asker->client < 0)
    question->from = *asker->from;
  else
    resolve->clients[asker->client].waiting = true;
  floe_resolve_ask (resolve, question);
}

static void
on_query (FloeResolve *resolve, const Asker *asker, const uint8_t *message, size_t size)
{
  FloeDnsQuery query;
  unsigned rcode;

  switch (floe_dns_query_parse (message, size, &query, &rcode)) {
  case FLOE_DNS_QUERY_IGNORE:
    return;
  case FLOE_DNS_QUERY_ERROR:
    reply (resolve, asker, &query, rcode, FLOE_DNS_EDE_NONE, NULL);
    return;
  case FLOE_DNS_QUERY_OK:
    break;
  }
  switch (judge (resolve, &query)) {
  case ASK:
    take_question (resolve, asker, &query);
    return;
  case EMPTY:
    reply (resolve, asker, &query, FLOE_DNS_NOERROR, FLOE_DNS_EDE_NONE, NULL);
    return;
  case ABSENT:
    reply (resolve, asker, &query, FLOE_DNS_NXDOMAIN, FLOE_DNS_EDE_NONE, NULL);
    return;
  case REFUSED:
  case REFUSED_EMPTY:
    break;
  }
  /* Before the answer, so that who has it finds the reason in the log. */
  floe_resolve_report (resolve, FLOE_EVENT_REFUSED, &query.name, NULL);
  reply (resolve, asker, &query, judge (resolve, &query) == REFUSED ? FLOE_DNS_NXDOMAIN : FLOE_DNS_NOERROR, FLOE_DNS_EDE_BLOCKED, NULL);
}

/* -- UDP --------------------------------------------------------------------------------------------------------------- */

/* Whether the card may still ask now; if not, nothing is read from it for a moment. */
static bool
take_token (FloeResolve *resolve)
{
  if (floe_bucket_take (&resolve->questions_bucket, FLOE_RESOLVE_RATE, resolve->now))
    return true;
  if (!resolve->paused) {
    resolve->paused = true;
    floe_resolve_report (resolve, FLOE_EVENT_LIMIT, NULL, NULL);
    for (unsigned i = 0; i < 4; i++)
      if (resolve->listeners[i] >= 0)
        floe_resolve_watch (resolve, resolve->listeners[i], 0, FLOE_WATCH_LISTENER, i);
  }
  return false;
}

/* The packet filter has pinned the guest's addresses; this holds without it too. */
static bool
is_guest (const FloeResolve *resolve, unsigned listener, const struct sockaddr_in6 *from, socklen_t size)
{
  const struct sockaddr_in *from4 = (const struct sockaddr_in *)(const void *)from;

  if (listener < 2)
    return size == sizeof *from4 && memcmp (&from4->sin_addr, resolve->config.guest4.bytes, 4) == 0;
  return size == sizeof *from && resolve->config.ipv6 && memcmp (&from->sin6_addr, resolve->config.guest6.bytes, 16) == 0;
}

static void
accept_clients (FloeResolve *resolve, unsigned listener)
{
  struct sockaddr_in6 from = { 0 };
  socklen_t size = sizeof from;
  int fd;

  while ((fd = accept4 (resolve->listeners[listener], (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
    FloeClient *client = NULL;

    for (size_t i = 0; i < FLOE_RESOLVE_CLIENTS && client == NULL; i++)
      if (resolve->clients[i].fd < 0)
        client = &resolve->clients[i];
    if (client == NULL || !is_guest (resolve, listener, &from, size)) {
      floe_resolve_report (resolve, FLOE_EVENT_LIMIT, NULL, NULL);
      close (fd);
    } else {
      memset (client, 0, sizeof *client);
      client->fd = fd;
      client->generation = ++resolve->next_generation;
      client->born = client->used = resolve->now;
      floe_resolve_watch (resolve, fd, EPOLLIN, FLOE_WATCH_CLIENT, (unsigned)(client - resolve->clients));
    }
    size = sizeof from;
    if (!take_token (resolve))
      return;
  }
}

void
floe_resolve_on_listener (FloeResolve *resolve, unsigned listener)
{
  /* One byte more than a question may have, so that a longer one shows. */
  uint8_t message[FLOE_DNS_QUERY_MAX + 1];
  struct sockaddr_in6 from;
  const Asker asker = { -1, 0, listener, &from };

  if (listener % 2 == 1) {
    accept_clients (resolve, listener);
    return;
  }
  for (unsigned i = 0; i < BATCH && take_token (resolve); i++) {
    socklen_t size = sizeof from;
    ssize_t got;

    memset (&from, 0, sizeof from);
    got = recvfrom (resolve->listeners[listener], message, sizeof message, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (got < 0)
      return;
    if (is_guest (resolve, listener, &from, size))
      on_query (resolve, &asker, message, (size_t)got);
  }
}

/* -- TCP, RFC 7766: one question at a time ------------------------------------------------------------------------------ */

/* A whole question at the beginning of what was read is taken. */
static void
client_process (FloeResolve *resolve, FloeClient *client)
{
  const Asker asker = { (int)(client - resolve->clients), client->generation, 0, NULL };
  uint8_t message[FLOE_DNS_QUERY_MAX];
  size_t size;

  while (client->fd >= 0 && !client->waiting && client->out_size == 0 && client->in_size >= 2) {
    size = (size_t)client->in[0] << 8 | client->in[1];
    if (size > FLOE_DNS_QUERY_MAX || size == 0) {
      client_close (resolve, client);
      return;
    }
    if (client->in_size < 2 + size || !take_token (resolve))
      return;
    memcpy (message, client->in + 2, size);
    client->in_size -= 2 + size;
    memmove (client->in, client->in + 2 + size, client->in_size);
    client->used = resolve->now;
    on_query (resolve, &asker, message, size);
  }
  if (client->fd >= 0 && client->waiting)
    floe_resolve_watch (resolve, client->fd, 0, FLOE_WATCH_CLIENT, (unsigned)asker.client);
}

void
floe_resolve_on_client (FloeResolve *resolve, unsigned index, uint32_t events)
{
  FloeClient *client = &resolve->clients[index];
  ssize_t got;

  if (client->fd < 0)
    return;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    client_close (resolve, client);
    return;
  }
  if (client->out_size > 0) {
    client_flush (resolve, client);
  } else if (!client->waiting && client->in_size < sizeof client->in) {
    got = recvfrom (client->fd, client->in + client->in_size, sizeof client->in - client->in_size, MSG_DONTWAIT, NULL, NULL);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
      client_close (resolve, client);
      return;
    }
    client->in_size += got > 0 ? (size_t)got : 0;
  }
  if (client->fd >= 0)
    client_process (resolve, client);
  /* A whole question that waits for a token needs no more from the socket. */
  if (client->fd >= 0 && client->in_size == sizeof client->in && client->out_size == 0)
    floe_resolve_watch (resolve, client->fd, 0, FLOE_WATCH_CLIENT, index);
}

void
floe_resolve_clients_tick (FloeResolve *resolve)
{
  if (resolve->paused && floe_bucket_take (&resolve->questions_bucket, FLOE_RESOLVE_RATE, resolve->now)) {
    resolve->paused = false;
    for (unsigned i = 0; i < 4; i++)
      if (resolve->listeners[i] >= 0)
        floe_resolve_watch (resolve, resolve->listeners[i], EPOLLIN, FLOE_WATCH_LISTENER, i);
  }
  for (size_t i = 0; i < FLOE_RESOLVE_CLIENTS; i++) {
    FloeClient *client = &resolve->clients[i];

    if (client->fd < 0)
      continue;
    if (resolve->now - client->born > FLOE_RESOLVE_CLIENT_LIFE_MS || resolve->now - client->used > FLOE_RESOLVE_CLIENT_IDLE_MS) {
      client_close (resolve, client);
      continue;
    }
    /* Questions that were read while there was no token, or while another was under way. */
    client_process (resolve, client);
    if (client->fd >= 0 && !client->waiting && client->out_size == 0 && client->in_size < sizeof client->in)
      floe_resolve_watch (resolve, client->fd, EPOLLIN, FLOE_WATCH_CLIENT, (unsigned)i);
  }
}
