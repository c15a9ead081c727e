/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/net/floe-identity.h"

#include <sys/types.h>

/* One dnsmasq a link: serves that tap, that MAC, that address, and keeps nothing. */

typedef struct {
  const char *program;
  const char *user;
  gboolean resolver; /* answer DNS too, by the host's /etc/resolv.conf, and offer that to the guest */
} FloeDhcpOptions;

/* Pure: the arguments, argv[0] included; NULL-terminated, free with g_strfreev. */
char **floe_dhcp_arguments (const FloeNetIdentity *identity, const FloeDhcpOptions *options);

/* Starts it as the user named, with the three capabilities that it needs and no way to more. It dies with this process. Its
 * output is our standard error. The caller watches and reaps it. 0 on failure; NOT_FOUND names a missing program or user.
 */
pid_t floe_dhcp_start (const FloeNetIdentity *identity, const FloeDhcpOptions *options, GError **error) FLOE_WARN_UNUSED;
