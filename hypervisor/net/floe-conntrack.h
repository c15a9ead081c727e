/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-netlink.h"

#include <stdint.h>

/* Makes the kernel forget every tracked connection that ADDRESS began or was the goal of: what one machine was allowed must
 * not be "established" for the next one with its slot. NETLINK is a NETLINK_NETFILTER socket. UNSUPPORTED without
 * CONFIG_NF_CT_NETLINK. */
gboolean floe_conntrack_forget (FloeNetlink *netlink, const uint8_t address[4], GError **error) FLOE_WARN_UNUSED;
