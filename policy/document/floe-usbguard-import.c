/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"
#include "policy/document/floe-usbguard.h"

#include <string.h>

/* Theory of operation. A rule is first made plain: of what a device has one of (numbers, serial, name, port) a list of values of which any will
 * do, or the reason why that cannot be said. Then an allow rule becomes one rule of ours for each combination, where ours match at most what it
 * matches; a block rule where ours match at least that. Whatever does not fit is not translated. A block rule that is lost this way keeps
 * its place: a later allow rule is lost with it unless some attribute tells that no device matches both. Last, every rule of ours
 * is given to the parser of documents, whose reasons (this would open every device, ...) are reasons not to translate as well. */

#define COMBINATIONS_MAX 64

typedef struct {
  int32_t vendor, product;
} Numbers;

typedef struct {
  const FloeUsbguardRule *rule;
  GArray *numbers;       /* of Numbers; NULL: any device */
  GPtrArray *texts[3];   /* serial, name, port: of char *; NULL: any */
  GArray *interfaces;    /* of FloePolicyUsbPattern; NULL: any */
  FloeUsbguardOperator operator; /* of the interfaces */
  const char *never;     /* why it matches no device at all */
  const char *cannot;    /* why it cannot be said in our rules; what could be is in the rest all the same */
} Plain;

enum { TEXT_SERIAL, TEXT_NAME, TEXT_PORT, N_TEXTS };
static const FloeUsbguardAttribute text_attributes[] = { FLOE_USBGUARD_SERIAL, FLOE_USBGUARD_NAME, FLOE_USBGUARD_VIA_PORT };
static const char *const text_keys[] = { "serial", "name", "port" };

static void
plain_free (gpointer data)
{
  Plain *plain = data;

  g_clear_pointer (&plain->numbers, g_array_unref);
  g_clear_pointer (&plain->interfaces, g_array_unref);
  for (size_t i = 0; i < N_TEXTS; i++)
    g_clear_pointer (&plain->texts[i], g_ptr_array_unref);
  g_free (plain);
}

static void
cannot (Plain *plain, const char *why)
{
  if (plain->cannot == NULL)
    plain->cannot = why;
}

/* -- Making a rule plain ------------------------------------------------------------------------------------------------- */

/* What becomes of VALUES where a device has exactly one: TRUE for a list of which any will do. */
static gboolean
is_choice (Plain *plain, const FloeUsbguardValues *values)
{
  switch (values->operator) {
  case FLOE_USBGUARD_ONE_OF:
  case FLOE_USBGUARD_MATCH_ALL:
    return TRUE;
  case FLOE_USBGUARD_NONE_OF:
    cannot (plain, "none-of: a rule says what a device is, not what it is not");
    return FALSE;
  case FLOE_USBGUARD_EQUALS:
  case FLOE_USBGUARD_EQUALS_ORDERED:
    if (values->values->len > 1)
      plain->never = "a device has one of what this wants several of";
    return TRUE;
  case FLOE_USBGUARD_ALL_OF:
    break;
  }
  return TRUE;
}

static gboolean
is_plain_text (const GString *string)
{
  if (string->len == 0 || string->len > FLOE_POLICY_STRING_MAX || !g_utf8_validate (string->str, (gssize) string->len, NULL))
    return FALSE;
  for (size_t i = 0; i < string->len; i++)
    if (g_ascii_iscntrl (string->str[i]))
      return FALSE;
  return TRUE;
}

/* The ports of devices among the values; a controller ("usb1") is none. */
static void
make_text_plain (Plain *plain, size_t which)
{
  const FloeUsbguardValues *values = &plain->rule->attributes[text_attributes[which]];
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);

  if (values->values == NULL || !is_choice (plain, values))
    return;
  for (guint i = 0; i < values->values->len; i++) {
    const GString *string = g_ptr_array_index (values->values, i);

    if (!is_plain_text (string)) {
      cannot (plain, "a string that is empty, over 378 bytes, no UTF-8 or with control characters cannot be asked for");
      return;
    }
    if (which == TEXT_PORT && !floe_policy_usb_port_valid (string->str)) {
      if (plain->rule->target != FLOE_USBGUARD_ALLOW || !g_str_has_prefix (string->str, "usb"))
        cannot (plain, "via-port: not the port of a device");
      continue;
    }
    if (values->operator == FLOE_USBGUARD_ALL_OF && texts->len > 0 && strcmp (g_ptr_array_index (texts, 0), string->str) != 0)
      plain->never = "a device has one of what this wants several of";
    if (!g_ptr_array_find_with_equal_func (texts, string->str, g_str_equal, NULL))
      g_ptr_array_add (texts, g_strdup (string->str));
  }
  if (texts->len == 0 && plain->cannot == NULL)
    plain->never = "controllers are the endpoint's own and need no rule";
  plain->texts[which] = g_steal_pointer (&texts);
}

static gboolean
numbers_meet (const Numbers *a, const Numbers *b)
{
  return (a->vendor == FLOE_POLICY_USB_ANY || b->vendor == FLOE_POLICY_USB_ANY || a->vendor == b->vendor)
         && (a->product == FLOE_POLICY_USB_ANY || b->product == FLOE_POLICY_USB_ANY || a->product == b->product);
}

static Numbers
parse_numbers (const char *text)
{
  Numbers numbers = { FLOE_POLICY_USB_ANY, FLOE_POLICY_USB_ANY };
  g_auto (GStrv) parts = g_strsplit (text, ":", 2);

  if (strcmp (parts[0], "*") != 0)
    floe_policy_usb_id_parse (parts[0], &numbers.vendor);
  if (strcmp (parts[1], "*") != 0)
    floe_policy_usb_id_parse (parts[1], &numbers.product);
  return numbers;
}

static void
make_numbers_plain (Plain *plain)
{
  const FloeUsbguardValues *values = &plain->rule->attributes[FLOE_USBGUARD_ID];
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (Numbers));

  if (values->values == NULL || !is_choice (plain, values))
    return;
  for (guint i = 0; i < values->values->len; i++) {
    Numbers numbers = parse_numbers (((GString *) g_ptr_array_index (values->values, i))->str);
    Numbers *first = all->len > 0 ? &g_array_index (all, Numbers, 0) : NULL;

    if (values->operator != FLOE_USBGUARD_ALL_OF || first == NULL) {
      g_array_append_val (all, numbers);
    } else if (numbers_meet (first, &numbers)) {
      first->vendor = first->vendor != FLOE_POLICY_USB_ANY ? first->vendor : numbers.vendor;
      first->product = first->product != FLOE_POLICY_USB_ANY ? first->product : numbers.product;
    } else {
      plain->never = "a device has one of what this wants several of";
    }
  }
  plain->numbers = g_steal_pointer (&all);
}

static void
make_interfaces_plain (Plain *plain)
{
  const FloeUsbguardValues *values = &plain->rule->attributes[FLOE_USBGUARD_WITH_INTERFACE];

  if (values->values == NULL)
    return;
  plain->operator = values->operator;
  plain->interfaces = g_array_new (FALSE, FALSE, sizeof (FloePolicyUsbPattern));
  for (guint i = 0; i < values->values->len; i++) {
    FloePolicyUsbPattern pattern;

    if (floe_policy_pattern_parse (((GString *) g_ptr_array_index (values->values, i))->str, &pattern))
      g_array_append_val (plain->interfaces, pattern);
  }
}

typedef enum { NO, YES, UNKNOWN } Answer;

/* `true` and `false` are the conditions whose outcome is known. */
static Answer
answer_condition (const char *text)
{
  gboolean negated = *text == '!';

  text += negated;
  if (strcmp (text, "true") == 0)
    return negated ? NO : YES;
  if (strcmp (text, "false") == 0)
    return negated ? YES : NO;
  return UNKNOWN;
}

static Answer
answer_conditions (const FloeUsbguardValues *values)
{
  gboolean unknown = FALSE, some = FALSE, every = TRUE;

  for (guint i = 0; i < values->values->len; i++) {
    Answer answer = answer_condition (((GString *) g_ptr_array_index (values->values, i))->str);

    unknown |= answer == UNKNOWN;
    some |= answer == YES;
    every &= answer != NO;
  }
  switch (values->operator) {
  case FLOE_USBGUARD_ONE_OF:
    return some ? YES : unknown ? UNKNOWN : NO;
  case FLOE_USBGUARD_NONE_OF:
    return some ? NO : unknown ? UNKNOWN : YES;
  case FLOE_USBGUARD_MATCH_ALL: /* not among the documented operators of conditions */
    return UNKNOWN;
  default:
    return !every ? NO : unknown ? UNKNOWN : YES;
  }
}

static Plain *
make_plain (const FloeUsbguardRule *rule)
{
  static const struct {
    FloeUsbguardAttribute attribute;
    const char *why;
  } beyond[] = {
    { FLOE_USBGUARD_HASH, "hash: devices are known by numbers, strings, interfaces and port here; `usbguard generate-policy -X` leaves hashes out" },
    { FLOE_USBGUARD_PARENT_HASH, "parent-hash: where a device is plugged in is said by its port here" },
    { FLOE_USBGUARD_WITH_CONNECT_TYPE, "with-connect-type: whether a port is wired inside is not known here" },
  };
  const FloeUsbguardValues *conditions = &rule->attributes[FLOE_USBGUARD_IF];
  Plain *plain = g_new0 (Plain, 1);

  plain->rule = rule;
  if (rule->target == FLOE_USBGUARD_MATCH || rule->target == FLOE_USBGUARD_DEVICE)
    plain->never = "such a rule decides nothing";
  else if (conditions->values != NULL && answer_conditions (conditions) == NO)
    plain->never = "its condition never holds";
  else if (conditions->values != NULL && answer_conditions (conditions) == UNKNOWN)
    cannot (plain, "if: none of USBGuard's conditions but true and false is one here (see count, locked, front and people)");
  for (size_t i = 0; i < G_N_ELEMENTS (beyond); i++)
    if (rule->attributes[beyond[i].attribute].values != NULL)
      cannot (plain, beyond[i].why);
  make_numbers_plain (plain);
  for (size_t i = 0; i < N_TEXTS; i++)
    make_text_plain (plain, i);
  make_interfaces_plain (plain);
  return plain;
}

/* -- Whether two rules may match one device -------------------------------------------------------------------------------- */

static gboolean
parts_meet (int16_t a, int16_t b)
{
  return a == FLOE_POLICY_USB_ANY || b == FLOE_POLICY_USB_ANY || a == b;
}

/* Whether some interface matches PATTERN and one of SET. */
static gboolean
pattern_meets (const FloePolicyUsbPattern *pattern, const GArray *set)
{
  for (guint i = 0; i < set->len; i++) {
    const FloePolicyUsbPattern *other = &g_array_index (set, FloePolicyUsbPattern, i);

    if (parts_meet (pattern->class_code, other->class_code) && parts_meet (pattern->subclass, other->subclass)
        && parts_meet (pattern->protocol, other->protocol))
      return TRUE;
  }
  return FALSE;
}

/* Whether a device that ALLOW takes, each of whose interfaces is then in a set, can be one that BLOCK takes. */
static gboolean
interfaces_meet (const Plain *block, const Plain *allow)
{
  gboolean counted = block->operator == FLOE_USBGUARD_EQUALS || block->operator == FLOE_USBGUARD_EQUALS_ORDERED;
  gboolean some = FALSE, every = TRUE;

  if (block->interfaces == NULL || allow->interfaces == NULL || block->operator == FLOE_USBGUARD_NONE_OF
      || (allow->operator != FLOE_USBGUARD_EQUALS && allow->operator != FLOE_USBGUARD_MATCH_ALL))
    return TRUE;
  if (counted && allow->operator == FLOE_USBGUARD_EQUALS && block->interfaces->len != allow->interfaces->len)
    return FALSE;
  for (guint i = 0; i < block->interfaces->len; i++) {
    gboolean meets = pattern_meets (&g_array_index (block->interfaces, FloePolicyUsbPattern, i), allow->interfaces);

    some |= meets;
    every &= meets;
  }
  /* Of these each must be there; of the others one is enough. */
  return counted || block->operator == FLOE_USBGUARD_ALL_OF ? every : some;
}

static gboolean
may_meet (const Plain *block, const Plain *allow)
{
  gboolean meet = block->numbers == NULL || allow->numbers == NULL;

  for (guint i = 0; !meet && i < block->numbers->len; i++)
    for (guint j = 0; !meet && j < allow->numbers->len; j++)
      meet = numbers_meet (&g_array_index (block->numbers, Numbers, i), &g_array_index (allow->numbers, Numbers, j));
  for (size_t which = 0; meet && which < N_TEXTS; which++) {
    const GPtrArray *left = block->texts[which];

    if (left == NULL || allow->texts[which] == NULL)
      continue;
    meet = FALSE;
    for (guint i = 0; !meet && i < left->len; i++)
      meet = g_ptr_array_find_with_equal_func (allow->texts[which], g_ptr_array_index (left, i), g_str_equal, NULL);
  }
  return meet && interfaces_meet (block, allow);
}

/* -- Our rules ----------------------------------------------------------------------------------------------------------- */

static json_t *
patterns_json (const GArray *patterns)
{
  json_t *list = json_array ();

  for (guint i = 0; i < patterns->len; i++) {
    const FloePolicyUsbPattern *pattern = &g_array_index (patterns, FloePolicyUsbPattern, i);
    g_autofree char *subclass = pattern->subclass < 0 ? g_strdup ("*") : g_strdup_printf ("%02x", (unsigned) pattern->subclass);
    g_autofree char *protocol = pattern->protocol < 0 ? g_strdup ("*") : g_strdup_printf ("%02x", (unsigned) pattern->protocol);
    g_autofree char *text = g_strdup_printf ("%02x:%s:%s", (unsigned) pattern->class_code, subclass, protocol);

    json_array_append_new (list, json_string (text));
  }
  return list;
}

static gboolean
all_the_same (const GArray *patterns)
{
  for (guint i = 1; i < patterns->len; i++)
    if (memcmp (&g_array_index (patterns, FloePolicyUsbPattern, i), &g_array_index (patterns, FloePolicyUsbPattern, 0),
                sizeof (FloePolicyUsbPattern))
        != 0)
      return FALSE;
  return TRUE;
}

/* Our key for what PLAIN asks of interfaces; NULL with the reason noted when there is none. *IN_PART: what is given must be named again. */
static const char *
interfaces_key (Plain *plain, gboolean *in_part)
{
  gboolean allow = plain->rule->target == FLOE_USBGUARD_ALLOW, same = all_the_same (plain->interfaces);

  if (plain->interfaces->len > FLOE_POLICY_PATTERNS_MAX)
    cannot (plain, "with-interface: over 32 interfaces");
  else if (plain->operator == FLOE_USBGUARD_ONE_OF || (plain->operator == FLOE_USBGUARD_ALL_OF && same)) {
    *in_part = allow;
    return "interface_any";
  } else if (allow && plain->operator == FLOE_USBGUARD_MATCH_ALL)
    return "interfaces_all";
  else if (allow && (plain->operator == FLOE_USBGUARD_EQUALS || (plain->operator == FLOE_USBGUARD_EQUALS_ORDERED && same)))
    return "interfaces_exactly";
  else if (plain->operator == FLOE_USBGUARD_NONE_OF)
    cannot (plain, "with-interface none-of: a rule says what a device is, not what it is not");
  else if (plain->operator == FLOE_USBGUARD_EQUALS_ORDERED && allow)
    cannot (plain, "with-interface equals-ordered: the order of interfaces cannot be asked for");
  else if (plain->operator == FLOE_USBGUARD_ALL_OF)
    cannot (plain, "with-interface all-of: several kinds at once can be asked for only where they are all there is");
  else
    cannot (plain, "with-interface: a rule that blocks can ask for one interface of a list (one-of), not for the whole of them, which the "
                   "class of the device itself would be part of");
  return NULL;
}

static json_t *
verdict_json (const Plain *plain, const char *machine, gboolean in_part)
{
  json_t *verdict;

  if (plain->rule->target != FLOE_USBGUARD_ALLOW)
    return json_string ("block");
  if (!in_part && machine == NULL)
    return json_string ("host");
  verdict = machine != NULL ? json_pack ("{s:s}", "machine", machine) : json_pack ("{s:b}", "host", 1);
  if (in_part)
    json_object_set_new (verdict, "interfaces", patterns_json (plain->interfaces));
  return verdict;
}

/* Combination NUMBER of PLAIN's choices, counted like the digits of a number whose places are these lists. */
static json_t *
rule_json (const Plain *plain, size_t number, const char *id, const char *key, gboolean in_part, const char *machine)
{
  json_t *rule = json_pack ("{s:s}", "id", id);

  if (plain->numbers != NULL) {
    const Numbers *numbers = &g_array_index (plain->numbers, Numbers, number % plain->numbers->len);
    char text[8];

    number /= plain->numbers->len;
    g_snprintf (text, sizeof text, "%04x", (unsigned) numbers->vendor & 0xffff);
    if (numbers->vendor != FLOE_POLICY_USB_ANY)
      json_object_set_new (rule, "vendor", json_string (text));
    g_snprintf (text, sizeof text, "%04x", (unsigned) numbers->product & 0xffff);
    if (numbers->product != FLOE_POLICY_USB_ANY)
      json_object_set_new (rule, "product", json_string (text));
  }
  for (size_t i = 0; i < N_TEXTS; i++)
    if (plain->texts[i] != NULL) {
      json_object_set_new (rule, text_keys[i], json_string (g_ptr_array_index (plain->texts[i], number % plain->texts[i]->len)));
      number /= plain->texts[i]->len;
    }
  if (key != NULL)
    json_object_set_new (rule, key, patterns_json (plain->interfaces));
  json_object_set_new (rule, "verdict", verdict_json (plain, machine, in_part));
  return rule;
}

static size_t
combinations (const Plain *plain)
{
  size_t n = plain->numbers != NULL ? plain->numbers->len : 1;

  /* Each list has 64 values at most, so this stays far below what a size_t holds. */
  for (size_t i = 0; i < N_TEXTS; i++)
    n *= plain->texts[i] != NULL ? plain->texts[i]->len : 1;
  return n;
}

/* What the parser of documents says against RULE where MACHINE is one of the document's; NULL for nothing. */
static char *
refusal (json_t *rule, const char *machine)
{
  const char *id = machine != NULL && strcmp (machine, "front") != 0 ? machine : "m";
  g_autoptr (GError) error = NULL;
  json_t *document = json_pack ("{s:i,s:s,s:[{s:s,s:{s:s,s:s},s:i,s:i,s:s}],s:[O],s:[{s:s,s:[s]}]}", "floe", 1, "group", "g", "machines", "id", id,
                                "image", "name", "i", "channel", "c", "vcpus", 1, "memory_mib", 512, "disk", "reset", "usb", rule,
                                "assignment", "who", "*", "machines", id);
  g_autofree char *text = document != NULL ? json_dumps (document, JSON_COMPACT) : NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (FloePolicyDocument) parsed = NULL;
  const char *reason;

  json_decref (document);
  if (text == NULL)
    return g_strdup ("it cannot be written as JSON");
  bytes = g_bytes_new (text, strlen (text));
  parsed = floe_policy_parse (bytes, "", &error);
  if (parsed != NULL)
    return NULL;
  reason = strstr (error->message, "]: ");
  return g_strdup (reason != NULL ? reason + strlen ("]: ") : error->message);
}

/* Adds PLAIN's rules to LIST; FALSE with the reason noted, and nothing added. */
static gboolean
add_rules (Plain *plain, const char *machine, json_t *list, gboolean *in_part, char **refused)
{
  const char *key = plain->interfaces != NULL && plain->cannot == NULL ? interfaces_key (plain, in_part) : NULL;
  size_t n = combinations (plain), before = json_array_size (list);

  if (n > COMBINATIONS_MAX)
    cannot (plain, "its lists of values make over 64 combinations");
  for (size_t i = 0; plain->cannot == NULL && *refused == NULL && i < n; i++) {
    g_autofree char *id = n == 1 ? g_strdup_printf ("usbguard-%u", plain->rule->line)
                                 : g_strdup_printf ("usbguard-%u-%zu", plain->rule->line, i + 1);
    json_t *rule = rule_json (plain, i, id, key, *in_part, machine);

    *refused = refusal (rule, machine);
    json_array_append_new (list, rule);
  }
  if (plain->cannot == NULL && *refused == NULL)
    return TRUE;
  while (json_array_size (list) > before)
    json_array_remove (list, json_array_size (list) - 1);
  return FALSE;
}

/* -- The file -------------------------------------------------------------------------------------------------------------- */

static void
report_free (gpointer data)
{
  FloeUsbguardReport *report = data;

  g_free (report->reason);
  g_free (report);
}

void
floe_usbguard_import_free (FloeUsbguardImport *import)
{
  if (import == NULL)
    return;
  g_free (import->json);
  g_clear_pointer (&import->reports, g_ptr_array_unref);
  g_free (import);
}

static void
report (FloeUsbguardImport *import, const Plain *plain, FloeUsbguardOutcome outcome, char *reason)
{
  FloeUsbguardReport *made = g_new0 (FloeUsbguardReport, 1);

  made->line = plain->rule->line;
  made->outcome = outcome;
  made->reason = reason;
  g_ptr_array_add (import->reports, made);
}

/* The first of the block rules LOST that may match a device that PLAIN allows; NULL: none. */
static const Plain *
find_lost (const GPtrArray *lost, const Plain *plain)
{
  for (guint i = 0; plain->rule->target == FLOE_USBGUARD_ALLOW && i < lost->len; i++)
    if (may_meet (g_ptr_array_index (lost, i), plain))
      return g_ptr_array_index (lost, i);
  return NULL;
}

static void
translate (FloeUsbguardImport *import, Plain *plain, const char *machine, json_t *list, GPtrArray *lost)
{
  const Plain *block = find_lost (lost, plain);
  gboolean in_part = FALSE;
  g_autofree char *refused = NULL;

  if (plain->never != NULL)
    report (import, plain, FLOE_USBGUARD_LEFT_OUT, g_strdup (plain->never));
  else if (block != NULL)
    report (import, plain, FLOE_USBGUARD_NOT_TRANSLATED,
            g_strdup_printf ("it might open what line %u blocks, and that could not be translated", block->rule->line));
  else if (!add_rules (plain, machine, list, &in_part, &refused)) {
    report (import, plain, FLOE_USBGUARD_NOT_TRANSLATED, g_strdup (refused != NULL ? refused : plain->cannot));
    if (plain->rule->target != FLOE_USBGUARD_ALLOW)
      g_ptr_array_add (lost, plain);
  } else if (in_part)
    report (import, plain, FLOE_USBGUARD_NARROWER, g_strdup ("of a device only the interfaces that it names are given, not the others beside them"));
  else
    report (import, plain, FLOE_USBGUARD_TRANSLATED, NULL);
}

/* The list as a person would write it: a rule a line. */
static char *
list_text (json_t *list)
{
  g_autoptr (GString) text = g_string_new ("[");
  size_t i;
  json_t *rule;

  json_array_foreach (list, i, rule)
  {
    g_autofree char *line = json_dumps (rule, 0);

    g_string_append_printf (text, "%s\n  %s", i > 0 ? "," : "", line);
  }
  g_string_append (text, json_array_size (list) > 0 ? "\n]\n" : "]\n");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

FloeUsbguardImport *
floe_usbguard_import (GBytes *text, const char *source, const char *machine, GError **error)
{
  g_autoptr (GPtrArray) rules = floe_usbguard_parse (text, source, error);
  g_autoptr (GPtrArray) plains = g_ptr_array_new_with_free_func (plain_free);
  g_autoptr (GPtrArray) lost = g_ptr_array_new ();
  g_autoptr (FloeUsbguardImport) import = g_new0 (FloeUsbguardImport, 1);
  json_t *list;

  if (rules == NULL)
    return NULL;
  list = json_array ();
  import->reports = g_ptr_array_new_with_free_func (report_free);
  for (guint i = 0; i < rules->len && json_array_size (list) <= FLOE_POLICY_USB_RULES_MAX; i++) {
    Plain *plain = make_plain (g_ptr_array_index (rules, i));

    g_ptr_array_add (plains, plain);
    translate (import, plain, machine, list, lost);
  }
  import->n_rules = json_array_size (list);
  if (import->n_rules <= FLOE_POLICY_USB_RULES_MAX)
    import->json = list_text (list);
  json_decref (list);
  if (import->json == NULL) {
    floe_error_set (error, FLOE_ERROR_LIMIT, "%s: makes over %d rules, which is what a document holds", source, FLOE_POLICY_USB_RULES_MAX);
    return NULL;
  }
  return g_steal_pointer (&import);
}
