/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/resolver/floe-resolver-message.h"
#include "hypervisor/resolver/floe-resolver.h"

/* What names stand for now, on one card: which rules name a name, which (name, address) pairs are bound and until when, and whether what
 * the resolver's process wants bound may be. Times are monotonic, in microseconds, and given: no clock is looked at. */

typedef struct _FloeBindings FloeBindings;

/* Nothing is allowed before floe_bindings_set_network(). TTL_FLOOR in seconds. */
FloeBindings *floe_bindings_new (unsigned ttl_floor);
void floe_bindings_free (FloeBindings *bindings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeBindings, floe_bindings_free)

/* The names of NETWORK's rules (its ids and names are copied); pairs whose names no rule names any more are forgotten. */
void floe_bindings_set_network (FloeBindings *bindings, const FloePolicyNetwork *network);
/* Never bound, whatever `rebind` says; copied. */
void floe_bindings_set_inside (FloeBindings *bindings, const FloePolicyPrefix *inside, size_t n_inside);
/* The same names for floe_dns_names_match(), as its header describes them. */
GByteArray *floe_bindings_names (FloeBindings *bindings);

typedef enum {
  FLOE_BINDINGS_OK,       /* *keep says which addresses may be answered; bind ALL of BOUND first */
  FLOE_BINDINGS_REFUSED,  /* no rule names that name, and the network does not answer others */
  FLOE_BINDINGS_FULL,     /* too many live pairs */
} FloeBindingsVerdict;

/* Judges WANTED (which floe_resolver_message_parse() has let through) and adds what is to be bound to BOUND, of FloeResolverBinding whose
 * rules live as long as the network is not set anew. Addresses that are inside are not in *keep. */
FloeBindingsVerdict floe_bindings_judge (FloeBindings *bindings, const FloeResolverBind *wanted, gint64 now, GArray *bound, uint32_t *keep);
/* After they were bound: remembers the pairs that KEEP names. */
void floe_bindings_remember (FloeBindings *bindings, const FloeResolverBind *wanted, gint64 now, uint32_t keep);
/* What is live at NOW as NETWORK's rules say it, of FloeResolverBinding; rules' ids are those of NETWORK. */
GArray *floe_bindings_live (FloeBindings *bindings, const FloePolicyNetwork *network, gint64 now);
guint floe_bindings_count (FloeBindings *bindings);
