/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-netlink.h"
#include "hypervisor/net/floe-rules.h"

/* Messages of nf_tables, each added to a batch: what floe-rules-netlink.c puts transactions together from. */

uint16_t floe_family_of (const FloeTable *table);
const char *floe_family_name (gboolean netdev);

void floe_put_rule (FloeBatch *batch, const FloeTable *table, const FloeChain *chain, const FloeRule *rule);

/* ID is the set's within the transaction, from 1. */
void floe_put_set (FloeBatch *batch, const FloeTable *table, const FloeSet *set, uint32_t id);
void floe_put_old_set (FloeBatch *batch, const FloeTable *table, const char *name);
/* TYPE is NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM; TIMEOUT_MS 0: none. */
void floe_put_element (FloeBatch *batch, const FloeTable *table, const FloeSet *set, const FloeElement *element, uint16_t type,
                       uint64_t timeout_ms);
void floe_put_emptied (FloeBatch *batch, const FloeTable *table, const FloeSet *set);

/* How long the element lives from now, in ms: 0 when it is not there. */
gboolean floe_rules_element_left (FloeNetlink *netlink, const FloeTable *table, const FloeSet *set, const FloeElement *element,
                                  uint64_t *left_ms, GError **error) FLOE_WARN_UNUSED;
