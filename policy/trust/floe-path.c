/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-metadata.h"

#include <string.h>

/* Which targets a delegation covers. fnmatch(3) is not used: its meaning follows the locale, and a pattern with many stars takes it
 * exponential time. A delegator is trusted with names, not with our time. */

typedef struct {
  const char *at, *end; /* UTF-8, one component, without `/` */
} Span;

static gunichar
next (Span *span)
{
  gunichar c = g_utf8_get_char (span->at);

  span->at = g_utf8_next_char (span->at);
  return c;
}

/* The end of the set that begins after `[` at SPAN, or NULL when it is never closed and `[` stands for itself. A `]` that comes
 * first is a member. */
static const char *
set_end (const Span *span)
{
  const char *at = span->at;

  at += at < span->end && *at == '!';
  at += at < span->end && *at == ']';
  return at < span->end ? memchr (at, ']', (size_t) (span->end - at)) : NULL;
}

static gboolean
set_has (const char *start, const char *end, gunichar c)
{
  gboolean negated = *start == '!', found = FALSE;
  Span set = { start + negated, end };

  while (set.at < set.end) {
    gunichar low = next (&set), high = low;

    if (set.end - set.at >= 2 && *set.at == '-') {
      set.at++;
      high = next (&set);
    }
    found = found || (low <= c && c <= high);
  }
  return found != negated;
}

/* Matches one non-star element of PATTERN against one character of TEXT, stepping over both. */
static gboolean
match_one (Span *pattern, Span *text)
{
  gunichar wanted = next (pattern), c = next (text);
  const char *end;

  if (wanted == '?')
    return TRUE;
  if (wanted != '[' || (end = set_end (pattern)) == NULL)
    return wanted == c;
  const char *start = pattern->at;
  pattern->at = end + 1;
  return set_has (start, end, c);
}

/* Only the last star is ever taken back: what an earlier one could give, the later one can. */
static gboolean
component_matches (Span pattern, Span text)
{
  Span star_pattern = { NULL, NULL }, star_text = text;

  while (text.at < text.end || pattern.at < pattern.end) {
    if (pattern.at < pattern.end && *pattern.at == '*') {
      pattern.at++;
      star_pattern = pattern;
      star_text = text;
      continue;
    }
    if (pattern.at < pattern.end && text.at < text.end && match_one (&pattern, &text))
      continue;
    if (star_pattern.at == NULL || star_text.at >= star_text.end)
      return FALSE;
    next (&star_text);
    pattern = star_pattern;
    text = star_text;
  }
  return TRUE;
}

gboolean
floe_path_matches (const char *pattern, const char *path)
{
  for (;;) {
    size_t pattern_size = strcspn (pattern, "/"), path_size = strcspn (path, "/");

    if (!component_matches ((Span){ pattern, pattern + pattern_size }, (Span){ path, path + path_size }))
      return FALSE;
    pattern += pattern_size;
    path += path_size;
    if (*pattern == '\0' || *path == '\0')
      return *pattern == *path;
    pattern++;
    path++;
  }
}

gboolean
floe_role_covers (const FloeRole *role, const char *path)
{
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeDigest digest;

  for (guint i = 0; role->paths != NULL && i < role->paths->len; i++)
    if (floe_path_matches (role->paths->pdata[i], path))
      return TRUE;
  if (role->prefixes == NULL)
    return FALSE;
  floe_digest_of (path, strlen (path), &digest);
  floe_digest_to_hex (&digest, hex);
  for (guint i = 0; i < role->prefixes->len; i++)
    if (g_str_has_prefix (hex, role->prefixes->pdata[i]))
      return TRUE;
  return FALSE;
}

char *
floe_percent_encode (const char *text, const char *keep)
{
  GString *encoded = g_string_new (NULL);

  for (; *text != '\0'; text++)
    if (g_ascii_isalnum (*text) || strchr ("-._~", *text) != NULL || strchr (keep, *text) != NULL)
      g_string_append_c (encoded, *text);
    else
      g_string_append_printf (encoded, "%%%02X", (unsigned char) *text);
  return g_string_free (encoded, FALSE);
}
