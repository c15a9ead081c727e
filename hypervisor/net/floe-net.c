/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net.h"

#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "hypervisor/net/floe-conntrack.h"
#include "hypervisor/net/floe-dhcp.h"
#include "hypervisor/net/floe-net-probe.h"
#include "hypervisor/net/floe-rules-netlink.h"
#include "hypervisor/net/floe-tap.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/vhost.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define DHCP_RESTART_MS 1000

struct _FloeNet {
  FloeNetlink *filter, *route;
  FloeNetPool pool;
  FloeDhcpOptions dhcp;
  char *program;
  unsigned lacks; /* of FloeRulesLack */
};

struct _FloeNetCard {
  FloeNet *net; /* borrowed */
  FloeNetIdentity identity;
  FloeRuleset *ruleset; /* in force */
  uint16_t generation;  /* of the last load that was tried */
  int fd;
  gboolean vhost;
  GPid dhcp; /* 0: none */
  guint watch, restart;
};

/* -- The host ------------------------------------------------------------------------------------------------------- */

static gboolean
check_rules (const FloeRuleset *ruleset, gpointer data, GError **error)
{
  return floe_rules_load (data, ruleset, FALSE, error);
}

/* An address of the host's own inside the pool would make its neighbours unreachable, or a guest's link theirs. */
static gboolean
check_pool_is_free (const FloeNetPool *pool, const char *text, GError **error)
{
  struct ifaddrs *addresses = NULL;
  gboolean free = TRUE;

  if (getifaddrs (&addresses) < 0)
    return TRUE;
  for (struct ifaddrs *at = addresses; at != NULL && free; at = at->ifa_next) {
    uint32_t address;

    if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET || floe_net_slot_of_name (at->ifa_name) >= 0)
      continue;
    address = ntohl (((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr.s_addr);
    if ((address ^ pool->base) >> (32 - pool->length) == 0)
      free = floe_error_set (error, FLOE_ERROR_INVALID,
                             "address pool %s: the host's interface %s has an address in it; configure another pool", text,
                             at->ifa_name);
  }
  freeifaddrs (addresses);
  return free;
}

FloeNet *
floe_net_new (const FloeNetConfig *config, GError **error)
{
  g_autoptr (FloeNet) net = g_new0 (FloeNet, 1);
  g_autoptr (GString) missing = g_string_new (NULL);
  const char *pool = config->pool != NULL ? config->pool : FLOE_NET_POOL_DEFAULT;

  if (!floe_net_pool_parse (pool, &net->pool, error) || !check_pool_is_free (&net->pool, pool, error))
    return NULL;
  net->program = g_strdup (config->dnsmasq != NULL ? config->dnsmasq : "/usr/sbin/dnsmasq");
  net->dhcp.program = net->program;
  net->dhcp.user = g_intern_string (config->dnsmasq_user != NULL   ? config->dnsmasq_user
                                    : getpwnam ("dnsmasq") != NULL ? "dnsmasq"
                                                                   : "nobody");
  net->dhcp.resolver = config->resolver;
  net->route = floe_netlink_open (NETLINK_ROUTE, error);
  if (net->route == NULL)
    return NULL;
  net->filter = floe_netlink_open (NETLINK_NETFILTER, error);
  /* No connection has that address: asked only to know that the kernel can be. */
  if (net->filter == NULL || !floe_net_probe (check_rules, net->filter, &net->lacks, missing, error)
      || !floe_conntrack_forget (net->filter, (const uint8_t[4]){ 0 }, error))
    return NULL;
  if (missing->len > 0)
    floe_debug ("the packet filter does without some features", "MISSING", missing->str);
  return g_steal_pointer (&net);
}

void
floe_net_free (FloeNet *net)
{
  if (net == NULL)
    return;
  floe_netlink_close (net->filter);
  floe_netlink_close (net->route);
  g_free (net->program);
  g_free (net);
}

gboolean
floe_net_sweep (FloeNet *net, GError **error)
{
  g_autoptr (GHashTable) tables = floe_rules_tables (net->filter, error);
  GHashTableIter iter;
  gpointer name;

  if (tables == NULL)
    return FALSE;
  g_hash_table_iter_init (&iter, tables);
  while (g_hash_table_iter_next (&iter, &name, NULL)) {
    const char *table = strchr (name, ' ') + 1;
    int slot = floe_net_slot_of_name (table);

    if (slot < 0 || if_nametoindex (table) != 0)
      continue;
    floe_debug ("rules of a tap that is gone", "TAP", table);
    if (!floe_rules_remove (net->filter, table, error))
      return FALSE;
  }
  return TRUE;
}

/* -- DHCP ----------------------------------------------------------------------------------------------------------- */

static gboolean start_dhcp (FloeNetCard *card, GError **error);

static gboolean
restart_dhcp (gpointer data)
{
  FloeNetCard *card = data;
  g_autoptr (GError) error = NULL;

  card->restart = 0;
  if (!start_dhcp (card, &error)) {
    /* Nobody above can handle it: the guest's lease does not run out, and the next try may do better. */
    floe_warning ("DHCP server does not start", "TAP", card->identity.tap, "REASON", error->message);
    card->restart = g_timeout_add (10 * DHCP_RESTART_MS, restart_dhcp, card);
  }
  return G_SOURCE_REMOVE;
}

static void
dhcp_ended (GPid pid, gint status, gpointer data)
{
  FloeNetCard *card = data;
  g_autofree char *how = g_strdup_printf ("%s %d", WIFSIGNALED (status) ? "signal" : "status",
                                          WIFSIGNALED (status) ? WTERMSIG (status) : WEXITSTATUS (status));

  g_spawn_close_pid (pid);
  card->dhcp = 0;
  card->watch = 0;
  floe_warning ("DHCP server ended; starting it again", "TAP", card->identity.tap, "HOW", how);
  card->restart = g_timeout_add (DHCP_RESTART_MS, restart_dhcp, card);
}

static gboolean
start_dhcp (FloeNetCard *card, GError **error)
{
  card->dhcp = floe_dhcp_start (&card->identity, &card->net->dhcp, error);
  if (card->dhcp == 0)
    return FALSE;
  card->watch = g_child_watch_add (card->dhcp, dhcp_ended, card);
  return TRUE;
}

void
floe_net_card_stop_servers (FloeNetCard *card)
{
  g_clear_handle_id (&card->watch, g_source_remove);
  g_clear_handle_id (&card->restart, g_source_remove);
  if (card->dhcp == 0)
    return;
  /* Ours and not reaped yet, so the number is still its. */
  kill (card->dhcp, SIGKILL);
  while (waitpid (card->dhcp, NULL, 0) < 0 && errno == EINTR)
    continue;
  card->dhcp = 0;
}

/* -- A card ----------------------------------------------------------------------------------------------------------- */

static FloeNetCard *
card_new (FloeNet *net, unsigned slot, GError **error)
{
  g_autoptr (FloeNetCard) card = g_new0 (FloeNetCard, 1);

  card->net = net;
  card->fd = -1;
  if (!floe_net_identity (&net->pool, slot, &card->identity, error))
    return NULL;
  return g_steal_pointer (&card);
}

void
floe_net_card_free (FloeNetCard *card)
{
  if (card == NULL)
    return;
  floe_net_card_stop_servers (card);
  floe_ruleset_free (card->ruleset);
  floe_fd_clear (&card->fd);
  g_free (card);
}

gboolean
floe_net_card_replace (FloeNetCard *card, const FloeNetCardSpec *spec, GError **error)
{
  const FloePolicyNetwork *network = spec->network;
  const FloeRuleOptions options = { .generation = ++card->generation,
                                    .resolver = card->net->dhcp.resolver,
                                    .lacks = card->net->lacks,
                                    .connections = FLOE_CONNECTIONS_DEFAULT };
  g_autoptr (FloeRuleset) ruleset = NULL;

  if (!floe_rules_supported (network, card->net->lacks, error))
    return FALSE;
  ruleset = floe_ruleset_new (&card->identity, network, &options);
  if (!floe_rules_load (card->net->filter, ruleset, TRUE, error))
    return FALSE;
  floe_ruleset_free (card->ruleset);
  card->ruleset = g_steal_pointer (&ruleset);
  return TRUE;
}

static gboolean
set_up (FloeNetCard *card, const FloeNetCardSpec *spec, GError **error)
{
  FloeNet *net = card->net;
  gboolean routed = spec->network->mode == FLOE_POLICY_NETWORK_NAT;

  /* What an ended machine may have left, rules and connections: with the tap down there is nothing to let through or keep
   * out. */
  if (!floe_rules_remove (net->filter, card->identity.tap, error)
      || !floe_conntrack_forget (net->filter, card->identity.guest, error) || !floe_net_card_replace (card, spec, error))
    return FALSE;
  if (routed && !floe_tap_enable_forwarding (error))
    return FALSE;
  return floe_tap_bring_up (net->route, &card->identity, routed, error) && (!routed || start_dhcp (card, error));
}

FloeNetCard *
floe_net_card_open (FloeNet *net, const FloeNetCardSpec *spec, GError **error)
{
  g_autoptr (FloeNetCard) card = card_new (net, spec->slot, error);

  if (card == NULL)
    return NULL;
  card->vhost = spec->network->vhost;
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

FloeNetCard *
floe_net_card_adopt (FloeNet *net, const FloeNetCardSpec *spec, GError **error)
{
  g_autoptr (FloeNetCard) card = card_new (net, spec->slot, error);

  if (card == NULL || !check_in_force (card, error)
      || !floe_rules_generation (net->filter, &card->identity, &card->generation, error)
      || !floe_net_card_replace (card, spec, error))
    return NULL;
  if (spec->network->mode == FLOE_POLICY_NETWORK_NAT && !start_dhcp (card, error))
    return NULL;
  return g_steal_pointer (&card);
}

gboolean
floe_net_card_close (FloeNetCard *card, GError **error)
{
  floe_net_card_stop_servers (card);
  floe_fd_clear (&card->fd);
  /* The tap first: rules are the last to go. */
  return floe_tap_remove (card->net->route, &card->identity, error)
         && floe_rules_remove (card->net->filter, card->identity.tap, error);
}

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
  return card->identity.guest_text;
}

int
floe_net_card_dhcp_pid (FloeNetCard *card)
{
  return card->dhcp;
}

/* -- Statistics ------------------------------------------------------------------------------------------------------- */

static void
free_counter (gpointer data)
{
  FloeNetCounter *counter = data;

  g_free (counter->rule);
  g_free (counter);
}

void
floe_net_statistics_free (FloeNetStatistics *statistics)
{
  if (statistics == NULL)
    return;
  g_clear_pointer (&statistics->rules, g_ptr_array_unref);
  g_free (statistics);
}

/* Adds to the entry of the same id and effect: both directions' "default" are one line to people. */
static void
add_up (FloeNetStatistics *statistics, const FloeRule *rule, const FloeRulesCounter *counted)
{
  gboolean allowed = rule->verdict == FLOE_VERDICT_ACCEPT;
  FloeNetCounter *entry = NULL;

  for (guint i = 0; i < statistics->rules->len; i++) {
    FloeNetCounter *known = g_ptr_array_index (statistics->rules, i);

    if (strcmp (known->rule, rule->comment) == 0 && known->allowed == allowed)
      entry = known;
  }
  if (entry == NULL) {
    entry = g_new0 (FloeNetCounter, 1);
    entry->rule = g_strdup (rule->comment);
    entry->allowed = allowed;
    g_ptr_array_add (statistics->rules, entry);
  }
  entry->packets += counted->packets;
  entry->bytes += counted->bytes;
  if (rule->final)
    *(allowed ? &statistics->allowed_packets : &statistics->dropped_packets) += counted->packets;
}

static gboolean
read_table (FloeNetCard *card, const FloeTable *table, FloeNetStatistics *statistics, GError **error)
{
  g_autoptr (GPtrArray) counters = floe_rules_counters (card->net->filter, table->netdev, table->name, error);
  g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);

  if (counters == NULL)
    return FALSE;
  for (guint i = 0; i < counters->len; i++) {
    FloeRulesCounter *counter = g_ptr_array_index (counters, i);

    g_hash_table_insert (by_name, counter->name, counter);
  }
  for (guint i = 0; i < table->chains->len; i++) {
    const FloeChain *chain = g_ptr_array_index (table->chains, i);

    for (guint j = 0; j < chain->rules->len; j++) {
      const FloeRule *rule = g_ptr_array_index (chain->rules, j);
      gpointer counter;

      /* Rules that share a counter are one line: it is taken with the first. */
      if (rule->counter != NULL && g_hash_table_steal_extended (by_name, rule->counter, NULL, &counter))
        add_up (statistics, rule, counter);
    }
  }
  return TRUE;
}

FloeNetStatistics *
floe_net_card_statistics (FloeNetCard *card, GError **error)
{
  g_autoptr (FloeNetStatistics) statistics = g_new0 (FloeNetStatistics, 1);

  statistics->rules = g_ptr_array_new_with_free_func (free_counter);
  if (!read_table (card, card->ruleset->link, statistics, error)
      || !read_table (card, card->ruleset->flow, statistics, error))
    return NULL;
  return g_steal_pointer (&statistics);
}
