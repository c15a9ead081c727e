/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"
#include "hypervisor/net/floe-identity.h"
#include "policy/document/floe-policy.h"

/* A machine's network card on this host: a tap, its allow-list in the kernel, its addresses, its DHCP server.
 *
 * A card is named by its slot, 0 to FLOE_NET_SLOTS - 1, which the caller hands out and remembers; tap, MAC addresses, IPv4
 * link and nftables names all follow from slot and pool, so that after the caller's death the card is found again by its
 * slot alone. The rules are in the kernel before the link is up, stay there whoever dies, and change only by one
 * transaction.
 *
 * Needs CAP_NET_ADMIN (and CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_SETPCAP for the DHCP server).
 * Everything here is called from the process's main thread: the DHCP server dies with the thread that started it
 * (PR_SET_PDEATHSIG). It is watched on the default main context and started again when it ends. */

typedef struct {
  const char *pool;    /* IPv4 prefix that links are cut from, four addresses a slot: "10.77.0.0/16"; NULL for this one */
  const char *dnsmasq; /* program; NULL for /usr/sbin/dnsmasq */
  const char *dnsmasq_user; /* NULL for "dnsmasq", or "nobody" where there is none */
  const char *resolver; /* floe-resolver; NULL: where it is installed */
  const char *staging;  /* for its jail: an empty directory; NULL: networks that need one are refused */
  uid_t resolver_uid;   /* the first of FLOE_NET_SLOTS user ids that are nobody else's: one a card's resolver */
} FloeNetConfig;

/* What is the same for all cards of this host. One a process. */
typedef struct _FloeNet FloeNet;

/* Probes what the kernel can do (a transaction that is checked, never committed) and opens what is needed. UNSUPPORTED
 * names every feature that is missing; INVALID a pool that cannot be used. Turns net.ipv4.ip_forward on when the first NAT
 * card opens. */
FloeNet *floe_net_new (const FloeNetConfig *config, GError **error) FLOE_WARN_UNUSED;
void floe_net_free (FloeNet *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeNet, floe_net_free)

/* What cards let through or did not, where policy asks for it to be told. */
typedef struct {
  const char *machine, *network;
  const char *verdict; /* "allow" (a flow that begins), "drop"; "left-out": COUNT more that are not told one by one; of names and leases
                          "dns-refused", "dns-inside", "dns-upstream", "dns-limit", "dhcp" (hypervisor/resolver/floe-resolver.h) */
  const char *rule;        /* id; "" */
  const char *protocol;    /* "tcp", "udp", "icmp", "icmp6", "arp", or a number; "" */
  const char *source, *destination; /* addresses, "" where there is none */
  unsigned source_port, destination_port; /* 0: none; of icmp the type is destination_port */
  const char *name;        /* of names; "" */
  guint64 count;
} FloeNetEvent;

/* Told every few seconds, a bounded number of them (floe-net-log.h), whatever guests do. AUDIT NULL: no longer. */
#define FLOE_NET_EVENTS_INTERVAL_S 5
typedef void (*FloeNetAudit) (const FloeNetEvent *event, gpointer data);
void floe_net_set_audit (FloeNet *net, FloeNetAudit audit, gpointer data);

/* Removes what is left of cards whose tap is gone (of a machine that ended while nobody watched): rules, routes, bridges and VLAN
 * devices of ours. Called once at start, after adoption. */
gboolean floe_net_sweep (FloeNet *net, GError **error) FLOE_WARN_UNUSED;

/* Whether the endpoint's offset from UTC has changed since this was asked last, or since the start: rules with time windows then have
 * to be replaced, for the kernel's clock is UTC. */
gboolean floe_net_take_zone (FloeNet *net);

#define FLOE_NET_PEERS_MAX 32

/* What a card is to be. All of it is copied from as needed. */
typedef struct {
  unsigned slot;       /* 0 to FLOE_NET_SLOTS - 1; a machine has FLOE_POLICY_CARDS_MAX of them in a row */
  const char *machine; /* for logs */
  const FloePolicyNetwork *network;
  /* Mode filter: whether this is the inner side of the machine that filters, and the net slots of the others on the network: its
   * clients', or on a client's card that one inner side. */
  gboolean filters;
  unsigned peers[FLOE_NET_PEERS_MAX];
  size_t n_peers;
} FloeNetCardSpec;

typedef struct _FloeNetCard FloeNetCard;

/* Makes the card of SPEC: tap (down), bridge or routes, rules in one transaction, addresses, link up, servers. On failure nothing of it
 * is left. BUSY when the tap is there already; UNSUPPORTED or REFUSED, with the reason, for what this host cannot enforce.
 * NET must outlive the card. Mode none makes a card whose rules let nothing pass, either way; a machine of that mode needs none. */
FloeNetCard *floe_net_card_open (FloeNet *net, const FloeNetCardSpec *spec, GError **error) FLOE_WARN_UNUSED;
/* Finds the card of a machine that kept running: the tap must exist and be up (NOT_FOUND), the rules must be in force
 * (UNVERIFIED: end the machine then). Replaces them by SPEC's in one transaction, and starts its servers again. */
FloeNetCard *floe_net_card_adopt (FloeNet *net, const FloeNetCardSpec *spec, GError **error) FLOE_WARN_UNUSED;
/* Puts another policy in force: one transaction, no moment between; counters of rules that stay go on counting, flows that the
 * new rules do not allow are cut, names stay bound. A network that makes another kind of link of the card (mode, interface, tag) is not for a
 * running machine: nothing passes then. */
gboolean floe_net_card_replace (FloeNetCard *card, const FloeNetCardSpec *spec, GError **error) FLOE_WARN_UNUSED;
/* After the machine's end: stops the servers, removes tap (by closing what is held of it), then rules, routes and bridge. */
gboolean floe_net_card_close (FloeNetCard *card, GError **error) FLOE_WARN_UNUSED;
/* Forgets the card and leaves tap and rules as they are: what the kernel does when we are killed. The DHCP server ends. */
void floe_net_card_free (FloeNetCard *card);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeNetCard, floe_net_card_free)

/* The tap's descriptor (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), to be inherited by QEMU: -netdev tap,fd=N,vhost=off; the
 * caller's. The card holds it too: were QEMU's the only one, the tap would end with QEMU and under the DHCP server's feet.
 * An adopted card has none. */
int floe_net_card_dup_fd (FloeNetCard *card, GError **error) FLOE_WARN_UNUSED;
/* Before a machine is ended whose card was adopted, for the same reason. floe_net_card_close() does it too. */
void floe_net_card_stop_servers (FloeNetCard *card);
/* The guest begins anew, perhaps as another DHCPv6 client (its identifier often is of the boot): the only address is taken from the old one.
 * However often a guest does so, the server is started again once a second at most. */
void floe_net_card_guest_reset (FloeNetCard *card);
/* An open /dev/vhost-net for the card's device; the caller's. -1 where policy does not allow it or the host has none that works: the
 * card then goes through QEMU, which is slower and the same otherwise. */
int floe_net_card_open_vhost (FloeNetCard *card);
/* "floe7", the guest's "02:f1:0e:00:00:07" (to be given to virtio-net-pci) and "10.77.0.30". Owned by the card. */
const char *floe_net_card_tap (FloeNetCard *card);
const char *floe_net_card_mac (FloeNetCard *card);
const char *floe_net_card_address (FloeNetCard *card);
/* "fdf1:e77::1c:0:0:0:2", or "" without IPv6; in modes bridge and vlan both addresses are the LAN's, learnt or "". */
const char *floe_net_card_address6 (FloeNetCard *card);
/* Pids of its servers; 0 when there is none now. */
int floe_net_card_dhcp_pid (FloeNetCard *card);
int floe_net_card_resolver_pid (FloeNetCard *card);

typedef struct {
  const char *rule; /* lives as long as the network asked about */
  char address[46];
  unsigned seconds; /* that it stays bound, if the name is not asked for again */
} FloeNetBound;

/* What rules of NETWORK, which is the card's, name and its guest has asked for, as the kernel has it, whoever put it there: of FloeNetBound.
 * NULL on failure. */
GArray *floe_net_card_bound (FloeNetCard *card, const FloePolicyNetwork *network, GError **error) FLOE_WARN_UNUSED;

typedef struct {
  char *rule;       /* id of the policy's rule, "default", "never-routed", or one of ours, "floe-…" (docs/network.md) */
  gboolean allowed; /* what it does with a packet */
  guint64 packets, bytes;
} FloeNetCounter;

typedef struct {
  guint64 allowed_packets, dropped_packets; /* each packet counted once, both directions */
  GPtrArray *rules;                         /* of FloeNetCounter, in the order of evaluation */
} FloeNetStatistics;

/* Counters since the card was opened, read from the kernel. */
FloeNetStatistics *floe_net_card_statistics (FloeNetCard *card, GError **error) FLOE_WARN_UNUSED;
void floe_net_statistics_free (FloeNetStatistics *statistics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeNetStatistics, floe_net_statistics_free)
