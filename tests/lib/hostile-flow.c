/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hostile.h"

/* Plain IPv4 from the right address that policy does not allow. */

static void
add_udp (HostileGuest *guest, const char *to, unsigned from_port, unsigned to_port, unsigned fragment, const char *options,
         size_t size)
{
  uint8_t destination[4];
  HostileFrame frame;

  hostile_address (to, destination);
  hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
  hostile_put_ip (&frame, guest->ip, destination, 17, 8 + strlen (HOSTILE_MARK), fragment, options, size);
  hostile_put_udp (&frame, from_port, to_port, HOSTILE_MARK);
  hostile_add (guest, &frame, HOSTILE_FLOW);
}

void
hostile_add_forbidden (HostileGuest *guest)
{
  static const char *const addresses[]
      = { "198.51.100.11",   "198.51.100.1",    "169.254.169.254", "127.0.0.1",  "224.0.0.1", "224.0.0.251",
          "239.255.255.250", "255.255.255.255", "240.0.0.1",       "0.0.0.0",    "10.77.0.1", "10.77.0.3",
          "10.77.0.0",       "10.77.0.5",       "10.77.0.6",       "203.0.113.1" };
  static const unsigned ports[] = { 7, 53, 67, 68, 80, 123, 443, 4789, 5353, 8443 };
  static const unsigned flags[] = { 0x02, 0x10, 0x12, 0x04, 0x01, 0x03, 0x00, 0x29, 0xff };
  uint8_t to[4];
  HostileFrame frame;

  for (size_t a = 0; a < G_N_ELEMENTS (addresses); a++) {
    for (size_t p = 0; p < G_N_ELEMENTS (ports); p++)
      if (!guest->dns || ports[p] != 53 || !g_str_equal (addresses[a], guest->identity.host_text))
        add_udp (guest, addresses[a], 5000, ports[p], 0, NULL, 0);
    for (size_t f = 0; f < G_N_ELEMENTS (flags); f++) {
      hostile_address (addresses[a], to);
      hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
      hostile_put_ip (&frame, guest->ip, to, 6, 20 + strlen (HOSTILE_MARK), 0, NULL, 0);
      hostile_put_tcp (&frame, guest->ip, to, 5001, 80, flags[f], HOSTILE_MARK);
      hostile_add (guest, &frame, HOSTILE_FLOW);
    }
  }
  /* The right address, the wrong port; the port of the other protocol; DHCP's ports as a server would. */
  add_udp (guest, HOSTILE_WORLD, 5000, 80, 0, NULL, 0);
  add_udp (guest, HOSTILE_WORLD, 5000, 8, 0, NULL, 0);
  add_udp (guest, HOSTILE_WORLD, 67, 68, 0, NULL, 0);
  add_udp (guest, "10.77.0.1", 67, 68, 0, "\1\1\1\1", 4);
  add_udp (guest, "198.51.100.1", 68, 67, 0, NULL, 0);
  /* Loose source routing by way of the allowed address. */
  add_udp (guest, "198.51.100.11", 5000, 7, 0, "\x83\7\4\xc6\x33\x64\x0a\0", 8);
}

void
hostile_add_protocols (HostileGuest *guest)
{
  static const unsigned protocols[]
      = { 0, 2, 3, 4, 8, 33, 41, 46, 47, 50, 51, 58, 88, 89, 94, 97, 98, 103, 108, 112, 115, 132, 136, 137, 253, 255 };
  static const uint8_t icmp_types[] = { 0, 3, 4, 5, 9, 10, 11, 12, 13, 15, 17, 30, 42 };
  uint8_t world[4];
  HostileFrame frame;

  hostile_address (HOSTILE_WORLD, world);
  for (size_t i = 0; i < G_N_ELEMENTS (protocols); i++) {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_ip (&frame, guest->ip, world, protocols[i], 16 + strlen (HOSTILE_MARK), 0, NULL, 0);
    hostile_put (&frame, "\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    hostile_put_mark (&frame);
    hostile_add (guest, &frame, HOSTILE_FLOW);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (icmp_types); i++) {
    size_t start;
    uint16_t sum;

    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_ip (&frame, guest->ip, world, 1, 8 + strlen (HOSTILE_MARK), 0, NULL, 0);
    start = frame.size;
    hostile_put8 (&frame, icmp_types[i]);
    hostile_put (&frame, "\0\0\0\x12\x34\0\1", 7);
    hostile_put_mark (&frame);
    sum = hostile_checksum (frame.bytes + start, frame.size - start, 0);
    frame.bytes[start + 2] = (uint8_t)(sum >> 8);
    frame.bytes[start + 3] = (uint8_t)sum;
    hostile_add (guest, &frame, HOSTILE_FLOW);
  }
}

/* A whole packet to where policy says no, inside one to where it says yes. */
void
hostile_add_tunnels (HostileGuest *guest)
{
  static const struct {
    unsigned protocol, port; /* IP protocol, or UDP and this port */
    const char *header;
    size_t size;
    gboolean six;
  } rows[] = { { 4, 0, "", 0, FALSE },
               { 41, 0, "", 0, TRUE },
               { 47, 0, "\0\0\x08\0", 4, FALSE },
               { 47, 0, "\0\0\x86\xdd", 4, TRUE },
               { 94, 0, "", 0, FALSE },
               { 17, 4789, "\x08\0\0\0\0\0\1\0\2\0\0\0\0\1\2\0\0\0\0\2\x08\0", 22, FALSE }, /* VXLAN */
               { 17, 8472, "\x08\0\0\0\0\0\1\0\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd", 22, TRUE },
               { 17, 6081, "\0\0\x08\0\0\0\1\0", 8, FALSE },     /* Geneve */
               { 17, 3544, "", 0, TRUE },                        /* Teredo */
               { 17, 4500, "\0\0\0\1\0\0\0\1", 8, FALSE },       /* ESP in UDP */
               { 17, 1701, "\0\2\0\1\0\1\0\x21", 8, FALSE },     /* L2TP */
               { 17, 2152, "\x30\xff\0\x2a\0\0\0\1", 8, FALSE }, /* GTP-U */
               { 17, 5555, "", 0, FALSE } };                     /* foo over UDP */
  uint8_t world[4], to[16];
  HostileFrame frame;

  hostile_address (HOSTILE_WORLD, world);
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    size_t outer = rows[i].protocol == 17 ? 8 : 0, inner = (rows[i].six ? 40 : 20) + 8 + strlen (HOSTILE_MARK);
    size_t size = outer + rows[i].size + inner;

    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_ip (&frame, guest->ip, world, rows[i].protocol, size, 0, NULL, 0);
    if (outer > 0) {
      hostile_put16 (&frame, 5000);
      hostile_put16 (&frame, rows[i].port);
      hostile_put16 (&frame, (unsigned)size);
      hostile_put16 (&frame, 0);
    }
    hostile_put (&frame, rows[i].header, rows[i].size);
    if (rows[i].six) {
      hostile_address6 (HOSTILE_FORBIDDEN6, to);
      hostile_put_ip6 (&frame, guest->ip6, to, 17, 8 + strlen (HOSTILE_MARK), 64);
      hostile_put_udp6 (&frame, guest->ip6, to, 5000, 7, HOSTILE_MARK, strlen (HOSTILE_MARK));
    } else {
      hostile_address (HOSTILE_FORBIDDEN, to);
      hostile_put_ip (&frame, guest->ip, to, 17, 8 + strlen (HOSTILE_MARK), 0, NULL, 0);
      hostile_put_udp (&frame, 5000, 7, HOSTILE_MARK);
    }
    hostile_add (guest, &frame, HOSTILE_FLOW);
  }
}

/* Fragments that never make a whole, or overlap so that the whole would not be what was looked at. */
void
hostile_add_fragments (HostileGuest *guest)
{
  static const unsigned offsets[] = { 0x0001, 0x2001, 0x0002, 0x00b9, 0x1fff, 0x3fff };
  uint8_t world[4];
  HostileFrame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (offsets); i++)
    add_udp (guest, HOSTILE_WORLD, 5000, 7, offsets[i], NULL, 0);
  hostile_address (HOSTILE_WORLD, world);
  /* A header of 8 bytes, then one that writes over its ports, then the mark. */
  for (unsigned i = 0; i < 3; i++) {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_ip (&frame, guest->ip, world, 17, i == 2 ? 8 + strlen (HOSTILE_MARK) : 8,
                    i == 0   ? 0x2000
                    : i == 1 ? 0x2000
                             : 0x0001,
                    NULL, 0);
    hostile_put16 (&frame, 5000);
    hostile_put16 (&frame, i == 0 ? 7 : 9);
    hostile_put16 (&frame, (unsigned)(16 + strlen (HOSTILE_MARK)));
    hostile_put16 (&frame, 0);
    if (i == 2)
      hostile_put_mark (&frame);
    hostile_add (guest, &frame, HOSTILE_FLOW);
  }
}

/* IPv4 headers that are wrong, from the right address to the right one. */
void
hostile_add_bad_headers (HostileGuest *guest)
{
  static const struct {
    unsigned offset, value;
  } changes[] = { { 0, 0x65 }, { 0, 0x44 }, { 0, 0x40 }, { 0, 0x4f }, { 2, 0xff }, { 3, 0x10 }, { 10, 0xde }, { 8, 0 } };
  uint8_t world[4];
  HostileFrame frame;

  hostile_address (HOSTILE_WORLD, world);
  for (size_t i = 0; i < G_N_ELEMENTS (changes); i++) {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_inner (&frame, guest, ETH_P_IP);
    /* The checksum is left as it was: wrong for these, as is what else they claim. */
    frame.bytes[HOSTILE_VNET + 14 + changes[i].offset] = (uint8_t)changes[i].value;
    hostile_add (guest, &frame, HOSTILE_FLOW);
  }
}
