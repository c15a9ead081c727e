/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hostile.h"

/* Frames that must not get past the tap's own hook, up to IPv4. */

/* What a tag or an LLC header is wrapped around: a packet that would be allowed without it. */
void
hostile_put_inner (HostileFrame *frame, const HostileGuest *guest, unsigned type)
{
  uint8_t world[16];

  if (type == ETH_P_IP) {
    hostile_address (HOSTILE_WORLD, world);
    hostile_put_ip (frame, guest->ip, world, 17, 8 + strlen (HOSTILE_MARK), 0, NULL, 0);
    hostile_put_udp (frame, 5000, 7, HOSTILE_MARK);
  } else if (type == ETH_P_IPV6) {
    hostile_address6 (HOSTILE_WORLD6, world);
    hostile_put_ip6 (frame, guest->ip6, world, 17, 8 + strlen (HOSTILE_MARK), 64);
    hostile_put_udp6 (frame, guest->ip6, world, 5000, 7, HOSTILE_MARK, strlen (HOSTILE_MARK));
  } else {
    hostile_put (frame, "\0\1\10\0\6\4\0\1", 8);
    hostile_put (frame, guest->mac, 6);
    hostile_put (frame, guest->ip, 4);
    hostile_put (frame, "\0\0\0\0\0\0", 6);
    hostile_put (frame, guest->peer, 4);
    hostile_put_mark (frame);
  }
}

void
hostile_add_tagged (HostileGuest *guest)
{
  /* Tag types from the outside in, 0 ends; each with each VLAN number. */
  static const unsigned stacks[][4]
      = { { 0x8100 },         { 0x8100, 0x8100 },         { 0x88a8 },         { 0x88a8, 0x8100 },
          { 0x88a8, 0x88a8 }, { 0x8100, 0x8100, 0x8100 }, { 0x9100, 0x8100 }, { 0x8100, 0x88a8 } };
  static const unsigned numbers[] = { 0, 1, 5, 4095, 0xe000 };
  static const unsigned types[] = { ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 };
  HostileFrame frame;

  for (size_t s = 0; s < G_N_ELEMENTS (stacks); s++)
    for (size_t n = 0; n < G_N_ELEMENTS (numbers); n++)
      for (size_t t = 0; t < G_N_ELEMENTS (types); t++)
        for (unsigned llc = 0; llc < 2; llc++) {
          hostile_put_ether (&frame, guest, types[t] == ETH_P_ARP ? hostile_broadcast : guest->peer_mac, stacks[s][0]);
          for (unsigned i = 0; stacks[s][i] != 0; i++) {
            hostile_put16 (&frame, numbers[n]);
            if (stacks[s][i + 1] != 0)
              hostile_put16 (&frame, stacks[s][i + 1]);
          }
          if (llc) {
            hostile_put16 (&frame, 60);
            hostile_put (&frame, "\xaa\xaa\x03\0\0\0", 6);
          }
          hostile_put16 (&frame, types[t]);
          hostile_put_inner (&frame, guest, types[t]);
          hostile_add_link (guest, &frame);
        }
}

void
hostile_add_llc (HostileGuest *guest)
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
  HostileFrame frame;

  for (size_t h = 0; h < G_N_ELEMENTS (headers); h++)
    for (size_t l = 0; l < G_N_ELEMENTS (lengths); l++)
      for (unsigned six = 0; six < 2; six++) {
        unsigned type = six ? ETH_P_IPV6 : ETH_P_IP;

        hostile_put_ether (&frame, guest, h == 4 ? (const uint8_t *)"\x01\x80\xc2\0\0\0" : guest->peer_mac, lengths[l]);
        hostile_put (&frame, headers[h].header, headers[h].size);
        hostile_put16 (&frame, type);
        hostile_put_inner (&frame, guest, type);
        hostile_add_link (guest, &frame);
      }
}

void
hostile_add_ethertypes (HostileGuest *guest)
{
  static const unsigned types[] = { 0x8035, 0x88cc, 0x888e, 0x88e5, 0x8847, 0x8848, 0x8863, 0x8864, 0x8809, 0x88f7,
                                    0x8906, 0x88a2, 0x22f3, 0x0600, 0x8137, 0x9000, 0x4305, 0x0842, 0x88f5, 0x8917,
                                    0x86dd, 0x0805, 0x0801, 0x0008, 0x6558, 0x880b, 0x893a, 0x88b5, 0xffff };
  static const uint8_t destinations[][6] = { { 0x01, 0x80, 0xc2, 0, 0, 0x0e },
                                             { 0x01, 0x80, 0xc2, 0, 0, 0x03 },
                                             { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
                                             { 0x33, 0x33, 0, 0, 0, 1 } };
  HostileFrame frame;

  for (size_t t = 0; t < G_N_ELEMENTS (types); t++)
    for (size_t d = 0; d <= G_N_ELEMENTS (destinations); d++) {
      hostile_put_ether (&frame, guest, d == G_N_ELEMENTS (destinations) ? guest->peer_mac : destinations[d], types[t]);
      hostile_put_inner (&frame, guest, ETH_P_IP);
      hostile_add_link (guest, &frame);
    }
}

/* Fields of an ARP packet, in order; each row is wrong in one thing. The last ones are wrong only where the host is the one
 * neighbour: on a LAN a guest may look for others and say that it is there. */
void
hostile_add_arp (HostileGuest *guest)
{
  const uint8_t *gm = guest->mac, *gi = guest->ip, *hi = guest->peer;
  static const uint8_t zero[6] = { 0 };
  const uint8_t *true_ip = guest->identity.guest, other_ip[4] = { true_ip[0], true_ip[1], true_ip[2], true_ip[3] ^ 0x48 };
  const struct {
    unsigned hardware, protocol, lengths, operation;
    const uint8_t *sender_mac, *sender, *target;
  } rows[] = {
    { 1, 0x0800, 0x0604, 1, gm, other_ip, hi },
    { 1, 0x0800, 0x0604, 2, gm, hi, hi },
    { 1, 0x0800, 0x0604, 2, gm, hi, gi },
    { 1, 0x0800, 0x0604, 1, hostile_other_mac, gi, hi },
    { 1, 0x0800, 0x0604, 2, hostile_broadcast, gi, hi },
    { 6, 0x0800, 0x0604, 1, gm, gi, hi },
    { 24, 0x0800, 0x0604, 1, gm, gi, hi },
    { 1, 0x86dd, 0x0604, 1, gm, gi, hi },
    { 1, 0x0806, 0x0604, 1, gm, gi, hi },
    { 1, 0x0800, 0x0804, 1, gm, gi, hi },
    { 1, 0x0800, 0x0004, 1, gm, gi, hi },
    { 1, 0x0800, 0x0610, 1, gm, gi, hi },
    { 1, 0x0800, 0x0600, 1, gm, gi, hi },
    { 1, 0x0800, 0x0604, 0, gm, gi, hi },
    { 1, 0x0800, 0x0604, 3, gm, gi, hi },
    { 1, 0x0800, 0x0604, 8, gm, gi, hi },
    { 1, 0x0800, 0x0604, 0x100, gm, gi, hi },
    { 1, 0x0800, 0x0604, 1, gm, gi, gi },
    { 1, 0x0800, 0x0604, 2, gm, gi, gi },
    { 1, 0x0800, 0x0604, 1, gm, zero, gi },
    { 1, 0x0800, 0x0604, 1, gm, gi, other_ip },
  };
  const size_t n = G_N_ELEMENTS (rows) - (guest->lan ? 4 : 0);
  HostileFrame frame;

  for (size_t i = 0; i < n; i++)
    for (unsigned unicast = 0; unicast < 2; unicast++) {
      hostile_put_ether (&frame, guest, unicast ? guest->peer_mac : hostile_broadcast, ETH_P_ARP);
      hostile_put16 (&frame, rows[i].hardware);
      hostile_put16 (&frame, rows[i].protocol);
      hostile_put16 (&frame, rows[i].lengths);
      hostile_put16 (&frame, rows[i].operation);
      hostile_put (&frame, rows[i].sender_mac, 6);
      hostile_put (&frame, rows[i].sender, 4);
      hostile_put (&frame, zero, 6);
      hostile_put (&frame, rows[i].target, 4);
      hostile_put_mark (&frame);
      hostile_add_link (guest, &frame);
    }
}

/* IPv4 that lies about where it comes from, or goes past the router. */
void
hostile_add_spoofed_ip (HostileGuest *guest)
{
  static const char *const sources[]
      = { "10.77.0.1",       "10.77.0.6", "198.51.100.1", "127.0.0.1", "169.254.1.1",  "0.0.0.0",
          "255.255.255.255", "224.0.0.1", "10.77.0.3",    "10.77.0.0", "198.51.100.10" };
  static const uint8_t destinations[][6] = {
    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, { 0x01, 0, 0x5e, 0, 0, 1 }, { 0x02, 0xf1, 0x0e, 0, 0, 1 }, { 0, 0, 0, 0, 0, 0 }
  };
  uint8_t source[4], world[4];
  HostileFrame frame;

  hostile_address (HOSTILE_WORLD, world);
  for (size_t i = 0; i < G_N_ELEMENTS (sources); i++) {
    hostile_address (sources[i], source);
    if (memcmp (source, guest->identity.guest, 4) == 0)
      continue; /* another slot's lie is this one's truth */
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_ip (&frame, source, world, 17, 8 + strlen (HOSTILE_MARK), 0, NULL, 0);
    hostile_put_udp (&frame, 5000, 7, HOSTILE_MARK);
    hostile_add_link (guest, &frame);
  }
  /* On a LAN whom a frame is handed to is the guest's to choose; not all of them at once. */
  for (size_t i = 0; i < (guest->lan ? 2 : G_N_ELEMENTS (destinations)); i++) {
    hostile_put_ether (&frame, guest, destinations[i], ETH_P_IP);
    hostile_put_inner (&frame, guest, ETH_P_IP);
    hostile_add_link (guest, &frame);
  }
}

/* Around DHCP: the server's side played by the guest, and other things from 0.0.0.0. */
void
hostile_add_dhcp_lies (HostileGuest *guest)
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
  HostileFrame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    hostile_put_ether (&frame, guest, hostile_broadcast, ETH_P_IP);
    hostile_put_ip (&frame, any, all, 17, 8 + strlen (HOSTILE_MARK), rows[i].fragment, rows[i].options,
                    rows[i].options_size);
    hostile_put_udp (&frame, rows[i].from, rows[i].to, HOSTILE_MARK);
    hostile_add_link (guest, &frame);
  }
  hostile_put_ether (&frame, guest, hostile_broadcast, ETH_P_IP);
  hostile_put_ip (&frame, any, all, 6, 20 + strlen (HOSTILE_MARK), 0, NULL, 0);
  hostile_put_tcp (&frame, any, all, 68, 67, 2, HOSTILE_MARK);
  hostile_add_link (guest, &frame);
}

/* Short frames, and virtio-net headers that promise what is not there, around a frame that may not pass anyhow. */
void
hostile_add_malformed (HostileGuest *guest)
{
  static const size_t sizes[] = { 0, 1, 6, 13, 14, 15, 20, 29, 33 };
  static const uint8_t headers[][HOSTILE_VNET] = {
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
  HostileFrame frame;

  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_inner (&frame, guest, ETH_P_IP);
    frame.size = HOSTILE_VNET + sizes[i];
    /* With 30 bytes the source address is there, and true: the rest is the IP stack's to refuse. */
    hostile_add (guest, &frame, sizes[i] >= 30 ? HOSTILE_FLOW : HOSTILE_LINK);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (headers); i++) {
    hostile_put_ether (&frame, guest, guest->peer_mac, 0x8100);
    hostile_put16 (&frame, 0);
    hostile_put16 (&frame, ETH_P_IP);
    hostile_put_inner (&frame, guest, ETH_P_IP);
    memcpy (frame.bytes, headers[i], HOSTILE_VNET);
    hostile_add_link (guest, &frame);
  }
  frame.size = 5; /* not even a whole header */
  hostile_add_link (guest, &frame);
}

void
hostile_add_odd_macs (HostileGuest *guest)
{
  static const uint8_t macs[][6]
      = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, { 1, 0, 0x5e, 0, 0, 1 },       { 0 },
          { 0x02, 0xf1, 0x0e, 1, 0, 0 },          { 0x03, 0xf1, 0x0e, 0, 0, 0 }, { 0x02, 0xf1, 0x0e, 0, 0, 1 } };
  uint8_t kept[6];
  HostileFrame frame;

  memcpy (kept, guest->mac, 6);
  for (size_t i = 0; i < G_N_ELEMENTS (macs); i++) {
    if (memcmp (macs[i], guest->identity.guest_mac, 6) == 0)
      continue;
    memcpy (guest->mac, macs[i], 6);
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_inner (&frame, guest, ETH_P_IP);
    hostile_add_link (guest, &frame);
    hostile_put_ether (&frame, guest, hostile_broadcast, ETH_P_ARP);
    hostile_put_inner (&frame, guest, ETH_P_ARP);
    hostile_add_link (guest, &frame);
  }
  memcpy (guest->mac, kept, 6);
}
