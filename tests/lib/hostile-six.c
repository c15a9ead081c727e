/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hostile.h"

/* IPv6 that must not get past the tap's own hook: what pretends to be a router, a neighbour or a server, plain and behind
 * what filters forget to look behind (RFC 7113), and every extension header. */

#define LINK_LOCAL_ROUTER                                                                                                  \
  {                                                                                                                        \
    0xfe, 0x80, [15] = 1                                                                                                   \
  }

static const uint8_t router6[16] = LINK_LOCAL_ROUTER;
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 }, all_routers[16] = { 0xff, 0x02, [15] = 2 };
static const uint8_t any6[16] = { 0 };

/* Chains of extension headers in front of ICMPv6 (58); the first byte of the last one is the next header and is set anew
 * for others. */
typedef struct {
  unsigned next;
  const char *bytes;
  size_t size;
  size_t last; /* offset of the next-header byte that names what follows the chain */
} Chain;

static const Chain chains[] = {
  { 58, "", 0, 0 },
  { 0, "\x3a\0\1\4\0\0\0\0", 8, 0 },                     /* hop-by-hop */
  { 0, "\x3a\0\5\2\0\0\1\0", 8, 0 },                     /* hop-by-hop with router alert */
  { 60, "\x3a\0\1\4\0\0\0\0", 8, 0 },                    /* destination options */
  { 0, "\x3c\0\1\4\0\0\0\0\x3a\0\1\4\0\0\0\0", 16, 8 },  /* both */
  { 60, "\x3c\0\1\4\0\0\0\0\x3a\0\1\4\0\0\0\0", 16, 8 }, /* twice */
  { 44, "\x3a\0\0\0\0\0\0\1", 8, 0 },                    /* atomic fragment */
  { 44, "\x3a\0\0\1\0\0\0\2", 8, 0 },                    /* first of two */
  { 44, "\x3a\0\0\x08\0\0\0\2", 8, 0 },                  /* second of two */
  { 44, "\x3c\0\0\1\0\0\0\3\x3a\0\1\4\0\0\0\0", 16, 8 }, /* split inside the chain */
  { 44, "\x2c\0\0\0\0\0\0\4\x3a\0\0\0\0\0\0\5", 16, 8 }, /* an atomic fragment in another */
  { 43, "\x3a\0\0\0\0\0\0\0", 8, 0 },                    /* routing, type 0 */
  { 43, "\x3a\0\4\0\0\0\0\0", 8, 0 },                    /* segment routing */
  { 135, "\x3a\0\0\0\0\0\0\0", 8, 0 },                   /* mobility */
  { 51, "\x3a\4\0\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", 24, 0 },
  { 140, "\x3a\0\0\0\0\0\0\0", 8, 0 }, /* shim6 */
};

/* A frame with CHAIN and after it PROTOCOL with SIZE bytes of BODY and the mark; AT is the offset of its checksum. */
static void
add_behind (HostileGuest *guest, const Chain *chain, const uint8_t mac[6], const uint8_t source[16], const uint8_t to[16],
            unsigned protocol, const void *body, size_t size, size_t at, unsigned hops)
{
  HostileFrame frame;
  size_t start;

  hostile_put_ether (&frame, guest, mac, ETH_P_IPV6);
  hostile_put_ip6 (&frame, source, to, chain->size == 0 ? protocol : chain->next,
                   chain->size + size + strlen (HOSTILE_MARK), hops);
  hostile_put (&frame, chain->bytes, chain->size);
  if (chain->size > 0)
    frame.bytes[frame.size - chain->size + chain->last] = (uint8_t)protocol;
  start = frame.size;
  hostile_put (&frame, body, size);
  hostile_put_mark (&frame);
  hostile_finish6 (&frame, start, at, source, to, protocol);
  hostile_add_link (guest, &frame);
}

static void
to_multicast (const uint8_t address[16], uint8_t mac[6])
{
  hostile_multicast_mac (address, mac);
}

void
hostile_add_router_adverts (HostileGuest *guest)
{
  /* Preference high, a lifetime, a prefix with autoconfiguration, a resolver. */
  static const char body[] = "\x86\0\0\0\x40\x08\x07\x08\0\0\0\0\0\0\0\0"
                             "\3\4\x40\xc0\0\1\x51\x80\0\0\x38\x40\0\0\0\0\x20\1\x0d\xb8\0\x66\0\0\0\0\0\0\0\0\0\0"
                             "\x19\3\0\0\0\0\1\0\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
  const uint8_t *sources[] = { router6, guest->link6, guest->ip6, guest->peer6 };
  uint8_t mac[6];

  to_multicast (all_nodes, mac);
  for (size_t c = 0; c < G_N_ELEMENTS (chains); c++)
    for (size_t s = 0; s < G_N_ELEMENTS (sources); s++) {
      add_behind (guest, &chains[c], mac, sources[s], all_nodes, 58, body, sizeof body - 1, 2, 255);
      add_behind (guest, &chains[c], guest->peer_mac, sources[s], guest->peer6, 58, body, sizeof body - 1, 2, 255);
    }
}

/* Neighbour discovery of TYPE (135 or 136) about TARGET, an option with MAC; FLAGS in the first byte after the checksum. */
static void
add_neighbour (HostileGuest *guest, const Chain *chain, unsigned type, const uint8_t source[16], const uint8_t to[16],
               const uint8_t target[16], const uint8_t option[6], unsigned flags, unsigned hops)
{
  uint8_t body[32] = { (uint8_t)type, 0, 0, 0, (uint8_t)flags, [24] = type == 135 ? 1 : 2, [25] = 1 }, mac[6];

  memcpy (body + 8, target, 16);
  memcpy (body + 26, option, 6);
  if (to[0] == 0xff)
    to_multicast (to, mac);
  else
    memcpy (mac, guest->peer_mac, 6);
  add_behind (guest, chain, mac, source, to, 58, body, sizeof body, 2, hops);
}

/* The solicited-node address of ADDRESS. */
static void
solicited (const uint8_t address[16], uint8_t group[16])
{
  const uint8_t bytes[16] = { 0xff, 0x02, [11] = 1, [12] = 0xff, address[13], address[14], address[15] };

  memcpy (group, bytes, 16);
}

void
hostile_add_neighbours (HostileGuest *guest)
{
  uint8_t other[16], world[16], group[16];
  /* What a guest's link-local address is, is the guest's to choose where the host is its one neighbour; all but the host's.
   */
  const uint8_t *claimed[] = { guest->peer6, guest->lan ? router6 : guest->peer_local6, other, world };

  memcpy (other, guest->peer6, 16);
  other[7] ^= 1;
  hostile_address6 (HOSTILE_WORLD6, world);
  for (size_t c = 0; c < G_N_ELEMENTS (chains); c++)
    for (size_t t = 0; t < G_N_ELEMENTS (claimed); t++)
      for (unsigned flags = 0x20; flags <= 0x60; flags += 0x40) {
        /* Advertised as the guest's own; asked about from an address that is not its own. */
        add_neighbour (guest, &chains[c], 136, guest->ip6, guest->peer6, claimed[t], guest->mac, flags, 255);
        add_neighbour (guest, &chains[c], 136, claimed[t], all_nodes, claimed[t], guest->mac, flags, 255);
        solicited (guest->peer6, group);
        add_neighbour (guest, &chains[c], 135, claimed[t], group, guest->peer6, guest->mac, 0, 255);
      }
  /* Behind something, or from farther away than the link, even the truth. */
  for (size_t c = 1; c < G_N_ELEMENTS (chains); c++) {
    add_neighbour (guest, &chains[c], 136, guest->ip6, guest->peer6, guest->ip6, guest->mac, 0x60, 255);
    add_neighbour (guest, &chains[c], 135, guest->ip6, group, guest->peer6, guest->mac, 0, 255);
  }
  add_neighbour (guest, &chains[0], 136, guest->ip6, guest->peer6, guest->ip6, guest->mac, 0x60, 254);
  add_neighbour (guest, &chains[0], 136, guest->ip6, guest->peer6, guest->ip6, guest->mac, 0x60, 64);
  add_neighbour (guest, &chains[0], 135, guest->ip6, group, guest->peer6, guest->mac, 0, 64);
  /* A router by its flag; duplicate address detection of what is the router's. */
  add_neighbour (guest, &chains[0], 136, guest->peer6, all_nodes, guest->peer6, guest->mac, 0xa0, 255);
  if (!guest->lan)
    add_neighbour (guest, &chains[0], 135, any6, group, guest->peer6, guest->mac, 0, 255);
}

void
hostile_add_redirects (HostileGuest *guest)
{
  const uint8_t *sources[] = { router6, guest->link6, guest->ip6, guest->peer6 };
  uint8_t body[40] = { 137 }, world[16];

  hostile_address6 (HOSTILE_WORLD6, world);
  memcpy (body + 8, guest->link6, 16);
  memcpy (body + 24, world, 16);
  for (size_t c = 0; c < G_N_ELEMENTS (chains); c++)
    for (size_t s = 0; s < G_N_ELEMENTS (sources); s++)
      add_behind (guest, &chains[c], guest->peer_mac, sources[s], guest->peer6, 58, body, sizeof body, 2, 255);
}

/* Queries make a guest the link's querier, reports and dones end or flood others' groups; and 133, solicitations, from
 * others. */
void
hostile_add_mld (HostileGuest *guest)
{
  static const uint8_t types[] = { 130, 131, 132, 143, 151, 152, 153, 133 };
  static const uint8_t mld_routers[16] = { 0xff, 0x02, [15] = 0x16 };
  const uint8_t *sources[] = { router6, guest->ip6, any6, guest->link6 };
  const uint8_t *groups[] = { all_nodes, mld_routers, all_routers };
  uint8_t body[28] = { 0, 0, 0, 0, 0x27, 0x10, [8] = 0xff, [9] = 2, [23] = 0xfb }, mac[6];

  for (size_t t = 0; t < G_N_ELEMENTS (types); t++)
    for (size_t s = 0; s < G_N_ELEMENTS (sources); s++)
      for (size_t g = 0; g < G_N_ELEMENTS (groups); g++)
        for (unsigned c = 0; c < 4; c++) {
          /* On a LAN a guest says which groups it listens to, and looks for the router. */
          gboolean usual = types[t] == 133 ? c == 0 && (s != 0 || !guest->lan) : s >= 2 && guest->lan;

          /* Who has no address yet claims none: only the MAC can lie. */
          gboolean claims = guest->lan && sources[s] != any6;

          if (usual && (guest->truthful || (!claims && memcmp (guest->mac, guest->identity.guest_mac, 6) == 0)))
            continue;
          body[0] = types[t];
          to_multicast (groups[g], mac);
          add_behind (guest, &chains[c], mac, sources[s], groups[g], 58, body, sizeof body, 2, types[t] == 133 ? 255 : 1);
        }
}

void
hostile_add_dhcp6_lies (HostileGuest *guest)
{
  static const uint8_t servers[16] = { 0xff, 0x02, [13] = 1, [15] = 2 };
  /* From, to, message type: a server's, a relay's, a client's from where no client is. */
  static const struct {
    unsigned from, to, type;
  } rows[] = { { 547, 546, 2 },  { 547, 546, 7 },  { 547, 546, 10 }, { 547, 547, 12 }, { 547, 547, 13 },
               { 5000, 547, 1 }, { 5000, 546, 7 }, { 53, 547, 1 },   { 546, 546, 7 } };
  const uint8_t *sources[] = { guest->link6, router6, guest->ip6, any6 };
  uint8_t body[8 + 4], mac[6];

  for (size_t c = 0; c < G_N_ELEMENTS (chains); c++)
    for (size_t r = 0; r < G_N_ELEMENTS (rows); r++)
      for (size_t s = 0; s < G_N_ELEMENTS (sources); s++) {
        const uint8_t header[12] = { (uint8_t)(rows[r].from >> 8),
                                     (uint8_t)rows[r].from,
                                     (uint8_t)(rows[r].to >> 8),
                                     (uint8_t)rows[r].to,
                                     0,
                                     (uint8_t)(12 + strlen (HOSTILE_MARK)),
                                     0,
                                     0,
                                     (uint8_t)rows[r].type,
                                     1,
                                     2,
                                     3 };

        memcpy (body, header, sizeof body);
        to_multicast (c % 2 ? servers : all_nodes, mac);
        add_behind (guest, &chains[c], mac, sources[s], c % 2 ? servers : all_nodes, 17, body, sizeof body, 6, 64);
      }
}

/* What policy allows (udp 7 and an echo to the world), truthfully addressed, behind every chain: allowed means plain. */
void
hostile_add_extensions (HostileGuest *guest)
{
  static const uint8_t udp[8] = { 0x13, 0x88, 0, 7, 0, 8 + sizeof HOSTILE_MARK - 1 },
                       echo[8] = { 128, 0, 0, 0, 0x12, 0x34, 0, 1 };
  static const uint8_t nested[][40] = {
    { 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4 },
    { 43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 9, 51, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4 }
  };
  Chain long_chain = { 0, NULL, 40, 32 };
  uint8_t world[16];

  hostile_address6 (HOSTILE_WORLD6, world);
  for (size_t c = 1; c < G_N_ELEMENTS (chains); c++) {
    add_behind (guest, &chains[c], guest->peer_mac, guest->ip6, world, 17, udp, sizeof udp, 6, 64);
    add_behind (guest, &chains[c], guest->peer_mac, guest->ip6, world, 58, echo, sizeof echo, 2, 64);
    add_behind (guest, &chains[c], guest->peer_mac, guest->ip6, guest->peer6, 17, udp, sizeof udp, 6, 64);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (nested); i++) {
    long_chain.bytes = (const char *)nested[i];
    add_behind (guest, &long_chain, guest->peer_mac, guest->ip6, world, 17, udp, sizeof udp, 6, 64);
  }
}

/* Payload lengths of zero with the jumbo option (RFC 2675), and without. */
void
hostile_add_jumbograms (HostileGuest *guest)
{
  static const char *const options[]
      = { "\x11\0\xc2\4\0\0\0\x22", "\x11\0\xc2\4\0\1\0\0", "\x11\0\xc2\4\xff\xff\xff\xff", "\x3a\0\xc2\4\0\1\0\0" };
  uint8_t world[16];
  HostileFrame frame;

  hostile_address6 (HOSTILE_WORLD6, world);
  for (size_t i = 0; i <= G_N_ELEMENTS (options); i++)
    for (unsigned host = 0; host < 2; host++) {
      const uint8_t *to = host ? guest->peer6 : world;

      hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
      hostile_put_ip6 (&frame, guest->ip6, to, i == G_N_ELEMENTS (options) ? 17 : 0, 0, 64);
      if (i < G_N_ELEMENTS (options))
        hostile_put (&frame, options[i], 8);
      hostile_put_udp6 (&frame, guest->ip6, to, 5000, 7, HOSTILE_MARK, strlen (HOSTILE_MARK));
      /* Without the option it is a packet with nothing in it, from the right address: the IP stack's to refuse. */
      hostile_add (guest, &frame, i == G_N_ELEMENTS (options) ? HOSTILE_FLOW6 : HOSTILE_LINK);
    }
}

void
hostile_add_spoofed_ip6 (HostileGuest *guest)
{
  static const char *const sources[] = { "::",
                                         "::1",
                                         "::ffff:10.77.0.2",
                                         "::10.77.0.2",
                                         "64:ff9b::a4d:2",
                                         "2002:a4d:2::1",
                                         "fe80::1",
                                         "fe80::2",
                                         "ff02::1",
                                         "ff0e::1",
                                         "2001:db8:51::1",
                                         "2001:db8:51::10",
                                         "fec0::2",
                                         "fdf1:e77:0:0::3",
                                         "fdf1:e77:0:1::2",
                                         "fdf1:e77:0:0::1",
                                         "fdf1:e77::",
                                         "100::1",
                                         "3fff::1" };
  static const char *const destinations[] = { HOSTILE_WORLD6, "ff02::1", "fdf1:e77:0:0::1", "fe80::1" };
  static const uint8_t macs[][6] = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
                                     { 0x33, 0x33, 0, 0, 0, 1 },
                                     { 1, 0, 0x5e, 0, 0, 1 },
                                     { 0x02, 0xf1, 0x0e, 0, 0, 1 },
                                     { 0, 0, 0, 0, 0, 0 } };
  uint8_t source[16], to[16], mac[6];
  HostileFrame frame;

  for (size_t s = 0; s < G_N_ELEMENTS (sources); s++)
    for (size_t d = 0; d < G_N_ELEMENTS (destinations); d++) {
      hostile_address6 (sources[s], source);
      if (memcmp (source, guest->guest6, 16) == 0)
        continue;
      hostile_address6 (destinations[d], to);
      memcpy (mac, guest->peer_mac, 6);
      if (to[0] == 0xff)
        to_multicast (to, mac);
      hostile_put_ether (&frame, guest, mac, ETH_P_IPV6);
      hostile_put_ip6 (&frame, source, to, 17, 8 + strlen (HOSTILE_MARK), 64);
      hostile_put_udp6 (&frame, source, to, 5000, 7, HOSTILE_MARK, strlen (HOSTILE_MARK));
      hostile_add_link (guest, &frame);
    }
  for (size_t i = 0; i < (guest->lan ? 3 : G_N_ELEMENTS (macs)); i++) { /* the truth, past the router */
    hostile_put_ether (&frame, guest, macs[i], ETH_P_IPV6);
    hostile_put_inner (&frame, guest, ETH_P_IPV6);
    hostile_add_link (guest, &frame);
  }
}
