/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/resolver/floe-bindings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What a resolver's process that was taken over says to hypervisord: of whatever passes the parser, only names that rules name are bound, and
 * nothing that is inside. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const names[] = { "*.example.org" };
  static const FloePolicyNetRule rule = { .id = "web", .names = names, .n_names = 1 };
  static const FloePolicyNetwork network
      = { .mode = FLOE_POLICY_NETWORK_NAT, .resolver = FLOE_POLICY_RESOLVER_RULES, .egress = &rule, .n_egress = 1 };
  g_autoptr (FloeBindings) bindings = NULL;
  g_autoptr (GArray) bound = NULL;
  FloeResolverMessage message;
  uint32_t keep;

  if (!floe_resolver_message_parse (data, size, &message) || message.kind != FLOE_RESOLVER_MESSAGE_BIND)
    return 0;
  bindings = floe_bindings_new (60);
  bound = g_array_new (FALSE, FALSE, sizeof (FloeResolverBinding));
  floe_bindings_set_network (bindings, &network);
  if (floe_bindings_judge (bindings, &message.bind, 0, bound, &keep) != FLOE_BINDINGS_OK)
    return 0;
  floe_bindings_remember (bindings, &message.bind, 0, keep);
  if (!floe_policy_name_matches (names[0], message.bind.name) || bound->len > FLOE_DNS_RECORDS_MAX)
    abort ();
  for (guint i = 0; i < bound->len; i++) {
    const FloeResolverBinding *binding = &g_array_index (bound, FloeResolverBinding, i);
    FloeDnsAddress address = { .family = binding->address.family };

    memcpy (address.bytes, binding->address.bytes, sizeof address.bytes);
    if (floe_dns_address_is_inside (&address) || binding->timeout_s < 65 || binding->timeout_s > 3605)
      abort ();
  }
  return 0;
}
