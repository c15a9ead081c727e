/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-range.h"

#include <errno.h>
#include <string.h>

#define HEADER_MAX 64

static gboolean
parse_number (const char **at, guint64 *number)
{
  char *end;

  if (!g_ascii_isdigit (**at))
    return FALSE;
  errno = 0;
  *number = g_ascii_strtoull (*at, &end, 10);
  *at = end;
  return errno == 0;
}

FloeServerRange
floe_server_range_parse (const char *header, guint64 size, guint64 *first, guint64 *last)
{
  const char *at = header;

  if (header == NULL || strnlen (header, HEADER_MAX) == HEADER_MAX || !g_str_has_prefix (at, "bytes="))
    return FLOE_SERVER_RANGE_NONE;
  at += strlen ("bytes=");
  if (*at == '-') {
    guint64 suffix;

    at++;
    if (!parse_number (&at, &suffix) || *at != '\0')
      return FLOE_SERVER_RANGE_NONE;
    *first = suffix < size ? size - suffix : 0;
    *last = size - 1;
    return suffix > 0 && size > 0 ? FLOE_SERVER_RANGE_GOOD : FLOE_SERVER_RANGE_UNSATISFIABLE;
  }
  *last = G_MAXUINT64;
  if (!parse_number (&at, first) || *at++ != '-' || (*at != '\0' && !parse_number (&at, last)) || *at != '\0' || *last < *first)
    return FLOE_SERVER_RANGE_NONE;
  if (*first >= size)
    return FLOE_SERVER_RANGE_UNSATISFIABLE;
  *last = MIN (*last, size - 1);
  return FLOE_SERVER_RANGE_GOOD;
}
