/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/resolver/floe-dns.h"

typedef struct {
  FloeDnsAddress address;
  uint8_t length;
} FloeDnsPrefix;

bool floe_dns_prefix_contains (const FloeDnsPrefix *prefix, const FloeDnsAddress *address);

/* Whether ADDRESS is none that a name of the Internet's may stand for. IPv4 (RFC 6890): "this" network, private, shared, loopback,
 * link-local, protocol assignments, benchmarking, multicast, reserved. IPv6 (RFC 4291): whatever is not global unicast (2000::/3), so
 * loopback, mapped, unique local, link-local and multicast too; Teredo; and 6to4 (RFC 3056) or NAT64's well-known prefix (RFC 6052) around an
 * inside IPv4 address. Networks for documentation are not: nobody is there. */
bool floe_dns_address_is_inside (const FloeDnsAddress *address);
