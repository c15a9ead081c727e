/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <string.h>

#define CLASS_PER_INTERFACE 0x00 /* USB 2.0, 9.6.1: the interfaces tell */
#define CLASS_MISCELLANEOUS 0xef /* Interface Association Descriptors: the interfaces tell */

static const char *const action_names[] = { "block", "host", "machine", "ask", NULL };
/* "machine" is written as an object that names it. */
static const char *const written_actions[] = { "block", "host", "ask", NULL };
static const FloePolicyUsbAction written_values[] = { FLOE_POLICY_USB_BLOCK, FLOE_POLICY_USB_HOST, FLOE_POLICY_USB_ASK };

static const FloePolicyNotYet rule_not_yet[] = {
  { "read_only", "storage is handed over whole or not at all" },
  { "names", "rules match numbers and the serial, not product names" },
  { NULL },
};

const char *
floe_policy_usb_action_name (FloePolicyUsbAction action)
{
  return action_names[action];
}

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

/* -- Parsing ---------------------------------------------------------------------------------------------------------- */

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

static const char *
parse_serial (FloePolicyParser *parser, FloeJson *value)
{
  const char *text = floe_json_string (value, 378); /* 126 UTF-16 units, the longest string descriptor, as UTF-8 */

  if (value == NULL)
    return NULL;
  if (*text == '\0')
    floe_json_refuse (value, "empty: an empty serial names no device");
  return floe_policy_parser_keep (parser, text);
}

static const char *
parse_usb_port (FloePolicyParser *parser, FloeJson *value)
{
  const char *text = floe_json_string (value, 32);

  if (value == NULL)
    return NULL;
  if (!floe_policy_usb_port_valid (text))
    floe_json_refuse (value, "'%s': BUS-PORT[.PORT...] wanted, such as 1-2.4", text);
  return floe_policy_parser_keep (parser, text);
}

static void
parse_usb_verdict (FloePolicyParser *parser, FloeJson *value, FloePolicyUsbRule *rule)
{
  FloeJson *machine;
  const char *id;

  if (!floe_json_is_object (value)) {
    if (value != NULL && !floe_json_is_string (value))
      floe_json_refuse (value, "\"block\", \"host\", \"ask\" or {\"machine\": ID} wanted");
    rule->grant.action = rule->action = written_values[floe_json_enum (value, written_actions)];
    return;
  }
  machine = floe_json_member (value, "machine");
  id = floe_json_string (machine, FLOE_POLICY_ID_MAX);
  rule->grant.action = rule->action = FLOE_POLICY_USB_MACHINE;
  rule->grant.machine = floe_policy_find_machine (parser->content, id);
  if (rule->grant.machine == NULL)
    floe_json_refuse (machine, "'%s' is none of this document's machines", id);
}

/* Rules that open more than they seem to say. */
static void
check_usb_rule (FloeJson *object, const FloePolicyUsbRule *rule)
{
  gboolean opens = rule->action == FLOE_POLICY_USB_HOST || rule->action == FLOE_POLICY_USB_MACHINE;
  gboolean identified = rule->product != FLOE_POLICY_USB_ANY;

  if (identified && rule->vendor == FLOE_POLICY_USB_ANY)
    floe_json_refuse (object, "a product number means nothing without its vendor");
  else if (rule->serial.text != NULL && !identified)
    floe_json_refuse (object, "a serial means nothing without vendor and product");
  else if (opens && rule->n_interface_any > 0 && rule->n_interfaces_all == 0 && !identified)
    floe_json_refuse (object, "interface_any lets the device's other interfaces in as well: to open, name them all with interfaces_all");
  else if (opens && rule->vendor == FLOE_POLICY_USB_ANY && rule->n_interfaces_all == 0 && rule->port.text == NULL)
    floe_json_refuse (object, "this would open every device: name vendor and product, interfaces_all or port");
}

static void
parse_usb_rule (FloePolicyParser *parser, FloeJson *object, FloePolicyUsbRule *rule)
{
  FloeJson *count = floe_json_optional (object, "count");

  rule->id = floe_policy_parse_rule_id (parser, floe_json_member (object, "id"));
  rule->vendor = parse_usb_id (floe_json_optional (object, "vendor"));
  rule->product = parse_usb_id (floe_json_optional (object, "product"));
  rule->serial.text = parse_serial (parser, floe_json_optional (object, "serial"));
  rule->port.text = parse_usb_port (parser, floe_json_optional (object, "port"));
  rule->interface_any = parse_patterns (parser, floe_json_optional (object, "interface_any"), &rule->n_interface_any);
  rule->interfaces_all = parse_patterns (parser, floe_json_optional (object, "interfaces_all"), &rule->n_interfaces_all);
  rule->count = count != NULL ? (unsigned) floe_json_int (count, 1, 127) : 0;
  parse_usb_verdict (parser, floe_json_member (object, "verdict"), rule);
  if (count != NULL && rule->action == FLOE_POLICY_USB_BLOCK)
    floe_json_refuse (count, "a blocked device holds nothing: count is for rules that open");
  floe_policy_refuse_not_yet (object, rule_not_yet);
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

/* -- Verdict ---------------------------------------------------------------------------------------------------------- */

static gboolean
pattern_matches (const FloePolicyUsbPattern *pattern, const FloePolicyUsbInterface *interface)
{
  return (pattern->class_code == FLOE_POLICY_USB_ANY || pattern->class_code == interface->class_code)
         && (pattern->subclass == FLOE_POLICY_USB_ANY || pattern->subclass == interface->subclass)
         && (pattern->protocol == FLOE_POLICY_USB_ANY || pattern->protocol == interface->protocol);
}

static gboolean
some_pattern_matches (const FloePolicyUsbPattern *patterns, size_t n, const FloePolicyUsbInterface *interface)
{
  for (size_t i = 0; i < n; i++)
    if (pattern_matches (&patterns[i], interface))
      return TRUE;
  return FALSE;
}

/* How many of the device's interfaces, its device class among them where a driver could bind to it, match one of the patterns;
 * *ALL counts them. */
static size_t
count_matching (const FloePolicyUsbPattern *patterns, size_t n, const FloePolicyUsbDevice *device, size_t *all)
{
  uint8_t device_class = device->device_class.class_code;
  size_t matching = 0;

  *all = device->n_interfaces;
  for (size_t i = 0; i < device->n_interfaces; i++)
    matching += some_pattern_matches (patterns, n, &device->interfaces[i]);
  if (device_class != CLASS_PER_INTERFACE && device_class != CLASS_MISCELLANEOUS) {
    (*all)++;
    matching += some_pattern_matches (patterns, n, &device->device_class);
  }
  return matching;
}

static gboolean
serial_matches (const char *serial, const FloePolicyUsbDevice *device)
{
  size_t size = strlen (serial);

  return device->serial.bytes != NULL && device->serial.size == size && memcmp (device->serial.bytes, serial, size) == 0;
}

const char *
floe_policy_usb_mismatch (const FloePolicyUsbRule *rule, const FloePolicyUsbDevice *device, unsigned holders)
{
  size_t all;

  if (rule->vendor != FLOE_POLICY_USB_ANY && rule->vendor != device->vendor)
    return "another vendor";
  if (rule->product != FLOE_POLICY_USB_ANY && rule->product != device->product)
    return "another product";
  if (rule->serial.text != NULL && !serial_matches (rule->serial.text, device))
    return "another serial";
  if (rule->port.text != NULL && (device->port == NULL || strcmp (rule->port.text, device->port) != 0))
    return "another port";
  if (rule->n_interface_any > 0 && count_matching (rule->interface_any, rule->n_interface_any, device, &all) == 0)
    return "no interface matches interface_any";
  if (rule->n_interfaces_all > 0
      && (count_matching (rule->interfaces_all, rule->n_interfaces_all, device, &all) != all || device->n_interfaces == 0))
    return "an interface is outside interfaces_all";
  if (rule->count > 0 && holders >= rule->count)
    return "as many devices as count allows hold it already";
  if (rule->action != FLOE_POLICY_USB_BLOCK && (!device->complete || device->n_interfaces == 0))
    return "its descriptors are incomplete, and only block rules match such a device";
  return NULL;
}

FloePolicyUsbVerdict
floe_policy_usb_verdict (const FloePolicyContent *content, const FloePolicyUsbDevice *device,
                         const FloePolicyUsbSituation *situation)
{
  const unsigned *holders = situation != NULL ? situation->holders : NULL;

  for (size_t i = 0; i < content->n_usb; i++) {
    const FloePolicyUsbRule *rule = &content->usb[i];

    if (floe_policy_usb_mismatch (rule, device, holders != NULL ? holders[i] : 0) == NULL)
      return (FloePolicyUsbVerdict){ rule->action, rule->grant, rule, rule->id, i };
  }
  return (FloePolicyUsbVerdict){ .action = FLOE_POLICY_USB_BLOCK, .rule = "default", .index = SIZE_MAX };
}
