/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/net/floe-net-private.h"
#include "hypervisor/net/floe-route.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/vhost.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

/* One card, from its tap to its servers. What it is in the kernel (tap, rules, port of a bridge, routes) is made so that it can be found
 * again and made again: each step does nothing where it was done. The order is always the same: rules before whatever could carry a
 * packet, and at the end the other way round. */

/* In the place of a network that this card cannot be of. */
static const FloePolicyNetwork darkness = { .name = "none", .mode = FLOE_POLICY_NETWORK_NONE };

static gboolean
is_routed (FloePolicyNetworkMode mode)
{
  return mode == FLOE_POLICY_NETWORK_NAT || mode == FLOE_POLICY_NETWORK_FILTER;
}

static gboolean
is_bridged (FloePolicyNetworkMode mode)
{
  return mode == FLOE_POLICY_NETWORK_BRIDGE || mode == FLOE_POLICY_NETWORK_VLAN;
}

/* -- The object ------------------------------------------------------------------------------------------------------- */

static FloeNetCard *
card_new (FloeNet *net, const FloeNetCardSpec *spec, GError **error)
{
  g_autoptr (FloeNetCard) card = g_new0 (FloeNetCard, 1);
  const FloePolicyNetwork *network = spec->network;

  card->net = net;
  card->fd = -1;
  card->vhost = network->vhost;
  card->machine = g_strdup (spec->machine);
  card->network = g_strdup (network->name);
  card->link = (FloeNetLink){ network->mode, g_strdup (network->interface), network->vlan, spec->filters };
  g_ptr_array_add (net->cards, card);
  if (!floe_net_identity (&net->pool, spec->slot, &card->identity, error))
    return NULL;
  return g_steal_pointer (&card);
}

void
floe_net_card_free (FloeNetCard *card)
{
  if (card == NULL)
    return;
  g_ptr_array_remove (card->net->cards, card);
  floe_net_card_stop_servers (card);
  floe_ruleset_free (card->ruleset);
  floe_fd_clear (&card->fd);
  g_free (card->machine);
  g_free (card->network);
  g_free (card->link.interface);
  g_free (card);
}

/* -- The way through a filtering machine ------------------------------------------------------------------------------ */

/* The filtering machine's inner card of CARD's network, if it is there. A later policy may list its networks otherwise than it was
 * started with; then the card at that place is another's, and there is no way until one of them is started anew. */
static const FloeNetCard *
inner_card (const FloeNetCard *card)
{
  for (guint i = 0; card->n_peers == 1 && i < card->net->cards->len; i++) {
    const FloeNetCard *other = g_ptr_array_index (card->net->cards, i);

    if (other->link.filters && other->identity.slot == card->peers[0] && strcmp (other->network, card->network) == 0
        && floe_tap_state (&other->identity) == FLOE_TAP_UP)
      return other;
  }
  return NULL;
}

static gboolean
is_client (const FloeNetCard *card)
{
  return card->link.mode == FLOE_POLICY_NETWORK_FILTER && !card->link.filters;
}

static gboolean
route_card (FloeNetCard *card, GError **error)
{
  const FloeNetCard *inner = inner_card (card);
  FloeNetlink *netlink = card->net->route;

  if (inner != NULL && !card->dark)
    return floe_route_through (netlink, &card->identity, &inner->identity, card->ipv6 && inner->ipv6, error);
  return floe_route_cut (netlink, &card->identity, error);
}

gboolean
floe_net_route_again (FloeNet *net, GError **error)
{
  for (guint i = 0; i < net->cards->len; i++) {
    FloeNetCard *card = g_ptr_array_index (net->cards, i);

    if (is_client (card) && floe_tap_state (&card->identity) == FLOE_TAP_UP && !route_card (card, error))
      return FALSE;
  }
  return TRUE;
}

/* -- Rules ------------------------------------------------------------------------------------------------------------ */

static gboolean
same_link (const FloeNetLink *link, const FloeNetCardSpec *spec)
{
  const FloePolicyNetwork *network = spec->network;

  return link->mode == network->mode && g_strcmp0 (link->interface, network->interface) == 0 && link->vlan == network->vlan
         && link->filters == spec->filters;
}

/* The /64 prefixes that the host has on its bridge: the only ones whose addresses a bridged guest may have. */
static GArray *
prefixes_on (const char *interface)
{
  GArray *prefixes = g_array_new (FALSE, FALSE, sizeof (FloePolicyPrefix));
  struct ifaddrs *addresses = NULL;

  if (getifaddrs (&addresses) < 0)
    return prefixes;
  for (const struct ifaddrs *at = addresses; at != NULL; at = at->ifa_next) {
    const struct sockaddr_in6 *six = (const void *)at->ifa_addr, *mask = (const void *)at->ifa_netmask;
    FloePolicyPrefix prefix = { .address = { .family = 6 }, .length = 64 };
    static const uint8_t half[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (six == NULL || mask == NULL || six->sin6_family != AF_INET6 || strcmp (at->ifa_name, interface) != 0
        || IN6_IS_ADDR_LINKLOCAL (&six->sin6_addr) || memcmp (&mask->sin6_addr, half, 16) != 0 || prefixes->len >= 8)
      continue;
    memcpy (prefix.address.bytes, &six->sin6_addr, 8);
    g_array_append_val (prefixes, prefix);
  }
  freeifaddrs (addresses);
  return prefixes;
}

/* The rules for NETWORK, loaded. */
static gboolean
load_rules (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  FloeNet *net = card->net;
  gboolean bridged = is_bridged (network->mode);
  g_autoptr (GArray) prefixes = bridged && network->ipv6 ? prefixes_on (card->bridge.name) : NULL;
  char names[FLOE_NET_PEERS_MAX][IF_NAMESIZE];
  const char *peers[FLOE_NET_PEERS_MAX];
  const FloeRuleOptions options = {
    .generation = ++card->generation,
    .resolver = network->resolver != FLOE_POLICY_RESOLVER_NONE,
    .bridge = bridged ? card->bridge.name : NULL,
    .peers = peers,
    .n_peers = card->n_peers,
    .inner = card->link.filters,
    .prefixes6 = prefixes == NULL ? NULL : (const FloePolicyPrefix *)(void *)prefixes->data,
    .n_prefixes6 = prefixes == NULL ? 0 : prefixes->len,
    .zone_offset = net->zone_offset,
    .lacks = net->lacks,
  };
  g_autoptr (FloeRuleset) ruleset = NULL;

  for (size_t i = 0; i < card->n_peers; i++) {
    g_snprintf (names[i], IF_NAMESIZE, FLOE_NET_TAP_PREFIX "%u", card->peers[i]);
    peers[i] = names[i];
  }
  if (bridged && network->ipv6 && options.n_prefixes6 == 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                           "network %s: IPv6 on a LAN takes a bridge on which the host has an address of that LAN itself, as /64: %s has none",
                           network->name, card->bridge.name);
  if (!floe_rules_supported (network, net->lacks, error))
    return FALSE;
  ruleset = floe_ruleset_new (&card->identity, network, &options);
  if (!floe_rules_load (net->filter, ruleset, TRUE, error))
    return FALSE;
  floe_ruleset_free (card->ruleset);
  card->ruleset = g_steal_pointer (&ruleset);
  return TRUE;
}

static FloeTapRole
role_of (const FloeNetCard *card)
{
  return (FloeTapRole){ is_routed (card->link.mode), is_routed (card->link.mode) && card->ipv6, card->link.filters };
}

/* Takes from SPEC what it says of the card now, and answers the network that is to be in force. */
static const FloePolicyNetwork *
take_spec (FloeNetCard *card, const FloeNetCardSpec *spec)
{
  card->dark = !same_link (&card->link, spec);
  memcpy (card->peers, spec->peers, sizeof card->peers);
  card->n_peers = card->dark ? 0 : spec->n_peers;
  return card->dark ? &darkness : spec->network;
}

/* All but what makes the link: for a new card whose tap is still down, and for one that runs. */
static gboolean
put_in_force (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  return load_rules (card, network, error) && floe_net_card_bind_again (card, network, error);
}

gboolean
floe_net_card_replace (FloeNetCard *card, const FloeNetCardSpec *spec, GError **error)
{
  const FloePolicyNetwork *network = take_spec (card, spec);
  gboolean six = card->ipv6;
  FloeTapRole role;

  if (card->dark && spec->network->mode != FLOE_POLICY_NETWORK_NONE)
    floe_warning ("a network has become another kind of link: nothing passes until the machine is started anew", "TAP",
                  card->identity.tap, "NETWORK", card->network);
  /* On a failure the old rules stay, and all that goes with them. */
  if (!put_in_force (card, network, error) || !floe_net_card_prune (card, network, error))
    return FALSE;
  card->ipv6 = is_routed (network->mode) && network->ipv6;
  role = role_of (card);
  if (card->ipv6 != six
      && ((card->ipv6 && !floe_tap_enable_forwarding (TRUE, error)) || !floe_tap_change (card->net->route, &card->identity, &role, error)))
    return FALSE;
  if (card->link.filters || is_client (card))
    if (!floe_net_route_again (card->net, error))
      return FALSE;
  return floe_net_card_serve (card, network, error);
}

/* -- The beginning ---------------------------------------------------------------------------------------------------- */

static gboolean
set_up (FloeNetCard *card, const FloeNetCardSpec *spec, GError **error)
{
  FloeNet *net = card->net;
  const FloePolicyNetwork *network = take_spec (card, spec);
  FloeTapRole role;

  card->ipv6 = is_routed (network->mode) && network->ipv6;
  role = role_of (card);
  if (is_bridged (network->mode) && !floe_bridge_open (net->route, network->interface, network->vlan, &card->bridge, error))
    return FALSE;
  /* What an ended machine may have left, rules and connections: with the tap down there is nothing to let through or keep
   * out. */
  if (!floe_rules_remove (net->filter, card->identity.tap, error) || !floe_net_card_forget (card, error)
      || !put_in_force (card, network, error))
    return FALSE;
  if (is_client (card) && !floe_route_divert (net->route, &card->identity, error))
    return FALSE;
  if (role.routed && !floe_tap_enable_forwarding (role.ipv6, error))
    return FALSE;
  if (is_bridged (network->mode)
      && !floe_bridge_add_port (net->route, &card->bridge, card->identity.tap, network->isolated, error))
    return FALSE;
  return floe_tap_bring_up (net->route, &card->identity, &role, error)
         && (network->mode != FLOE_POLICY_NETWORK_FILTER || floe_net_route_again (net, error))
         && floe_net_card_serve (card, network, error);
}

FloeNetCard *
floe_net_card_open (FloeNet *net, const FloeNetCardSpec *spec, GError **error)
{
  g_autoptr (FloeNetCard) card = card_new (net, spec, error);

  if (card == NULL)
    return NULL;
  card->fd = floe_tap_create (&card->identity, error);
  if (card->fd < 0)
    return NULL;
  if (!set_up (card, spec, error)) {
    g_autoptr (GError) second = NULL;

    if (!floe_net_card_close (card, &second))
      floe_debug ("cleaning up after a failed start", "TAP", card->identity.tap, "REASON", second->message);
    return NULL;
  }
  return g_steal_pointer (&card);
}

static gboolean
check_in_force (FloeNetCard *card, GError **error)
{
  const char *tap = card->identity.tap;
  g_autofree char *link = g_strconcat ("netdev ", tap, NULL), *flow = g_strconcat ("inet ", tap, NULL);
  g_autoptr (GHashTable) tables = NULL;

  if (floe_tap_state (&card->identity) != FLOE_TAP_UP)
    return floe_error_set (error, FLOE_ERROR_NOT_FOUND, "tap %s is not there or not up", tap);
  tables = floe_rules_tables (card->net->filter, error);
  if (tables == NULL)
    return FALSE;
  if (!g_hash_table_contains (tables, link) || !g_hash_table_contains (tables, flow))
    return floe_error_set (error, FLOE_ERROR_UNVERIFIED,
                           "tap %s is up without its rules: someone removed them; end its machine", tap);
  return TRUE;
}

/* What the tap is in the kernel must be what the policy says of it; where it is not, nothing passes (take_spec). */
static gboolean
find_link (FloeNetCard *card, GError **error)
{
  FloeNet *net = card->net;
  g_autoptr (GArray) links = floe_link_list (net->route, error);
  const FloeLink *tap = links == NULL ? NULL : floe_link_by_name (links, card->identity.tap);

  if (tap == NULL)
    return links != NULL && floe_error_set (error, FLOE_ERROR_NOT_FOUND, "tap %s is gone", card->identity.tap);
  if (!is_bridged (card->link.mode)) {
    if (tap->master != 0)
      card->link.mode = FLOE_POLICY_NETWORK_NONE;
    return TRUE;
  }
  if (!floe_bridge_open (net->route, card->link.interface, card->link.vlan, &card->bridge, error))
    return FALSE;
  if (tap->master != card->bridge.index)
    card->link.mode = FLOE_POLICY_NETWORK_NONE;
  return TRUE;
}

FloeNetCard *
floe_net_card_adopt (FloeNet *net, const FloeNetCardSpec *spec, GError **error)
{
  g_autoptr (FloeNetCard) card = card_new (net, spec, error);

  if (card == NULL || !check_in_force (card, error) || !find_link (card, error)
      || !floe_rules_generation (net->filter, &card->identity, &card->generation, error))
    return NULL;
  /* Whatever it was: both ways are made again as they are to be. */
  card->ipv6 = is_routed (card->link.mode) && !spec->network->ipv6;
  if (is_client (card) && !floe_route_divert (net->route, &card->identity, error))
    return NULL;
  if (!floe_net_card_replace (card, spec, error))
    return NULL;
  return g_steal_pointer (&card);
}

/* -- The end ---------------------------------------------------------------------------------------------------------- */

gboolean
floe_net_card_close (FloeNetCard *card, GError **error)
{
  FloeNet *net = card->net;

  floe_net_card_stop_servers (card);
  floe_fd_clear (&card->fd);
  /* The tap first: what keeps its packets in is the last to go. */
  return floe_tap_remove (net->route, &card->identity, error) && floe_net_card_forget (card, error) && floe_rules_remove (net->filter, card->identity.tap, error)
         && (!is_client (card) || floe_route_forget (net->route, card->identity.slot, error))
         && (!is_bridged (card->link.mode) || floe_bridge_sweep (net->route, error));
}

/* -- What others ask -------------------------------------------------------------------------------------------------- */

int
floe_net_card_open_vhost (FloeNetCard *card)
{
  guint64 features;
  floe_autofd fd = -1;

  if (!card->vhost)
    return -1;
  fd = open ("/dev/vhost-net", O_RDWR | O_CLOEXEC);
  if (fd < 0 || ioctl (fd, VHOST_GET_FEATURES, &features) < 0)
    return -1;
  return floe_fd_steal (&fd);
}

int
floe_net_card_dup_fd (FloeNetCard *card, GError **error)
{
  int fd = card->fd < 0 ? -1 : fcntl (card->fd, F_DUPFD_CLOEXEC, 0);

  if (fd < 0)
    floe_error_set_errno (error, card->fd < 0 ? EBADF : errno, "descriptor of tap %s", card->identity.tap);
  return fd;
}

const char *
floe_net_card_tap (FloeNetCard *card)
{
  return card->identity.tap;
}

const char *
floe_net_card_mac (FloeNetCard *card)
{
  return card->identity.guest_mac_text;
}

const char *
floe_net_card_address (FloeNetCard *card)
{
  return is_bridged (card->link.mode) ? card->learnt_text : card->identity.guest_text;
}

const char *
floe_net_card_address6 (FloeNetCard *card)
{
  return card->ipv6 ? card->identity.guest6_text : "";
}
