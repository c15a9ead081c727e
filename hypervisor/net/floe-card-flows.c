/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-conntrack.h"
#include "hypervisor/net/floe-net-private.h"

#include <netinet/in.h>
#include <string.h>

/* A card's tracked connections. The packet filter judges each flow again after a load, at its next packet; those of which no next packet
 * comes would stay in the kernel's table for days, and a mark would come round to the same generation again. So flows that the
 * new rules do not allow are forgotten at once. One that they allow is not: its translated address would be lost with it. */

#define MINUTES_OF_HOUR 60

typedef struct {
  const FloeNetCard *card;
  const FloePolicyNetwork *network;
  FloePolicyAddress guest;
  uint8_t day;
  uint16_t minute;
} Judge;

static FloePolicyAddress
address_of (const uint8_t *bytes, uint8_t family)
{
  FloePolicyAddress address = { .family = family };

  memcpy (address.bytes, bytes, family == 4 ? 4 : 16);
  return address;
}

static gboolean
is (const FloePolicyAddress *address, const uint8_t *bytes)
{
  return memcmp (address->bytes, bytes, address->family == 4 ? 4 : 16) == 0;
}

/* Whether a rule by name could allow it: which addresses a name stands for, the kernel's sets know. */
static gboolean
may_be_named (const FloePolicyNetwork *network, const FloePolicyPacket *packet)
{
  for (size_t i = 0; packet->direction == FLOE_POLICY_EGRESS && i < network->n_egress; i++) {
    const FloePolicyNetRule *rule = &network->egress[i];
    FloePolicyNetRule named = *rule;
    const FloePolicyPrefix everywhere = { .address = { .family = packet->remote.family } };
    const FloePolicyNetwork alone = { .name = network->name, .mode = network->mode, .ipv6 = network->ipv6, .egress = &named, .n_egress = 1 };

    if (rule->n_names == 0)
      continue;
    named.names = NULL;
    named.n_names = 0;
    named.prefixes = &everywhere;
    named.n_prefixes = 1;
    if (floe_policy_packet_verdict (&alone, packet).allow)
      return TRUE;
  }
  return FALSE;
}

static gboolean
keep (const FloeConntrackFlow *flow, gpointer data)
{
  const Judge *judge = data;
  const FloeNetCard *card = judge->card;
  gboolean egress = flow->source.family == judge->guest.family && is (&flow->source, judge->guest.bytes);
  FloePolicyPacket packet = {
    .direction = egress ? FLOE_POLICY_EGRESS : FLOE_POLICY_INGRESS,
    .remote = egress ? flow->destination : flow->source,
    .protocol = flow->protocol,
    .port = flow->destination_port,
    .icmp_type = flow->icmp_type,
    .day = judge->day,
    .minute = judge->minute,
  };

  /* With the host itself: DHCP, names. */
  if (is (&packet.remote, packet.remote.family == 4 ? card->identity.host : card->identity.host6))
    return TRUE;
  return floe_policy_packet_verdict (judge->network, &packet).allow || may_be_named (judge->network, &packet);
}

static gboolean
prune (Judge *judge, FloePolicyAddress guest, GError **error)
{
  judge->guest = guest;
  return floe_conntrack_prune (judge->card->net->filter, &judge->guest, keep, judge, error);
}

gboolean
floe_net_card_prune (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  Judge judge = {
    .card = card,
    .network = network,
    .day = (uint8_t)(g_date_time_get_day_of_week (now) % 7),
    .minute = (uint16_t)(g_date_time_get_hour (now) * MINUTES_OF_HOUR + g_date_time_get_minute (now)),
  };

  if (card->bridge.index != 0)
    return card->learnt.family == 0 || prune (&judge, card->learnt, error);
  return prune (&judge, address_of (card->identity.guest, 4), error) && prune (&judge, address_of (card->identity.guest6, 6), error);
}

gboolean
floe_net_card_forget (FloeNetCard *card, GError **error)
{
  FloePolicyAddress guest = address_of (card->identity.guest, 4), guest6 = address_of (card->identity.guest6, 6);

  if (card->learnt.family != 0 && !floe_conntrack_forget (card->net->filter, &card->learnt, error))
    return FALSE;
  return floe_conntrack_forget (card->net->filter, &guest, error) && floe_conntrack_forget (card->net->filter, &guest6, error);
}
