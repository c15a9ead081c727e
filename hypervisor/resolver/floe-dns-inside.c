/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dns-inside.h"

#include <string.h>

static const FloeDnsPrefix inside4[] = {
  { { 4, { 0 } }, 8 },         { { 4, { 10 } }, 8 },       { { 4, { 100, 64 } }, 10 },  { { 4, { 127 } }, 8 },
  { { 4, { 169, 254 } }, 16 }, { { 4, { 172, 16 } }, 12 }, { { 4, { 192, 0, 0 } }, 24 }, { { 4, { 192, 168 } }, 16 },
  { { 4, { 198, 18 } }, 15 },  { { 4, { 224 } }, 4 },      { { 4, { 240 } }, 4 },
};
static const FloeDnsPrefix global6 = { { 6, { 0x20 } }, 3 };
static const FloeDnsPrefix teredo = { { 6, { 0x20, 0x01 } }, 32 };
static const FloeDnsPrefix six_to_four = { { 6, { 0x20, 0x02 } }, 16 };
static const FloeDnsPrefix nat64 = { { 6, { 0, 0x64, 0xff, 0x9b } }, 96 };

bool
floe_dns_prefix_contains (const FloeDnsPrefix *prefix, const FloeDnsAddress *address)
{
  unsigned whole = prefix->length / 8, rest = prefix->length % 8;

  if (prefix->address.family != address->family || memcmp (prefix->address.bytes, address->bytes, whole) != 0)
    return false;
  return rest == 0 || (prefix->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

static bool
is_inside4 (const uint8_t bytes[4])
{
  FloeDnsAddress address = { .family = 4 };

  memcpy (address.bytes, bytes, 4);
  for (size_t i = 0; i < sizeof inside4 / sizeof *inside4; i++)
    if (floe_dns_prefix_contains (&inside4[i], &address))
      return true;
  return false;
}

bool
floe_dns_address_is_inside (const FloeDnsAddress *address)
{
  if (address->family == 4)
    return is_inside4 (address->bytes);
  if (floe_dns_prefix_contains (&nat64, address))
    return is_inside4 (address->bytes + 12);
  if (floe_dns_prefix_contains (&six_to_four, address))
    return is_inside4 (address->bytes + 2);
  return !floe_dns_prefix_contains (&global6, address) || floe_dns_prefix_contains (&teredo, address);
}
