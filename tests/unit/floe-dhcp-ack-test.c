/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dhcp-ack.h"

#include <glib.h>
#include <string.h>

static const uint8_t mac[6] = { 0x02, 0xf1, 0x0e, 0, 0, 7 };
static const FloeDnsAddress servers[] = { { 4, { 192, 0, 2, 1 } }, { 4, { 192, 0, 2, 2 } } };

#define IP 14
#define UDP 34
#define BOOTP 42
#define OPTIONS (BOOTP + 240)

/* An acknowledgement of 192.0.2.50 for an hour from 192.0.2.1, or (REQUEST) what was before it; its size. */
static size_t
frame_make (uint8_t frame[FLOE_DHCP_FRAME_MAX], gboolean request)
{
  static const uint8_t options[] = { 53, 1, 5, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 255 };
  size_t size = OPTIONS + sizeof options;

  memset (frame, 0, FLOE_DHCP_FRAME_MAX);
  memcpy (frame + (request ? 6 : 0), mac, 6);
  frame[12] = 8;
  frame[IP] = 0x45;
  frame[IP + 2] = (uint8_t)((size - IP) >> 8);
  frame[IP + 3] = (uint8_t)(size - IP);
  frame[IP + 9] = 17;
  memcpy (frame + IP + 12, servers[0].bytes, 4);
  frame[UDP + 1] = request ? 68 : 67;
  frame[UDP + 3] = request ? 67 : 68;
  frame[UDP + 4] = (uint8_t)((size - UDP) >> 8);
  frame[UDP + 5] = (uint8_t)(size - UDP);
  memcpy (frame + BOOTP, request ? "\1\1\6" : "\2\1\6", 3);
  memcpy (frame + BOOTP + 4, "\x11\x22\x33\x44", 4);
  memcpy (frame + BOOTP + 16, "\xc0\0\2\x32", 4);
  memcpy (frame + BOOTP + 28, mac, 6);
  memcpy (frame + BOOTP + 236, "\x63\x82\x53\x63", 4);
  memcpy (frame + OPTIONS, options, sizeof options);
  frame[OPTIONS + 2] = request ? 3 : 5;
  return size;
}

static FloeDhcpExpected
expected_make (void)
{
  return (FloeDhcpExpected){ .mac = mac, .servers = servers, .n_servers = G_N_ELEMENTS (servers) };
}

static void
test_lease (void)
{
  uint8_t frame[FLOE_DHCP_FRAME_MAX];
  size_t size = frame_make (frame, FALSE);
  FloeDhcpExpected expected = expected_make ();
  FloeDhcpLease lease;

  g_assert_cmpint (floe_dhcp_frame_parse (frame, size, TRUE, &expected, &lease), ==, FLOE_DHCP_LEASE);
  g_assert_cmpmem (lease.address.bytes, 4, "\xc0\0\2\x32", 4);
  g_assert_cmpmem (lease.server.bytes, 4, servers[0].bytes, 4);
  g_assert_cmpuint (lease.lease_s, ==, 3600);
  /* Padded by Ethernet. */
  g_assert_cmpint (floe_dhcp_frame_parse (frame, sizeof frame, TRUE, &expected, &lease), ==, FLOE_DHCP_LEASE);
  /* A guest's frame that looks like one is none. */
  g_assert_cmpint (floe_dhcp_frame_parse (frame, size, FALSE, &expected, &lease), ==, FLOE_DHCP_OTHER);
  /* Whatever is cut off. */
  for (size_t cut = 0; cut < size; cut++)
    g_assert_cmpint (floe_dhcp_frame_parse (frame, cut, TRUE, &expected, &lease), !=, FLOE_DHCP_LEASE);
}

static void
test_asked (void)
{
  uint8_t frame[FLOE_DHCP_FRAME_MAX], request[FLOE_DHCP_FRAME_MAX];
  size_t size = frame_make (frame, FALSE), request_size = frame_make (request, TRUE);
  FloeDhcpExpected expected = expected_make ();
  FloeDhcpLease lease;

  request[BOOTP + 4] = 0x99;
  g_assert_cmpint (floe_dhcp_frame_parse (request, request_size, FALSE, &expected, &lease), ==, FLOE_DHCP_REQUEST);
  g_assert_cmpint (floe_dhcp_frame_parse (frame, size, TRUE, &expected, &lease), ==, FLOE_DHCP_OTHER);
  request[BOOTP + 4] = 0x11;
  g_assert_cmpint (floe_dhcp_frame_parse (request, request_size, FALSE, &expected, &lease), ==, FLOE_DHCP_REQUEST);
  g_assert_cmpint (floe_dhcp_frame_parse (frame, size, TRUE, &expected, &lease), ==, FLOE_DHCP_LEASE);
  /* Only the last few are remembered. */
  for (uint8_t i = 0; i < FLOE_DHCP_XIDS; i++) {
    request[BOOTP + 4] = i;
    g_assert_cmpint (floe_dhcp_frame_parse (request, request_size, FALSE, &expected, &lease), ==, FLOE_DHCP_REQUEST);
  }
  g_assert_cmpint (floe_dhcp_frame_parse (frame, size, TRUE, &expected, &lease), ==, FLOE_DHCP_OTHER);
}

/* Byte AT becomes VALUE; then it is KIND. */
static const struct {
  const char *what;
  size_t at;
  uint8_t value;
  FloeDhcpKind kind;
} changes[] = {
  { "to another MAC", 5, 8, FLOE_DHCP_OTHER },
  { "not IPv4", 13, 6, FLOE_DHCP_OTHER },
  { "version 6", IP, 0x65, FLOE_DHCP_OTHER },
  { "a header of 16 bytes", IP, 0x44, FLOE_DHCP_OTHER },
  { "options in the IP header that are not there", IP, 0x4f, FLOE_DHCP_OTHER },
  { "longer than the frame", IP + 2, 0xff, FLOE_DHCP_OTHER },
  { "a fragment", IP + 6, 0x20, FLOE_DHCP_OTHER },
  { "a later fragment", IP + 7, 1, FLOE_DHCP_OTHER },
  { "TCP", IP + 9, 6, FLOE_DHCP_OTHER },
  { "from a stranger's address", IP + 15, 9, FLOE_DHCP_STRANGER },
  { "through the other server", IP + 15, 2, FLOE_DHCP_LEASE },
  { "from another port", UDP + 1, 68, FLOE_DHCP_OTHER },
  { "to another port", UDP + 3, 67, FLOE_DHCP_OTHER },
  { "a datagram longer than its packet", UDP + 4, 0xff, FLOE_DHCP_OTHER },
  { "a request", BOOTP, 1, FLOE_DHCP_OTHER },
  { "not Ethernet", BOOTP + 1, 6, FLOE_DHCP_OTHER },
  { "a short hardware address", BOOTP + 2, 5, FLOE_DHCP_OTHER },
  { "for another card", BOOTP + 33, 8, FLOE_DHCP_OTHER },
  { "no cookie", BOOTP + 239, 0x64, FLOE_DHCP_MALFORMED },
  { "0.0.2.50", BOOTP + 16, 0, FLOE_DHCP_MALFORMED },
  { "127.0.2.50", BOOTP + 16, 127, FLOE_DHCP_MALFORMED },
  { "224.0.2.50", BOOTP + 16, 224, FLOE_DHCP_MALFORMED },
  { "an offer", OPTIONS + 2, 2, FLOE_DHCP_OTHER },
  { "a refusal", OPTIONS + 2, 6, FLOE_DHCP_OTHER },
  { "a type of two bytes", OPTIONS + 1, 2, FLOE_DHCP_MALFORMED },
  { "no type", OPTIONS, 60, FLOE_DHCP_MALFORMED },
  { "another server's", OPTIONS + 8, 3, FLOE_DHCP_STRANGER },
  { "no server", OPTIONS + 3, 60, FLOE_DHCP_MALFORMED },
  { "two types", OPTIONS + 3, 53, FLOE_DHCP_MALFORMED },
  { "two servers", OPTIONS + 9, 54, FLOE_DHCP_MALFORMED },
  { "no lease", OPTIONS + 9, 60, FLOE_DHCP_MALFORMED },
  { "a lease of three bytes", OPTIONS + 10, 3, FLOE_DHCP_MALFORMED },
  { "overload", OPTIONS + 9, 52, FLOE_DHCP_MALFORMED },
  { "a mask with a hole", OPTIONS + 18, 0xfe, FLOE_DHCP_MALFORMED },
  { "a mask of nothing", OPTIONS + 17, 0, FLOE_DHCP_MALFORMED },
  { "no mask", OPTIONS + 15, 60, FLOE_DHCP_LEASE },
  { "no end", OPTIONS + 21, 0, FLOE_DHCP_MALFORMED },
  { "an option past the end", OPTIONS + 16, 200, FLOE_DHCP_MALFORMED },
};

static void
test_changes (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (changes); i++) {
    uint8_t frame[FLOE_DHCP_FRAME_MAX];
    size_t size = frame_make (frame, FALSE);
    FloeDhcpExpected expected = expected_make ();
    FloeDhcpLease lease;

    g_test_message ("%s", changes[i].what);
    frame[changes[i].at] = changes[i].value;
    g_assert_cmpint (floe_dhcp_frame_parse (frame, size, TRUE, &expected, &lease), ==, changes[i].kind);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dhcp-ack/lease", test_lease);
  g_test_add_func ("/dhcp-ack/asked", test_asked);
  g_test_add_func ("/dhcp-ack/changes", test_changes);
  return g_test_run ();
}
