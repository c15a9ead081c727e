/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const struct {
  uint32_t base;
  unsigned length;
} private_ranges[] = { { 0x0a000000, 8 }, { 0xac100000, 12 }, { 0xc0a80000, 16 }, { 0x64400000, 10 } };

static uint32_t
mask_of (unsigned length)
{
  return length == 0 ? 0 : ~UINT32_C (0) << (32 - length);
}

static gboolean
is_private (uint32_t base, unsigned length)
{
  for (size_t i = 0; i < G_N_ELEMENTS (private_ranges); i++)
    if (length >= private_ranges[i].length && (base & mask_of (private_ranges[i].length)) == private_ranges[i].base)
      return TRUE;
  return FALSE;
}

gboolean
floe_net_pool_parse (const char *text, FloeNetPool *pool, GError **error)
{
  const char *slash = strchr (text, '/');
  g_autofree char *address = slash == NULL ? NULL : g_strndup (text, (gsize)(slash - text));
  struct in_addr parsed;
  guint64 length;

  if (address == NULL || inet_pton (AF_INET, address, &parsed) != 1
      || !g_ascii_string_to_unsigned (slash + 1, 10, 8, 30, &length, NULL))
    return floe_error_set (error, FLOE_ERROR_INVALID, "address pool '%s': A.B.C.D/N wanted, N from 8 to 30", text);
  if ((ntohl (parsed.s_addr) & ~mask_of ((unsigned)length)) != 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "address pool '%s': bits after the prefix are not zero", text);
  if (!is_private (ntohl (parsed.s_addr), (unsigned)length))
    return floe_error_set (error, FLOE_ERROR_INVALID,
                           "address pool '%s' is not private: choose from 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or "
                           "100.64.0.0/10",
                           text);
  pool->base = ntohl (parsed.s_addr);
  pool->length = (unsigned)length;
  return TRUE;
}

static void
set_mac (uint8_t mac[6], uint8_t side, unsigned slot)
{
  const uint8_t bytes[6] = { 0x02, 0xf1, 0x0e, side, (uint8_t)(slot >> 8), (uint8_t)slot };

  memcpy (mac, bytes, sizeof bytes);
}

static void
set_address (uint8_t bytes[4], char text[16], uint32_t address)
{
  address = htonl (address);
  memcpy (bytes, &address, 4);
  inet_ntop (AF_INET, bytes, text, 16);
}

/* A unique local prefix (RFC 4193), the same on every endpoint: it is masqueraded, never seen outside. */
static void
set_address6 (uint8_t bytes[16], char text[46], unsigned slot, uint8_t last)
{
  const uint8_t address[16] = { 0xfd, 0xf1, 0x0e, 0x77, 0, 0, (uint8_t)(slot >> 8), (uint8_t)slot, [15] = last };

  memcpy (bytes, address, 16);
  inet_ntop (AF_INET6, bytes, text, 46);
}

gboolean
floe_net_identity (const FloeNetPool *pool, unsigned slot, FloeNetIdentity *identity, GError **error)
{
  unsigned slots = MIN (1u << (30 - pool->length), FLOE_NET_SLOTS);
  uint32_t link = pool->base + 4 * slot;

  if (slot >= slots)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "network slot %u: the address pool has room for %u", slot, slots);
  memset (identity, 0, sizeof *identity);
  identity->slot = slot;
  snprintf (identity->tap, sizeof identity->tap, FLOE_NET_TAP_PREFIX "%u", slot);
  set_mac (identity->guest_mac, 0, slot);
  set_mac (identity->host_mac, 1, slot);
  snprintf (identity->guest_mac_text, sizeof identity->guest_mac_text, "02:f1:0e:00:%02x:%02x", slot >> 8 & 0xff,
            slot & 0xff);
  set_address (identity->host, identity->host_text, link + 1);
  set_address (identity->guest, identity->guest_text, link + 2);
  set_address6 (identity->host6, identity->host6_text, slot, 1);
  set_address6 (identity->guest6, identity->guest6_text, slot, 2);
  return TRUE;
}

int
floe_net_slot_of_name (const char *name)
{
  guint64 slot;

  if (!g_str_has_prefix (name, FLOE_NET_TAP_PREFIX))
    return -1;
  name += strlen (FLOE_NET_TAP_PREFIX);
  if ((name[0] == '0' && name[1] != '\0') || !g_ascii_string_to_unsigned (name, 10, 0, FLOE_NET_SLOTS - 1, &slot, NULL))
    return -1;
  return (int)slot;
}
