/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Where a management server may be found by who sets an endpoint up: typed, left in a file on the boot partition, or named by DHCP or the DNS. */

#define FLOE_ADDRESS_MAX 255
#define FLOE_ADDRESS_PORT 8443

/* https://HOST:PORT of what people type: a name or a literal address (of version 6 in brackets), a port perhaps, https:// perhaps, a slash at
 * the end perhaps. INVALID for all else. To be freed. */
char *floe_address_parse (const char *text, GError **error) FLOE_WARN_UNUSED;
/* How that URL is shown and typed: without https:// and without the usual port. */
char *floe_address_show (const char *url);

/* The address that the file at PATH names ([server] url= or address=, perhaps a pin, which is not used, and no other key there), as floe_address_show() has it. NOT_FOUND when
 * there is no such file. */
char *floe_address_read_file (const char *path, GError **error) FLOE_WARN_UNUSED;

/* Of the options for private use (RFC 3942: 224 to 254), one that nobody else is known to use (docs/agent.md). */
#define FLOE_ADDRESS_DHCP_OPTION 236
/* The address that a DHCP server gave in that option, as floe_address_show() has it: of the first card (in the kernel's order) whose lease has one
 * of the form of a typed one. DESCRIPTION is what systemd-networkd says of all cards (org.freedesktop.network1(5), Manager.Describe()). REFUSED
 * gets a line of text for each option that is not taken. NOT_FOUND when there is no address, INVALID or LIMIT for what is no DESCRIPTION. Pure. */
char *floe_address_parse_dhcp (GBytes *description, GPtrArray *refused, GError **error) FLOE_WARN_UNUSED;
/* Asks systemd-networkd; NOT_FOUND also where there is none. Blocks some seconds at most: for a thread of its own. */
char *floe_address_ask_dhcp (GPtrArray *refused, GCancellable *cancellable, GError **error) FLOE_WARN_UNUSED;

/* The best target of a DNS answer to a question for SRV records (RFC 1035, RFC 2782): lowest priority, then largest weight, as
 * floe_address_show() has it. INVALID for a message that is malformed, NOT_FOUND for one without a usable target. Pure. */
char *floe_address_parse_srv (const void *message, size_t size, GError **error) FLOE_WARN_UNUSED;
/* Asks for _floe._tcp in the search domains (resolver(3)). Blocks some seconds at most: for a thread of its own. */
char *floe_address_ask_dns (GError **error) FLOE_WARN_UNUSED;
