/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"
#include "policy/document/floe-policy.h"

/* The sockets that a resolver's process is given, each made as narrow as the kernel can make it, for good. All are added to FDS, an array
 * of int that closes them, in the order that floe-resolver-message.h says. */

GArray *floe_sockets_new (void);

/* UDP and TCP port 53 of the link's host addresses, reached over the tap only. */
gboolean floe_sockets_add_listeners (GArray *fds, const FloeNetIdentity *identity, gboolean ipv6, GError **error) FLOE_WARN_UNUSED;
/* To ask SERVERS with: a filter that cannot be taken off lets in packets from port 53 of these addresses and no others. */
gboolean floe_sockets_add_upstream (GArray *fds, const FloePolicyAddress *servers, size_t n_servers, GError **error) FLOE_WARN_UNUSED;
/* DHCP of INTERFACE, both ways, as it passes there; the same kind of filter. */
gboolean floe_sockets_add_lease (GArray *fds, const char *interface, GError **error) FLOE_WARN_UNUSED;
