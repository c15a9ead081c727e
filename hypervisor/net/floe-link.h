/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-netlink.h"

#include <net/if.h>
#include <stdint.h>

/* Network interfaces of the host, over rtnetlink(7). NETLINK is a NETLINK_ROUTE socket throughout. */

typedef struct {
  int index;
  char name[IF_NAMESIZE];
  char kind[16]; /* "bridge", "vlan", "veth", ...; "" for hardware */
  int master;    /* index of the bridge (or else) that it is a port of; 0: none */
  int parent;    /* of a VLAN device; 0: none */
  unsigned vlan; /* its tag */
  gboolean up, loopback;
} FloeLink;

/* All of them, in the kernel's order: of FloeLink. NULL on failure. */
GArray *floe_link_list (FloeNetlink *netlink, GError **error) FLOE_WARN_UNUSED;
/* NULL when there is none; a pointer into LINKS. */
const FloeLink *floe_link_by_name (const GArray *links, const char *name);
const FloeLink *floe_link_by_index (const GArray *links, int index);

/* A bridge that runs no spanning tree, forwards at once and has no address: down. */
gboolean floe_link_add_bridge (FloeNetlink *netlink, const char *name, GError **error) FLOE_WARN_UNUSED;
/* An 802.1Q device: down. UNSUPPORTED without CONFIG_VLAN_8021Q. */
gboolean floe_link_add_vlan (FloeNetlink *netlink, const char *name, int parent, unsigned vlan, GError **error) FLOE_WARN_UNUSED;
/* A missing one is success. */
gboolean floe_link_remove (FloeNetlink *netlink, const char *name, GError **error) FLOE_WARN_UNUSED;
gboolean floe_link_set_up (FloeNetlink *netlink, int index, GError **error) FLOE_WARN_UNUSED;
/* Makes the kernel show packets that cross the bridge to the inet families' forward hook (br_netfilter), or no longer. */
gboolean floe_link_set_bridge_filter (FloeNetlink *netlink, int index, gboolean on, GError **error) FLOE_WARN_UNUSED;
gboolean floe_link_set_master (FloeNetlink *netlink, int index, int master, GError **error) FLOE_WARN_UNUSED;
/* What a port may do: ISOLATED ports reach each other not at all. None of ours takes part in spanning tree. */
gboolean floe_link_set_port (FloeNetlink *netlink, int index, gboolean isolated, GError **error) FLOE_WARN_UNUSED;
