/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"

#include <linux/if_ether.h>
#include <string.h>

/* Frames as a guest gone bad sends them, and as a good one does. Each hostile frame carries HOSTILE_MARK, each good one
 * that is to arrive somewhere HOSTILE_GOOD: whoever sees the mark beyond the filter has seen a leak.
 *
 * A kind is a function that puts frames into a list. They are of two classes: those that must not get past the tap's own
 * hook (link), and those that are plain, truthfully addressed packets that policy does not allow (flow). Under a spoof
 * every frame is of the first class. */

#define HOSTILE_MARK "FLOE-HOSTILE-FRAME"
#define HOSTILE_GOOD "FLOE-GOOD-FRAME"
#define HOSTILE_VNET 10 /* bytes of virtio-net header before each frame */

/* What is out there: one host that policy allows (udp 7, tcp 80, echo), one that it never does. */
#define HOSTILE_WORLD "198.51.100.10"
#define HOSTILE_FORBIDDEN "198.51.100.11"
#define HOSTILE_WORLD6 "2001:db8:51::10"
#define HOSTILE_FORBIDDEN6 "2001:db8:51::11"

typedef struct {
  uint8_t bytes[2048]; /* the first HOSTILE_VNET are the virtio-net header */
  size_t size;
} HostileFrame;

typedef struct {
  FloeNetIdentity identity;
  uint8_t guest6[16], peer6[16]; /* global addresses of guest and router */
  uint8_t local6[16];            /* the guest's link-local address: EUI-64 of its MAC */
  uint8_t peer_local6[16];       /* the router's, likewise */
  uint8_t peer[4], peer_mac[6];  /* the router's: the host's end of the link, or the LAN's router */
  gboolean six;                  /* the card has IPv6; otherwise all of it is of class link */
  gboolean dns;                  /* the router answers DNS: asking it is no attack */
  gboolean lan;                  /* a LAN: ARP and ND for others on it are no attack */
  gboolean near;                 /* nothing beyond the link answers, and the good guest does not ask */
  /* What frames claim: the truth, or a spoof. */
  uint8_t mac[6], ip[4], ip6[16], link6[16];
  gboolean truthful;
  GPtrArray *frames; /* of HostileEntry; what kinds add to */
} HostileGuest;

typedef enum {
  HOSTILE_LINK,
  HOSTILE_FLOW,
  HOSTILE_FLOW6, /* flow, in IPv6: the link's hook may drop it too */
} HostileClass;

typedef struct {
  HostileClass class;
  unsigned kind; /* index in hostile_kinds */
  size_t size;
  uint8_t bytes[];
} HostileEntry;

typedef struct {
  const char *name;
  void (*add) (HostileGuest *guest);
} HostileKind;

extern const HostileKind hostile_kinds[];
extern const size_t hostile_n_kinds;

/* The truth about the card of SLOT: addresses as the host hands them out. Aborts on a slot that there is not: a mistake in
 * a test. */
void hostile_guest_init (HostileGuest *guest, unsigned slot);
/* "guest=A", "peer=A", "guest6=A", "peer6=A", "peermac=M", "six", "dns", "lan", "near": changes what the slot says. FALSE: not such
 * a word. */
gboolean hostile_guest_set (HostileGuest *guest, const char *word);
/* Every kind under each of four spoofs (none, MAC, addresses, both), in guest->frames. */
void hostile_guest_fill (HostileGuest *guest);

/* -- Building blocks ------------------------------------------------------------------------------------------------- */

extern const uint8_t hostile_broadcast[6], hostile_other_mac[6];

void hostile_put (HostileFrame *frame, const void *data, size_t size);
void hostile_put8 (HostileFrame *frame, unsigned value);
void hostile_put16 (HostileFrame *frame, unsigned value);
void hostile_put_mark (HostileFrame *frame);
uint16_t hostile_checksum (const uint8_t *data, size_t size, uint32_t sum);
void hostile_address (const char *text, uint8_t bytes[4]);
void hostile_address6 (const char *text, uint8_t bytes[16]);

/* Begins FRAME: an Ethernet header from guest->mac. */
void hostile_put_ether (HostileFrame *frame, const HostileGuest *guest, const uint8_t destination[6], unsigned type);
/* An IPv4 header for SIZE bytes of payload, OPTIONS (a multiple of four) besides. */
void hostile_put_ip (HostileFrame *frame, const uint8_t source[4], const uint8_t destination[4], unsigned protocol,
                     size_t size, unsigned fragment, const void *options, size_t options_size);
/* UDP without a checksum, which IPv4 allows. */
void hostile_put_udp (HostileFrame *frame, unsigned source, unsigned destination, const char *text);
void hostile_put_tcp (HostileFrame *frame, const uint8_t source[4], const uint8_t destination[4], unsigned from,
                      unsigned to, unsigned flags, const char *text);
void hostile_put_ip6 (HostileFrame *frame, const uint8_t source[16], const uint8_t destination[16], unsigned next,
                      size_t size, unsigned hops);
/* Fills in the checksum, at offset AT of what begins at START, of an upper layer PROTOCOL between the two. */
void hostile_finish6 (HostileFrame *frame, size_t start, size_t at, const uint8_t source[16], const uint8_t destination[16],
                      unsigned protocol);
/* A UDP datagram, checksum and all, after an IPv6 header. */
void hostile_put_udp6 (HostileFrame *frame, const uint8_t source[16], const uint8_t destination[16], unsigned from,
                       unsigned to, const void *data, size_t size);
void hostile_put_tcp6 (HostileFrame *frame, const uint8_t source[16], const uint8_t destination[16], unsigned from,
                       unsigned to, unsigned flags, const char *text);
/* The Ethernet address that goes with an IPv6 multicast address. */
void hostile_multicast_mac (const uint8_t address[16], uint8_t mac[6]);

/* What a tag or an LLC header is wrapped around: a packet of type ETH_P_IP, ETH_P_IPV6 or ETH_P_ARP that would be allowed
 * without. */
void hostile_put_inner (HostileFrame *frame, const HostileGuest *guest, unsigned type);

void hostile_add (HostileGuest *guest, const HostileFrame *frame, HostileClass class);
void hostile_add_link (HostileGuest *guest, const HostileFrame *frame);

/* -- Kinds, by file ---------------------------------------------------------------------------------------------------- */

void hostile_add_tagged (HostileGuest *guest);
void hostile_add_llc (HostileGuest *guest);
void hostile_add_ethertypes (HostileGuest *guest);
void hostile_add_arp (HostileGuest *guest);
void hostile_add_spoofed_ip (HostileGuest *guest);
void hostile_add_dhcp_lies (HostileGuest *guest);
void hostile_add_malformed (HostileGuest *guest);
void hostile_add_odd_macs (HostileGuest *guest);

void hostile_add_forbidden (HostileGuest *guest);
void hostile_add_protocols (HostileGuest *guest);
void hostile_add_tunnels (HostileGuest *guest);
void hostile_add_fragments (HostileGuest *guest);
void hostile_add_bad_headers (HostileGuest *guest);

void hostile_add_router_adverts (HostileGuest *guest);
void hostile_add_neighbours (HostileGuest *guest);
void hostile_add_redirects (HostileGuest *guest);
void hostile_add_mld (HostileGuest *guest);
void hostile_add_dhcp6_lies (HostileGuest *guest);
void hostile_add_extensions (HostileGuest *guest);
void hostile_add_jumbograms (HostileGuest *guest);
void hostile_add_spoofed_ip6 (HostileGuest *guest);
void hostile_add_forbidden6 (HostileGuest *guest);
void hostile_add_icmp6 (HostileGuest *guest);
void hostile_add_bad_headers6 (HostileGuest *guest);

/* -- The good guest ---------------------------------------------------------------------------------------------------- */

/* Asks over the tap FD, waits for each answer (five tries of a second each), and says in words what was answered:
 * "arp 1 dhcp 1 icmp 1 udp 1 tcp 1", with guest->six also "nd 1 ra 1 dhcp6 1 icmp6 1 udp6 1 tcp6 1", with NAME also "dns 1"
 * and, with both, "dns6 1": NAME asked of the router. Without SERVERS, DHCP and
 * router advertisements are not waited for (0). Caller frees. */
char *hostile_legit (const HostileGuest *guest, int fd, const char *name, gboolean servers);
