/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <jansson.h>

/* Strict JSON (RFC 8259, parsed by jansson): what is read is consumed, and what is left over is refused.
 *
 * A reader walks values with the calls below and looks at no error on the way: the first mistake (wrong type, missing key,
 * out of range) is kept in the document, further calls answer with empty values, and floe_json_finish() tells. It also
 * refuses every key of every object reached that nobody asked for. Errors name the source, line and path:
 * `office.json:12: machines[0].vcpus: 1 to 64 wanted, not 900`.
 *
 * A FloeJson is borrowed from its document and lives as long; every call accepts NULL and answers as for an absent value. */

#define FLOE_JSON_VALUES_MAX 2000000 /* objects, arrays and what they hold: half a GiB in memory at the very most */

typedef struct _FloeJsonDocument FloeJsonDocument;
typedef struct _FloeJson FloeJson;

/* Parses TEXT; SOURCE names it in errors. INVALID with the line for bad syntax, duplicate keys, NUL in strings or bytes that
 * are not UTF-8, LIMIT for a TEXT over MAX bytes or FLOE_JSON_VALUES_MAX values. Nesting is bounded by jansson (2,048 levels). */
FloeJsonDocument *floe_json_parse (GBytes *text, const char *source, size_t max, GError **error) FLOE_WARN_UNUSED;
void floe_json_free (FloeJsonDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeJsonDocument, floe_json_free)

FloeJson *floe_json_root (FloeJsonDocument *document);
/* TRUE when nothing was wrong and nothing was left over; otherwise the first mistake. */
gboolean floe_json_finish (FloeJsonDocument *document, GError **error) FLOE_WARN_UNUSED;
/* Whether a mistake has been met: for loops that would rather stop early. */
gboolean floe_json_failed (FloeJsonDocument *document);

/* The value of KEY, which must be there. NULL (and a mistake kept) if OBJECT is not an object or has none. */
FloeJson *floe_json_member (FloeJson *object, const char *key);
/* The value of KEY or NULL; not a mistake when absent. */
FloeJson *floe_json_optional (FloeJson *object, const char *key);
/* The object's keys in the order written, each to be asked for with floe_json_member(); NULL-terminated, at most MAX. The
 * array belongs to the caller, the strings to the document. */
const char **floe_json_keys (FloeJson *object, size_t max);
/* Unread keys of this object are allowed (for formats that say so, as TUF does). */
void floe_json_ignore_rest (FloeJson *object);

/* Number of elements; more than MAX is a mistake and answers 0. */
size_t floe_json_length (FloeJson *array, size_t max);
FloeJson *floe_json_at (FloeJson *array, size_t index);

/* UTF-8 without control characters, at most MAX bytes; "" after a mistake. */
const char *floe_json_string (FloeJson *value, size_t max);
/* Index into NULL-terminated NAMES, or a mistake that lists them (and 0). */
unsigned floe_json_enum (FloeJson *value, const char *const *names);
gint64 floe_json_int (FloeJson *value, gint64 min, gint64 max);
gboolean floe_json_bool (FloeJson *value);
gboolean floe_json_is_string (FloeJson *value);
gboolean floe_json_is_object (FloeJson *value);
gboolean floe_json_is_array (FloeJson *value);

/* Keeps a mistake about VALUE found by the reader itself. */
void floe_json_refuse (FloeJson *value, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Line of VALUE in the text, counted from 1, and its path (`machines[0].id`; owned by the document). */
unsigned floe_json_line (FloeJson *value);
const char *floe_json_path (FloeJson *value);
/* jansson's own value, borrowed: for canonical forms and copying out. Counts as reading all of it. */
json_t *floe_json_raw (FloeJson *value);
