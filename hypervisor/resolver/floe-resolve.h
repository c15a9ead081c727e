/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/resolver/floe-dhcp-ack.h"
#include "hypervisor/resolver/floe-dns-names.h"
#include "hypervisor/resolver/floe-resolver-message.h"

#include <netinet/in.h>

/* The inside of floe-resolver, a program without GLib and without an allocation after its start.
 *
 * Theory of operation: one thread, one epoll, one struct. A guest's question is parsed and judged (floe-resolve-guest.c); if it is to be
 * asked, it takes one of QUESTIONS and goes through the states below; an answer with addresses goes to hypervisord (floe-resolve-control.c)
 * before it goes to the guest. Each state has a deadline, each table a fixed size, and what finds no place is refused: a guest can use up
 * what its own card has and no more. Nothing is kept from one question to the next, so that there is no cache to poison.
 *
 * Who takes this process over has its sockets: can ask the servers that policy names (the sockets take packets from nobody else), tell
 * its own guest anything, and have addresses bound that hypervisord's checks let through. It can open nothing and start nothing. */

#define FLOE_RESOLVE_QUESTIONS 128
#define FLOE_RESOLVE_CLIENTS 8        /* TCP connections of the guest */
#define FLOE_RESOLVE_RATE 500         /* questions a second, and at once; more wait in the socket, and then the kernel drops them */
#define FLOE_RESOLVE_PAUSE_MS 20      /* for so long nothing is read from the guest when it was over the rate */
#define FLOE_RESOLVE_ATTEMPTS 3
#define FLOE_RESOLVE_TCP_MS 3000      /* to connect, ask and read the whole answer */
#define FLOE_RESOLVE_BIND_MS 2000     /* for hypervisord to bind */
#define FLOE_RESOLVE_QUEUE_MS 2000    /* to wait for a socket */
#define FLOE_RESOLVE_CLIENT_IDLE_MS 10000
#define FLOE_RESOLVE_CLIENT_LIFE_MS 60000
#define FLOE_RESOLVE_EVENTS 50        /* reports a second and at once; hypervisord has a limit of its own */

typedef enum {
  FLOE_QUESTION_FREE,
  FLOE_QUESTION_QUEUED,     /* waits for a UDP socket */
  FLOE_QUESTION_UDP,        /* asked, waits for the answer; SOCKET is its */
  FLOE_QUESTION_QUEUED_TCP, /* is to go over TCP, waits for a socket */
  FLOE_QUESTION_TCP,        /* asked over TCP */
  FLOE_QUESTION_BINDING,    /* ANSWER is there, waits for hypervisord */
} FloeQuestionState;

typedef struct {
  FloeQuestionState state;
  int64_t deadline;
  FloeDnsQuery query;
  /* Who asked: a client by number and generation, or (-1) a datagram's sender. */
  int client;
  uint32_t generation;
  unsigned listener;
  struct sockaddr_in6 from; /* or a sockaddr_in */
  /* What was asked upstream. */
  FloeDnsName asked;
  uint16_t id;
  unsigned attempt, refusals, server, socket, family;
  bool no_edns;
  uint32_t bind_id;
  FloeDnsAnswer answer;
} FloeQuestion;

typedef struct {
  int fd, question; /* -1: free */
} FloeUdpSocket;

typedef struct {
  int fd, question; /* -1: free */
  size_t out_size, out_at, in_at;
  uint8_t out[2 + FLOE_DNS_QUERY_MAX];
  uint8_t in[2 + 65535];
} FloeTcpSocket;

typedef struct {
  FloeUdpSocket udp[FLOE_RESOLVER_UDP_SOCKETS];
  FloeTcpSocket tcp[FLOE_RESOLVER_TCP_SOCKETS];
  unsigned n_udp, n_tcp;
} FloeUpstream;

typedef struct {
  int fd; /* -1: free */
  uint32_t generation;
  int64_t born, used;
  bool waiting; /* for the answer to its question */
  size_t in_size, out_size, out_at;
  uint8_t in[2 + FLOE_DNS_QUERY_MAX], out[2 + FLOE_DNS_ANSWER_MAX];
} FloeClient;

/* A bucket of RATE tokens that fills up in a second. */
typedef struct {
  int64_t filled; /* when it was looked at last, in ms */
  unsigned milli; /* thousandths of tokens */
} FloeBucket;

typedef struct {
  int epoll;
  int64_t now; /* ms, monotonic, at the last wake-up */
  FloeResolverConfig config;
  bool configured, confined, paused;
  FloeDnsNames names;
  int listeners[4]; /* UDP and TCP of IPv4, UDP and TCP of IPv6; -1 */
  int lease;
  FloeDhcpExpected dhcp;
  FloeBucket questions_bucket, events_bucket;
  uint32_t events_left_out, next_bind_id, next_generation;
  unsigned preferred; /* the server that answered last */
  FloeUpstream upstream[2]; /* IPv4, IPv6 */
  FloeQuestion questions[FLOE_RESOLVE_QUESTIONS];
  FloeClient clients[FLOE_RESOLVE_CLIENTS];
} FloeResolve;

typedef enum {
  FLOE_WATCH_CONTROL,
  FLOE_WATCH_LISTENER,
  FLOE_WATCH_LEASE,
  FLOE_WATCH_CLIENT,
  FLOE_WATCH_UDP, /* index: family * FLOE_RESOLVER_UDP_SOCKETS + socket */
  FLOE_WATCH_TCP,
} FloeWatch;

/* EVENTS 0 keeps it in and silent; the first call for a descriptor adds it. */
void floe_resolve_watch (FloeResolve *resolve, int fd, uint32_t events, FloeWatch watch, unsigned index);
void floe_resolve_unwatch (FloeResolve *resolve, int fd);
void floe_resolve_random (void *bytes, size_t size);
bool floe_bucket_take (FloeBucket *bucket, unsigned rate, int64_t now);

/* floe-resolve-guest.c */
void floe_resolve_on_listener (FloeResolve *resolve, unsigned listener);
void floe_resolve_on_client (FloeResolve *resolve, unsigned client, uint32_t events);
void floe_resolve_clients_tick (FloeResolve *resolve);
/* Sends the answer and frees the question. ANSWER as for floe_dns_answer_write(). */
void floe_resolve_finish (FloeResolve *resolve, FloeQuestion *question, unsigned rcode, unsigned ede, const FloeDnsAnswer *answer);

/* floe-resolve-upstream.c */
void floe_resolve_ask (FloeResolve *resolve, FloeQuestion *question);
void floe_resolve_on_udp (FloeResolve *resolve, unsigned index);
void floe_resolve_on_tcp (FloeResolve *resolve, unsigned index, uint32_t events);
void floe_resolve_questions_tick (FloeResolve *resolve);
/* All sockets of old are gone: every question that was out is asked anew. */
void floe_resolve_ask_anew (FloeResolve *resolve);
/* Its socket, if it has one, is free again. */
void floe_resolve_release (FloeResolve *resolve, FloeQuestion *question);

/* floe-resolve-control.c */
/* FALSE: hypervisord is gone, or said what we do not understand. */
bool floe_resolve_on_control (FloeResolve *resolve);
void floe_resolve_bind (FloeResolve *resolve, FloeQuestion *question);
/* EVENT is a FloeResolverEventKind as a number: that header is GLib's. */
enum { FLOE_EVENT_REFUSED, FLOE_EVENT_INSIDE, FLOE_EVENT_UPSTREAM, FLOE_EVENT_LIMIT, FLOE_EVENT_DHCP };
void floe_resolve_report (FloeResolve *resolve, unsigned event, const FloeDnsName *name, const FloeDnsAddress *address);
void floe_resolve_on_lease (FloeResolve *resolve);

/* floe-resolve-confine.c: from here on, only the system calls that are needed. LEASES: those of a card without DNS. */
bool floe_resolve_confine (bool leases);
