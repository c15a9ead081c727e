/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/hostile.h"

#include <arpa/inet.h>
#include <stdio.h>

const uint8_t hostile_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
const uint8_t hostile_other_mac[6] = { 0x02, 0xf1, 0x0e, 0x00, 0x3f, 0xff };

void
hostile_put (HostileFrame *frame, const void *data, size_t size)
{
  g_assert (frame->size + size <= sizeof frame->bytes);
  memcpy (frame->bytes + frame->size, data, size);
  frame->size += size;
}

void
hostile_put8 (HostileFrame *frame, unsigned value)
{
  uint8_t byte = (uint8_t)value;

  hostile_put (frame, &byte, 1);
}

void
hostile_put16 (HostileFrame *frame, unsigned value)
{
  hostile_put8 (frame, value >> 8);
  hostile_put8 (frame, value);
}

void
hostile_put_mark (HostileFrame *frame)
{
  hostile_put (frame, HOSTILE_MARK, strlen (HOSTILE_MARK));
}

uint16_t
hostile_checksum (const uint8_t *data, size_t size, uint32_t sum)
{
  for (size_t i = 0; i + 1 < size; i += 2)
    sum += (uint32_t)data[i] << 8 | data[i + 1];
  if (size % 2)
    sum += (uint32_t)data[size - 1] << 8;
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

void
hostile_address (const char *text, uint8_t bytes[4])
{
  g_assert_cmpint (inet_pton (AF_INET, text, bytes), ==, 1);
}

void
hostile_address6 (const char *text, uint8_t bytes[16])
{
  g_assert_cmpint (inet_pton (AF_INET6, text, bytes), ==, 1);
}

void
hostile_put_ether (HostileFrame *frame, const HostileGuest *guest, const uint8_t destination[6], unsigned type)
{
  memset (frame, 0, sizeof *frame);
  frame->size = HOSTILE_VNET;
  hostile_put (frame, destination, 6);
  hostile_put (frame, guest->mac, 6);
  hostile_put16 (frame, type);
}

static void
set_sum (HostileFrame *frame, size_t at, uint16_t sum)
{
  frame->bytes[at] = (uint8_t)(sum >> 8);
  frame->bytes[at + 1] = (uint8_t)sum;
}

void
hostile_put_ip (HostileFrame *frame, const uint8_t source[4], const uint8_t destination[4], unsigned protocol, size_t size,
                unsigned fragment, const void *options, size_t options_size)
{
  size_t start = frame->size, header = 20 + options_size;

  hostile_put8 (frame, 0x40 | (unsigned)(header / 4));
  hostile_put8 (frame, 0);
  hostile_put16 (frame, (unsigned)(header + size));
  hostile_put16 (frame, 0x4242);
  hostile_put16 (frame, fragment);
  hostile_put8 (frame, 64);
  hostile_put8 (frame, protocol);
  hostile_put16 (frame, 0);
  hostile_put (frame, source, 4);
  hostile_put (frame, destination, 4);
  if (options_size > 0)
    hostile_put (frame, options, options_size);
  set_sum (frame, start + 10, hostile_checksum (frame->bytes + start, header, 0));
}

void
hostile_put_udp (HostileFrame *frame, unsigned source, unsigned destination, const char *text)
{
  hostile_put16 (frame, source);
  hostile_put16 (frame, destination);
  hostile_put16 (frame, (unsigned)(8 + strlen (text)));
  hostile_put16 (frame, 0);
  hostile_put (frame, text, strlen (text));
}

/* A TCP header with FLAGS; its checksum is the caller's. */
static void
put_tcp_header (HostileFrame *frame, unsigned from, unsigned to, unsigned flags, const char *text)
{
  hostile_put16 (frame, from);
  hostile_put16 (frame, to);
  hostile_put (frame, "\0\0\0\7\0\0\0\11", 8);
  hostile_put8 (frame, 0x50);
  hostile_put8 (frame, flags);
  hostile_put16 (frame, 65535);
  hostile_put16 (frame, 0);
  hostile_put16 (frame, 0);
  hostile_put (frame, text, strlen (text));
}

void
hostile_put_tcp (HostileFrame *frame, const uint8_t source[4], const uint8_t destination[4], unsigned from, unsigned to,
                 unsigned flags, const char *text)
{
  size_t start = frame->size;
  uint32_t pseudo = 6 + 20 + (uint32_t)strlen (text);

  put_tcp_header (frame, from, to, flags, text);
  for (unsigned i = 0; i < 4; i += 2)
    pseudo += ((uint32_t)source[i] << 8 | source[i + 1]) + ((uint32_t)destination[i] << 8 | destination[i + 1]);
  set_sum (frame, start + 16, hostile_checksum (frame->bytes + start, frame->size - start, pseudo));
}

void
hostile_put_ip6 (HostileFrame *frame, const uint8_t source[16], const uint8_t destination[16], unsigned next, size_t size,
                 unsigned hops)
{
  hostile_put (frame, "\x60\0\0\0", 4);
  hostile_put16 (frame, (unsigned)size);
  hostile_put8 (frame, next);
  hostile_put8 (frame, hops);
  hostile_put (frame, source, 16);
  hostile_put (frame, destination, 16);
}

void
hostile_finish6 (HostileFrame *frame, size_t start, size_t at, const uint8_t source[16], const uint8_t destination[16],
                 unsigned protocol)
{
  uint32_t pseudo = protocol + (uint32_t)(frame->size - start);
  uint16_t sum;

  for (unsigned i = 0; i < 16; i += 2)
    pseudo += ((uint32_t)source[i] << 8 | source[i + 1]) + ((uint32_t)destination[i] << 8 | destination[i + 1]);
  set_sum (frame, start + at, 0);
  sum = hostile_checksum (frame->bytes + start, frame->size - start, pseudo);
  set_sum (frame, start + at, sum == 0 && protocol == 17 ? 0xffff : sum);
}

void
hostile_put_udp6 (HostileFrame *frame, const uint8_t source[16], const uint8_t destination[16], unsigned from, unsigned to,
                  const void *data, size_t size)
{
  size_t start = frame->size;

  hostile_put16 (frame, from);
  hostile_put16 (frame, to);
  hostile_put16 (frame, (unsigned)(8 + size));
  hostile_put16 (frame, 0);
  hostile_put (frame, data, size);
  hostile_finish6 (frame, start, 6, source, destination, 17);
}

void
hostile_put_tcp6 (HostileFrame *frame, const uint8_t source[16], const uint8_t destination[16], unsigned from, unsigned to,
                  unsigned flags, const char *text)
{
  size_t start = frame->size;

  put_tcp_header (frame, from, to, flags, text);
  hostile_finish6 (frame, start, 16, source, destination, 6);
}

void
hostile_multicast_mac (const uint8_t address[16], uint8_t mac[6])
{
  mac[0] = mac[1] = 0x33;
  memcpy (mac + 2, address + 12, 4);
}

void
hostile_add (HostileGuest *guest, const HostileFrame *frame, HostileClass class)
{
  HostileEntry *entry = g_malloc (sizeof *entry + frame->size);

  if (!guest->truthful || (class == HOSTILE_FLOW6 && !guest->six))
    class = HOSTILE_LINK;
  *entry = (HostileEntry){ .class = class, .size = frame->size };
  memcpy (entry->bytes, frame->bytes, frame->size);
  g_ptr_array_add (guest->frames, entry);
}

void
hostile_add_link (HostileGuest *guest, const HostileFrame *frame)
{
  hostile_add (guest, frame, HOSTILE_LINK);
}

/* -- The guest -----------------------------------------------------------------------------------------------------------
 */

static void
set_local6 (uint8_t address[16], const uint8_t mac[6])
{
  const uint8_t bytes[16]
      = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };

  memcpy (address, bytes, 16);
}

void
hostile_guest_init (HostileGuest *guest, unsigned slot)
{
  FloeNetPool pool;

  memset (guest, 0, sizeof *guest);
  g_assert_true (floe_net_pool_parse (FLOE_NET_POOL_DEFAULT, &pool, NULL));
  g_assert_true (floe_net_identity (&pool, slot, &guest->identity, NULL));
  memcpy (guest->peer, guest->identity.host, 4);
  memcpy (guest->peer_mac, guest->identity.host_mac, 6);
  memcpy (guest->guest6, guest->identity.guest6, 16);
  memcpy (guest->peer6, guest->identity.host6, 16);
  set_local6 (guest->local6, guest->identity.guest_mac);
  set_local6 (guest->peer_local6, guest->identity.host_mac);
  guest->frames = g_ptr_array_new_with_free_func (g_free);
}

gboolean
hostile_guest_set (HostileGuest *guest, const char *word)
{
  const char *value = strchr (word, '=');

  value = value == NULL ? "" : value + 1;
  if (g_str_has_prefix (word, "guest="))
    hostile_address (value, guest->identity.guest);
  else if (g_str_has_prefix (word, "peer="))
    hostile_address (value, guest->peer);
  else if (g_str_has_prefix (word, "guest6="))
    hostile_address6 (value, guest->guest6);
  else if (g_str_has_prefix (word, "peer6="))
    hostile_address6 (value, guest->peer6);
  else if (g_str_has_prefix (word, "peermac="))
    g_assert_cmpint (sscanf (value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &guest->peer_mac[0], &guest->peer_mac[1],
                             &guest->peer_mac[2], &guest->peer_mac[3], &guest->peer_mac[4], &guest->peer_mac[5]),
                     ==, 6);
  else if (g_str_equal (word, "six"))
    guest->six = TRUE;
  else if (g_str_equal (word, "dns"))
    guest->dns = TRUE;
  else if (g_str_equal (word, "lan"))
    guest->lan = TRUE;
  else if (g_str_equal (word, "near"))
    guest->near = TRUE;
  else
    return FALSE;
  return TRUE;
}

/* What the frames to come claim: SPOOF's bit 0 another MAC, bit 1 other addresses. */
static void
claim (HostileGuest *guest, unsigned spoof)
{
  memcpy (guest->mac, spoof & 1 ? hostile_other_mac : guest->identity.guest_mac, 6);
  memcpy (guest->ip, guest->identity.guest, 4);
  memcpy (guest->ip6, guest->guest6, 16);
  memcpy (guest->link6, guest->local6, 16);
  if (spoof & 2) {
    guest->ip[3] ^= 0x30;
    guest->ip6[15] ^= 0x30;
    set_local6 (guest->link6, hostile_other_mac);
  }
  guest->truthful = spoof == 0;
}

void
hostile_guest_fill (HostileGuest *guest)
{
  g_ptr_array_set_size (guest->frames, 0);
  for (unsigned spoof = 0; spoof < 4; spoof++) {
    claim (guest, spoof);
    for (unsigned kind = 0; kind < hostile_n_kinds; kind++) {
      guint first = guest->frames->len;

      hostile_kinds[kind].add (guest);
      for (guint i = first; i < guest->frames->len; i++)
        ((HostileEntry *)g_ptr_array_index (guest->frames, i))->kind = kind;
    }
  }
  claim (guest, 0);
}

const HostileKind hostile_kinds[] = { { "tagged", hostile_add_tagged },
                                      { "llc", hostile_add_llc },
                                      { "ethertypes", hostile_add_ethertypes },
                                      { "arp", hostile_add_arp },
                                      { "spoofed-ip", hostile_add_spoofed_ip },
                                      { "dhcp-lies", hostile_add_dhcp_lies },
                                      { "malformed", hostile_add_malformed },
                                      { "odd-macs", hostile_add_odd_macs },
                                      { "forbidden", hostile_add_forbidden },
                                      { "protocols", hostile_add_protocols },
                                      { "tunnels", hostile_add_tunnels },
                                      { "fragments", hostile_add_fragments },
                                      { "bad-headers", hostile_add_bad_headers },
                                      { "router-adverts", hostile_add_router_adverts },
                                      { "neighbours", hostile_add_neighbours },
                                      { "redirects", hostile_add_redirects },
                                      { "mld", hostile_add_mld },
                                      { "dhcp6-lies", hostile_add_dhcp6_lies },
                                      { "extensions", hostile_add_extensions },
                                      { "jumbograms", hostile_add_jumbograms },
                                      { "spoofed-ip6", hostile_add_spoofed_ip6 },
                                      { "forbidden6", hostile_add_forbidden6 },
                                      { "icmp6", hostile_add_icmp6 },
                                      { "bad-headers6", hostile_add_bad_headers6 } };
const size_t hostile_n_kinds = G_N_ELEMENTS (hostile_kinds);
