/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-usbguard.h"

#include <string.h>

/* A rule is a line:
 *   TARGET [ID] [ATTRIBUTE ...] [# COMMENT]
 *   ATTRIBUTE: WORD VALUE, or WORD [OPERATOR] { VALUE ... }
 * with blanks (space, tab) between. Values are "strings", interfaces, ids and conditions, as their attribute wants. */

static const char *const target_words[] = { "allow", "block", "reject", "match", "device", NULL };
static const char *const operator_words[] = { "equals", "equals-ordered", "all-of", "one-of", "none-of", "match-all", NULL };
static const char *const attribute_words[] = { "id", "serial", "name", "hash", "parent-hash", "via-port", "with-interface", "with-connect-type",
                                               "if", "label", NULL };

const char *
floe_usbguard_attribute_name (FloeUsbguardAttribute attribute)
{
  return attribute_words[attribute];
}

static void
string_free (gpointer string)
{
  g_string_free (string, TRUE);
}

static void
rule_free (gpointer data)
{
  FloeUsbguardRule *rule = data;

  for (size_t i = 0; i < FLOE_USBGUARD_N_ATTRIBUTES; i++)
    g_clear_pointer (&rule->attributes[i].values, g_ptr_array_unref);
  g_free (rule);
}

/* -- One line ---------------------------------------------------------------------------------------------------------- */

/* What is left of a line; PROBLEM is the first mistake, and after one nothing is read any more. */
typedef struct {
  const char *at, *end;
  const char *problem;
} Line;

static int
peek (const Line *line)
{
  return line->problem == NULL && line->at < line->end ? (unsigned char) *line->at : -1;
}

static gboolean
refuse (Line *line, const char *problem)
{
  if (line->problem == NULL)
    line->problem = problem;
  return FALSE;
}

static gboolean
skip_blanks (Line *line)
{
  const char *start = line->at;

  while (peek (line) == ' ' || peek (line) == '\t')
    line->at++;
  return line->at > start;
}

/* The word that begins here: letters, digits and '-'. Its length; 0 for none. */
static size_t
word_length (const Line *line)
{
  size_t n = 0;

  while (line->problem == NULL && line->at + n < line->end && (g_ascii_isalnum (line->at[n]) || line->at[n] == '-'))
    n++;
  return n;
}

/* Which of WORDS begins here, taken; -1 and nothing taken for none. */
static int
take_word (Line *line, const char *const *words)
{
  size_t n = word_length (line);

  for (int i = 0; words[i] != NULL; i++)
    if (strlen (words[i]) == n && strncmp (words[i], line->at, n) == 0) {
      line->at += n;
      return i;
    }
  return -1;
}

/* After a backslash in a string that ends with BOUND. */
static gboolean
take_escape (Line *line, char bound, GString *string)
{
  static const char letters[] = "abfnrtv\\'", meanings[] = "\a\b\f\n\r\t\v\\'";
  int c = peek (line), number = 0;
  const char *letter = c > 0 ? strchr (letters, c) : NULL;

  if (c == 'x') {
    if (line->end - line->at < 3 || !g_ascii_isxdigit (line->at[1]) || !g_ascii_isxdigit (line->at[2]))
      return refuse (line, "\\x and two hexadecimal digits wanted");
    g_string_append_c (string, (char) (g_ascii_xdigit_value (line->at[1]) * 16 + g_ascii_xdigit_value (line->at[2])));
    line->at += 3;
    return TRUE;
  }
  if (c >= '0' && c <= '9') {
    for (int i = 0; i < 3 && (c = peek (line)) >= '0' && c <= '9'; i++, line->at++)
      number = number * 10 + c - '0';
    if (number > 255)
      return refuse (line, "a backslash and a number over 255");
    g_string_append_c (string, (char) number);
    return TRUE;
  }
  if (letter == NULL && c != bound)
    return refuse (line, "a backslash before what it does not stand before");
  g_string_append_c (string, letter != NULL ? meanings[letter - letters] : bound);
  line->at++;
  return TRUE;
}

/* The text between OPEN, which is here, and CLOSE. */
static gboolean
take_bounded (Line *line, char open, char close, GString *string)
{
  int c;

  if (peek (line) != open)
    return refuse (line, open == '"' ? "a string in double quotes wanted" : "( wanted");
  line->at++;
  while ((c = peek (line)) != close) {
    if (c < 0)
      return refuse (line, open == '"' ? "a string without end" : "( without )");
    if (string->len >= FLOE_USBGUARD_STRING_MAX)
      return refuse (line, "a value of over 4096 bytes");
    line->at++;
    if (c != '\\')
      g_string_append_c (string, (char) c);
    else if (!take_escape (line, close, string))
      return FALSE;
  }
  line->at++;
  return TRUE;
}

/* DIGITS hexadecimal digits, or '*'. */
static gboolean
take_hex (Line *line, size_t digits, gboolean star, GString *string)
{
  if (star && peek (line) == '*') {
    g_string_append_c (string, *line->at++);
    return TRUE;
  }
  for (size_t i = 0; i < digits; i++, line->at++) {
    if (peek (line) < 0 || !g_ascii_isxdigit (*line->at))
      return FALSE;
    g_string_append_c (string, g_ascii_tolower (*line->at));
  }
  return TRUE;
}

static gboolean
take_colon (Line *line, GString *string)
{
  if (peek (line) != ':')
    return FALSE;
  g_string_append_c (string, *line->at++);
  return TRUE;
}

static gboolean
take_id (Line *line, GString *string)
{
  if (!take_hex (line, 4, TRUE, string) || !take_colon (line, string) || !take_hex (line, 4, TRUE, string))
    return refuse (line, "VENDOR:PRODUCT wanted, four hexadecimal digits or * each");
  if (string->str[0] == '*' && string->str[2] != '*')
    return refuse (line, "a product without its vendor");
  return TRUE;
}

static gboolean
take_interface (Line *line, GString *string)
{
  if (!take_hex (line, 2, FALSE, string) || !take_colon (line, string) || !take_hex (line, 2, TRUE, string) || !take_colon (line, string)
      || !take_hex (line, 2, TRUE, string))
    return refuse (line, "an interface CC:SS:PP wanted, two hexadecimal digits each, or * for subclass and protocol");
  return TRUE;
}

/* "[!]WORD[(ARGUMENT)]". */
static gboolean
take_condition (Line *line, GString *string)
{
  g_autoptr (GString) argument = g_string_new (NULL);
  size_t n;

  if (peek (line) == '!')
    g_string_append_c (string, *line->at++);
  n = word_length (line);
  if (n == 0 || n > 64 || g_ascii_isdigit (*line->at))
    return refuse (line, "a condition wanted");
  g_string_append_len (string, line->at, (gssize) n);
  line->at += n;
  if (peek (line) != '(')
    return TRUE;
  if (!take_bounded (line, '(', ')', argument))
    return FALSE;
  g_string_append_c (string, '(');
  g_string_append_len (string, argument->str, (gssize) argument->len);
  g_string_append_c (string, ')');
  return TRUE;
}

static gboolean
take_value (Line *line, FloeUsbguardAttribute attribute, GPtrArray *values)
{
  GString *string = g_string_new (NULL);

  g_ptr_array_add (values, string);
  if (values->len > FLOE_USBGUARD_VALUES_MAX)
    return refuse (line, "over 64 values of one attribute");
  switch (attribute) {
  case FLOE_USBGUARD_ID:
    return take_id (line, string);
  case FLOE_USBGUARD_WITH_INTERFACE:
    return take_interface (line, string);
  case FLOE_USBGUARD_IF:
    return take_condition (line, string);
  default:
    return take_bounded (line, '"', '"', string);
  }
}

/* After '{'. */
static gboolean
take_set (Line *line, FloeUsbguardAttribute attribute, GPtrArray *values)
{
  gboolean blanks = TRUE;

  skip_blanks (line);
  while (peek (line) != '}') {
    if (!blanks || peek (line) < 0)
      return refuse (line, peek (line) < 0 ? "a set without }" : "a blank between values wanted");
    if (!take_value (line, attribute, values))
      return FALSE;
    blanks = skip_blanks (line);
  }
  line->at++;
  return values->len > 0 || refuse (line, "a set without values");
}

static gboolean
take_attribute (Line *line, FloeUsbguardAttribute attribute, FloeUsbguardRule *rule)
{
  FloeUsbguardValues *into = &rule->attributes[attribute];
  const char *start;
  int which;

  if (into->values != NULL)
    return refuse (line, "the same attribute twice");
  into->values = g_ptr_array_new_with_free_func (string_free);
  if (!skip_blanks (line))
    return refuse (line, "a blank after the attribute wanted");
  start = line->at;
  which = take_word (line, operator_words);
  /* A condition might be called as an operator is. */
  if (which >= 0 && (!skip_blanks (line) || peek (line) != '{')) {
    line->at = start;
    which = -1;
  }
  if (which >= 0)
    into->operator = (FloeUsbguardOperator) which;
  if (peek (line) == '{') {
    line->at++;
    return take_set (line, attribute, into->values);
  }
  return take_value (line, attribute, into->values);
}

/* The word of an attribute, or `key`, which labels a rule and decides nothing. */
static gboolean
take_attributes (Line *line, FloeUsbguardRule *rule)
{
  static const char *const key_word[] = { "key", NULL };
  g_autoptr (GString) key = g_string_new (NULL);
  gboolean blanks = skip_blanks (line);

  while (peek (line) >= 0 && peek (line) != '#') {
    int attribute = blanks ? take_word (line, attribute_words) : -1;

    if (attribute >= 0) {
      if (!take_attribute (line, (FloeUsbguardAttribute) attribute, rule))
        return FALSE;
    } else if (blanks && take_word (line, key_word) == 0) {
      if (!skip_blanks (line) || !take_bounded (line, '"', '"', key))
        return refuse (line, "key and a string wanted");
    } else {
      return refuse (line, blanks ? "an attribute wanted" : "a blank between attributes wanted");
    }
    blanks = skip_blanks (line);
  }
  return TRUE;
}

static gboolean
take_rule (Line *line, FloeUsbguardRule *rule)
{
  int target = take_word (line, target_words);
  const char *before = line->at;

  if (target < 0)
    return refuse (line, "allow, block, reject, match or device wanted");
  rule->target = (FloeUsbguardTarget) target;
  /* Numbers right after the target are those of `id`; no attribute has ':' or '*' in its word. */
  if (skip_blanks (line) && (peek (line) == '*' || (line->end - line->at > 4 && word_length (line) == 4 && line->at[4] == ':'))) {
    rule->attributes[FLOE_USBGUARD_ID].values = g_ptr_array_new_with_free_func (string_free);
    if (!take_value (line, FLOE_USBGUARD_ID, rule->attributes[FLOE_USBGUARD_ID].values))
      return FALSE;
  } else {
    line->at = before;
  }
  return take_attributes (line, rule);
}

/* -- A file ------------------------------------------------------------------------------------------------------------ */

static gboolean
parse_line (const char *at, const char *end, unsigned number, GPtrArray *rules, const char *source, GError **error)
{
  Line line = { at, end, NULL };
  FloeUsbguardRule *rule;

  skip_blanks (&line);
  if (peek (&line) < 0 || peek (&line) == '#')
    return TRUE;
  if (rules->len >= FLOE_USBGUARD_RULES_MAX)
    return floe_error_set (error, FLOE_ERROR_LIMIT, "%s:%u: over %d rules", source, number, FLOE_USBGUARD_RULES_MAX);
  rule = g_new0 (FloeUsbguardRule, 1);
  rule->line = number;
  g_ptr_array_add (rules, rule);
  take_rule (&line, rule);
  if (line.problem != NULL)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s:%u: column %u: %s", source, number, (unsigned) (line.at - at) + 1, line.problem);
  return TRUE;
}

GPtrArray *
floe_usbguard_parse (GBytes *text, const char *source, GError **error)
{
  g_autoptr (GPtrArray) rules = g_ptr_array_new_with_free_func (rule_free);
  size_t size;
  const char *at = g_bytes_get_data (text, &size), *end = size > 0 ? at + size : at; /* no bytes: AT may be NULL */
  const char *bad;
  unsigned number = 0;

  if (size > FLOE_USBGUARD_SIZE_MAX) {
    floe_error_set (error, FLOE_ERROR_LIMIT, "%s: %zu bytes, %d at most", source, size, FLOE_USBGUARD_SIZE_MAX);
    return NULL;
  }
  while (at < end) {
    const char *newline = memchr (at, '\n', (size_t) (end - at)), *stop = newline != NULL ? newline : end;

    number++;
    bad = memchr (at, '\0', (size_t) (stop - at));
    bad = bad != NULL ? bad : memchr (at, '\r', (size_t) (stop - at));
    if (bad != NULL) {
      floe_error_set (error, FLOE_ERROR_INVALID, "%s:%u: column %u: a NUL or carriage return", source, number, (unsigned) (bad - at) + 1);
      return NULL;
    }
    if (!parse_line (at, stop, number, rules, source, error))
      return NULL;
    at = stop + (newline != NULL);
  }
  return g_steal_pointer (&rules);
}
