/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dhcp-ack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A frame in either direction: a lease is of a server that is named and of an address that a host can have. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const uint8_t mac[6] = { 0x02, 0xf1, 0x0e, 0, 0, 7 };
  static const FloeDnsAddress server = { 4, { 192, 0, 2, 1 } };
  FloeDhcpExpected expected = { .mac = mac, .servers = &server, .n_servers = 1 };
  FloeDhcpLease lease;

  (void)floe_dhcp_frame_parse (data, size, false, &expected, &lease);
  expected.n_xids = 0;
  if (floe_dhcp_frame_parse (data, size, true, &expected, &lease) != FLOE_DHCP_LEASE)
    return 0;
  if (lease.address.family != 4 || lease.address.bytes[0] == 0 || lease.address.bytes[0] == 127 || lease.address.bytes[0] >= 224
      || lease.lease_s == 0 || memcmp (&lease.server, &server, sizeof server) != 0)
    abort ();
  return 0;
}
