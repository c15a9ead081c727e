/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "hypervisor/net/floe-netlink.h"

/* Taps and their host side. NETLINK is a NETLINK_ROUTE socket throughout. */

/* Makes the tap, down, and answers its descriptor; it lives as long as someone holds that. BUSY when the name is taken,
 * UNSUPPORTED without /dev/net/tun. -1 on failure. */
int floe_tap_create (const FloeNetIdentity *identity, GError **error) FLOE_WARN_UNUSED;

typedef struct {
  gboolean routed; /* the host has addresses on the link and forwards from and to it; otherwise the tap is a bridge's port, or nothing's */
  gboolean ipv6;   /* routed in IPv6 too */
  gboolean inner;  /* what comes from it has addresses of the whole world: it is the filtering machine's inner side */
} FloeTapRole;

/* Host MAC, the kernel's switches for the link (sysctl), host addresses, up: in this order. The rules must be in force by
 * now. REFUSED where the host's own settings would drop what an inner side sends. */
gboolean floe_tap_bring_up (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeTapRole *role,
                            GError **error) FLOE_WARN_UNUSED;
/* The same for a tap that is up, where the role has changed in ipv6. */
gboolean floe_tap_change (FloeNetlink *netlink, const FloeNetIdentity *identity, const FloeTapRole *role,
                          GError **error) FLOE_WARN_UNUSED;

/* Removes the tap, whoever holds it still; a missing one is success. */
gboolean floe_tap_remove (FloeNetlink *netlink, const FloeNetIdentity *identity, GError **error) FLOE_WARN_UNUSED;

typedef enum {
  FLOE_TAP_ABSENT,
  FLOE_TAP_DOWN,
  FLOE_TAP_UP,
} FloeTapState;

FloeTapState floe_tap_state (const FloeNetIdentity *identity);

/* Lets the host route between links (net.ipv4.ip_forward, with IPV6 net.ipv6.conf.all.forwarding too). Interfaces that take their IPv6
 * address from routers' advertisements go on doing so, which forwarding hosts do not by themselves. */
gboolean floe_tap_enable_forwarding (gboolean ipv6, GError **error) FLOE_WARN_UNUSED;
