/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/resolver/floe-dns.h"

/* The names that a network's rules name, as one block of memory without a pointer in it: hypervisord builds it in a sealed memfd, the
 * resolver maps it for reading. A hash table with open addressing, half empty at least: any number of names costs a look for each label.
 *
 * Layout, native byte order: FloeDnsNamesHeader, N_BUCKETS offsets from the block's start (0: empty), then entries: flags, size, name in
 * wire form and lower case. */

#define FLOE_DNS_NAMES_MAGIC UINT32_C (0x464e4d31)
#define FLOE_DNS_NAMES_SIZE_MAX (UINT32_C (1) << 30)

enum {
  FLOE_DNS_NAMES_SELF = 1,  /* a rule names it */
  FLOE_DNS_NAMES_BELOW = 2, /* a rule names all that is below it: *.NAME */
  FLOE_DNS_NAMES_ABOVE = 4, /* it is above a name or wildcard of some rule */
};

typedef struct {
  uint32_t magic, n_buckets, size;
} FloeDnsNamesHeader;

typedef struct {
  const uint8_t *block; /* NULL: no names */
  size_t size;
} FloeDnsNames;

uint32_t floe_dns_names_hash (const uint8_t *name, size_t size);
/* Whether BLOCK has the form. Entries are checked as they are looked at. */
bool floe_dns_names_open (const uint8_t *block, size_t size, FloeDnsNames *names);

typedef enum {
  FLOE_DNS_NAMES_NO,     /* no rule names it, nor anything below it */
  FLOE_DNS_NAMES_PARENT, /* no rule names it, but something below it: it must not be said that it does not exist (RFC 8020) */
  FLOE_DNS_NAMES_YES,
} FloeDnsNamesMatch;

FloeDnsNamesMatch floe_dns_names_match (const FloeDnsNames *names, const FloeDnsName *name);
