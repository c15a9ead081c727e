/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "hypervisor/net/floe-netlink.h"

/* Taps and their host side. NETLINK is a NETLINK_ROUTE socket throughout. */

/* Makes the tap, down, and answers its descriptor; it lives as long as someone holds that. BUSY when the name is taken,
 * UNSUPPORTED without /dev/net/tun. -1 on failure. */
int floe_tap_create (const FloeNetIdentity *identity, GError **error) FLOE_WARN_UNUSED;

/* Host MAC, the kernel's switches for the link (sysctl), host address, up: in this order. The rules must be in force by
 * now. */
gboolean floe_tap_bring_up (FloeNetlink *netlink, const FloeNetIdentity *identity, gboolean routed,
                            GError **error) FLOE_WARN_UNUSED;

/* Removes the tap, whoever holds it still; a missing one is success. */
gboolean floe_tap_remove (FloeNetlink *netlink, const FloeNetIdentity *identity, GError **error) FLOE_WARN_UNUSED;

typedef enum {
  FLOE_TAP_ABSENT,
  FLOE_TAP_DOWN,
  FLOE_TAP_UP,
} FloeTapState;

FloeTapState floe_tap_state (const FloeNetIdentity *identity);

/* Lets the host route between links (net.ipv4.ip_forward). */
gboolean floe_tap_enable_forwarding (GError **error) FLOE_WARN_UNUSED;
