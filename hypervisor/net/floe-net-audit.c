/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-private.h"

#include "common/floe-log.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

/* From what the kernel logs to what is told: added up for some seconds, with the names of machine and network put to each. */

static const FloeNetCard *
card_of (const FloeNet *net, int slot)
{
  for (guint i = 0; i < net->cards->len; i++) {
    const FloeNetCard *card = g_ptr_array_index (net->cards, i);

    if ((int)card->identity.slot == slot)
      return card;
  }
  return NULL;
}

static const char *
address_text (const FloePolicyAddress *address, char text[INET6_ADDRSTRLEN])
{
  if (address->family == 0 || inet_ntop (address->family == 4 ? AF_INET : AF_INET6, address->bytes, text, INET6_ADDRSTRLEN) == NULL)
    return "";
  return text;
}

static const char *
protocol_text (const FloeNetLogEntry *entry, char number[16])
{
  switch (entry->ether_type) {
  case ETH_P_ARP:
    return "arp";
  case ETH_P_IP:
  case ETH_P_IPV6:
    break;
  default:
    g_snprintf (number, 16, "ether-%04x", entry->ether_type);
    return number;
  }
  switch (entry->protocol) {
  case IPPROTO_TCP:
    return "tcp";
  case IPPROTO_UDP:
    return "udp";
  case IPPROTO_ICMP:
    return "icmp";
  case IPPROTO_ICMPV6:
    return "icmp6";
  default:
    g_snprintf (number, 16, "%u", entry->protocol);
    return number;
  }
}

static void
tell (int slot, const FloeNetLogEntry *entry, guint64 count, gpointer data)
{
  FloeNet *net = data;
  const FloeNetCard *card = card_of (net, slot);
  FloeNetEvent event = { .verdict = "left-out", .rule = "", .protocol = "", .source = "", .destination = "", .name = "", .count = count };
  char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], protocol[16];

  /* Its machine has ended meanwhile. */
  if (card == NULL || net->audit == NULL)
    return;
  event.machine = card->machine;
  event.network = card->network;
  if (entry != NULL) {
    event.verdict = entry->allowed ? "allow" : "drop";
    event.rule = entry->rule;
    event.protocol = protocol_text (entry, protocol);
    event.source = address_text (&entry->source, source);
    event.destination = address_text (&entry->destination, destination);
    event.source_port = entry->source_port;
    event.destination_port = entry->destination_port;
  }
  net->audit (&event, net->audit_data);
}

static gboolean
tell_all (gpointer data)
{
  FloeNet *net = data;
  unsigned overruns = floe_net_listener_take_overruns (net->listener);

  net->tell = 0;
  if (overruns > 0)
    floe_debug ("the kernel threw reports of packets away", "TIMES", "some");
  floe_net_log_sum_take (net->sum, tell, net);
  return G_SOURCE_REMOVE;
}

static void
logged (const FloeNetLogEntry *entry, gpointer data)
{
  FloeNet *net = data;

  if (card_of (net, entry->slot) == NULL)
    return;
  floe_net_log_sum_add (net->sum, entry);
  if (net->tell == 0)
    net->tell = g_timeout_add_seconds (FLOE_NET_EVENTS_INTERVAL_S, tell_all, net);
}

void
floe_net_audit_close (FloeNet *net)
{
  g_clear_handle_id (&net->tell, g_source_remove);
  g_clear_pointer (&net->listener, floe_net_listener_free);
  g_clear_pointer (&net->sum, floe_net_log_sum_free);
}

void
floe_net_set_audit (FloeNet *net, FloeNetAudit audit, gpointer data)
{
  g_autoptr (GError) error = NULL;

  floe_net_audit_close (net);
  net->audit = audit;
  net->audit_data = data;
  if (audit == NULL)
    return;
  net->sum = floe_net_log_sum_new ();
  net->listener = floe_net_listen (FLOE_RULES_LOG_GROUP, FLOE_RULES_LOG_BYTES, logged, net, &error);
  if (net->listener == NULL)
    floe_warning ("packets are counted, but not told one by one", "REASON", error->message);
}

void
floe_net_audit_resolver (const FloeNetCard *card, const FloeResolverEvent *event)
{
  FloeNet *net = card->net;
  g_autofree char *verdict = event->kind == FLOE_RESOLVER_DHCP ? g_strdup ("dhcp")
                                                                : g_strconcat ("dns-", floe_resolver_event_name (event->kind), NULL);
  char address[INET6_ADDRSTRLEN];
  FloeNetEvent told = {
    .machine = card->machine,
    .network = card->network,
    .verdict = verdict,
    .rule = "",
    .protocol = "",
    .source = "",
    .destination = "",
    .name = event->name,
    .count = event->count,
  };

  if (net->audit == NULL)
    return;
  *(event->kind == FLOE_RESOLVER_DHCP ? &told.source : &told.destination) = address_text (&event->address, address);
  net->audit (&told, net->audit_data);
  if (event->left_out == 0)
    return;
  told = (FloeNetEvent){ .machine = card->machine, .network = card->network, .verdict = "left-out", .rule = "", .protocol = "", .source = "",
                         .destination = "", .name = "", .count = event->left_out };
  net->audit (&told, net->audit_data);
}
