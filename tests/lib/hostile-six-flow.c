/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hostile.h"

/* Plain IPv6 from the right address that policy does not allow. */

static void
add_udp6 (HostileGuest *guest, const char *text, unsigned from, unsigned to)
{
  HostileFrame frame;
  uint8_t address[16], mac[6];

  hostile_address6 (text, address);
  memcpy (mac, guest->peer_mac, 6);
  if (address[0] == 0xff)
    hostile_multicast_mac (address, mac);
  hostile_put_ether (&frame, guest, mac, ETH_P_IPV6);
  hostile_put_ip6 (&frame, guest->ip6, address, 17, 8 + strlen (HOSTILE_MARK), 64);
  hostile_put_udp6 (&frame, guest->ip6, address, from, to, HOSTILE_MARK, strlen (HOSTILE_MARK));
  hostile_add (guest, &frame, HOSTILE_FLOW6);
}

static void
add_tcp6 (HostileGuest *guest, const char *text, unsigned to, unsigned flags)
{
  HostileFrame frame;
  uint8_t address[16];

  hostile_address6 (text, address);
  hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
  hostile_put_ip6 (&frame, guest->ip6, address, 6, 20 + strlen (HOSTILE_MARK), 64);
  hostile_put_tcp6 (&frame, guest->ip6, address, 5001, to, flags, HOSTILE_MARK);
  hostile_add (guest, &frame, HOSTILE_FLOW6);
}

void
hostile_add_forbidden6 (HostileGuest *guest)
{
  static const char *const addresses[] = { HOSTILE_FORBIDDEN6,
                                           "2001:db8:51::1",
                                           "fdf1:e77:0:0::1",
                                           "fdf1:e77:0:0::",
                                           "fdf1:e77:0:0::3",
                                           "fdf1:e77:0:1::1",
                                           "fdf1:e77:0:1::2",
                                           "fe80::1",
                                           "::1",
                                           "::",
                                           "::ffff:198.51.100.10",
                                           "::198.51.100.10",
                                           "64:ff9b::c633:640a",
                                           "2002:c633:640a::1",
                                           "ff02::1",
                                           "ff02::2",
                                           "ff02::fb",
                                           "ff02::1:3",
                                           "ff05::1:3",
                                           "ff0e::1",
                                           "fec0::1",
                                           "fd00:ec2::254",
                                           "2001:db8:99::1" };
  static const unsigned ports[] = { 7, 53, 67, 80, 123, 443, 546, 547, 4789, 5353, 5355, 8443 };
  static const unsigned flags[] = { 0x02, 0x10, 0x12, 0x04, 0x01, 0x03, 0x00, 0x29, 0xff };

  for (size_t a = 0; a < G_N_ELEMENTS (addresses); a++) {
    uint8_t own[16];

    hostile_address6 (addresses[a], own);
    for (size_t p = 0; p < G_N_ELEMENTS (ports); p++)
      if (!guest->dns || ports[p] != 53 || memcmp (own, guest->peer6, 16) != 0)
        add_udp6 (guest, addresses[a], 5000, ports[p]);
    for (size_t f = 0; f < G_N_ELEMENTS (flags); f++)
      add_tcp6 (guest, addresses[a], 80, flags[f]);
  }
  add_udp6 (guest, HOSTILE_WORLD6, 5000, 80);
  add_udp6 (guest, HOSTILE_WORLD6, 5000, 8);
  add_udp6 (guest, HOSTILE_WORLD6, 547, 546);
  add_udp6 (guest, HOSTILE_WORLD6, 546, 547);
  for (size_t f = 1; f < G_N_ELEMENTS (flags); f++)
    add_tcp6 (guest, HOSTILE_WORLD6, 81, flags[f]);
}

/* Every other type, and other protocols, to where policy says yes. */
void
hostile_add_icmp6 (HostileGuest *guest)
{
  static const uint8_t types[] = { 0,   1,   2,   3,   4,   100, 127, 129, 138, 139, 140, 141, 142, 144, 145,
                                   146, 147, 148, 149, 150, 154, 155, 157, 158, 160, 161, 200, 201, 255 };
  static const unsigned protocols[]
      = { 1, 2, 4, 8, 33, 41, 46, 47, 50, 59, 88, 89, 103, 112, 115, 132, 136, 137, 253, 255 };
  uint8_t world[16];
  HostileFrame frame;

  hostile_address6 (HOSTILE_WORLD6, world);
  for (size_t i = 0; i < G_N_ELEMENTS (types); i++)
    for (unsigned host = 0; host < 2; host++) {
      const uint8_t *to = host ? guest->peer6 : world;
      size_t start;

      hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
      hostile_put_ip6 (&frame, guest->ip6, to, 58, 8 + strlen (HOSTILE_MARK), 64);
      start = frame.size;
      hostile_put8 (&frame, types[i]);
      hostile_put (&frame, "\0\0\0\x12\x34\0\1", 7);
      hostile_put_mark (&frame);
      hostile_finish6 (&frame, start, 2, guest->ip6, to, 58);
      hostile_add (guest, &frame, HOSTILE_FLOW6);
    }
  for (size_t i = 0; i < G_N_ELEMENTS (protocols); i++) {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
    hostile_put_ip6 (&frame, guest->ip6, world, protocols[i], 16 + strlen (HOSTILE_MARK), 64);
    hostile_put (&frame, "\x45\0\x86\xdd\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    hostile_put_mark (&frame);
    hostile_add (guest, &frame, HOSTILE_FLOW6);
  }
}

/* IPv6 headers that are wrong, from the right address to the right one; and frames that end too early. */
void
hostile_add_bad_headers6 (HostileGuest *guest)
{
  static const struct {
    unsigned offset, value;
  } changes[] = { { 0, 0x40 }, { 0, 0x50 }, { 0, 0x00 }, { 0, 0xf0 }, { 4, 0xff }, { 5, 0x04 }, { 7, 0 }, { 46, 0xde } };
  static const size_t sizes[] = { 14, 15, 20, 34, 40, 53, 54, 58, 61 };
  HostileFrame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (changes); i++) {
    /* The hop limit is for those who route: on a LAN that is its router. */
    if (guest->lan && changes[i].offset == 7)
      continue;
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
    hostile_put_inner (&frame, guest, ETH_P_IPV6);
    frame.bytes[HOSTILE_VNET + 14 + changes[i].offset] = (uint8_t)changes[i].value;
    hostile_add (guest, &frame, HOSTILE_FLOW6);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
    hostile_put_inner (&frame, guest, ETH_P_IPV6);
    frame.size = HOSTILE_VNET + sizes[i];
    hostile_add (guest, &frame, HOSTILE_FLOW6);
  }
}
