/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-explain.h"
#include "policy/document/floe-policy-private.h"

#include <string.h>

/* -- A machine's rules ------------------------------------------------------------------------------------------------- */

/* Whether RULE can give a device to MACHINE, by itself or by an answer; the one in front may be any. */
static gboolean
can_give_to (const FloePolicyUsbRule *rule, const FloePolicyMachine *machine)
{
  const FloePolicyUsbGrant *grants = rule->action == FLOE_POLICY_USB_ASK ? rule->answers : &rule->grant;
  size_t n = rule->action == FLOE_POLICY_USB_ASK ? rule->n_answers : 1;

  for (size_t i = 0; i < n; i++)
    if (grants[i].action == FLOE_POLICY_USB_MACHINE && (grants[i].machine == NULL || grants[i].machine == machine))
      return TRUE;
  return FALSE;
}

void
floe_policy_explain_usb_rules (const FloePolicyContent *content, const FloePolicyMachine *machine, GString *text)
{
  size_t n = 0;

  g_string_append (text, "usb: rules that give it a device, if no rule before them matches\n");
  for (size_t i = 0; i < content->n_usb; i++)
    if (can_give_to (&content->usb[i], machine)) {
      g_string_append_printf (text, "    %s", content->usb[i].id);
      floe_policy_usb_rule_text (&content->usb[i], text);
      g_string_append_c (text, '\n');
      n++;
    }
  if (n == 0)
    g_string_append (text, "    none\n");
}

/* -- A device ---------------------------------------------------------------------------------------------------------- */

/* What GRANT gives of DEVICE, when that is not all of it: "interface 0 of configuration 1". */
static void
append_given (GString *text, const FloePolicyUsbGrant *grant, const FloePolicyUsbDevice *device)
{
  const char *before = ", of it only interface ";

  for (size_t i = 0; grant->n_interfaces > 0 && i < device->n_interfaces; i++) {
    const FloePolicyUsbInterface *interface = &device->interfaces[i];

    if (interface->alternate != 0 || !floe_policy_usb_grant_gives (grant, device, interface->configuration, interface->number))
      continue;
    g_string_append_printf (text, "%s%u of configuration %u", before, interface->number, interface->configuration);
    before = ", ";
  }
}

static void
append_outcome (GString *text, const FloePolicyUsbVerdict *verdict, const FloePolicyUsbDevice *device)
{
  switch (verdict->action) {
  case FLOE_POLICY_USB_HOST:
    g_string_append (text, "host: the endpoint's own drivers may use it");
    break;
  case FLOE_POLICY_USB_MACHINE:
    g_string_append_printf (text, "machine %s: only that machine may be given it", verdict->grant.machine->id);
    if (verdict->grant.read_only)
      g_string_append (text, ", as a disk that it cannot write to");
    break;
  case FLOE_POLICY_USB_ASK:
    g_string_append (text, "ask: stays blocked until somebody at the screen has chosen");
    break;
  case FLOE_POLICY_USB_BLOCK:
    g_string_append (text, "block: no driver and no machine sees it");
    if (verdict->decided != NULL && verdict->decided->action != FLOE_POLICY_USB_BLOCK)
      g_string_append (text, ", for no machine is in front");
    break;
  }
  append_given (text, &verdict->grant, device);
}

static void
append_answers (GString *text, const FloePolicyUsbRule *rule, const FloePolicyUsbSituation *situation)
{
  if (rule == NULL || rule->action != FLOE_POLICY_USB_ASK)
    return;
  for (size_t i = 0; i < rule->n_answers; i++) {
    FloePolicyUsbGrant grant = floe_policy_usb_grant_resolve (&rule->answers[i], situation);

    g_string_append (text, "  answer: ");
    floe_policy_usb_grant_text (&rule->answers[i], text);
    if (rule->answers[i].action == FLOE_POLICY_USB_MACHINE && rule->answers[i].machine == NULL)
      g_string_append_printf (text, " (%s)", grant.machine != NULL ? grant.machine->id : "none now");
    g_string_append_c (text, '\n');
  }
  g_string_append_printf (text, "  answer: block\n  %s\n",
                          rule->remember == FLOE_POLICY_USB_REMEMBER_DEVICE ? "the answer may be remembered for this very device at this port"
                                                                            : "the answer holds until the device is unplugged");
}

char *
floe_policy_explain_usb (const FloePolicyContent *content, const FloePolicyUsbDevice *device, const FloePolicyUsbSituation *situation)
{
  g_autoptr (GString) text = g_string_new (NULL);
  FloePolicyUsbVerdict verdict = floe_policy_usb_verdict (content, device, situation);

  append_outcome (text, &verdict, device);
  g_string_append_printf (text, "; device %04x:%04x, by %s%s\n", device->vendor, device->product,
                          verdict.index == SIZE_MAX ? "" : "rule ", verdict.rule);
  for (size_t i = 0; i < content->n_usb && i <= verdict.index; i++) {
    const char *mismatch = floe_policy_usb_mismatch (&content->usb[i], device, situation, i);

    g_string_append_printf (text, "  %s: %s\n", content->usb[i].id, mismatch != NULL ? mismatch : "matches");
  }
  append_answers (text, verdict.decided, situation);
  if (verdict.action != FLOE_POLICY_USB_HOST && floe_policy_usb_is_keyboard (device))
    g_string_append (text, "  were it the only keyboard that the endpoint uses, it would stay so: by floe-last-keyboard\n");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* -- Notes ------------------------------------------------------------------------------------------------------------- */

static void G_GNUC_PRINTF (2, 3)
note (GPtrArray *notes, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_ptr_array_add (notes, g_strdup_vprintf (format, arguments));
  va_end (arguments);
}

static gboolean
pattern_covers (const FloePolicyUsbPattern *wide, const FloePolicyUsbPattern *narrow)
{
  return (wide->class_code == FLOE_POLICY_USB_ANY || wide->class_code == narrow->class_code)
         && (wide->subclass == FLOE_POLICY_USB_ANY || wide->subclass == narrow->subclass)
         && (wide->protocol == FLOE_POLICY_USB_ANY || wide->protocol == narrow->protocol);
}

static gboolean
patterns_cover (const FloePolicyUsbPattern *wide, size_t n_wide, const FloePolicyUsbPattern *narrow, size_t n_narrow)
{
  for (size_t i = 0; i < n_narrow; i++) {
    gboolean covered = FALSE;

    for (size_t j = 0; j < n_wide && !covered; j++)
      covered = pattern_covers (&wide[j], &narrow[i]);
    if (!covered)
      return FALSE;
  }
  return n_narrow > 0;
}

static gboolean
text_covers (const FloePolicyUsbText *wide, const FloePolicyUsbText *narrow)
{
  const FloePolicyUsbString string = { narrow->text, narrow->text != NULL ? strlen (narrow->text) : 0 };

  if (wide->text == NULL)
    return TRUE;
  if (narrow->text == NULL)
    return FALSE;
  if (narrow->wildcards)
    return wide->wildcards && strcmp (wide->text, narrow->text) == 0;
  return floe_policy_usb_text_matches (wide, &string);
}

/* Whether RULE matches every device that meets its conditions and whose descriptors are whole: it gives all or nothing. */
static gboolean
takes_whole_devices (const FloePolicyUsbRule *rule)
{
  for (size_t i = 0; i < rule->n_answers; i++)
    if (rule->answers[i].n_interfaces > 0)
      return FALSE;
  return rule->grant.n_interfaces == 0;
}

/* Whether every device that LATER matches, EARLIER matches too, as far as that can be told from the rules alone. */
static gboolean
covers (const FloePolicyUsbRule *earlier, const FloePolicyUsbRule *later)
{
  if (earlier->count > 0 || earlier->n_front > 0 || earlier->n_people > 0 || earlier->locked != FLOE_POLICY_USB_LOCKED_ANY)
    return FALSE;
  if (!takes_whole_devices (earlier))
    return FALSE;
  /* An opening rule leaves devices whose descriptors are broken to block rules. */
  if (earlier->action != FLOE_POLICY_USB_BLOCK && later->action == FLOE_POLICY_USB_BLOCK)
    return FALSE;
  return (earlier->vendor == FLOE_POLICY_USB_ANY || earlier->vendor == later->vendor)
         && (earlier->product == FLOE_POLICY_USB_ANY || earlier->product == later->product)
         && text_covers (&earlier->serial, &later->serial) && text_covers (&earlier->manufacturer, &later->manufacturer)
         && text_covers (&earlier->name, &later->name) && text_covers (&earlier->port, &later->port)
         && (earlier->speeds == 0 || (later->speeds != 0 && (later->speeds & ~earlier->speeds) == 0))
         && (earlier->n_interface_any == 0
             || patterns_cover (earlier->interface_any, earlier->n_interface_any, later->interface_any, later->n_interface_any)
             || patterns_cover (earlier->interface_any, earlier->n_interface_any, later->interfaces_all, later->n_interfaces_all))
         && earlier->n_interfaces_exactly == 0
         && (earlier->n_interfaces_all == 0
             || patterns_cover (earlier->interfaces_all, earlier->n_interfaces_all, later->interfaces_exactly, later->n_interfaces_exactly)
             || patterns_cover (earlier->interfaces_all, earlier->n_interfaces_all, later->interfaces_all, later->n_interfaces_all));
}

static void
note_unreached (const FloePolicyContent *content, GPtrArray *notes)
{
  for (size_t i = 0; i < content->n_usb; i++)
    for (size_t j = 0; j < i; j++)
      if (covers (&content->usb[j], &content->usb[i])) {
        note (notes, "usb rule '%s' is never reached: '%s' before it takes every device that it could match", content->usb[i].id,
              content->usb[j].id);
        break;
      }
}

static void
note_grant (const FloePolicyUsbRule *rule, const FloePolicyUsbGrant *grant, GPtrArray *notes)
{
  gboolean direct = rule->action != FLOE_POLICY_USB_ASK;

  if (direct && grant->action == FLOE_POLICY_USB_MACHINE && grant->machine == NULL && rule->n_front == 0)
    note (notes, "usb rule '%s' gives to whichever machine is in front, without asking: it blocks while none is", rule->id);
  for (size_t i = 0; i < rule->n_interfaces_all; i++)
    if (grant->action == FLOE_POLICY_USB_HOST && rule->interfaces_all[i].class_code == 0xff && rule->vendor == FLOE_POLICY_USB_ANY) {
      note (notes, "usb rule '%s' lets the endpoint's drivers for vendor-specific interfaces (ff) have a device of any vendor", rule->id);
      return;
    }
}

static void
note_rule (const FloePolicyUsbRule *rule, GPtrArray *notes)
{
  if (rule->action != FLOE_POLICY_USB_ASK)
    note_grant (rule, &rule->grant, notes);
  for (size_t i = 0; i < rule->n_answers; i++)
    note_grant (rule, &rule->answers[i], notes);
  if (rule->action == FLOE_POLICY_USB_BLOCK
      && (rule->serial.text != NULL || rule->manufacturer.text != NULL || rule->name.text != NULL))
    note (notes, "usb rule '%s' blocks by what a device says of itself: one that says something else passes it", rule->id);
}

/* Whether some keyboard goes to the endpoint: a plain one anywhere, or one with the numbers, strings and port of a rule. */
static gboolean
some_keyboard_works (const FloePolicyContent *content, const FloePolicyUsbSituation *situation, FloePolicyUsbVerdict *plain)
{
  static const FloePolicyUsbInterface boot_keyboard = { 3, 1, 1, 1, 0, 0 };
  FloePolicyUsbDevice device = { .interfaces = &boot_keyboard, .n_interfaces = 1, .speed = FLOE_POLICY_USB_LOW, .complete = TRUE };

  *plain = floe_policy_usb_verdict (content, &device, situation);
  if (plain->action == FLOE_POLICY_USB_HOST)
    return TRUE;
  for (size_t i = 0; i < content->n_usb; i++) {
    const FloePolicyUsbRule *rule = &content->usb[i];
    const char *name = rule->name.text, *serial = rule->serial.text;

    device.vendor = (uint16_t) MAX (rule->vendor, 0);
    device.product = (uint16_t) MAX (rule->product, 0);
    device.name = (FloePolicyUsbString){ name, name != NULL ? strlen (name) : 0 };
    device.serial = (FloePolicyUsbString){ serial, serial != NULL ? strlen (serial) : 0 };
    device.port = rule->port.text;
    if (floe_policy_usb_verdict (content, &device, situation).action == FLOE_POLICY_USB_HOST)
      return TRUE;
  }
  return FALSE;
}

static void
note_keyboard (const FloePolicyContent *content, GPtrArray *notes)
{
  static const char *const when[] = { "", " while the screen is locked" };

  for (gboolean locked = FALSE; locked <= TRUE; locked++) {
    FloePolicyUsbVerdict verdict;

    if (some_keyboard_works (content, &(FloePolicyUsbSituation){ .locked = locked }, &verdict))
      continue;
    note (notes, "a plain USB keyboard (03:01:01) gets '%s' by %s%s: who has no other cannot type",
          floe_policy_usb_action_name (verdict.action), verdict.rule, when[locked]);
    return;
  }
}

void
floe_policy_usb_notes (const FloePolicyContent *content, GPtrArray *notes)
{
  for (size_t i = 0; i < content->n_usb; i++)
    note_rule (&content->usb[i], notes);
  note_unreached (content, notes);
  note_keyboard (content, notes);
}
