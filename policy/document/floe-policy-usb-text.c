/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

/* USB rules in words: for dumps, review and explanations. */

static void
append_part (GString *text, int part, char after)
{
  if (part == FLOE_POLICY_USB_ANY)
    g_string_append_c (text, '*');
  else
    g_string_append_printf (text, "%02x", (unsigned) part);
  if (after != '\0')
    g_string_append_c (text, after);
}

static void
append_patterns (GString *text, const char *key, const FloePolicyUsbPattern *patterns, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    g_string_append_printf (text, i == 0 ? " %s=" : ",", key);
    append_part (text, patterns[i].class_code, ':');
    append_part (text, patterns[i].subclass, ':');
    append_part (text, patterns[i].protocol, '\0');
  }
}

/* KEY="TEXT", or KEY~"PATTERN". */
static void
append_text (GString *text, const char *key, const FloePolicyUsbText *wanted)
{
  g_autofree char *quoted = wanted->text != NULL ? floe_policy_quoted (wanted->text) : NULL;

  if (quoted != NULL)
    g_string_append_printf (text, " %s%c%s", key, wanted->wildcards ? '~' : '=', quoted);
}

static void
append_situation (GString *text, const FloePolicyUsbRule *rule)
{
  for (size_t i = 0; i < rule->n_front; i++)
    g_string_append_printf (text, "%s%s", i == 0 ? " front=" : ",", rule->front[i]->id);
  for (size_t i = 0; i < rule->n_people; i++) {
    g_autofree char *person = floe_policy_quoted (rule->people[i]);

    g_string_append_printf (text, "%s%s", i == 0 ? " people=" : ",", person);
  }
  if (rule->locked != FLOE_POLICY_USB_LOCKED_ANY)
    g_string_append_printf (text, " locked=%s", rule->locked == FLOE_POLICY_USB_LOCKED ? "yes" : "no");
}

void
floe_policy_usb_grant_text (const FloePolicyUsbGrant *grant, GString *text)
{
  g_string_append (text, floe_policy_usb_action_name (grant->action));
  if (grant->action == FLOE_POLICY_USB_MACHINE)
    g_string_append_printf (text, " %s", grant->machine != NULL ? grant->machine->id : "front");
  if (grant->read_only)
    g_string_append (text, " read-only");
  append_patterns (text, "interfaces", grant->interfaces, grant->n_interfaces);
}

void
floe_policy_usb_rule_text (const FloePolicyUsbRule *rule, GString *text)
{
  const char *separator = " ";

  if (rule->vendor != FLOE_POLICY_USB_ANY)
    g_string_append_printf (text, " vendor=%04x", (unsigned) rule->vendor);
  if (rule->product != FLOE_POLICY_USB_ANY)
    g_string_append_printf (text, " product=%04x", (unsigned) rule->product);
  append_text (text, "serial", &rule->serial);
  append_text (text, "manufacturer", &rule->manufacturer);
  append_text (text, "name", &rule->name);
  if (rule->port.text != NULL)
    g_string_append_printf (text, " port%c%s", rule->port.wildcards ? '~' : '=', rule->port.text);
  append_patterns (text, "any", rule->interface_any, rule->n_interface_any);
  append_patterns (text, "all", rule->interfaces_all, rule->n_interfaces_all);
  append_patterns (text, "exactly", rule->interfaces_exactly, rule->n_interfaces_exactly);
  if (rule->speeds != 0)
    g_string_append (text, " speed");
  for (unsigned i = 0; floe_policy_usb_speed_names[i] != NULL; i++)
    if (rule->speeds & (1u << i)) {
      g_string_append_printf (text, "%c%s", *separator == ' ' ? '=' : ',', floe_policy_usb_speed_names[i]);
      separator = ",";
    }
  if (rule->count > 0)
    g_string_append_printf (text, " count=%u", rule->count);
  append_situation (text, rule);
  g_string_append (text, " -> ");
  if (rule->action != FLOE_POLICY_USB_ASK) {
    floe_policy_usb_grant_text (&rule->grant, text);
    return;
  }
  g_string_append_printf (text, "ask remember=%s: block", rule->remember == FLOE_POLICY_USB_REMEMBER_DEVICE ? "device" : "no");
  for (size_t i = 0; i < rule->n_answers; i++) {
    g_string_append (text, " or ");
    floe_policy_usb_grant_text (&rule->answers[i], text);
  }
}
