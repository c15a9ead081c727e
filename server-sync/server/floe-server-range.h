/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

typedef enum { FLOE_SERVER_RANGE_NONE, FLOE_SERVER_RANGE_GOOD, FLOE_SERVER_RANGE_UNSATISFIABLE } FloeServerRange;

/* The Range header of a request (NULL: none) for an object of SIZE bytes: one byte range (RFC 9110, 14.1.2), of which FIRST and LAST
 * are set, both included and below SIZE, when it is good. Anything else in the header is ignored, as the RFC allows. Pure. */
FloeServerRange floe_server_range_parse (const char *header, guint64 size, guint64 *first, guint64 *last);
