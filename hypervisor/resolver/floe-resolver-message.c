/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolver-message.h"

#include <string.h>

#define EVENTS 5

static bool
is_zero (const void *bytes, size_t size)
{
  const uint8_t *at = bytes;

  for (size_t i = 0; i < size; i++)
    if (at[i] != 0)
      return false;
  return true;
}

static bool
is_address (const FloeDnsAddress *address)
{
  return address->family == 6 || (address->family == 4 && is_zero (address->bytes + 4, sizeof address->bytes - 4));
}

/* A text that ends inside TEXT, with nothing behind its end. */
static bool
is_text (const char text[256])
{
  size_t size = strnlen (text, 256);

  return size < 256 && is_zero (text + size, 256 - size);
}

static bool
check_bind (const FloeResolverBind *bind)
{
  FloeDnsName name;
  char again[256];

  if (bind->n_addresses == 0 || bind->n_addresses > FLOE_DNS_RECORDS_MAX || !is_text (bind->name)
      || !floe_dns_name_from_text (bind->name, &name) || !floe_dns_name_to_text (&name, again) || strcmp (again, bind->name) != 0)
    return false;
  for (size_t i = 0; i < FLOE_DNS_RECORDS_MAX; i++)
    if (i < bind->n_addresses ? !is_address (&bind->addresses[i]) : !is_zero (&bind->addresses[i], sizeof bind->addresses[i]))
      return false;
  return true;
}

static bool
check_report (const FloeResolverReport *report)
{
  if (report->event >= EVENTS || report->count == 0 || !is_text (report->name))
    return false;
  for (const char *at = report->name; *at != '\0'; at++)
    if (*at <= ' ' || *at > '~')
      return false;
  return report->address.family == 0 ? is_zero (&report->address, sizeof report->address) : is_address (&report->address);
}

static bool
check_lease (const FloeResolverLease *lease)
{
  return lease->lease_s != 0 && lease->address.family == 4 && is_address (&lease->address) && lease->server.family == 4
         && is_address (&lease->server);
}

bool
floe_resolver_message_parse (const uint8_t *bytes, size_t size, FloeResolverMessage *message)
{
  FloeResolverMessage read;

  if (size < sizeof read.kind || size > sizeof read)
    return false;
  memset (&read, 0, sizeof read);
  memcpy (&read, bytes, size);
  if (!(read.kind == FLOE_RESOLVER_MESSAGE_BIND     ? size == sizeof read.bind && check_bind (&read.bind)
        : read.kind == FLOE_RESOLVER_MESSAGE_EVENT ? size == sizeof read.report && check_report (&read.report)
        : read.kind == FLOE_RESOLVER_MESSAGE_LEASE ? size == sizeof read.lease && check_lease (&read.lease)
                                                    : false))
    return false;
  *message = read;
  return true;
}
