/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-identity.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>

/* A guest gone bad, and those who watch for it. Each hostile frame carries MARK; a watcher that sees the mark has seen a
 * leak.
 *
 *   guest FD|TAP SLOT FIFO   holds a tap as QEMU does (descriptor, or a tap made here), obeys lines from FIFO:
 *                            hostile ROUNDS [KIND], legit, drain; answers each on standard output, one line
 *   watch INTERFACE          counts marked frames on an interface, in the namespace it runs in, until SIGTERM
 *   host                     counts marked packets that the IP stack here delivers to itself, until SIGTERM
 *
 * Kinds are of two classes: those that must not get past the tap's own hook (link), and those that are plain, truthfully
 * addressed packets that policy does not allow (flow). */

#define MARK "FLOE-HOSTILE-FRAME"
#define GOOD "FLOE-GOOD-FRAME"
#define VNET_HEADER 10
#define WORLD "198.51.100.10"

typedef struct {
  uint8_t bytes[2048]; /* the first VNET_HEADER are the virtio-net header */
  size_t size;
} Frame;

typedef struct {
  int fd;
  FloeNetIdentity identity;
  /* What the frames claim: the truth, or a spoof. */
  uint8_t mac[6], ip[4];
  gboolean truthful;
  unsigned long link, flow, refused;
} Guest;

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t other_mac[6] = { 0x02, 0xf1, 0x0e, 0x00, 0x3f, 0xff };

/* -- Building frames -------------------------------------------------------------------------------------------------- */

static void
put (Frame *frame, const void *data, size_t size)
{
  g_assert (frame->size + size <= sizeof frame->bytes);
  memcpy (frame->bytes + frame->size, data, size);
  frame->size += size;
}

static void
put8 (Frame *frame, unsigned value)
{
  uint8_t byte = (uint8_t)value;

  put (frame, &byte, 1);
}

static void
put16 (Frame *frame, unsigned value)
{
  put8 (frame, value >> 8);
  put8 (frame, value);
}

static void
put_mark (Frame *frame)
{
  put (frame, MARK, strlen (MARK));
}

static uint16_t
checksum (const uint8_t *data, size_t size, uint32_t sum)
{
  for (size_t i = 0; i + 1 < size; i += 2)
    sum += (uint32_t)data[i] << 8 | data[i + 1];
  if (size % 2)
    sum += (uint32_t)data[size - 1] << 8;
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void
begin (Frame *frame)
{
  memset (frame, 0, sizeof *frame);
  frame->size = VNET_HEADER;
}

static void
put_ether (Frame *frame, const Guest *guest, const uint8_t destination[6], unsigned type)
{
  begin (frame);
  put (frame, destination, 6);
  put (frame, guest->mac, 6);
  put16 (frame, type);
}

static void
address_of (const char *text, uint8_t bytes[4])
{
  g_assert_cmpint (inet_pton (AF_INET, text, bytes), ==, 1);
}

/* An IPv4 header for SIZE bytes of payload, OPTIONS (a multiple of four) included. */
static void
put_ip (Frame *frame, const uint8_t source[4], const uint8_t destination[4], unsigned protocol, size_t size,
        unsigned fragment, const void *options, size_t options_size)
{
  size_t start = frame->size, header = 20 + options_size;
  uint16_t sum;

  put8 (frame, 0x40 | (unsigned)(header / 4));
  put8 (frame, 0);
  put16 (frame, (unsigned)(header + size));
  put16 (frame, 0x4242);
  put16 (frame, fragment);
  put8 (frame, 64);
  put8 (frame, protocol);
  put16 (frame, 0);
  put (frame, source, 4);
  put (frame, destination, 4);
  if (options_size > 0)
    put (frame, options, options_size);
  sum = checksum (frame->bytes + start, header, 0);
  frame->bytes[start + 10] = (uint8_t)(sum >> 8);
  frame->bytes[start + 11] = (uint8_t)sum;
}

/* UDP without a checksum, which IPv4 allows. */
static void
put_udp (Frame *frame, unsigned source, unsigned destination, const char *text)
{
  put16 (frame, source);
  put16 (frame, destination);
  put16 (frame, (unsigned)(8 + strlen (text)));
  put16 (frame, 0);
  put (frame, text, strlen (text));
}

static void
put_tcp (Frame *frame, const uint8_t source[4], const uint8_t destination[4], unsigned from, unsigned to, unsigned flags,
         uint32_t sequence, uint32_t acknowledged, const char *text)
{
  size_t start = frame->size;
  uint32_t pseudo = 6 + 20 + (uint32_t)strlen (text);
  uint16_t sum;

  put16 (frame, from);
  put16 (frame, to);
  put16 (frame, sequence >> 16);
  put16 (frame, sequence & 0xffff);
  put16 (frame, acknowledged >> 16);
  put16 (frame, acknowledged & 0xffff);
  put8 (frame, 0x50);
  put8 (frame, flags);
  put16 (frame, 65535);
  put16 (frame, 0);
  put16 (frame, 0);
  put (frame, text, strlen (text));
  for (unsigned i = 0; i < 4; i += 2)
    pseudo += ((uint32_t)source[i] << 8 | source[i + 1]) + ((uint32_t)destination[i] << 8 | destination[i + 1]);
  sum = checksum (frame->bytes + start, frame->size - start, pseudo);
  frame->bytes[start + 16] = (uint8_t)(sum >> 8);
  frame->bytes[start + 17] = (uint8_t)sum;
}

static void
send_frame (Guest *guest, const Frame *frame, gboolean flow)
{
  if (write (guest->fd, frame->bytes, frame->size) < 0)
    guest->refused++;
  else if (flow && guest->truthful)
    guest->flow++;
  else
    guest->link++;
}

static void
send_link (Guest *guest, const Frame *frame)
{
  send_frame (guest, frame, FALSE);
}

/* -- Link kinds ------------------------------------------------------------------------------------------------------- */

/* What a tag or an LLC header is wrapped around: a packet that would be allowed without it. */
static void
put_inner (Frame *frame, const Guest *guest, unsigned type)
{
  uint8_t world[4];

  address_of (WORLD, world);
  if (type == ETH_P_IP) {
    put_ip (frame, guest->ip, world, 17, 8 + strlen (MARK), 0, NULL, 0);
    put_udp (frame, 5000, 7, MARK);
  } else {
    put (frame, "\0\1\10\0\6\4\0\1", 8);
    put (frame, guest->mac, 6);
    put (frame, guest->ip, 4);
    put (frame, "\0\0\0\0\0\0", 6);
    put (frame, guest->identity.host, 4);
    put_mark (frame);
  }
}

static void
send_tagged (Guest *guest)
{
  /* Tag types from the outside in, 0 ends; each with each VLAN number. */
  static const unsigned stacks[][4]
      = { { 0x8100 },         { 0x8100, 0x8100 },         { 0x88a8 },         { 0x88a8, 0x8100 },
          { 0x88a8, 0x88a8 }, { 0x8100, 0x8100, 0x8100 }, { 0x9100, 0x8100 }, { 0x8100, 0x88a8 } };
  static const unsigned numbers[] = { 0, 1, 5, 4095, 0xe000 };
  static const unsigned types[] = { ETH_P_IP, ETH_P_ARP };
  Frame frame;

  for (size_t s = 0; s < G_N_ELEMENTS (stacks); s++)
    for (size_t n = 0; n < G_N_ELEMENTS (numbers); n++)
      for (size_t t = 0; t < G_N_ELEMENTS (types); t++)
        for (unsigned llc = 0; llc < 2; llc++) {
          put_ether (&frame, guest, types[t] == ETH_P_IP ? guest->identity.host_mac : broadcast, stacks[s][0]);
          for (unsigned i = 0; stacks[s][i] != 0; i++) {
            put16 (&frame, numbers[n]);
            if (stacks[s][i + 1] != 0)
              put16 (&frame, stacks[s][i + 1]);
          }
          if (llc) {
            put16 (&frame, 60);
            put (&frame, "\xaa\xaa\x03\0\0\0", 6);
          }
          put16 (&frame, types[t]);
          put_inner (&frame, guest, types[t]);
          send_link (guest, &frame);
        }
}

static void
send_llc (Guest *guest)
{
  static const struct {
    const char *header;
    size_t size;
  } headers[] = { { "\xaa\xaa\x03\0\0\0", 6 },            /* SNAP, RFC 1042 */
                  { "\xaa\xaa\x03\0\0\xf8", 6 },          /* SNAP, bridge tunnel */
                  { "\xaa\xaa\x03\0\0\0\x81\0\0\0", 10 }, /* SNAP around a tag */
                  { "\x06\x06\x03", 3 },                  /* LLC for IP */
                  { "\x42\x42\x03", 3 },                  /* STP */
                  { "\xff\xff", 2 } };                    /* raw 802.3 */
  static const unsigned lengths[] = { 0, 46, 60, 1500, 1535 };
  Frame frame;

  for (size_t h = 0; h < G_N_ELEMENTS (headers); h++)
    for (size_t l = 0; l < G_N_ELEMENTS (lengths); l++) {
      put_ether (&frame, guest, h == 4 ? (const uint8_t *)"\x01\x80\xc2\0\0\0" : guest->identity.host_mac, lengths[l]);
      put (&frame, headers[h].header, headers[h].size);
      put16 (&frame, ETH_P_IP);
      put_inner (&frame, guest, ETH_P_IP);
      send_link (guest, &frame);
    }
}

static void
send_ethertypes (Guest *guest)
{
  static const unsigned types[] = { 0x8035, 0x88cc, 0x888e, 0x88e5, 0x8847, 0x8848, 0x8863, 0x8864, 0x8809, 0x88f7,
                                    0x8906, 0x88a2, 0x22f3, 0x0600, 0x8137, 0x9000, 0x4305, 0x0842, 0x88f5, 0x8917,
                                    0x86dd, 0x0805, 0x0801, 0x0008, 0x6558, 0x880b, 0x893a, 0x88b5, 0xffff };
  static const uint8_t destinations[][6] = { { 0x01, 0x80, 0xc2, 0, 0, 0x0e },
                                             { 0x01, 0x80, 0xc2, 0, 0, 0x03 },
                                             { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
                                             { 0x33, 0x33, 0, 0, 0, 1 } };
  Frame frame;

  for (size_t t = 0; t < G_N_ELEMENTS (types); t++)
    for (size_t d = 0; d <= G_N_ELEMENTS (destinations); d++) {
      put_ether (&frame, guest, d == G_N_ELEMENTS (destinations) ? guest->identity.host_mac : destinations[d], types[t]);
      put_inner (&frame, guest, ETH_P_IP);
      send_link (guest, &frame);
    }
}

/* Fields of an ARP packet, in order; each row is wrong in one thing. */
static void
send_arp (Guest *guest)
{
  const uint8_t *gm = guest->mac, *gi = guest->ip, *hi = guest->identity.host;
  static const uint8_t other_ip[4] = { 10, 77, 0, 6 }, zero[6] = { 0 };
  const struct {
    unsigned hardware, protocol, lengths, operation;
    const uint8_t *sender_mac, *sender, *target;
  } rows[] = {
    { 1, 0x0800, 0x0604, 1, gm, other_ip, hi },  { 1, 0x0800, 0x0604, 2, gm, hi, hi },
    { 1, 0x0800, 0x0604, 2, gm, hi, gi },        { 1, 0x0800, 0x0604, 1, other_mac, gi, hi },
    { 1, 0x0800, 0x0604, 2, broadcast, gi, hi }, { 1, 0x0800, 0x0604, 1, gm, gi, gi },
    { 1, 0x0800, 0x0604, 2, gm, gi, gi },        { 1, 0x0800, 0x0604, 1, gm, zero, gi },
    { 1, 0x0800, 0x0604, 1, gm, gi, other_ip },  { 6, 0x0800, 0x0604, 1, gm, gi, hi },
    { 24, 0x0800, 0x0604, 1, gm, gi, hi },       { 1, 0x86dd, 0x0604, 1, gm, gi, hi },
    { 1, 0x0806, 0x0604, 1, gm, gi, hi },        { 1, 0x0800, 0x0804, 1, gm, gi, hi },
    { 1, 0x0800, 0x0004, 1, gm, gi, hi },        { 1, 0x0800, 0x0610, 1, gm, gi, hi },
    { 1, 0x0800, 0x0600, 1, gm, gi, hi },        { 1, 0x0800, 0x0604, 0, gm, gi, hi },
    { 1, 0x0800, 0x0604, 3, gm, gi, hi },        { 1, 0x0800, 0x0604, 8, gm, gi, hi },
    { 1, 0x0800, 0x0604, 0x100, gm, gi, hi },
  };
  Frame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++)
    for (unsigned unicast = 0; unicast < 2; unicast++) {
      put_ether (&frame, guest, unicast ? guest->identity.host_mac : broadcast, ETH_P_ARP);
      put16 (&frame, rows[i].hardware);
      put16 (&frame, rows[i].protocol);
      put16 (&frame, rows[i].lengths);
      put16 (&frame, rows[i].operation);
      put (&frame, rows[i].sender_mac, 6);
      put (&frame, rows[i].sender, 4);
      put (&frame, zero, 6);
      put (&frame, rows[i].target, 4);
      put_mark (&frame);
      send_link (guest, &frame);
    }
}

/* IPv4 that lies about where it comes from, or goes past the router. */
static void
send_spoofed_ip (Guest *guest)
{
  static const char *const sources[]
      = { "10.77.0.1",       "10.77.0.6", "198.51.100.1", "127.0.0.1", "169.254.1.1",  "0.0.0.0",
          "255.255.255.255", "224.0.0.1", "10.77.0.3",    "10.77.0.0", "198.51.100.10" };
  static const uint8_t destinations[][6] = {
    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, { 0x01, 0, 0x5e, 0, 0, 1 }, { 0x02, 0xf1, 0x0e, 0, 0, 1 }, { 0, 0, 0, 0, 0, 0 }
  };
  uint8_t source[4], world[4];
  Frame frame;

  address_of (WORLD, world);
  for (size_t i = 0; i < G_N_ELEMENTS (sources); i++) {
    address_of (sources[i], source);
    put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
    put_ip (&frame, source, world, 17, 8 + strlen (MARK), 0, NULL, 0);
    put_udp (&frame, 5000, 7, MARK);
    send_link (guest, &frame);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (destinations); i++) {
    put_ether (&frame, guest, destinations[i], ETH_P_IP);
    put_inner (&frame, guest, ETH_P_IP);
    send_link (guest, &frame);
  }
}

/* Around DHCP: the server's side played by the guest, and other things from 0.0.0.0. */
static void
send_dhcp_lies (Guest *guest)
{
  static const uint8_t any[4] = { 0 }, all[4] = { 255, 255, 255, 255 };
  static const struct {
    unsigned from, to, fragment;
    const char *options;
    size_t options_size;
  } rows[] = { { 67, 68, 0, NULL, 0 },        { 67, 68, 0, "\1\1\1\1", 4 },
               { 68, 53, 0, NULL, 0 },        { 67, 67, 0, NULL, 0 },
               { 5000, 67, 0, NULL, 0 },      { 68, 67, 0x0001, NULL, 0 } /* not the first fragment */,
               { 68, 67, 0x2004, NULL, 0 },   { 53, 5353, 0, "\x00\x44\x00\x43", 4 } /* ports where options are */,
               { 68, 69, 0, "\x94\4\0\0", 4 } };
  Frame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    put_ether (&frame, guest, broadcast, ETH_P_IP);
    put_ip (&frame, any, all, 17, 8 + strlen (MARK), rows[i].fragment, rows[i].options, rows[i].options_size);
    put_udp (&frame, rows[i].from, rows[i].to, MARK);
    send_link (guest, &frame);
  }
  put_ether (&frame, guest, broadcast, ETH_P_IP);
  put_ip (&frame, any, all, 6, 20 + strlen (MARK), 0, NULL, 0);
  put_tcp (&frame, any, all, 68, 67, 2, 1, 0, MARK);
  send_link (guest, &frame);
}

/* IPv6: router and neighbour advertisements, plain and behind what filters forget to look behind (RFC 7113), and everything
 * else. */
static void
send_ipv6 (Guest *guest)
{
  static const struct {
    unsigned next;
    const char *extension;
    size_t size;
  } chains[] = { { 58, "", 0 },
                 { 0, "\x3a\0\1\4\0\0\0\0", 8 },                     /* hop-by-hop */
                 { 60, "\x3a\0\1\4\0\0\0\0", 8 },                    /* destination options */
                 { 0, "\x3c\0\1\4\0\0\0\0\x3a\0\1\4\0\0\0\0", 16 },  /* both */
                 { 44, "\x3a\0\0\0\0\0\0\1", 8 },                    /* atomic fragment */
                 { 44, "\x3a\0\0\1\0\0\0\2", 8 },                    /* first of two */
                 { 44, "\x3c\0\0\1\0\0\0\3\x3a\0\1\4\0\0\0\0", 16 }, /* split inside the chain */
                 { 43, "\x3a\0\0\0\0\0\0\0", 8 } };                  /* routing header */
  static const uint8_t messages[] = { 134, 136, 135, 133, 137, 130, 131, 143, 128, 129, 1 };
  static const uint8_t source[16] = { 0xfe, 0x80, [15] = 1 }, all_nodes[16] = { 0xff, 0x02, [15] = 1 };
  Frame frame;

  for (size_t c = 0; c < G_N_ELEMENTS (chains); c++)
    for (size_t m = 0; m < G_N_ELEMENTS (messages); m++) {
      put_ether (&frame, guest, (const uint8_t *)"\x33\x33\0\0\0\1", ETH_P_IPV6);
      put (&frame, "\x60\0\0\0", 4);
      put16 (&frame, (unsigned)(chains[c].size + 24 + strlen (MARK)));
      put8 (&frame, chains[c].next);
      put8 (&frame, 255);
      put (&frame, source, 16);
      put (&frame, all_nodes, 16);
      put (&frame, chains[c].extension, chains[c].size);
      put8 (&frame, messages[m]);
      put (&frame, source, 16);
      put (&frame, "\0\0\0\0\0\0\0", 7);
      put_mark (&frame);
      send_link (guest, &frame);
    }
  for (unsigned port = 546; port <= 547; port++) { /* DHCPv6, both sides */
    put_ether (&frame, guest, broadcast, ETH_P_IPV6);
    put (&frame, "\x60\0\0\0", 4);
    put16 (&frame, (unsigned)(8 + strlen (MARK)));
    put16 (&frame, 0x11ff);
    put (&frame, source, 16);
    put (&frame, all_nodes, 16);
    put_udp (&frame, 546 + 547 - port, port, MARK);
    send_link (guest, &frame);
  }
}

/* Short frames, and virtio-net headers that promise what is not there, around a frame that may not pass anyhow. */
static void
send_malformed (Guest *guest)
{
  static const size_t sizes[] = { 0, 1, 6, 13, 14, 15, 20, 29, 33 };
  static const uint8_t headers[][VNET_HEADER] = {
    { 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
    { 1, 0, 0, 0, 0, 0, 14, 0, 0xff, 0xff },
    { 0, 1, 0xff, 0xff, 1, 0, 0, 0, 0, 0 },
    { 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 },
    { 1, 1, 54, 0, 0, 1, 34, 0, 16, 0 },
    { 0, 3, 42, 0, 8, 0, 0, 0, 0, 0 },
    { 0, 4, 74, 0, 8, 0, 0, 0, 0, 0 },
    { 0, 0xff, 1, 0, 1, 0, 0, 0, 0, 0 },
    { 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
    { 1, 5, 42, 0, 8, 0, 34, 0, 6, 0 },
    { 0, 0x81, 54, 0, 8, 0, 0, 0, 0, 0 },
  };
  Frame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
    put_inner (&frame, guest, ETH_P_IP);
    frame.size = VNET_HEADER + sizes[i];
    /* With 30 bytes the source address is there, and true: the rest is the IP stack's to refuse. */
    send_frame (guest, &frame, sizes[i] >= 30);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (headers); i++) {
    put_ether (&frame, guest, guest->identity.host_mac, 0x8100);
    put16 (&frame, 0);
    put16 (&frame, ETH_P_IP);
    put_inner (&frame, guest, ETH_P_IP);
    memcpy (frame.bytes, headers[i], VNET_HEADER);
    send_link (guest, &frame);
  }
  frame.size = 5; /* not even a whole header */
  send_link (guest, &frame);
}

static void
send_odd_macs (Guest *guest)
{
  static const uint8_t macs[][6]
      = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, { 1, 0, 0x5e, 0, 0, 1 },       { 0 },
          { 0x02, 0xf1, 0x0e, 1, 0, 0 },          { 0x03, 0xf1, 0x0e, 0, 0, 0 }, { 0x02, 0xf1, 0x0e, 0, 0, 1 } };
  uint8_t kept[6];
  Frame frame;

  memcpy (kept, guest->mac, 6);
  for (size_t i = 0; i < G_N_ELEMENTS (macs); i++) {
    memcpy (guest->mac, macs[i], 6);
    put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
    put_inner (&frame, guest, ETH_P_IP);
    send_link (guest, &frame);
    put_ether (&frame, guest, broadcast, ETH_P_ARP);
    put_inner (&frame, guest, ETH_P_ARP);
    send_link (guest, &frame);
  }
  memcpy (guest->mac, kept, 6);
}

/* -- Flow kinds ------------------------------------------------------------------------------------------------------- */

static void
send_udp (Guest *guest, const char *to, unsigned from_port, unsigned to_port, unsigned fragment, const char *options,
          size_t size)
{
  uint8_t destination[4];
  Frame frame;

  address_of (to, destination);
  put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
  put_ip (&frame, guest->ip, destination, 17, 8 + strlen (MARK), fragment, options, size);
  put_udp (&frame, from_port, to_port, MARK);
  send_frame (guest, &frame, TRUE);
}

static void
send_to_forbidden (Guest *guest)
{
  static const char *const addresses[]
      = { "198.51.100.11",   "198.51.100.1",    "169.254.169.254", "127.0.0.1",  "224.0.0.1", "224.0.0.251",
          "239.255.255.250", "255.255.255.255", "240.0.0.1",       "0.0.0.0",    "10.77.0.1", "10.77.0.3",
          "10.77.0.0",       "10.77.0.5",       "10.77.0.6",       "203.0.113.1" };
  static const unsigned ports[] = { 7, 53, 67, 68, 80, 123, 443, 4789, 5353, 8443 };
  static const unsigned flags[] = { 0x02, 0x10, 0x12, 0x04, 0x01, 0x03, 0x00, 0x29, 0xff };
  uint8_t to[4];
  Frame frame;

  for (size_t a = 0; a < G_N_ELEMENTS (addresses); a++) {
    for (size_t p = 0; p < G_N_ELEMENTS (ports); p++)
      send_udp (guest, addresses[a], 5000, ports[p], 0, NULL, 0);
    for (size_t f = 0; f < G_N_ELEMENTS (flags); f++) {
      address_of (addresses[a], to);
      put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
      put_ip (&frame, guest->ip, to, 6, 20 + strlen (MARK), 0, NULL, 0);
      put_tcp (&frame, guest->ip, to, 5001, 80, flags[f], 7, 9, MARK);
      send_frame (guest, &frame, TRUE);
    }
  }
  /* The right address, the wrong port; the port of the other protocol; DHCP's ports as a server would. */
  send_udp (guest, WORLD, 5000, 80, 0, NULL, 0);
  send_udp (guest, WORLD, 5000, 8, 0, NULL, 0);
  send_udp (guest, WORLD, 67, 68, 0, NULL, 0);
  send_udp (guest, "10.77.0.1", 67, 68, 0, "\1\1\1\1", 4);
  send_udp (guest, "198.51.100.1", 68, 67, 0, NULL, 0);
  /* Loose source routing by way of the allowed address. */
  send_udp (guest, "198.51.100.11", 5000, 7, 0, "\x83\7\4\xc6\x33\x64\x0a\0", 8);
}

static void
send_protocols (Guest *guest)
{
  static const unsigned protocols[]
      = { 0, 2, 3, 4, 8, 33, 41, 46, 47, 50, 51, 58, 88, 89, 94, 97, 98, 103, 108, 112, 115, 132, 136, 137, 253, 255 };
  static const uint8_t icmp_types[] = { 0, 3, 4, 5, 9, 10, 11, 12, 13, 15, 17, 30, 42 };
  uint8_t world[4];
  Frame frame;

  address_of (WORLD, world);
  for (size_t i = 0; i < G_N_ELEMENTS (protocols); i++) {
    put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
    put_ip (&frame, guest->ip, world, protocols[i], 16 + strlen (MARK), 0, NULL, 0);
    put (&frame, "\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    put_mark (&frame);
    send_frame (guest, &frame, TRUE);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (icmp_types); i++) {
    size_t start;
    uint16_t sum;

    put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
    put_ip (&frame, guest->ip, world, 1, 8 + strlen (MARK), 0, NULL, 0);
    start = frame.size;
    put8 (&frame, icmp_types[i]);
    put (&frame, "\0\0\0\x12\x34\0\1", 7);
    put_mark (&frame);
    sum = checksum (frame.bytes + start, frame.size - start, 0);
    frame.bytes[start + 2] = (uint8_t)(sum >> 8);
    frame.bytes[start + 3] = (uint8_t)sum;
    send_frame (guest, &frame, TRUE);
  }
}

/* Fragments that never make a whole, or overlap so that the whole would not be what was looked at. */
static void
send_fragments (Guest *guest)
{
  static const unsigned offsets[] = { 0x0001, 0x2001, 0x0002, 0x00b9, 0x1fff, 0x3fff };
  uint8_t world[4];
  Frame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (offsets); i++)
    send_udp (guest, WORLD, 5000, 7, offsets[i], NULL, 0);
  address_of (WORLD, world);
  /* A header of 8 bytes, then one that writes over its ports, then the mark. */
  for (unsigned i = 0; i < 3; i++) {
    put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
    put_ip (&frame, guest->ip, world, 17, i == 2 ? 8 + strlen (MARK) : 8,
            i == 0   ? 0x2000
            : i == 1 ? 0x2000
                     : 0x0001,
            NULL, 0);
    put16 (&frame, 5000);
    put16 (&frame, i == 0 ? 7 : 9);
    put16 (&frame, (unsigned)(16 + strlen (MARK)));
    put16 (&frame, 0);
    if (i == 2)
      put_mark (&frame);
    send_frame (guest, &frame, TRUE);
  }
}

/* IPv4 headers that are wrong, from the right address to the right one. */
static void
send_bad_headers (Guest *guest)
{
  static const struct {
    unsigned offset, value;
  } changes[] = { { 0, 0x65 }, { 0, 0x44 }, { 0, 0x40 }, { 0, 0x4f }, { 2, 0xff }, { 3, 0x10 }, { 10, 0xde }, { 8, 0 } };
  uint8_t world[4];
  Frame frame;

  address_of (WORLD, world);
  for (size_t i = 0; i < G_N_ELEMENTS (changes); i++) {
    put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
    put_inner (&frame, guest, ETH_P_IP);
    /* The checksum is left as it was: wrong for these, as is what else they claim. */
    frame.bytes[VNET_HEADER + 14 + changes[i].offset] = (uint8_t)changes[i].value;
    send_frame (guest, &frame, TRUE);
  }
}

static const struct {
  const char *name;
  void (*send) (Guest *guest);
} kinds[] = { { "tagged", send_tagged },
              { "llc", send_llc },
              { "ethertypes", send_ethertypes },
              { "arp", send_arp },
              { "spoofed-ip", send_spoofed_ip },
              { "dhcp-lies", send_dhcp_lies },
              { "ipv6", send_ipv6 },
              { "malformed", send_malformed },
              { "odd-macs", send_odd_macs },
              { "forbidden", send_to_forbidden },
              { "protocols", send_protocols },
              { "fragments", send_fragments },
              { "bad-headers", send_bad_headers } };

/* Every kind, or those of one name, under each of four spoofs: none, MAC, address, both. */
static void
send_hostile (Guest *guest, unsigned rounds, const char *only)
{
  guest->link = guest->flow = guest->refused = 0;
  for (unsigned round = 0; round < rounds; round++)
    for (unsigned spoof = 0; spoof < 4; spoof++) {
      memcpy (guest->mac, spoof & 1 ? other_mac : guest->identity.guest_mac, 6);
      memcpy (guest->ip, guest->identity.guest, 4);
      if (spoof & 2)
        guest->ip[3] ^= 0x30;
      guest->truthful = spoof == 0;
      for (size_t kind = 0; kind < G_N_ELEMENTS (kinds); kind++)
        if (only == NULL || g_str_equal (only, kinds[kind].name))
          kinds[kind].send (guest);
    }
  memcpy (guest->mac, guest->identity.guest_mac, 6);
  memcpy (guest->ip, guest->identity.guest, 4);
  printf ("hostile link %lu flow %lu refused %lu\n", guest->link, guest->flow, guest->refused);
}

/* -- The legitimate guest -----------------------------------------------------------------------------------------------
 */

typedef gboolean (*Wanted) (const Guest *guest, const uint8_t *frame, size_t size, void *data);

/* Sends FRAME and waits for the answer, three times a second each. */
static gboolean
ask (Guest *guest, const Frame *frame, Wanted wanted, void *data)
{
  uint8_t buffer[4096];

  for (unsigned attempt = 0; attempt < 5; attempt++) {
    struct pollfd poll_fd = { guest->fd, POLLIN, 0 };
    gint64 end = g_get_monotonic_time () + G_USEC_PER_SEC;

    if (write (guest->fd, frame->bytes, frame->size) < 0)
      return FALSE;
    while (g_get_monotonic_time () < end && poll (&poll_fd, 1, (int)((end - g_get_monotonic_time ()) / 1000) + 1) > 0) {
      ssize_t got = read (guest->fd, buffer, sizeof buffer);

      if (got > VNET_HEADER + 34 && wanted (guest, buffer + VNET_HEADER, (size_t)got - VNET_HEADER, data))
        return TRUE;
    }
  }
  return FALSE;
}

static gboolean
is_ip (const Guest *guest, const uint8_t *frame, size_t size, unsigned protocol)
{
  return size >= 42 && memcmp (frame, guest->identity.guest_mac, 6) == 0 && frame[12] == 8 && frame[13] == 0
         && frame[23] == protocol;
}

static gboolean
is_arp_reply (const Guest *guest, const uint8_t *frame, size_t size, void *data)
{
  (void)size;
  (void)data;
  return frame[12] == 8 && frame[13] == 6 && frame[21] == 2 && memcmp (frame + 22, guest->identity.host_mac, 6) == 0
         && memcmp (frame + 28, guest->identity.host, 4) == 0;
}

static gboolean
is_echo_reply (const Guest *guest, const uint8_t *frame, size_t size, void *data)
{
  (void)data;
  return is_ip (guest, frame, size, 1) && frame[34] == 0;
}

/* Answers to this attempt's port only: those to earlier ones are still being repeated. */
static gboolean
is_to_port (const uint8_t *frame, const void *port)
{
  return ((unsigned)frame[36] << 8 | frame[37]) == *(const uint16_t *)port;
}

static gboolean
is_udp_reply (const Guest *guest, const uint8_t *frame, size_t size, void *data)
{
  return is_ip (guest, frame, size, 17) && is_to_port (frame, data) && memmem (frame, size, GOOD, strlen (GOOD)) != NULL;
}

static gboolean
is_syn_ack (const Guest *guest, const uint8_t *frame, size_t size, void *data)
{
  return is_ip (guest, frame, size, 6) && is_to_port (frame, data) && size >= 54 && (frame[47] & 0x12) == 0x12;
}

/* A DHCP message of the type wanted that gives the address that is ours. */
static gboolean
is_dhcp (const Guest *guest, const uint8_t *frame, size_t size, void *data)
{
  const uint8_t option[3] = { 53, 1, *(const uint8_t *)data };

  return size > 42 + 240 && frame[12] == 8 && frame[13] == 0 && frame[23] == 17 && frame[35] == 67 && frame[37] == 68
         && memcmp (frame + 42 + 16, guest->identity.guest, 4) == 0
         && memmem (frame + 42 + 240, size - 282, option, 3) != NULL;
}

static void
build_dhcp (const Guest *guest, Frame *frame, unsigned type)
{
  static const uint8_t any[4] = { 0 }, all[4] = { 255, 255, 255, 255 };
  uint8_t message[260] = { 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0x80 };
  size_t at = 240;

  memcpy (message + 28, guest->identity.guest_mac, 6);
  memcpy (message + 236, "\x63\x82\x53\x63\x35\1", 6);
  message[at + 2] = (uint8_t)type;
  at += 3;
  if (type == 3) { /* REQUEST names what was offered, and by whom */
    memcpy (message + at, "\x32\4", 2);
    memcpy (message + at + 2, guest->identity.guest, 4);
    memcpy (message + at + 6, "\x36\4", 2);
    memcpy (message + at + 8, guest->identity.host, 4);
    at += 12;
  }
  message[at] = 255;
  put_ether (frame, guest, broadcast, ETH_P_IP);
  put_ip (frame, any, all, 17, 8 + sizeof message, 0, NULL, 0);
  put16 (frame, 68);
  put16 (frame, 67);
  put16 (frame, 8 + sizeof message);
  put16 (frame, 0);
  put (frame, message, sizeof message);
}

static void
do_legit (Guest *guest)
{
  static uint16_t port = 20000;
  static uint8_t offer = 2, acknowledge = 5;
  gboolean arp, dhcp, icmp, udp, tcp;
  uint8_t world[4];
  Frame frame;

  port++;
  address_of (WORLD, world);
  put_ether (&frame, guest, broadcast, ETH_P_ARP);
  put (&frame, "\0\1\10\0\6\4\0\1", 8);
  put (&frame, guest->mac, 6);
  put (&frame, guest->ip, 4);
  put (&frame, "\0\0\0\0\0\0", 6);
  put (&frame, guest->identity.host, 4);
  arp = ask (guest, &frame, is_arp_reply, NULL);

  build_dhcp (guest, &frame, 1);
  dhcp = ask (guest, &frame, is_dhcp, &offer);
  build_dhcp (guest, &frame, 3);
  dhcp = dhcp && ask (guest, &frame, is_dhcp, &acknowledge);

  put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
  put_ip (&frame, guest->ip, world, 1, 8, 0, NULL, 0);
  put (&frame, "\x08\0\xe5\xca\x12\x34\0\1", 8);
  icmp = ask (guest, &frame, is_echo_reply, NULL);

  put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
  put_ip (&frame, guest->ip, world, 17, 8 + strlen (GOOD), 0, NULL, 0);
  put_udp (&frame, port, 7, GOOD);
  udp = ask (guest, &frame, is_udp_reply, &port);

  put_ether (&frame, guest, guest->identity.host_mac, ETH_P_IP);
  put_ip (&frame, guest->ip, world, 6, 20, 0, NULL, 0);
  put_tcp (&frame, guest->ip, world, port, 80, 2, 1, 0, "");
  tcp = ask (guest, &frame, is_syn_ack, &port);
  printf ("legit arp %d dhcp %d icmp %d udp %d tcp %d\n", arp, dhcp, icmp, udp, tcp);
}

/* Frames written before anything is ready must be refused by the tap itself. */
static int
do_early (const char *name)
{
  Guest guest = { 0 };
  struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) };
  FloeNetPool pool;

  guest.fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);
  g_strlcpy (request.ifr_name, name, sizeof request.ifr_name);
  if (guest.fd < 0 || ioctl (guest.fd, TUNSETIFF, &request) < 0 || !floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, NULL)
      || !floe_net_identity (&pool, 0, &guest.identity, NULL))
    return 1;
  send_hostile (&guest, 1, NULL);
  return 0;
}

/* -- Roles --------------------------------------------------------------------------------------------------------------
 */

static int
open_tap (const char *name)
{
  struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) };
  int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);

  g_strlcpy (request.ifr_name, name, sizeof request.ifr_name);
  if (fd < 0 || ioctl (fd, TUNSETIFF, &request) < 0)
    return -1;
  return fd;
}

/* Reads everything that comes in the meantime, as a guest's driver would, and counts marks: another guest's frames. */
static unsigned long
drain (Guest *guest)
{
  uint8_t buffer[4096];
  unsigned long marks = 0;
  ssize_t got;

  while ((got = read (guest->fd, buffer, sizeof buffer)) > 0)
    marks += memmem (buffer, (size_t)got, MARK, strlen (MARK)) != NULL;
  return marks;
}

static int
be_guest (const char *tap, unsigned slot, const char *fifo)
{
  Guest guest = { .truthful = TRUE };
  FloeNetPool pool;
  FILE *control;
  char line[256];

  guest.fd = strspn (tap, "0123456789") == strlen (tap) ? atoi (tap) : open_tap (tap);
  if (guest.fd < 0 || !floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, NULL)
      || !floe_net_identity (&pool, slot, &guest.identity, NULL))
    return 1;
  fcntl (guest.fd, F_SETFL, O_NONBLOCK);
  memcpy (guest.mac, guest.identity.guest_mac, 6);
  memcpy (guest.ip, guest.identity.guest, 4);
  /* Read and write, so that it does not end when a writer closes it. */
  control = fopen (fifo, "r+");
  while (control != NULL && fgets (line, sizeof line, control) != NULL) {
    g_strchomp (line);
    if (g_str_has_prefix (line, "hostile "))
      send_hostile (&guest, (unsigned)atoi (line + 8), strchr (line + 8, ' ') == NULL ? NULL : strchr (line + 8, ' ') + 1);
    else if (g_str_has_prefix (line, "legit"))
      do_legit (&guest);
    else if (g_str_has_prefix (line, "drain"))
      printf ("drain %lu\n", drain (&guest));
    else
      break;
    fflush (stdout);
  }
  return 0;
}

static volatile sig_atomic_t ended;

static void
end (int signal_number)
{
  (void)signal_number;
  ended = 1;
}

/* Counts what N sockets see until SIGTERM; then says it. */
static int
count_marks (struct pollfd *sockets, nfds_t n)
{
  static uint8_t buffer[65536];
  unsigned long hostile = 0, good = 0;
  struct sigaction action = { .sa_handler = end };

  sigaction (SIGTERM, &action, NULL);
  printf ("watching\n");
  fflush (stdout);
  /* After the signal, what is queued is read to its end: a leak must not hide behind the order to stop. */
  for (gboolean more = TRUE; more || !ended;) {
    more = poll (sockets, n, ended ? 0 : 200) > 0;
    for (nfds_t i = 0; i < n && more; i++) {
      ssize_t got = sockets[i].revents & POLLIN ? recv (sockets[i].fd, buffer, sizeof buffer, MSG_DONTWAIT) : 0;

      if (got <= 0)
        continue;
      hostile += memmem (buffer, (size_t)got, MARK, strlen (MARK)) != NULL;
      good += memmem (buffer, (size_t)got, GOOD, strlen (GOOD)) != NULL;
    }
  }
  printf ("hostile %lu good %lu\n", hostile, good);
  return 0;
}

static int
open_socket (int family, int protocol)
{
  const int room = 64 * 1024 * 1024;
  int fd = socket (family, SOCK_RAW | SOCK_CLOEXEC, protocol);

  if (fd >= 0)
    setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  return fd;
}

static int
watch (const char *interface)
{
  struct sockaddr_ll address
      = { .sll_family = AF_PACKET, .sll_protocol = htons (ETH_P_ALL), .sll_ifindex = (int)if_nametoindex (interface) };
  struct pollfd socket_fd = { open_socket (AF_PACKET, htons (ETH_P_ALL)), POLLIN, 0 };

  if (address.sll_ifindex == 0 || socket_fd.fd < 0
      || bind (socket_fd.fd, (const struct sockaddr *)&address, sizeof address) < 0)
    return 1;
  return count_marks (&socket_fd, 1);
}

/* Raw sockets get what has passed the input hook. */
static int
watch_host (void)
{
  static const int protocols[] = { 1, 2, 4, 6, 17, 33, 41, 46, 47, 50, 51, 58, 88, 89, 103, 108, 112, 115, 132, 136 };
  struct pollfd sockets[G_N_ELEMENTS (protocols)];

  for (size_t i = 0; i < G_N_ELEMENTS (protocols); i++) {
    sockets[i] = (struct pollfd){ open_socket (AF_INET, protocols[i]), POLLIN, 0 };
    if (sockets[i].fd < 0)
      return 1;
  }
  return count_marks (sockets, G_N_ELEMENTS (protocols));
}

int
main (int argc, char **argv)
{
  if (argc == 5 && g_str_equal (argv[1], "guest"))
    return be_guest (argv[2], (unsigned)atoi (argv[3]), argv[4]);
  if (argc == 3 && g_str_equal (argv[1], "early"))
    return do_early (argv[2]);
  if (argc == 3 && g_str_equal (argv[1], "watch"))
    return watch (argv[2]);
  if (argc == 2 && g_str_equal (argv[1], "host"))
    return watch_host ();
  fprintf (stderr, "usage: hostile-frames guest FD|TAP SLOT FIFO | early TAP | watch INTERFACE | host\n");
  return 2;
}
