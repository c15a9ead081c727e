/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "hypervisor/net/floe-link.h"

/* Modes bridge and vlan: the bridge that a card's tap becomes a port of, over an interface of the host.
 *
 * A bridge that the host has is used as it is. Over any other interface hypervisord makes a bridge of its own, and a VLAN device
 * below it where the network is tagged. Their names follow from interface and tag, and begin with "floeb" and "floev": so they
 * are found again, and removed when no card uses them. Nothing that the host has is ever changed in its addresses: an
 * interface that carries one is refused. */

typedef struct {
  char name[IF_NAMESIZE];
  int index;
  gboolean ours; /* made here */
} FloeBridge;

/* "floeb0-eth0", "floev7-eth0": KIND is 'b' or 'v'. Long interface names are hashed. */
void floe_bridge_name (char kind, const char *interface, unsigned vlan, char name[IF_NAMESIZE]);

/* Finds or makes the bridge for INTERFACE, tag VLAN (0: untagged), up, with the packet filter asked about what crosses it.
 * NOT_FOUND without such an interface; REFUSED when it carries addresses or belongs to something else, saying what to do; UNSUPPORTED
 * where the kernel lacks bridges, VLANs or br_netfilter. */
gboolean floe_bridge_open (FloeNetlink *netlink, const char *interface, unsigned vlan, FloeBridge *bridge,
                           GError **error) FLOE_WARN_UNUSED;
/* Makes the tap (down) a port, ISOLATED from others that are. Also for a port that it is already. */
gboolean floe_bridge_add_port (FloeNetlink *netlink, const FloeBridge *bridge, const char *tap, gboolean isolated,
                               GError **error) FLOE_WARN_UNUSED;
/* Removes bridges and VLAN devices of ours that no tap is a port of. */
gboolean floe_bridge_sweep (FloeNetlink *netlink, GError **error) FLOE_WARN_UNUSED;
