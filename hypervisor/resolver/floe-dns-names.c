/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-dns-names.h"

#include <string.h>

static uint8_t
lower (uint8_t byte)
{
  return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

/* FNV-1a. Who writes the names is the administrator; who asks can do no more than find a run of neighbours in a half empty table. */
uint32_t
floe_dns_names_hash (const uint8_t *name, size_t size)
{
  uint32_t hash = UINT32_C (2166136261);

  for (size_t i = 0; i < size; i++)
    hash = (hash ^ lower (name[i])) * UINT32_C (16777619);
  return hash;
}

static uint32_t
word (const FloeDnsNames *names, size_t offset)
{
  uint32_t value;

  memcpy (&value, names->block + offset, sizeof value);
  return value;
}

bool
floe_dns_names_open (const uint8_t *block, size_t size, FloeDnsNames *names)
{
  FloeDnsNamesHeader header;

  if (size < sizeof header || size > FLOE_DNS_NAMES_SIZE_MAX)
    return false;
  memcpy (&header, block, sizeof header);
  if (header.magic != FLOE_DNS_NAMES_MAGIC || header.size != size || header.n_buckets == 0
      || (header.n_buckets & (header.n_buckets - 1)) != 0 || header.n_buckets > (size - sizeof header) / sizeof (uint32_t))
    return false;
  *names = (FloeDnsNames){ block, size };
  return true;
}

static bool
same (const uint8_t *entry, const uint8_t *name, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (entry[i] != lower (name[i]))
      return false;
  return true;
}

static unsigned
find (const FloeDnsNames *names, const uint8_t *name, size_t size)
{
  uint32_t n_buckets = word (names, offsetof (FloeDnsNamesHeader, n_buckets));
  uint32_t bucket = floe_dns_names_hash (name, size) & (n_buckets - 1);

  for (uint32_t i = 0; i < n_buckets; i++) {
    size_t offset = word (names, sizeof (FloeDnsNamesHeader) + sizeof (uint32_t) * ((bucket + i) & (n_buckets - 1)));

    if (offset == 0 || offset > names->size - 2 || offset + 2 + names->block[offset + 1] > names->size)
      return 0;
    if (names->block[offset + 1] == size && same (names->block + offset + 2, name, size))
      return names->block[offset];
  }
  return 0;
}

FloeDnsNamesMatch
floe_dns_names_match (const FloeDnsNames *names, const FloeDnsName *name)
{
  unsigned self;

  if (names->block == NULL || name->size < 2)
    return FLOE_DNS_NAMES_NO;
  self = find (names, name->bytes, name->size);
  if ((self & FLOE_DNS_NAMES_SELF) != 0)
    return FLOE_DNS_NAMES_YES;
  for (size_t at = 1u + name->bytes[0]; at + 1 < name->size; at += 1u + name->bytes[at])
    if ((find (names, name->bytes + at, name->size - at) & FLOE_DNS_NAMES_BELOW) != 0)
      return FLOE_DNS_NAMES_YES;
  return self != 0 ? FLOE_DNS_NAMES_PARENT : FLOE_DNS_NAMES_NO;
}
