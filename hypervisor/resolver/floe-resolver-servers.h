/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/document/floe-policy.h"

/* The servers that a resolv.conf(5) names, in order, three at most as libc takes them; lines that are not of the form, and addresses with a
 * zone, are passed over. Pure. */
size_t floe_resolver_servers_parse (const char *text, size_t size, FloePolicyAddress servers[3]);
/* The same of the file PATH; none when it cannot be read or is larger than 64 KiB. */
size_t floe_resolver_servers_read (const char *path, FloePolicyAddress servers[3]);
