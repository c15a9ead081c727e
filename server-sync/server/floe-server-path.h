/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* What a client may ask for: a closed grammar over the bytes of the request target, before any decoding. There is nothing to
 * decode in it (RFC 3986 unreserved characters only), so '%', '?', '//', '.' and '..' segments are refused for what they are
 * not rather than looked for.
 *
 *   /metadata/NAME.json
 *   /targets/NAME{/NAME}            at most FLOE_SERVER_PATH_DEPTH names in all
 *   /chunks/HHHH/H{64}.cacnk        H lower-case hexadecimal, HHHH the first four of the 64
 *
 * NAME as floe_name_is_safe(): temporary files, which start with a dot, are never served. */

#define FLOE_SERVER_PATH_MAX 1024
#define FLOE_SERVER_PATH_DEPTH 8

typedef enum {
  FLOE_SERVER_PATH_GOOD,
  FLOE_SERVER_PATH_REFUSED,
  FLOE_SERVER_PATH_TOO_LONG, /* over FLOE_SERVER_PATH_MAX bytes */
} FloeServerPath;

/* Whether TARGET follows the grammar; then TARGET + 1 is the path below the repository. Allocation-free. */
FloeServerPath floe_server_path_check (const char *target);
