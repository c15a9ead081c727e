/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "policy/document/floe-policy.h"

#include <sys/types.h>

/* The resolver of one card, as hypervisord sees it: a process of its own without a privilege (floe-resolver, in a jail), which gets its
 * sockets open and parses everything that a guest, a DNS server or a DHCP server sends. In modes nat and filter it answers the
 * guest's DNS; in modes bridge and vlan it reads DHCP acknowledgements and nothing else.
 *
 * What the process says is checked again here, as from someone hostile: names against the rules, addresses against what is inside,
 * times against bounds, all of it against limits. Only then is BIND called, and only after that does the guest get its answer.
 *
 * The process is started again when it ends; what is bound stays bound. It ends with hypervisord. All of this is called on the main
 * thread, and calls back there. docs/network.md, "Names". */

typedef struct _FloeResolver FloeResolver;

#define FLOE_RESOLVER_TTL_FLOOR 60     /* seconds that an address stays bound at least: desktops cache an answer as long, whatever it says */
#define FLOE_RESOLVER_TTL_CEILING 3600 /* and at most; the answer's own TTL is cut to it */
#define FLOE_RESOLVER_TTL_GRACE 5      /* bound so much longer than the guest may use the answer */
#define FLOE_RESOLVER_BINDINGS_MAX 4096 /* live (name, address) pairs of one card */

/* The rule RULE is to match ADDRESS for TIMEOUT_S seconds from now. */
typedef struct {
  const char *rule; /* id; lives during the call, or as long as the network that floe_resolver_bindings() was asked about */
  FloePolicyAddress address;
  unsigned timeout_s;
} FloeResolverBinding;

typedef enum {
  FLOE_RESOLVER_REFUSED,   /* the name is not one that policy lets be answered */
  FLOE_RESOLVER_INSIDE,    /* addresses that point inside were taken out of an answer for the name */
  FLOE_RESOLVER_UPSTREAM,  /* no server gave a usable answer for the name */
  FLOE_RESOLVER_LIMIT,     /* over a limit (rate, outstanding questions, connections, bound addresses); name may be "" */
  FLOE_RESOLVER_DHCP,      /* a DHCP acknowledgement that does not count: from a server that policy does not name, or malformed */
} FloeResolverEventKind;

/* "refused", "inside", "upstream", "limit", "dhcp". */
const char *floe_resolver_event_name (FloeResolverEventKind kind);

/* For the audit log. At most FLOE_RESOLVER_EVENTS_PER_MINUTE of these a minute and card; COUNT tells how often it happened since it was
 * last told, LEFT_OUT how many events were not told at all since the last one. */
#define FLOE_RESOLVER_EVENTS_PER_MINUTE 60
typedef struct {
  FloeResolverEventKind kind;
  const char *name; /* printable ASCII, "" when there is none */
  FloePolicyAddress address; /* inside: the first of them; dhcp: the server; family 0: none */
  unsigned count, left_out;
} FloeResolverEvent;

typedef struct {
  /* Puts all of BINDINGS into the kernel, in one transaction; FALSE when it failed: the guest then gets SERVFAIL. An address that is
   * there already has its timeout set anew. Never called with more than FLOE_RESOLVER_BATCH_MAX. */
  gboolean (*bind) (const FloeResolverBinding *bindings, size_t n_bindings, gpointer data, GError **error);
  /* Bridge and vlan: a named DHCP server has acknowledged ADDRESS (IPv4) for the card's MAC for LEASE_S seconds, 0xffffffff: for ever. */
  void (*lease) (const FloePolicyAddress *address, uint32_t lease_s, gpointer data);
  void (*event) (const FloeResolverEvent *event, gpointer data);
} FloeResolverCallbacks;
#define FLOE_RESOLVER_BATCH_MAX 4096

typedef struct {
  const char *program; /* path of floe-resolver; NULL: where it is installed */
  const char *staging; /* of the jail (hypervisor/jail/floe-jail.h) */
  uid_t uid;           /* and gid: no other process's */
  const FloeNetIdentity *identity;
  const FloePolicyNetwork *network; /* copied from as needed; mode nat or filter with a resolver, bridge or vlan */
  const char *resolv_conf;          /* servers where the network names none; read again when it changes; NULL: /etc/resolv.conf */
  const char *lease_interface;      /* bridge, vlan: where the acknowledgements are seen on their way to the guest (the tap) */
  /* Never answered, not even with `rebind`: the pools of all links. The host's own addresses are found here and added to them. */
  const FloePolicyPrefix *inside;
  size_t n_inside;
  unsigned ttl_floor; /* 0: FLOE_RESOLVER_TTL_FLOOR */
  FloeResolverCallbacks callbacks;
  gpointer data;
} FloeResolverOptions;

/* Whether a card of NETWORK has one: there is a resolver to offer, or a lease to learn. */
gboolean floe_resolver_wanted (const FloePolicyNetwork *network);

/* The tap must be up and carry its host addresses (nat, filter). Returns once the process runs; it answers as soon as it has read its
 * configuration, and questions that come earlier wait in the sockets. */
FloeResolver *floe_resolver_start (const FloeResolverOptions *options, GError **error) FLOE_WARN_UNUSED;
/* Another policy: questions under way are answered under the new one. NETWORK must be one that floe_resolver_wanted(), of the same kind
 * (DNS or leases). Call it after the rules have been loaded, with floe_resolver_bindings() of the new network in them. */
gboolean floe_resolver_replace (FloeResolver *resolver, const FloePolicyNetwork *network, GError **error) FLOE_WARN_UNUSED;
/* What is bound now, as NETWORK's rules (of this or another policy) say it: for a load that makes the sets anew. Of FloeResolverBinding. */
GArray *floe_resolver_bindings (FloeResolver *resolver, const FloePolicyNetwork *network);
/* Ends the process; what is bound stays in the kernel. */
void floe_resolver_stop (FloeResolver *resolver);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeResolver, floe_resolver_stop)
/* 0 when there is none now (it is being started again). */
pid_t floe_resolver_pid (const FloeResolver *resolver);
/* How often it ended by itself. */
unsigned floe_resolver_deaths (const FloeResolver *resolver);
