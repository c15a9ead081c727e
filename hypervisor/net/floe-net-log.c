/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-log.h"

#include "hypervisor/net/floe-identity.h"

/* Before any of linux/ (floe-rules.h). */
#include <netinet/in.h>

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

/* linux/netfilter.h has it for the kernel only. */
#define HOOK_NETDEV_EGRESS 1
#define ETHERNET_HEADER 14

/* -- Decoding --------------------------------------------------------------------------------------------------------- */

static uint16_t
read16 (const uint8_t *bytes)
{
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* The attribute at *AT of SIZE bytes: its type without flags, its payload; moves *AT on. FALSE at the end and for one that does
 * not fit. Lengths are in the host's order (netlink(7)). */
static gboolean
next_attribute (const uint8_t *bytes, size_t size, size_t *at, uint16_t *type, const uint8_t **payload, size_t *length)
{
  uint16_t whole;

  if (*at > size || size - *at < 4)
    return FALSE;
  memcpy (&whole, bytes + *at, 2);
  memcpy (type, bytes + *at + 2, 2);
  if (whole < 4 || whole > size - *at)
    return FALSE;
  *type &= 0x3fff;
  *payload = bytes + *at + 4;
  *length = whole - 4u;
  *at += (whole + 3u) & ~3u;
  return TRUE;
}

/* "floe0 drop default", with or without the NUL that the kernel adds. */
static gboolean
read_prefix (const uint8_t *bytes, size_t size, FloeNetLogEntry *entry)
{
  char text[128];
  char *verdict, *rule;

  if (size > 0 && bytes[size - 1] == '\0')
    size--;
  if (size == 0 || size >= sizeof text || memchr (bytes, '\0', size) != NULL)
    return FALSE;
  memcpy (text, bytes, size);
  text[size] = '\0';
  verdict = strchr (text, ' ');
  if (verdict == NULL)
    return FALSE;
  *verdict++ = '\0';
  rule = strchr (verdict, ' ');
  if (rule == NULL)
    return FALSE;
  *rule++ = '\0';
  entry->slot = floe_net_slot_of_name (text);
  entry->allowed = strcmp (verdict, "allow") == 0;
  if (entry->slot < 0 || (!entry->allowed && strcmp (verdict, "drop") != 0) || *rule == '\0' || strlen (rule) >= sizeof entry->rule)
    return FALSE;
  for (const char *at = rule; *at != '\0'; at++)
    if (!g_ascii_isalnum (*at) && strchr ("._-", *at) == NULL)
      return FALSE;
  memcpy (entry->rule, rule, strlen (rule));
  return TRUE;
}

static void
read_transport (const uint8_t *bytes, size_t size, FloeNetLogEntry *entry)
{
  if ((entry->protocol == IPPROTO_TCP || entry->protocol == IPPROTO_UDP) && size >= 4) {
    entry->source_port = read16 (bytes);
    entry->destination_port = read16 (bytes + 2);
  } else if ((entry->protocol == IPPROTO_ICMP || entry->protocol == IPPROTO_ICMPV6) && size >= 1) {
    entry->destination_port = bytes[0];
  }
}

static void
take_address (FloePolicyAddress *address, const uint8_t *bytes, uint8_t family)
{
  address->family = family;
  memcpy (address->bytes, bytes, family == 4 ? 4 : 16);
}

/* RFC 791, RFC 8200. */
static void
read_packet (const uint8_t *bytes, size_t size, FloeNetLogEntry *entry)
{
  if (entry->ether_type == ETH_P_IP && size >= 20 && bytes[0] >> 4 == 4) {
    size_t header = (size_t)(bytes[0] & 15) * 4;

    entry->protocol = bytes[9];
    take_address (&entry->source, bytes + 12, 4);
    take_address (&entry->destination, bytes + 16, 4);
    /* What follows in a later fragment is not a header. */
    if (header >= 20 && header <= size && (read16 (bytes + 6) & 0x1fff) == 0)
      read_transport (bytes + header, size - header, entry);
  } else if (entry->ether_type == ETH_P_IPV6 && size >= 40 && bytes[0] >> 4 == 6) {
    entry->protocol = bytes[6];
    take_address (&entry->source, bytes + 8, 6);
    take_address (&entry->destination, bytes + 24, 6);
    read_transport (bytes + 40, size - 40, entry);
  }
}

gboolean
floe_net_log_decode (const uint8_t *bytes, size_t size, FloeNetLogEntry *entry)
{
  const uint8_t *packet = NULL, *payload;
  size_t packet_size = 0, at = sizeof (struct nfgenmsg), length;
  gboolean named = FALSE, egress = FALSE;
  uint16_t type;

  memset (entry, 0, sizeof *entry);
  if (size < sizeof (struct nfgenmsg))
    return FALSE;
  while (next_attribute (bytes, size, &at, &type, &payload, &length)) {
    if (type == NFULA_PREFIX && !named) {
      named = read_prefix (payload, length, entry);
    } else if (type == NFULA_PACKET_HDR && length >= sizeof (struct nfulnl_msg_packet_hdr)) {
      entry->ether_type = read16 (payload);
      egress = bytes[0] == NFPROTO_NETDEV && payload[2] == HOOK_NETDEV_EGRESS;
    } else if (type == NFULA_PAYLOAD) {
      packet = payload;
      packet_size = length;
    }
  }
  if (!named)
    return FALSE;
  /* On its way out of a device a packet has its Ethernet header already. */
  if (egress && packet_size >= ETHERNET_HEADER) {
    packet += ETHERNET_HEADER;
    packet_size -= ETHERNET_HEADER;
  }
  if (packet != NULL)
    read_packet (packet, packet_size, entry);
  return TRUE;
}

/* -- Adding up -------------------------------------------------------------------------------------------------------- */

typedef struct {
  FloeNetLogEntry entry;
  guint64 count;
} Kind;

typedef struct {
  GHashTable *kinds; /* set of Kind */
  guint64 left_out;
} Card;

struct _FloeNetLogSum {
  GHashTable *cards; /* slot -> Card */
};

static guint
kind_hash (gconstpointer data)
{
  const uint8_t *bytes = data;
  guint hash = 2166136261u;

  for (size_t i = 0; i < sizeof (FloeNetLogEntry); i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

static gboolean
kind_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (FloeNetLogEntry)) == 0;
}

static void
card_free (gpointer data)
{
  Card *card = data;

  g_hash_table_unref (card->kinds);
  g_free (card);
}

FloeNetLogSum *
floe_net_log_sum_new (void)
{
  FloeNetLogSum *sum = g_new0 (FloeNetLogSum, 1);

  sum->cards = g_hash_table_new_full (NULL, NULL, NULL, card_free);
  return sum;
}

void
floe_net_log_sum_free (FloeNetLogSum *sum)
{
  if (sum == NULL)
    return;
  g_hash_table_unref (sum->cards);
  g_free (sum);
}

gboolean
floe_net_log_sum_add (FloeNetLogSum *sum, const FloeNetLogEntry *entry)
{
  gboolean any = g_hash_table_size (sum->cards) > 0;
  Card *card = g_hash_table_lookup (sum->cards, GINT_TO_POINTER (entry->slot));
  Kind *kind;

  if (card == NULL) {
    card = g_new0 (Card, 1);
    card->kinds = g_hash_table_new_full (kind_hash, kind_equal, g_free, NULL);
    g_hash_table_insert (sum->cards, GINT_TO_POINTER (entry->slot), card);
  }
  /* An entry is the first member of its kind. */
  kind = g_hash_table_lookup (card->kinds, entry);
  if (kind != NULL) {
    kind->count++;
  } else if (g_hash_table_size (card->kinds) < FLOE_NET_LOG_KINDS_MAX) {
    kind = g_new0 (Kind, 1);
    memcpy (&kind->entry, entry, sizeof *entry);
    kind->count = 1;
    g_hash_table_add (card->kinds, kind);
  } else {
    card->left_out++;
  }
  return any;
}

static int
by_count (gconstpointer a, gconstpointer b)
{
  const Kind *const *left = a, *const *right = b;

  if ((*left)->count != (*right)->count)
    return (*left)->count > (*right)->count ? -1 : 1;
  return memcmp (&(*left)->entry, &(*right)->entry, sizeof (FloeNetLogEntry));
}

void
floe_net_log_sum_take (FloeNetLogSum *sum, FloeNetLogTell tell, gpointer data)
{
  GHashTableIter iter;
  gpointer slot, value;

  g_hash_table_iter_init (&iter, sum->cards);
  while (g_hash_table_iter_next (&iter, &slot, &value)) {
    Card *card = value;
    guint n_kinds;
    g_autofree gpointer *kinds = g_hash_table_get_keys_as_array (card->kinds, &n_kinds);

    qsort (kinds, n_kinds, sizeof *kinds, by_count);
    for (guint i = 0; i < n_kinds; i++) {
      const Kind *kind = kinds[i];

      if (i < FLOE_NET_LOG_TOLD_MAX)
        tell (GPOINTER_TO_INT (slot), &kind->entry, kind->count, data);
      else
        card->left_out += kind->count;
    }
    if (card->left_out > 0)
      tell (GPOINTER_TO_INT (slot), NULL, card->left_out, data);
  }
  g_hash_table_remove_all (sum->cards);
}
