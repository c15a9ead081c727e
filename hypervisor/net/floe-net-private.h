/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-bridge.h"
#include "hypervisor/net/floe-dhcp.h"
#include "hypervisor/net/floe-net-log.h"
#include "hypervisor/net/floe-net.h"
#include "hypervisor/net/floe-rules-netlink.h"
#include "hypervisor/net/floe-tap.h"
#include "hypervisor/resolver/floe-resolver.h"

/* What floe-net.c and floe-card*.c share. Main thread all. */

struct _FloeNet {
  FloeNetlink *filter, *route;
  FloeNetPool pool;
  char *pool_text, *dnsmasq, *resolver, *staging;
  const char *dnsmasq_user;
  uid_t resolver_uid; /* of slot 0 */
  unsigned lacks;     /* of FloeRulesLack */
  int zone_offset;    /* that the rules in force were made with */
  GPtrArray *cards;   /* of FloeNetCard, borrowed: all that are open */
  FloeNetAudit audit;
  gpointer audit_data;
  FloeNetListener *listener; /* NULL: the host has none, or another process listens */
  FloeNetLogSum *sum;
  guint tell; /* timer: there is something to tell */
};

/* What a card is for as long as it exists, and what a policy cannot make of it without a new start. */
typedef struct {
  FloePolicyNetworkMode mode;
  char *interface;
  unsigned vlan;
  gboolean filters;
} FloeNetLink;

struct _FloeNetCard {
  FloeNet *net; /* borrowed */
  FloeNetIdentity identity;
  char *machine, *network;
  FloeNetLink link;
  FloeBridge bridge;    /* modes bridge and vlan */
  FloeRuleset *ruleset; /* in force */
  uint16_t generation;  /* of the last load that was tried */
  int fd;
  gboolean vhost, ipv6, dark; /* dark: what the policy says now, this card cannot do: nothing passes */
  unsigned peers[FLOE_NET_PEERS_MAX];
  size_t n_peers;
  /* Servers: floe-card-servers.c */
  FloeDhcpOptions dhcp_options;
  gboolean dhcp_wanted;
  GPid dhcp; /* 0: none */
  guint watch, restart;
  FloeResolver *resolver;
  FloePolicyAddress learnt; /* family 0: none; bridge and vlan */
  char learnt_text[16];
  gint64 learnt_until;      /* monotonic, microseconds; G_MAXINT64: for ever */
};

/* -- floe-card-flows.c -------------------------------------------------------------------------------------------------- */

/* The kernel forgets those of the card's connections that NETWORK, whose rules have just been loaded, does not allow; or all of them. */
gboolean floe_net_card_prune (FloeNetCard *card, const FloePolicyNetwork *network, GError **error) FLOE_WARN_UNUSED;
gboolean floe_net_card_forget (FloeNetCard *card, GError **error) FLOE_WARN_UNUSED;

/* -- floe-net-audit.c ------------------------------------------------------------------------------------------------- */

void floe_net_audit_close (FloeNet *net);
void floe_net_audit_resolver (const FloeNetCard *card, const FloeResolverEvent *event);

/* -- floe-card.c ------------------------------------------------------------------------------------------------------ */

/* The ways of all cards of mode filter: through their inner cards where those are up, nowhere else. */
gboolean floe_net_route_again (FloeNet *net, GError **error) FLOE_WARN_UNUSED;

/* -- floe-card-servers.c ------------------------------------------------------------------------------------------------ */

/* DHCP server and resolver as NETWORK (NULL: none are wanted) needs them: started, told of another policy, or ended. After the rules
 * are in force. */
gboolean floe_net_card_serve (FloeNetCard *card, const FloePolicyNetwork *network, GError **error) FLOE_WARN_UNUSED;
/* What was bound by name and learnt of addresses, put into rules that were loaded anew. */
gboolean floe_net_card_bind_again (FloeNetCard *card, const FloePolicyNetwork *network, GError **error) FLOE_WARN_UNUSED;
