/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/net/floe-net-private.h"

#include "common/floe-log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* The processes beside a card: dnsmasq for DHCP and router advertisements, floe-resolver for names and learnt leases. */

#define DHCP_RESTART_MS 1000
#define FOREVER UINT32_MAX
/* The longest that the kernel's sets are told; a longer lease is renewed long before. */
#define PIN_MAX_S 604800

/* -- DHCP ------------------------------------------------------------------------------------------------------------- */

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
  card->dhcp = floe_dhcp_start (&card->identity, &card->dhcp_options, error);
  if (card->dhcp == 0)
    return FALSE;
  card->watch = g_child_watch_add (card->dhcp, dhcp_ended, card);
  return TRUE;
}

static void
stop_dhcp (FloeNetCard *card)
{
  g_clear_handle_id (&card->watch, g_source_remove);
  g_clear_handle_id (&card->restart, g_source_remove);
  if (card->dhcp == 0)
    return;
  /* Ours and not reaped yet, so the number is still its. */
  kill (card->dhcp, SIGKILL);
  while (waitpid (card->dhcp, NULL, 0) < 0 && errno == EINTR)
    continue;
  g_spawn_close_pid (card->dhcp);
  card->dhcp = 0;
}

void
floe_net_card_guest_reset (FloeNetCard *card)
{
  if (!card->dhcp_wanted || !card->dhcp_options.ipv6 || card->restart != 0)
    return;
  stop_dhcp (card);
  card->restart = g_timeout_add (DHCP_RESTART_MS, restart_dhcp, card);
}

static gboolean
serve_dhcp (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  const FloeDhcpOptions options = {
    .program = card->net->dnsmasq,
    .user = card->net->dnsmasq_user,
    .pool = card->net->pool_text,
    .resolver = network != NULL && network->resolver != FLOE_POLICY_RESOLVER_NONE,
    .ipv6 = card->ipv6,
    .inner = card->link.filters,
  };
  gboolean wanted = network != NULL && (network->mode == FLOE_POLICY_NETWORK_NAT || network->mode == FLOE_POLICY_NETWORK_FILTER);

  if (card->dhcp_wanted && wanted && options.resolver == card->dhcp_options.resolver && options.ipv6 == card->dhcp_options.ipv6)
    return TRUE;
  stop_dhcp (card);
  card->dhcp_wanted = wanted;
  card->dhcp_options = options;
  return !wanted || start_dhcp (card, error);
}

/* -- Names and leases ------------------------------------------------------------------------------------------------- */

static gboolean
bind_names (const FloeResolverBinding *bindings, size_t n_bindings, gpointer data, GError **error)
{
  FloeNetCard *card = data;
  g_autofree FloeRulesBinding *rules = g_new0 (FloeRulesBinding, n_bindings);

  for (size_t i = 0; i < n_bindings; i++)
    rules[i] = (FloeRulesBinding){ bindings[i].rule, bindings[i].address, bindings[i].timeout_s };
  return floe_rules_bind_all (card->net->filter, &card->identity, card->ruleset, rules, n_bindings, error);
}

static gboolean
pin (FloeNetCard *card, GError **error)
{
  gint64 left = card->learnt_until == G_MAXINT64 ? PIN_MAX_S : (card->learnt_until - g_get_monotonic_time ()) / G_USEC_PER_SEC;

  if (card->learnt.family == 0 || left <= 0)
    return TRUE;
  return floe_rules_pin (card->net->filter, &card->identity, card->ruleset, &card->learnt, (unsigned)MIN (left, PIN_MAX_S), error);
}

static void
lease_learnt (const FloePolicyAddress *address, uint32_t lease_s, gpointer data)
{
  FloeNetCard *card = data;
  g_autoptr (GError) error = NULL;

  card->learnt = *address;
  g_snprintf (card->learnt_text, sizeof card->learnt_text, "%u.%u.%u.%u", address->bytes[0], address->bytes[1], address->bytes[2],
              address->bytes[3]);
  card->learnt_until = lease_s == FOREVER ? G_MAXINT64 : g_get_monotonic_time () + (gint64)lease_s * G_USEC_PER_SEC;
  if (!pin (card, &error))
    floe_warning ("a leased address is not let through", "TAP", card->identity.tap, "REASON", error->message);
}

static void
resolver_said (const FloeResolverEvent *event, gpointer data)
{
  floe_net_audit_resolver (data, event);
}

static gboolean
start_resolver (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  FloeNet *net = card->net;
  gboolean bridged = network->mode == FLOE_POLICY_NETWORK_BRIDGE || network->mode == FLOE_POLICY_NETWORK_VLAN;
  FloePolicyPrefix inside[] = {
    { .address = { .family = 4 }, .length = (uint8_t)net->pool.length },
    { .address = { .family = 6, .bytes = { 0xfd, 0xf1, 0x0e, 0x77, 0, 0 } }, .length = 48 },
  };
  const FloeResolverOptions options = {
    .program = net->resolver,
    .staging = net->staging,
    .uid = net->resolver_uid + card->identity.slot,
    .identity = &card->identity,
    .network = network,
    .lease_interface = bridged ? card->identity.tap : NULL,
    .inside = inside,
    .n_inside = G_N_ELEMENTS (inside),
    .callbacks = { .bind = bind_names, .lease = lease_learnt, .event = resolver_said },
    .data = card,
  };

  for (int i = 0; i < 4; i++)
    inside[0].address.bytes[i] = (uint8_t)(net->pool.base >> (24 - 8 * i));
  if (net->staging == NULL)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "network %s needs a resolver, for which there is no place here", network->name);
  card->resolver = floe_resolver_start (&options, error);
  return card->resolver != NULL;
}

static gboolean
serve_names (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  gboolean wanted = network != NULL && network->mode != FLOE_POLICY_NETWORK_NONE && !card->link.filters && floe_resolver_wanted (network);

  if (!wanted) {
    g_clear_pointer (&card->resolver, floe_resolver_stop);
    return TRUE;
  }
  return card->resolver == NULL ? start_resolver (card, network, error) : floe_resolver_replace (card->resolver, network, error);
}

/* -- Both ------------------------------------------------------------------------------------------------------------- */

gboolean
floe_net_card_serve (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  return serve_names (card, network, error) && serve_dhcp (card, network, error);
}

gboolean
floe_net_card_bind_again (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  g_autoptr (GArray) bindings = card->resolver == NULL ? NULL : floe_resolver_bindings (card->resolver, network);

  if (bindings != NULL && bindings->len > 0
      && !bind_names ((const FloeResolverBinding *)(void *)bindings->data, bindings->len, card, error))
    return FALSE;
  return pin (card, error);
}

void
floe_net_card_stop_servers (FloeNetCard *card)
{
  g_clear_pointer (&card->resolver, floe_resolver_stop);
  stop_dhcp (card);
  card->dhcp_wanted = FALSE;
}

int
floe_net_card_dhcp_pid (FloeNetCard *card)
{
  return card->dhcp;
}

int
floe_net_card_resolver_pid (FloeNetCard *card)
{
  return card->resolver == NULL ? 0 : floe_resolver_pid (card->resolver);
}

static gboolean
add_bound (FloeNetCard *card, const char *rule, unsigned family, GArray *bound, GError **error)
{
  g_autoptr (GArray) addresses = floe_rules_bound (card->net->filter, card->ruleset, rule, family, error);

  for (guint i = 0; addresses != NULL && i < addresses->len; i++) {
    const FloeRulesBound *from = &g_array_index (addresses, FloeRulesBound, i);
    FloeNetBound entry = { .rule = rule, .seconds = (unsigned)(from->left_ms / 1000) };

    inet_ntop (family == 4 ? AF_INET : AF_INET6, from->address.bytes, entry.address, sizeof entry.address);
    g_array_append_val (bound, entry);
  }
  return addresses != NULL;
}

GArray *
floe_net_card_bound (FloeNetCard *card, const FloePolicyNetwork *network, GError **error)
{
  g_autoptr (GArray) bound = g_array_new (FALSE, TRUE, sizeof (FloeNetBound));

  for (unsigned ingress = 0; ingress < 2; ingress++)
    for (size_t i = 0; i < (ingress ? network->n_ingress : network->n_egress); i++) {
      const FloePolicyNetRule *rule = ingress ? &network->ingress[i] : &network->egress[i];

      for (unsigned family = 4; family <= 6 && rule->n_names > 0; family += 2)
        if (!add_bound (card, rule->id, family, bound, error))
          return NULL;
    }
  return g_steal_pointer (&bound);
}
