/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <jansson.h>

/* Canonical JSON, the bytes that a TUF signature covers and a key id is the digest of (specification 4.2): no white space,
 * object members sorted by the code points of their keys, strings as they are in UTF-8 with only `"` and `\` escaped, integers
 * in decimal. It is what securesystemslib's encode_canonical makes, control characters unescaped included, so it need not be
 * JSON. There is no form for real numbers: INVALID. Memory is jansson's allocator's; NO_SPACE when it has none left. */
GBytes *floe_canonical_encode (const json_t *value, GError **error) FLOE_WARN_UNUSED;
