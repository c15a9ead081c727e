/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Where a management server may be found by who sets an endpoint up: typed, left in a file on the boot partition, or named by the DNS. */

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

/* The best target of a DNS answer to a question for SRV records (RFC 1035, RFC 2782): lowest priority, then largest weight, as
 * floe_address_show() has it. INVALID for a message that is malformed, NOT_FOUND for one without a usable target. Pure. */
char *floe_address_parse_srv (const void *message, size_t size, GError **error) FLOE_WARN_UNUSED;
/* Asks for _floe._tcp in the search domains (resolver(3)). Blocks some seconds at most: for a thread of its own. */
char *floe_address_ask_dns (GError **error) FLOE_WARN_UNUSED;
