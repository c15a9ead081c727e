/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "hypervisor/net/floe-netlink.h"

/* Mode filter: what comes from a client's tap goes to the filtering machine's inner card and nowhere else. A rule (ip rule) sends it
 * to a table of the client's own, in which there are two routes at most: through the inner card, and, always, one that is
 * unreachable. So while the filtering machine is away nothing leaves, whoever runs or does not. NETLINK is a NETLINK_ROUTE socket
 * throughout; everything may be done twice. */

/* The number of a card's table: in `ip rule` and `ip route show table`. */
uint32_t floe_route_table (unsigned slot);

/* The unreachable route and the rule, in this order; before the tap is up. IPv6 too, also where the network has none. */
gboolean floe_route_divert (FloeNetlink *netlink, const FloeNetIdentity *client, GError **error) FLOE_WARN_UNUSED;
/* The way through INNER, whose tap must be up; it goes with that tap by itself. */
gboolean floe_route_through (FloeNetlink *netlink, const FloeNetIdentity *client, const FloeNetIdentity *inner, gboolean ipv6,
                             GError **error) FLOE_WARN_UNUSED;
/* Takes the way through whatever there is. */
gboolean floe_route_cut (FloeNetlink *netlink, const FloeNetIdentity *client, GError **error) FLOE_WARN_UNUSED;
/* Rule and table go; after the tap. */
gboolean floe_route_forget (FloeNetlink *netlink, unsigned slot, GError **error) FLOE_WARN_UNUSED;
/* floe_route_forget() for all whose tap is gone. */
gboolean floe_route_sweep (FloeNetlink *netlink, GError **error) FLOE_WARN_UNUSED;
