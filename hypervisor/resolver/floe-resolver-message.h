/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/resolver/floe-dns-inside.h"

/* What hypervisord and floe-resolver say to each other over a seqpacket socket pair: one struct a message, native byte order, of exactly its
 * size. hypervisord starts the program that it was built with, and believes nothing that comes back: floe_resolver_message_parse(). */

#define FLOE_RESOLVER_CONTROL_FD 3

#define FLOE_RESOLVER_SERVERS 8
#define FLOE_RESOLVER_PREFIXES 64
/* Questions under way to servers at one time, each in a UDP socket of its own; and over TCP. For each family that has a server. */
#define FLOE_RESOLVER_UDP_SOCKETS 32
#define FLOE_RESOLVER_TCP_SOCKETS 4
#define FLOE_RESOLVER_FDS_MAX (1 + 4 + 1 + 2 * (FLOE_RESOLVER_UDP_SOCKETS + FLOE_RESOLVER_TCP_SOCKETS))

enum {
  /* To the resolver. */
  FLOE_RESOLVER_MESSAGE_CONFIG = 1,
  FLOE_RESOLVER_MESSAGE_VERDICT,
  /* From it. */
  FLOE_RESOLVER_MESSAGE_BIND,
  FLOE_RESOLVER_MESSAGE_EVENT,
  FLOE_RESOLVER_MESSAGE_LEASE,
};

/* With it come descriptors in this order, each group if its bit is set: NAMES a sealed memfd (floe-dns-names.h); LISTEN four sockets, UDP
 * and TCP of IPv4 and then of IPv6 (two with only IPv4); LEASE a packet socket; UPSTREAM the sockets to ask with, UDP then TCP of IPv4 if a
 * server has it, then of IPv6. What comes again takes the place of what was there. */
enum {
  FLOE_RESOLVER_HAS_NAMES = 1,
  FLOE_RESOLVER_HAS_LISTEN = 2,
  FLOE_RESOLVER_HAS_LEASE = 4,
  FLOE_RESOLVER_HAS_UPSTREAM = 8,
};

typedef struct {
  uint32_t kind, has;
  uint8_t any;  /* names that no rule names are answered too */
  uint8_t ipv6; /* AAAA is answered, and there is a guest6 */
  uint8_t n_servers, n_rebind, n_inside, n_dhcp;
  uint8_t mac[6];
  FloeDnsAddress guest4, guest6; /* who may ask */
  FloeDnsAddress servers[FLOE_RESOLVER_SERVERS];
  FloeDnsAddress dhcp[FLOE_RESOLVER_SERVERS];
  FloeDnsPrefix rebind[FLOE_RESOLVER_PREFIXES];
  FloeDnsPrefix inside[FLOE_RESOLVER_PREFIXES]; /* never answered, rebind or not */
  uint32_t ttl_ceiling;
} FloeResolverConfig;

typedef enum {
  FLOE_RESOLVER_VERDICT_BOUND, /* those of KEEP may be answered; if none is, all are inside */
  FLOE_RESOLVER_VERDICT_FAILED,
} FloeResolverVerdictKind;

typedef struct {
  uint32_t kind, id, verdict, keep;
} FloeResolverVerdict;

typedef struct {
  uint32_t kind, id, ttl;
  uint32_t n_addresses;
  FloeDnsAddress addresses[FLOE_DNS_RECORDS_MAX];
  char name[256]; /* lower case; zeroes behind */
} FloeResolverBind;

typedef struct {
  uint32_t kind, event, count, left_out;
  FloeDnsAddress address;
  char name[256]; /* as floe_dns_name_print() writes it; zeroes behind */
} FloeResolverReport;

typedef struct {
  uint32_t kind, lease_s;
  FloeDnsAddress address, server;
} FloeResolverLease;

typedef union {
  uint32_t kind;
  FloeResolverBind bind;
  FloeResolverReport report;
  FloeResolverLease lease;
} FloeResolverMessage;

/* What the resolver said, as from someone hostile: FALSE unless every field is in its range and what is unused is zero. */
bool floe_resolver_message_parse (const uint8_t *bytes, size_t size, FloeResolverMessage *message);
