/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-resolver.h"

struct _FloeResolver {
  unsigned deaths;
};

const char *
floe_resolver_event_name (FloeResolverEventKind kind)
{
  static const char *const names[] = { "refused", "inside", "upstream", "limit", "dhcp" };

  return names[kind];
}

gboolean
floe_resolver_wanted (const FloePolicyNetwork *network)
{
  switch (network->mode) {
  case FLOE_POLICY_NETWORK_NAT:
  case FLOE_POLICY_NETWORK_FILTER:
    return network->resolver != FLOE_POLICY_RESOLVER_NONE;
  case FLOE_POLICY_NETWORK_BRIDGE:
  case FLOE_POLICY_NETWORK_VLAN:
    return TRUE;
  case FLOE_POLICY_NETWORK_NONE:
    break;
  }
  return FALSE;
}

FloeResolver *
floe_resolver_start (const FloeResolverOptions *options, GError **error)
{
  floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "%s: this version has no resolver", options->identity->tap);
  return NULL;
}

gboolean
floe_resolver_replace (FloeResolver *resolver G_GNUC_UNUSED, const FloePolicyNetwork *network, GError **error)
{
  return floe_error_set (error, FLOE_ERROR_UNSUPPORTED, "network %s: this version has no resolver", network->name);
}

GArray *
floe_resolver_bindings (FloeResolver *resolver G_GNUC_UNUSED, const FloePolicyNetwork *network G_GNUC_UNUSED)
{
  return g_array_new (FALSE, FALSE, sizeof (FloeResolverBinding));
}

void
floe_resolver_stop (FloeResolver *resolver)
{
  g_free (resolver);
}

pid_t
floe_resolver_pid (const FloeResolver *resolver G_GNUC_UNUSED)
{
  return 0;
}

unsigned
floe_resolver_deaths (const FloeResolver *resolver)
{
  return resolver->deaths;
}
