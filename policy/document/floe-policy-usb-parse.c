/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <string.h>

/* From JSON to FloePolicyUsbRule. What opens is checked for opening no more than it says: see check_usb_rule(). */

/* "machine" is written as an object that names it. */
static const char *const written_actions[] = { "block", "host", "ask", NULL };
static const FloePolicyUsbAction written_values[] = { FLOE_POLICY_USB_BLOCK, FLOE_POLICY_USB_HOST, FLOE_POLICY_USB_ASK };
static const char *const remember_names[] = { "no", "device", NULL };

/* In the order of FloePolicyUsbSpeed's bits. */
const char *const floe_policy_usb_speed_names[] = { "low", "full", "high", "super", NULL };

/* What the host's own drivers show as a disk, and nothing else does: SCSI commands over bulk-only transport and over UAS. */
static const FloePolicyUsbPattern disk_patterns[] = { { 0x08, 0x06, 0x50 }, { 0x08, 0x06, 0x62 } };

/* -- Small grammars --------------------------------------------------------------------------------------------------- */

/* SIZE hexadecimal digits at TEXT; -1 when one of them is none. */
static int32_t
parse_hex (const char *text, size_t size)
{
  int32_t number = 0;

  for (size_t i = 0; i < size; i++) {
    if (!g_ascii_isxdigit (text[i]))
      return -1;
    number = number * 16 + g_ascii_xdigit_value (text[i]);
  }
  return number;
}

gboolean
floe_policy_usb_id_parse (const char *text, int32_t *id)
{
  int32_t number = strlen (text) == 4 ? parse_hex (text, 4) : -1;

  if (number >= 0)
    *id = number;
  return number >= 0;
}

/* One of the three parts; the character that ends it is left at *TEXT. */
static gboolean
parse_part (const char **text, int16_t *part)
{
  int32_t number;

  if (**text == '*') {
    *part = FLOE_POLICY_USB_ANY;
    (*text)++;
    return TRUE;
  }
  number = strnlen (*text, 2) == 2 ? parse_hex (*text, 2) : -1;
  if (number < 0)
    return FALSE;
  *part = (int16_t) number;
  *text += 2;
  return TRUE;
}

gboolean
floe_policy_pattern_parse (const char *text, FloePolicyUsbPattern *pattern)
{
  FloePolicyUsbPattern parsed;

  if (!parse_part (&text, &parsed.class_code) || *text++ != ':' || !parse_part (&text, &parsed.subclass) || *text++ != ':'
      || !parse_part (&text, &parsed.protocol) || *text != '\0')
    return FALSE;
  *pattern = parsed;
  return TRUE;
}

/* A number of 1 to 255 without leading zero; what follows it is left at *TEXT. */
static gboolean
skip_number (const char **text)
{
  unsigned number = 0;

  if (**text < '1' || **text > '9')
    return FALSE;
  for (; g_ascii_isdigit (**text) && number <= 255; (*text)++)
    number = number * 10 + (unsigned) (**text - '0');
  return number <= 255;
}

/* Documentation/ABI/stable/sysfs-bus-usb of the kernel: BUS-PORT.PORT…; seven tiers (USB 2.0, 4.1.1) leave six ports at most. */
gboolean
floe_policy_usb_port_valid (const char *text)
{
  unsigned depth = 1;

  if (!skip_number (&text) || *text++ != '-' || !skip_number (&text))
    return FALSE;
  for (; *text == '.' && depth < 6; depth++) {
    text++;
    if (!skip_number (&text))
      return FALSE;
  }
  return *text == '\0';
}

/* A part of a port as a pattern has it: '*', or up to three of digits and '?', no zero first. What follows it is left at *TEXT. */
static gboolean
skip_port_part (const char **text)
{
  size_t n = 0;

  if (**text == '*') {
    (*text)++;
    return TRUE;
  }
  if (**text == '0')
    return FALSE;
  while (g_ascii_isdigit (**text) || **text == '?') {
    (*text)++;
    n++;
  }
  return n >= 1 && n <= 3;
}

/* As floe_policy_usb_port_valid(), each number also '*' or with '?' for digits. */
static gboolean
port_pattern_valid (const char *text)
{
  unsigned depth = 1;

  if (!skip_port_part (&text) || *text++ != '-' || !skip_port_part (&text))
    return FALSE;
  for (; *text == '.' && depth < 6; depth++) {
    text++;
    if (!skip_port_part (&text))
      return FALSE;
  }
  return *text == '\0';
}

/* -- Conditions ------------------------------------------------------------------------------------------------------- */

/* LIST of 1 to 32 patterns; NULL: not there. */
static const FloePolicyUsbPattern *
parse_patterns (FloePolicyParser *parser, FloeJson *list, size_t *n_patterns)
{
  size_t n = floe_json_length (list, FLOE_POLICY_PATTERNS_MAX);
  FloePolicyUsbPattern *patterns = floe_policy_parser_array (parser, n, sizeof *patterns);

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one pattern wanted: leave the key out when interfaces do not matter");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    const char *text = floe_json_string (value, 8);

    if (!floe_policy_pattern_parse (text, &patterns[i]))
      floe_json_refuse (value, "'%s': CC:SS:PP wanted, each two hexadecimal digits or *", text);
  }
  *n_patterns = n;
  return patterns;
}

static int32_t
parse_usb_id (FloeJson *value)
{
  int32_t id = FLOE_POLICY_USB_ANY;

  if (value != NULL && !floe_policy_usb_id_parse (floe_json_string (value, 4), &id))
    floe_json_refuse (value, "four hexadecimal digits wanted, as lsusb shows them");
  return id;
}

const char *
floe_policy_usb_like_problem (const char *text)
{
  gboolean wild = FALSE;

  for (const char *at = text; *at != '\0'; at++) {
    wild |= *at == '*' || *at == '?';
    if (at[0] == '*' && at[1] == '*')
      return "two * in a row mean what one does";
    if (*at == '\\' && (*++at == '\0' || strchr ("*?\\", *at) == NULL))
      return "a backslash stands before *, ? or another backslash only";
  }
  return wild ? NULL : "no * or ? with a meaning in it: write it as a plain string, which is compared whole";
}

/* TEXT, or {"like": PATTERN}. */
static FloePolicyUsbText
parse_usb_text (FloePolicyParser *parser, FloeJson *value)
{
  gboolean wildcards = floe_json_is_object (value);
  FloeJson *string = wildcards ? floe_json_member (value, "like") : value;
  const char *text, *problem;

  if (value == NULL)
    return (FloePolicyUsbText){ NULL };
  text = floe_json_string (string, FLOE_POLICY_STRING_MAX);
  problem = wildcards ? floe_policy_usb_like_problem (text) : NULL;
  if (*text == '\0')
    floe_json_refuse (string, "empty: an empty string names no device");
  else if (problem != NULL)
    floe_json_refuse (string, "'%s': %s", text, problem);
  return (FloePolicyUsbText){ floe_policy_parser_keep (parser, text), wildcards };
}

static FloePolicyUsbText
parse_usb_port (FloePolicyParser *parser, FloeJson *value)
{
  gboolean wildcards = floe_json_is_object (value);
  FloeJson *string = wildcards ? floe_json_member (value, "like") : value;
  const char *text;

  if (value == NULL)
    return (FloePolicyUsbText){ NULL };
  text = floe_json_string (string, 32);
  if (!wildcards && !floe_policy_usb_port_valid (text))
    floe_json_refuse (string, "'%s': BUS-PORT[.PORT...] wanted, such as 1-2.4, or {\"like\": \"1-2.*\"}", text);
  else if (wildcards && !port_pattern_valid (text))
    floe_json_refuse (string, "'%s': BUS-PORT[.PORT...] wanted, a number also as * or with ? for a digit: 1-2.* is all behind a hub", text);
  else if (wildcards && strpbrk (text, "*?") == NULL)
    floe_json_refuse (string, "'%s': no * or ? in it: write it as a plain string", text);
  else if (strcmp (text, "*-*") == 0)
    floe_json_refuse (string, "'*-*' is every port: leave the key out");
  return (FloePolicyUsbText){ floe_policy_parser_keep (parser, text), wildcards };
}

static unsigned
parse_speeds (FloeJson *list)
{
  size_t n = floe_json_length (list, 4);
  unsigned speeds = 0;

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one speed wanted: leave the key out when it does not matter");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    unsigned bit = 1u << floe_json_enum (value, floe_policy_usb_speed_names);

    if (speeds & bit)
      floe_json_refuse (value, "is in this list twice");
    speeds |= bit;
  }
  return speeds;
}

static void
parse_front (FloePolicyParser *parser, FloeJson *list, FloePolicyUsbRule *rule)
{
  size_t n = floe_json_length (list, FLOE_POLICY_MACHINES_MAX);
  const FloePolicyMachine **front = floe_policy_parser_array (parser, n, sizeof *front);

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one machine wanted: leave the key out when it does not matter which is in front");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    const char *id = floe_json_string (value, FLOE_POLICY_ID_MAX);

    front[i] = floe_policy_find_machine (parser->content, id);
    if (front[i] == NULL)
      floe_json_refuse (value, "'%s' is none of this document's machines", id);
    for (size_t j = 0; j < i; j++)
      if (front[i] == front[j])
        floe_json_refuse (value, "'%s' is in this list twice", id);
  }
  rule->front = front;
  rule->n_front = n;
}

static void
parse_people (FloePolicyParser *parser, FloeJson *list, FloePolicyUsbRule *rule)
{
  size_t n = floe_json_length (list, FLOE_POLICY_PEOPLE_MAX);
  const char **people = floe_policy_parser_array (parser, n, sizeof *people);

  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one person wanted: leave the key out when it does not matter who is logged in");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);

    people[i] = floe_policy_parse_shown (parser, value, FLOE_POLICY_PERSON_MAX);
    if (*people[i] == '\0')
      floe_json_refuse (value, "empty: nobody has no name");
    for (size_t j = 0; j < i; j++)
      if (strcmp (people[i], people[j]) == 0)
        floe_json_refuse (value, "'%s' is in this list twice", people[i]);
  }
  rule->people = people;
  rule->n_people = n;
}

static void
parse_conditions (FloePolicyParser *parser, FloeJson *object, FloePolicyUsbRule *rule)
{
  FloeJson *count = floe_json_optional (object, "count"), *locked = floe_json_optional (object, "locked");

  rule->vendor = parse_usb_id (floe_json_optional (object, "vendor"));
  rule->product = parse_usb_id (floe_json_optional (object, "product"));
  rule->serial = parse_usb_text (parser, floe_json_optional (object, "serial"));
  rule->manufacturer = parse_usb_text (parser, floe_json_optional (object, "manufacturer"));
  rule->name = parse_usb_text (parser, floe_json_optional (object, "name"));
  rule->port = parse_usb_port (parser, floe_json_optional (object, "port"));
  rule->interface_any = parse_patterns (parser, floe_json_optional (object, "interface_any"), &rule->n_interface_any);
  rule->interfaces_all = parse_patterns (parser, floe_json_optional (object, "interfaces_all"), &rule->n_interfaces_all);
  rule->interfaces_exactly =
    parse_patterns (parser, floe_json_optional (object, "interfaces_exactly"), &rule->n_interfaces_exactly);
  rule->speeds = parse_speeds (floe_json_optional (object, "speed"));
  rule->count = count != NULL ? (unsigned) floe_json_int (count, 1, 127) : 0;
  parse_front (parser, floe_json_optional (object, "front"), rule);
  parse_people (parser, floe_json_optional (object, "people"), rule);
  if (locked != NULL)
    rule->locked = floe_json_bool (locked) ? FLOE_POLICY_USB_LOCKED : FLOE_POLICY_USB_UNLOCKED;
}

/* -- Verdicts --------------------------------------------------------------------------------------------------------- */

static gboolean
is_disk_pattern (const FloePolicyUsbPattern *pattern)
{
  for (size_t i = 0; i < G_N_ELEMENTS (disk_patterns); i++)
    if (memcmp (pattern, &disk_patterns[i], sizeof *pattern) == 0)
      return TRUE;
  return FALSE;
}

static void
parse_given_interfaces (FloePolicyParser *parser, FloeJson *list, FloePolicyUsbGrant *grant)
{
  grant->interfaces = parse_patterns (parser, list, &grant->n_interfaces);
  for (size_t i = 0; i < grant->n_interfaces; i++)
    if (grant->interfaces[i].class_code == FLOE_POLICY_USB_ANY)
      floe_json_refuse (floe_json_at (list, i), "a class wanted: what is given in part is given by its kind");
}

/* The host keeps a device that is shown read-only, and its drivers get the disk of it alone: nothing that types on the host. */
static void
parse_read_only (FloeJson *value, FloePolicyUsbGrant *grant)
{
  if (value == NULL || !floe_json_bool (value))
    return;
  grant->read_only = TRUE;
  for (size_t i = 0; i < grant->n_interfaces; i++)
    if (!is_disk_pattern (&grant->interfaces[i]))
      floe_json_refuse (value, "only disks can be read-only: leave interfaces out, or name 08:06:50 and 08:06:62 and no other");
  if (grant->n_interfaces == 0) {
    grant->interfaces = disk_patterns;
    grant->n_interfaces = G_N_ELEMENTS (disk_patterns);
  }
}

static void
parse_machine (FloePolicyParser *parser, FloeJson *value, FloePolicyUsbGrant *grant)
{
  const char *id = floe_json_string (value, FLOE_POLICY_ID_MAX);

  grant->action = FLOE_POLICY_USB_MACHINE;
  grant->machine = floe_policy_find_machine (parser->content, id);
  if (strcmp (id, "front") != 0 && grant->machine == NULL)
    floe_json_refuse (value, "'%s' is none of this document's machines, nor \"front\"", id);
  else if (strcmp (id, "front") == 0 && grant->machine != NULL)
    floe_json_refuse (value, "a machine of this document is called 'front': whether that one or the one in front is meant cannot be told");
}

/* "host", {"host": true, "interfaces": [...]} or {"machine": ID, ...}. */
static void
parse_grant (FloePolicyParser *parser, FloeJson *value, FloePolicyUsbGrant *grant)
{
  FloeJson *host, *interfaces;

  if (!floe_json_is_object (value)) {
    if (value != NULL && (!floe_json_is_string (value) || strcmp (floe_json_string (value, 256), "host") != 0))
      floe_json_refuse (value, "\"host\" or {\"machine\": ID} wanted; to block can always be chosen");
    grant->action = FLOE_POLICY_USB_HOST;
    return;
  }
  host = floe_json_optional (value, "host");
  interfaces = floe_json_optional (value, "interfaces");
  if (host == NULL) {
    parse_machine (parser, floe_json_member (value, "machine"), grant);
  } else {
    grant->action = FLOE_POLICY_USB_HOST;
    if (!floe_json_bool (host))
      floe_json_refuse (host, "true wanted");
    if (interfaces == NULL)
      floe_json_refuse (value, "key 'interfaces' is missing: to give all of it, write \"host\"");
  }
  parse_given_interfaces (parser, interfaces, grant);
  if (grant->action == FLOE_POLICY_USB_MACHINE)
    parse_read_only (floe_json_optional (value, "read_only"), grant);
}

static gboolean
same_grant (const FloePolicyUsbGrant *a, const FloePolicyUsbGrant *b)
{
  return a->action == b->action && a->machine == b->machine && a->read_only == b->read_only && a->n_interfaces == b->n_interfaces
         && (a->n_interfaces == 0 || memcmp (a->interfaces, b->interfaces, a->n_interfaces * sizeof *a->interfaces) == 0);
}

/* {"ask": [ANSWER, ...], "remember": ...}, or NULL for "ask" alone: the machine in front, asked at each connection. */
static void
parse_ask (FloePolicyParser *parser, FloeJson *object, FloePolicyUsbRule *rule)
{
  static const FloePolicyUsbGrant to_front = { .action = FLOE_POLICY_USB_MACHINE };
  FloeJson *list = object != NULL ? floe_json_member (object, "ask") : NULL;
  FloeJson *remember = floe_json_optional (object, "remember");
  size_t n = floe_json_length (list, FLOE_POLICY_ANSWERS_MAX);
  FloePolicyUsbGrant *answers = floe_policy_parser_array (parser, n, sizeof *answers);

  rule->action = FLOE_POLICY_USB_ASK;
  rule->answers = object == NULL ? &to_front : answers;
  rule->n_answers = object == NULL ? 1 : n;
  if (list != NULL && n == 0)
    floe_json_refuse (list, "at least one answer besides to block wanted");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);

    parse_grant (parser, value, &answers[i]);
    for (size_t j = 0; j < i; j++)
      if (same_grant (&answers[i], &answers[j]))
        floe_json_refuse (value, "this answer is in the list twice");
  }
  if (remember != NULL)
    rule->remember = (FloePolicyUsbRemember) floe_json_enum (remember, remember_names);
}

static void
parse_usb_verdict (FloePolicyParser *parser, FloeJson *value, FloePolicyUsbRule *rule)
{
  if (floe_json_is_object (value)) {
    if (floe_json_optional (value, "ask") != NULL) {
      parse_ask (parser, value, rule);
      return;
    }
    parse_grant (parser, value, &rule->grant);
    rule->action = rule->grant.action;
    return;
  }
  if (value != NULL && !floe_json_is_string (value))
    floe_json_refuse (value, "\"block\", \"host\", \"ask\", {\"machine\": ID}, {\"host\": true, \"interfaces\": [...]} or {\"ask\": [...]} wanted");
  rule->action = written_values[floe_json_enum (value, written_actions)];
  if (rule->action == FLOE_POLICY_USB_ASK)
    parse_ask (parser, NULL, rule);
  else
    rule->grant.action = rule->action;
}

/* -- What a rule may open ---------------------------------------------------------------------------------------------- */

static gboolean
every_pattern (const FloePolicyUsbPattern *patterns, size_t n, gboolean (*is) (const FloePolicyUsbPattern *))
{
  for (size_t i = 0; i < n; i++)
    if (!is (&patterns[i]))
      return FALSE;
  return n > 0;
}

static gboolean
names_class (const FloePolicyUsbPattern *pattern)
{
  return pattern->class_code != FLOE_POLICY_USB_ANY;
}

/* A place that somebody has looked at: the bus and the port of the computer itself are said, whatever stands behind them. */
static gboolean
names_place (const FloePolicyUsbText *port)
{
  size_t n;

  if (port->text == NULL)
    return FALSE;
  n = strcspn (port->text, ".");
  return !port->wildcards || (memchr (port->text, '*', n) == NULL && memchr (port->text, '?', n) == NULL);
}

/* Why RULE must not give what GRANT says, or NULL. Strings, speed, count and who sits in front of the screen are no reason to open: every
 * device can say such strings, and the rest says nothing about the device. */
static const char *
opening_problem (const FloePolicyUsbRule *rule, const FloePolicyUsbGrant *grant)
{
  gboolean identified = rule->product != FLOE_POLICY_USB_ANY;
  gboolean kinds = every_pattern (rule->interfaces_all, rule->n_interfaces_all, names_class)
                   || every_pattern (rule->interfaces_exactly, rule->n_interfaces_exactly, names_class);
  gboolean asked = rule->action == FLOE_POLICY_USB_ASK;

  if (grant->action == FLOE_POLICY_USB_BLOCK)
    return NULL;
  if (grant->read_only)
    return identified || every_pattern (rule->interfaces_all, rule->n_interfaces_all, is_disk_pattern)
               || every_pattern (rule->interfaces_exactly, rule->n_interfaces_exactly, is_disk_pattern)
             ? NULL
             : "read_only is for disks: name vendor and product, or say interfaces_all 08:06:50 and 08:06:62 and no other";
  if (grant->n_interfaces > 0)
    return NULL; /* what it gives, it names */
  if (rule->n_interface_any > 0 && !kinds && !identified)
    return "interface_any lets the device's other interfaces in as well: to open, name them all with interfaces_all, or give some only "
           "with interfaces";
  if (rule->vendor != FLOE_POLICY_USB_ANY || kinds || names_place (&rule->port))
    return NULL;
  /* Somebody who is asked about each device knows that it may be any; the host's own drivers are too much for such an answer. */
  if (asked && grant->action == FLOE_POLICY_USB_MACHINE)
    return NULL;
  return "this would open every device: name vendor and product, interfaces_all (each with its class) or port";
}

static void
check_usb_rule (FloeJson *object, const FloePolicyUsbRule *rule)
{
  const FloePolicyUsbGrant *grants = rule->action == FLOE_POLICY_USB_ASK ? rule->answers : &rule->grant;
  size_t n = rule->action == FLOE_POLICY_USB_ASK ? rule->n_answers : 1;

  if (rule->product != FLOE_POLICY_USB_ANY && rule->vendor == FLOE_POLICY_USB_ANY)
    floe_json_refuse (object, "a product number means nothing without its vendor");
  else if (rule->serial.text != NULL && rule->product == FLOE_POLICY_USB_ANY)
    floe_json_refuse (object, "a serial means nothing without vendor and product");
  for (size_t i = 0; i < n; i++) {
    const char *problem = opening_problem (rule, &grants[i]);

    if (problem != NULL)
      floe_json_refuse (object, "%s", problem);
  }
}

static void
parse_usb_rule (FloePolicyParser *parser, FloeJson *object, FloePolicyUsbRule *rule)
{
  rule->id = floe_policy_parse_rule_id (parser, floe_json_member (object, "id"));
  parse_conditions (parser, object, rule);
  parse_usb_verdict (parser, floe_json_member (object, "verdict"), rule);
  if (rule->count > 0 && rule->action == FLOE_POLICY_USB_BLOCK)
    floe_json_refuse (floe_json_member (object, "count"), "a blocked device holds nothing: count is for rules that open");
  floe_json_refuse (floe_json_optional (object, "read_only"), "it belongs into the verdict: {\"machine\": ID, \"read_only\": true}");
  check_usb_rule (object, rule);
}

void
floe_policy_parse_usb (FloePolicyParser *parser, FloeJson *value)
{
  size_t n = floe_json_length (value, FLOE_POLICY_USB_RULES_MAX);
  FloePolicyUsbRule *rules = floe_policy_parser_array (parser, n, sizeof *rules);

  for (size_t i = 0; i < n; i++)
    parse_usb_rule (parser, floe_json_at (value, i), &rules[i]);
  parser->content->usb = rules;
  parser->content->n_usb = n;
}
