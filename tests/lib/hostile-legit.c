/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hostile.h"

#include <poll.h>
#include <unistd.h>

/* The good guest: what an ordinary guest's stack asks for, and what it must get. */

typedef struct {
  const HostileGuest *guest;
  int fd;
  gboolean servers; /* those of the endpoint's are asked: DHCP, router advertisements */
  uint16_t port;    /* of this attempt's flows: answers to earlier ones are still being repeated */
} Legit;

typedef gboolean (*Wanted) (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail);

static gboolean
is_ip6 (const uint8_t *frame, size_t size, unsigned protocol)
{
  return size >= 62 && frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == protocol;
}

/* The host asks where the guest is, too: without an answer it would forget it. */
static void
answer_neighbour (const Legit *legit, const uint8_t *frame, size_t size)
{
  const HostileGuest *guest = legit->guest;
  HostileFrame reply;

  if (frame[12] == 8 && frame[13] == 6 && size >= 42 && frame[21] == 1 && memcmp (frame + 38, guest->ip, 4) == 0) {
    hostile_put_ether (&reply, guest, frame + 6, ETH_P_ARP);
    hostile_put (&reply, "\0\1\10\0\6\4\0\2", 8);
    hostile_put (&reply, guest->mac, 6);
    hostile_put (&reply, guest->ip, 4);
    hostile_put (&reply, frame + 22, 10);
  } else if (is_ip6 (frame, size, 58) && size >= 78 && frame[54] == 135
             && (memcmp (frame + 62, guest->ip6, 16) == 0 || memcmp (frame + 62, guest->link6, 16) == 0)) {
    uint8_t body[32] = { 136, [4] = 0x60, [24] = 2, [25] = 1 };

    memcpy (body + 8, frame + 62, 16);
    memcpy (body + 26, guest->mac, 6);
    hostile_put_ether (&reply, guest, frame + 6, ETH_P_IPV6);
    hostile_put_ip6 (&reply, frame + 62, frame + 22, 58, sizeof body, 255);
    hostile_put (&reply, body, sizeof body);
    hostile_finish6 (&reply, reply.size - sizeof body, 2, frame + 62, frame + 22, 58);
  } else {
    return;
  }
  if (write (legit->fd, reply.bytes, reply.size) < 0)
    return; /* what was asked is not answered, which shows */
}

/* Sends FRAME and waits for what is WANTED: five times, a second each. */
static gboolean
ask (const Legit *legit, const HostileFrame *frame, Wanted wanted, unsigned detail)
{
  uint8_t buffer[4096];

  for (unsigned attempt = 0; attempt < 5; attempt++) {
    struct pollfd poll_fd = { legit->fd, POLLIN, 0 };
    gint64 end = g_get_monotonic_time () + G_USEC_PER_SEC;

    if (write (legit->fd, frame->bytes, frame->size) < 0)
      return FALSE;
    while (g_get_monotonic_time () < end && poll (&poll_fd, 1, (int)((end - g_get_monotonic_time ()) / 1000) + 1) > 0) {
      ssize_t got = read (legit->fd, buffer, sizeof buffer);

      if (got <= HOSTILE_VNET + 34)
        continue;
      if (wanted (legit, buffer + HOSTILE_VNET, (size_t)got - HOSTILE_VNET, detail))
        return TRUE;
      answer_neighbour (legit, buffer + HOSTILE_VNET, (size_t)got - HOSTILE_VNET);
    }
  }
  return FALSE;
}

static gboolean
is_ip (const Legit *legit, const uint8_t *frame, size_t size, unsigned protocol)
{
  return size >= 42 && memcmp (frame, legit->guest->identity.guest_mac, 6) == 0 && frame[12] == 8 && frame[13] == 0
         && frame[23] == protocol;
}

static gboolean
is_to_port (const Legit *legit, const uint8_t *at)
{
  return ((unsigned)at[0] << 8 | at[1]) == legit->port;
}

/* -- IPv4 ------------------------------------------------------------------------------------------------------------- */

static gboolean
is_arp_reply (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail)
{
  (void)size;
  (void)detail;
  return frame[12] == 8 && frame[13] == 6 && frame[21] == 2 && memcmp (frame + 22, legit->guest->peer_mac, 6) == 0
         && memcmp (frame + 28, legit->guest->peer, 4) == 0;
}

static gboolean
is_echo_reply (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail)
{
  (void)detail;
  return is_ip (legit, frame, size, 1) && frame[34] == 0;
}

static gboolean
is_udp_reply (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail)
{
  (void)detail;
  return is_ip (legit, frame, size, 17) && is_to_port (legit, frame + 36)
         && memmem (frame, size, HOSTILE_GOOD, strlen (HOSTILE_GOOD)) != NULL;
}

static gboolean
is_syn_ack (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail)
{
  (void)detail;
  return is_ip (legit, frame, size, 6) && is_to_port (legit, frame + 36) && size >= 54 && (frame[47] & 0x12) == 0x12;
}

/* A DNS answer without error that has an answer in it. */
static gboolean
is_dns (const Legit *legit, const uint8_t *frame, size_t size, unsigned six)
{
  const uint8_t *udp = frame + (six ? 54 : 34);

  return (six ? is_ip6 (frame, size, 17) : is_ip (legit, frame, size, 17)) && size > (size_t)(udp - frame) + 20
         && udp[1] == 53 && is_to_port (legit, udp + 2) && (udp[11] & 0x0f) == 0 && (udp[14] | udp[15]) != 0;
}

/* A DHCP message of the type wanted that gives the address that is ours. */
static gboolean
is_dhcp (const Legit *legit, const uint8_t *frame, size_t size, unsigned type)
{
  const uint8_t option[3] = { 53, 1, (uint8_t)type };

  return size > 42 + 240 && frame[12] == 8 && frame[13] == 0 && frame[23] == 17 && frame[35] == 67 && frame[37] == 68
         && memcmp (frame + 42 + 16, legit->guest->identity.guest, 4) == 0
         && memmem (frame + 42 + 240, size - 282, option, 3) != NULL;
}

static void
build_dhcp (const HostileGuest *guest, HostileFrame *frame, unsigned type)
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
    memcpy (message + at + 8, guest->peer, 4);
    at += 12;
  }
  message[at] = 255;
  hostile_put_ether (frame, guest, hostile_broadcast, ETH_P_IP);
  hostile_put_ip (frame, any, all, 17, 8 + sizeof message, 0, NULL, 0);
  hostile_put16 (frame, 68);
  hostile_put16 (frame, 67);
  hostile_put16 (frame, 8 + sizeof message);
  hostile_put16 (frame, 0);
  hostile_put (frame, message, sizeof message);
}

static gboolean
does_dhcp (const Legit *legit)
{
  HostileFrame frame;

  build_dhcp (legit->guest, &frame, 1);
  if (!ask (legit, &frame, is_dhcp, 2))
    return FALSE;
  build_dhcp (legit->guest, &frame, 3);
  return ask (legit, &frame, is_dhcp, 5);
}

static void
legit4 (const Legit *legit, GString *said)
{
  const HostileGuest *guest = legit->guest;
  gboolean leased = legit->servers && does_dhcp (legit); /* first: on a LAN a guest has no address before */
  uint8_t world[4];
  HostileFrame frame;

  hostile_address (HOSTILE_WORLD, world);
  hostile_put_ether (&frame, guest, hostile_broadcast, ETH_P_ARP);
  hostile_put (&frame, "\0\1\10\0\6\4\0\1", 8);
  hostile_put (&frame, guest->mac, 6);
  hostile_put (&frame, guest->ip, 4);
  hostile_put (&frame, "\0\0\0\0\0\0", 6);
  hostile_put (&frame, guest->peer, 4);
  g_string_append_printf (said, "arp %d", ask (legit, &frame, is_arp_reply, 0));
  g_string_append_printf (said, " dhcp %d", leased);
  if (guest->near)
    return;

  hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
  hostile_put_ip (&frame, guest->ip, world, 1, 8, 0, NULL, 0);
  hostile_put (&frame, "\x08\0\xe5\xca\x12\x34\0\1", 8);
  g_string_append_printf (said, " icmp %d", ask (legit, &frame, is_echo_reply, 0));

  hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
  hostile_put_ip (&frame, guest->ip, world, 17, 8 + strlen (HOSTILE_GOOD), 0, NULL, 0);
  hostile_put_udp (&frame, legit->port, 7, HOSTILE_GOOD);
  g_string_append_printf (said, " udp %d", ask (legit, &frame, is_udp_reply, 0));

  hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
  hostile_put_ip (&frame, guest->ip, world, 6, 20, 0, NULL, 0);
  hostile_put_tcp (&frame, guest->ip, world, legit->port, 80, 2, "");
  g_string_append_printf (said, " tcp %d", ask (legit, &frame, is_syn_ack, 0));
}

/* -- IPv6 ------------------------------------------------------------------------------------------------------------- */

static gboolean
is_icmp6 (const Legit *legit, const uint8_t *frame, size_t size, unsigned type)
{
  (void)legit;
  return is_ip6 (frame, size, 58) && frame[54] == type;
}

static gboolean
is_udp6_reply (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail)
{
  (void)detail;
  return is_ip6 (frame, size, 17) && is_to_port (legit, frame + 56)
         && memmem (frame, size, HOSTILE_GOOD, strlen (HOSTILE_GOOD)) != NULL;
}

static gboolean
is_syn_ack6 (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail)
{
  (void)detail;
  return is_ip6 (frame, size, 6) && size >= 74 && is_to_port (legit, frame + 56) && (frame[67] & 0x12) == 0x12;
}

/* A DHCPv6 message of the type wanted with our address in it; SOLICIT's answer is kept for its server identifier. */
static gboolean
is_dhcp6 (const Legit *legit, const uint8_t *frame, size_t size, unsigned type)
{
  return is_ip6 (frame, size, 17) && frame[55] == 547 - 512 && frame[57] == 546 - 512 && size > 66 && frame[62] == type
         && memmem (frame + 66, size - 66, legit->guest->guest6, 16) != NULL;
}

/* With rapid commit (RFC 8415, 18.2.1) a REPLY comes at once; servers without it send an ADVERTISE: either names our
 * address. */
static gboolean
is_dhcp6_answer (const Legit *legit, const uint8_t *frame, size_t size, unsigned detail)
{
  (void)detail;
  return is_dhcp6 (legit, frame, size, 2) || is_dhcp6 (legit, frame, size, 7);
}

/* An ICMPv6 message BODY to a multicast group or, with GROUP NULL, to the router. */
static void
build_icmp6 (const HostileGuest *guest, HostileFrame *frame, const uint8_t source[16], const uint8_t to[16],
             const void *body, size_t size, unsigned hops)
{
  uint8_t mac[6];
  size_t start;

  memcpy (mac, guest->peer_mac, 6);
  if (to[0] == 0xff)
    hostile_multicast_mac (to, mac);
  hostile_put_ether (frame, guest, mac, ETH_P_IPV6);
  hostile_put_ip6 (frame, source, to, 58, size, hops);
  start = frame->size;
  hostile_put (frame, body, size);
  hostile_finish6 (frame, start, 2, source, to, 58);
}

static gboolean
does_discovery (const Legit *legit)
{
  const HostileGuest *guest = legit->guest;
  uint8_t body[32] = { 135, [24] = 1, [25] = 1 }, group[16] = { 0xff, 0x02, [11] = 1, [12] = 0xff };
  HostileFrame frame;

  memcpy (body + 8, guest->peer6, 16);
  memcpy (body + 26, guest->mac, 6);
  memcpy (group + 13, guest->peer6 + 13, 3);
  build_icmp6 (guest, &frame, guest->ip6, group, body, sizeof body, 255);
  return ask (legit, &frame, is_icmp6, 136);
}

static gboolean
does_solicitation (const Legit *legit)
{
  static const uint8_t all_routers[16] = { 0xff, 0x02, [15] = 2 };
  uint8_t body[16] = { 133, [8] = 1, [9] = 1 };
  HostileFrame frame;

  memcpy (body + 10, legit->guest->mac, 6);
  build_icmp6 (legit->guest, &frame, legit->guest->link6, all_routers, body, sizeof body, 255);
  return ask (legit, &frame, is_icmp6, 134);
}

static gboolean
does_dhcp6 (const Legit *legit)
{
  static const uint8_t servers[16] = { 0xff, 0x02, [13] = 1, [15] = 2 };
  uint8_t body[40] = { 1, 0x12, 0x34, 0x56, 0, 1, 0, 10, 0, 3, 0, 1 }, mac[6];
  HostileFrame frame;

  /* Client identifier (DUID-LL), identity association 1, rapid commit. */
  memcpy (body + 12, legit->guest->mac, 6);
  memcpy (body + 18, "\0\3\0\14\0\0\0\1\0\0\0\0\0\0\0\0\0\16\0\0", 20);
  hostile_multicast_mac (servers, mac);
  hostile_put_ether (&frame, legit->guest, mac, ETH_P_IPV6);
  hostile_put_ip6 (&frame, legit->guest->link6, servers, 17, 8 + 38, 64);
  hostile_put_udp6 (&frame, legit->guest->link6, servers, 546, 547, body, 38);
  return ask (legit, &frame, is_dhcp6_answer, 0);
}

static void
legit6 (const Legit *legit, GString *said)
{
  static const uint8_t echo[8] = { 128, 0, 0, 0, 0x12, 0x34, 0, 1 };
  const HostileGuest *guest = legit->guest;
  uint8_t world[16];
  HostileFrame frame;

  hostile_address6 (HOSTILE_WORLD6, world);
  g_string_append_printf (said, " nd %d", does_discovery (legit));
  if (!guest->lan) { /* a LAN's are its own affair */
    g_string_append_printf (said, " ra %d", legit->servers && does_solicitation (legit));
    g_string_append_printf (said, " dhcp6 %d", legit->servers && does_dhcp6 (legit));
  }
  if (guest->near)
    return;

  build_icmp6 (guest, &frame, guest->ip6, world, echo, sizeof echo, 64);
  g_string_append_printf (said, " icmp6 %d", ask (legit, &frame, is_icmp6, 129));

  hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
  hostile_put_ip6 (&frame, guest->ip6, world, 17, 8 + strlen (HOSTILE_GOOD), 64);
  hostile_put_udp6 (&frame, guest->ip6, world, legit->port, 7, HOSTILE_GOOD, strlen (HOSTILE_GOOD));
  g_string_append_printf (said, " udp6 %d", ask (legit, &frame, is_udp6_reply, 0));

  hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
  hostile_put_ip6 (&frame, guest->ip6, world, 6, 20, 64);
  hostile_put_tcp6 (&frame, guest->ip6, world, legit->port, 80, 2, "");
  g_string_append_printf (said, " tcp6 %d", ask (legit, &frame, is_syn_ack6, 0));
}

/* -- DNS -------------------------------------------------------------------------------------------------------------- */

/* A question for NAME's addresses: type A, or AAAA over IPv6. */
static gboolean
does_dns (const Legit *legit, const char *name, gboolean six)
{
  const HostileGuest *guest = legit->guest;
  g_auto (GStrv) labels = g_strsplit (name, ".", 0);
  uint8_t message[300] = { 0x4d, 0x2d, 1, 0, 0, 1 };
  size_t at = 12, size;
  HostileFrame frame;

  message[1] = (uint8_t)legit->port;
  for (size_t i = 0; labels[i] != NULL; i++) {
    size = strlen (labels[i]);
    g_assert (size > 0 && at + size + 8 < sizeof message);
    message[at++] = (uint8_t)size;
    memcpy (message + at, labels[i], size);
    at += size;
  }
  memcpy (message + at, six ? "\0\0\x1c\0\1" : "\0\0\1\0\1", 5);
  at += 5;
  if (six) {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IPV6);
    hostile_put_ip6 (&frame, guest->ip6, guest->peer6, 17, 8 + at, 64);
    hostile_put_udp6 (&frame, guest->ip6, guest->peer6, legit->port, 53, message, at);
  } else {
    hostile_put_ether (&frame, guest, guest->peer_mac, ETH_P_IP);
    hostile_put_ip (&frame, guest->ip, guest->peer, 17, 8 + at, 0, NULL, 0);
    hostile_put16 (&frame, legit->port);
    hostile_put16 (&frame, 53);
    hostile_put16 (&frame, (unsigned)(8 + at));
    hostile_put16 (&frame, 0);
    hostile_put (&frame, message, at);
  }
  return ask (legit, &frame, is_dns, six);
}

char *
hostile_legit (const HostileGuest *guest, int fd, const char *name, gboolean servers)
{
  GString *said = g_string_new (NULL);
  Legit legit = { guest, fd, servers, 0 };

  /* Another at each call: the last flow's answers must not pass for this one's. */
  legit.port = (uint16_t)(20000 + g_random_int_range (0, 20000));
  legit4 (&legit, said);
  if (guest->six)
    legit6 (&legit, said);
  if (name != NULL) {
    g_string_append_printf (said, " dns %d", does_dns (&legit, name, FALSE));
    if (guest->six)
      g_string_append_printf (said, " dns6 %d", does_dns (&legit, name, TRUE));
  }
  return g_string_free (said, FALSE);
}
