/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <arpa/inet.h>
#include <string.h>

/* RFC 6890 and RFC 4291. ::/96 holds unspecified, loopback and the deprecated IPv4-compatible addresses. */
const FloePolicyPrefix floe_policy_never_routed[] = {
  { { 4, { 0 } }, 8 },
  { { 4, { 127 } }, 8 },
  { { 4, { 169, 254 } }, 16 },
  { { 4, { 224 } }, 4 },
  { { 4, { 240 } }, 4 },
  { { 6, { 0 } }, 96 },
  { { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } }, 96 },
  { { 6, { 0xfe, 0x80 } }, 10 },
  { { 6, { 0xff } }, 8 },
};
const size_t floe_policy_n_never_routed = G_N_ELEMENTS (floe_policy_never_routed);

gboolean
floe_policy_address_parse (const char *text, FloePolicyAddress *address)
{
  FloePolicyAddress parsed = { 0 };

  /* glibc's inet_pton takes four decimal numbers without leading zeros, and no zone. */
  if (inet_pton (AF_INET, text, parsed.bytes) == 1)
    parsed.family = 4;
  else if (inet_pton (AF_INET6, text, parsed.bytes) == 1)
    parsed.family = 6;
  else
    return FALSE;
  *address = parsed;
  return TRUE;
}

char *
floe_policy_address_text (const FloePolicyAddress *address)
{
  char text[INET6_ADDRSTRLEN] = "?";

  inet_ntop (address->family == 4 ? AF_INET : AF_INET6, address->bytes, text, sizeof text);
  return g_strdup (text);
}

char *
floe_policy_prefix_text (const FloePolicyPrefix *prefix)
{
  g_autofree char *address = floe_policy_address_text (&prefix->address);

  return g_strdup_printf ("%s/%u", address, prefix->length);
}

/* Whether the first LENGTH bits of A and B are the same. */
static gboolean
bits_equal (const uint8_t *a, const uint8_t *b, unsigned length)
{
  unsigned whole = length / 8, rest = length % 8;
  uint8_t mask = (uint8_t) (0xff00 >> rest);

  return memcmp (a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

gboolean
floe_policy_prefix_contains (const FloePolicyPrefix *prefix, const FloePolicyAddress *address)
{
  return prefix->address.family == address->family && bits_equal (prefix->address.bytes, address->bytes, prefix->length);
}

gboolean
floe_policy_is_never_routed (const FloePolicyAddress *address, unsigned length)
{
  for (size_t i = 0; i < floe_policy_n_never_routed; i++)
    if (floe_policy_never_routed[i].length <= length && floe_policy_prefix_contains (&floe_policy_never_routed[i], address))
      return TRUE;
  return FALSE;
}

int
floe_policy_decimal_parse (const char *text, size_t size, int max)
{
  int number = 0;

  if (size == 0 || size > 5 || (size > 1 && text[0] == '0'))
    return -1;
  for (size_t i = 0; i < size; i++) {
    if (!g_ascii_isdigit (text[i]))
      return -1;
    number = number * 10 + (text[i] - '0');
  }
  return number <= max ? number : -1;
}

const char *
floe_policy_prefix_parse (const char *text, FloePolicyPrefix *prefix)
{
  static const uint8_t zero[16];
  const char *slash = strchr (text, '/');
  g_autofree char *host = NULL;
  FloePolicyPrefix parsed = { 0 };
  FloePolicyAddress after;
  int length;

  if (slash == NULL)
    return "ADDRESS/LENGTH wanted";
  host = g_strndup (text, (gsize) (slash - text));
  if (!floe_policy_address_parse (host, &parsed.address))
    return "not an IPv4 or IPv6 address";
  length = floe_policy_decimal_parse (slash + 1, strlen (slash + 1), parsed.address.family == 4 ? 32 : 128);
  if (length < 0)
    return parsed.address.family == 4 ? "a length of 0 to 32 wanted" : "a length of 0 to 128 wanted";
  parsed.length = (uint8_t) length;
  after = parsed.address;
  memset (after.bytes, 0, parsed.length / 8);
  if (parsed.length % 8 != 0)
    after.bytes[parsed.length / 8] &= (uint8_t) (0xff >> (parsed.length % 8));
  if (memcmp (after.bytes, zero, sizeof zero) != 0)
    return "bits are set after the prefix";
  *prefix = parsed;
  return NULL;
}
