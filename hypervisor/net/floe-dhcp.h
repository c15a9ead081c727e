/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"

#include <sys/types.h>

/* One dnsmasq a link: serves that tap, that MAC, those addresses, and keeps nothing. DNS is not its business. */

typedef struct {
  const char *program;
  const char *user;
  gboolean resolver;  /* offer the link's host addresses for DNS; who answers there is another process */
  gboolean ipv6;      /* router advertisements and DHCPv6 */
  gboolean inner;     /* the filtering machine's inner side: the host is the way to the other machines' links, and no way out */
  const char *pool;   /* those links' prefix */
} FloeDhcpOptions;

/* Pure: the arguments, argv[0] included; NULL-terminated, free with g_strfreev. */
char **floe_dhcp_arguments (const FloeNetIdentity *identity, const FloeDhcpOptions *options);

/* Starts it as the user named, with the capabilities that it needs and no way to more: for IPv6 CAP_NET_RAW is among them, and a system
 * call filter then leaves of it the one kind of socket that router advertisements take. It dies with this process. Its
 * output is our standard error. The caller watches and reaps it. 0 on failure; NOT_FOUND names a missing program or user.
 */
pid_t floe_dhcp_start (const FloeNetIdentity *identity, const FloeDhcpOptions *options, GError **error) FLOE_WARN_UNUSED;
