/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-netlink.h"
#include "policy/document/floe-policy.h"

#include <stdint.h>

/* The kernel's table of tracked connections. NETLINK is a NETLINK_NETFILTER socket throughout; UNSUPPORTED without
 * CONFIG_NF_CT_NETLINK. */

/* A connection as it was begun, before any address was translated. */
typedef struct {
  FloePolicyAddress source, destination;
  uint8_t protocol;
  uint16_t source_port, destination_port; /* host order; tcp and udp */
  uint8_t icmp_type;
} FloeConntrackFlow;

/* Makes the kernel forget every tracked connection that ADDRESS began or was the goal of: what one machine was allowed must
 * not be "established" for the next one with its slot. */
gboolean floe_conntrack_forget (FloeNetlink *netlink, const FloePolicyAddress *address, GError **error) FLOE_WARN_UNUSED;

/* The same for those of them of which KEEP says FALSE. */
typedef gboolean (*FloeConntrackKeep) (const FloeConntrackFlow *flow, gpointer data);
gboolean floe_conntrack_prune (FloeNetlink *netlink, const FloePolicyAddress *address, FloeConntrackKeep keep, gpointer data,
                               GError **error) FLOE_WARN_UNUSED;
