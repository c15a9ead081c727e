/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dhcp-ack.h"

#include <string.h>

#define ETHERNET 14
#define IP_HEADER 20
#define UDP_HEADER 8
#define BOOTP_SIZE 236 /* up to the options' cookie, RFC 2131 section 2 */
#define BOOTREQUEST 1
#define BOOTREPLY 2

enum {
  OPTION_PAD = 0,
  OPTION_MASK = 1,
  OPTION_LEASE = 51,
  OPTION_OVERLOAD = 52,
  OPTION_TYPE = 53,
  OPTION_SERVER = 54,
  OPTION_END = 255,
};

enum { DHCPREQUEST = 3, DHCPACK = 5 };

static uint16_t
get16 (const uint8_t *at)
{
  return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t
get32 (const uint8_t *at)
{
  return (uint32_t)get16 (at) << 16 | get16 (at + 2);
}

/* An unfragmented IPv4 packet with UDP from port FROM to port TO; the datagram's payload, NULL if it is no such thing. */
static const uint8_t *
udp_payload (const uint8_t *frame, size_t size, unsigned from, unsigned to, size_t *payload)
{
  const uint8_t *ip = frame + ETHERNET, *udp;
  size_t header, total;

  if (size < ETHERNET + IP_HEADER + UDP_HEADER || get16 (frame + 12) != 0x0800 || ip[0] >> 4 != 4)
    return NULL;
  header = 4u * (ip[0] & 15);
  total = get16 (ip + 2);
  /* Ethernet pads what is short, so the frame may go on after the packet. */
  if (header < IP_HEADER || total < header + UDP_HEADER || total > size - ETHERNET || (get16 (ip + 6) & 0x3fff) != 0 || ip[9] != 17)
    return NULL;
  udp = ip + header;
  if (get16 (udp) != from || get16 (udp + 2) != to || get16 (udp + 4) < UDP_HEADER || get16 (udp + 4) > total - header)
    return NULL;
  *payload = get16 (udp + 4) - UDP_HEADER;
  return udp + UDP_HEADER;
}

static bool
is_named (const FloeDhcpExpected *expected, const uint8_t address[4])
{
  for (size_t i = 0; i < expected->n_servers; i++)
    if (expected->servers[i].family == 4 && memcmp (expected->servers[i].bytes, address, 4) == 0)
      return true;
  return false;
}

typedef struct {
  const uint8_t *type, *server, *lease, *mask;
} Options;

/* Each of ours once and of its length; an overload would put more options where others look for names. */
static bool
read_options (const uint8_t *at, const uint8_t *end, Options *options)
{
  while (at < end && *at != OPTION_END) {
    const uint8_t **slot = NULL;
    unsigned wanted = 4;

    if (*at == OPTION_PAD) {
      at++;
      continue;
    }
    if (end - at < 2 || end - at < 2 + at[1] || *at == OPTION_OVERLOAD)
      return false;
    switch (*at) {
    case OPTION_TYPE:
      slot = &options->type;
      wanted = 1;
      break;
    case OPTION_SERVER:
      slot = &options->server;
      break;
    case OPTION_LEASE:
      slot = &options->lease;
      break;
    case OPTION_MASK:
      slot = &options->mask;
      break;
    default:
      break;
    }
    if (slot != NULL && (*slot != NULL || at[1] != wanted))
      return false;
    if (slot != NULL)
      *slot = at + 2;
    at += 2 + at[1];
  }
  return at < end && options->type != NULL;
}

/* A contiguous mask of 8 to 31 bits (RFC 950), or none: then the address is all that is known. */
static bool
is_mask (const uint8_t *mask)
{
  uint32_t bits = mask != NULL ? get32 (mask) : 0xffffff00;

  return bits >= 0xff000000 && bits != 0xffffffff && (~bits & (~bits + 1)) == 0;
}

/* Not of this network, loopback, link-local, multicast or reserved. */
static bool
is_host_address (const uint8_t *address)
{
  return address[0] != 0 && address[0] != 127 && address[0] < 224 && !(address[0] == 169 && address[1] == 254);
}

static FloeDhcpKind
read_ack (const uint8_t *frame, const uint8_t *bootp, const Options *options, const FloeDhcpExpected *expected, FloeDhcpLease *lease)
{
  FloeDhcpLease read = { .address.family = 4, .server.family = 4 };
  bool asked = expected->n_xids == 0;

  for (unsigned i = 0; i < expected->n_xids; i++)
    asked = asked || expected->xids[i] == get32 (bootp + 4);
  if (!asked)
    return FLOE_DHCP_OTHER;
  if (options->server == NULL)
    return FLOE_DHCP_MALFORMED;
  /* Who sent it and who says so may be a relay and its server: both must be named. */
  memcpy (lease->server.bytes, options->server, 4);
  lease->server.family = 4;
  if (!is_named (expected, options->server))
    return FLOE_DHCP_STRANGER;
  memcpy (lease->server.bytes, frame + ETHERNET + 12, 4);
  if (!is_named (expected, lease->server.bytes))
    return FLOE_DHCP_STRANGER;
  /* To DHCPINFORM: no address, no lease (RFC 2131 section 4.3.5). */
  if (get32 (bootp + 16) == 0 && options->lease == NULL)
    return FLOE_DHCP_OTHER;
  if (options->lease == NULL || get32 (options->lease) == 0 || !is_host_address (bootp + 16) || !is_mask (options->mask))
    return FLOE_DHCP_MALFORMED;
  memcpy (read.address.bytes, bootp + 16, 4);
  memcpy (read.server.bytes, options->server, 4);
  read.lease_s = get32 (options->lease);
  *lease = read;
  return FLOE_DHCP_LEASE;
}

FloeDhcpKind
floe_dhcp_frame_parse (const uint8_t *frame, size_t size, bool outgoing, FloeDhcpExpected *expected, FloeDhcpLease *lease)
{
  static const uint8_t cookie[4] = { 99, 130, 83, 99 };
  static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
  Options options = { 0 };
  const uint8_t *bootp;
  size_t payload;

  memset (lease, 0, sizeof *lease);
  bootp = udp_payload (frame, size, outgoing ? 67 : 68, outgoing ? 68 : 67, &payload);
  if (bootp == NULL || payload < BOOTP_SIZE + sizeof cookie || bootp[0] != (outgoing ? BOOTREPLY : BOOTREQUEST) || bootp[1] != 1
      || bootp[2] != 6 || memcmp (bootp + 28, expected->mac, 6) != 0)
    return FLOE_DHCP_OTHER;
  if (outgoing ? memcmp (frame, expected->mac, 6) != 0 && memcmp (frame, broadcast, 6) != 0 : memcmp (frame + 6, expected->mac, 6) != 0)
    return FLOE_DHCP_OTHER;
  if (memcmp (bootp + BOOTP_SIZE, cookie, sizeof cookie) != 0
      || !read_options (bootp + BOOTP_SIZE + sizeof cookie, bootp + payload, &options))
    return outgoing ? FLOE_DHCP_MALFORMED : FLOE_DHCP_OTHER;
  if (!outgoing) {
    if (*options.type != DHCPREQUEST)
      return FLOE_DHCP_OTHER;
    memmove (expected->xids + 1, expected->xids, sizeof expected->xids - sizeof *expected->xids);
    expected->xids[0] = get32 (bootp + 4);
    if (expected->n_xids < FLOE_DHCP_XIDS)
      expected->n_xids++;
    return FLOE_DHCP_REQUEST;
  }
  return *options.type == DHCPACK ? read_ack (frame, bootp, &options, expected, lease) : FLOE_DHCP_OTHER;
}
