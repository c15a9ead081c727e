/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/resolver/floe-dns.h"

/* A DHCP acknowledgement on its way to a guest, read from the frame that carries it (RFC 826's Ethernet II, RFC 791, RFC 768, RFC 2131, RFC
 * 2132). A pure function. */

#define FLOE_DHCP_FRAME_MAX 1514
#define FLOE_DHCP_XIDS 4

typedef struct {
  const uint8_t *mac;            /* of the card, 6 bytes */
  const FloeDnsAddress *servers; /* that count; IPv4 */
  size_t n_servers;
  uint32_t xids[FLOE_DHCP_XIDS]; /* of the card's last requests; what is not asked for is not believed */
  unsigned n_xids;               /* 0: none was seen yet (the watch began after it), then any is taken */
} FloeDhcpExpected;

typedef struct {
  FloeDnsAddress address, server;
  uint32_t lease_s; /* 0xffffffff: for ever */
} FloeDhcpLease;

typedef enum {
  FLOE_DHCP_OTHER,     /* nothing about a lease of this card: another message or another card's */
  FLOE_DHCP_REQUEST,   /* one of the card's own; its xid is in EXPECTED now */
  FLOE_DHCP_LEASE,     /* an acknowledgement that counts */
  FLOE_DHCP_STRANGER,  /* an acknowledgement from a server that is not named: lease->server is it */
  FLOE_DHCP_MALFORMED, /* an acknowledgement to the card that is not of the form */
} FloeDhcpKind;

/* OUTGOING: towards the guest. */
FloeDhcpKind floe_dhcp_frame_parse (const uint8_t *frame, size_t size, bool outgoing, FloeDhcpExpected *expected, FloeDhcpLease *lease);
