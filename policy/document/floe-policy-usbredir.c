/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

/* Theory of operation: a rule of a usbredir filter sees the numbers of a device, and one after the other the classes of the interfaces of
 * its present setting; of interfaces 03:00:00 beside others not even these. What a rule of the policy asks beyond the numbers, a filter
 * cannot ask. So for each pair of numbers the rules are gone through with everything else unknown: a rule that asks for no more decides;
 * one that does may or may not match, and only if it would give the device to the machine all the same does that not matter. Pairs for
 * which the outcome is certain, and is the machine, are allowed. */

typedef struct {
  int32_t vendor, product; /* PRODUCT FLOE_POLICY_USB_ANY: every product that no rule names */
  gboolean allowed;
} Numbers;

/* Whether RULE asks for more than numbers, or gives less than all, which asks for more too. What is known of the situation is no question. */
static gboolean
asks_more (const FloePolicyUsbRule *rule)
{
  return rule->serial.text != NULL || rule->manufacturer.text != NULL || rule->name.text != NULL || rule->port.text != NULL
         || rule->n_interface_any > 0 || rule->n_interfaces_all > 0 || rule->n_interfaces_exactly > 0 || rule->speeds != 0
         || rule->count > 0 || rule->grant.n_interfaces > 0 || rule->action == FLOE_POLICY_USB_ASK;
}

static gboolean
gives_to (const FloePolicyUsbRule *rule, const FloePolicyMachine *machine, const FloePolicyUsbSituation *situation)
{
  const FloePolicyUsbGrant grant = floe_policy_usb_grant_resolve (&rule->grant, situation);

  return rule->action == FLOE_POLICY_USB_MACHINE && grant.action == FLOE_POLICY_USB_MACHINE && grant.machine == machine && !grant.read_only
         && grant.n_interfaces == 0;
}

static gboolean
is_for_numbers (const FloePolicyUsbRule *rule, const Numbers *numbers)
{
  return (rule->vendor == FLOE_POLICY_USB_ANY || rule->vendor == numbers->vendor)
         && (rule->product == FLOE_POLICY_USB_ANY || rule->product == numbers->product);
}

static gboolean
certainly_given (const FloePolicyContent *content, const Numbers *numbers, const FloePolicyMachine *machine,
                 const FloePolicyUsbSituation *situation)
{
  for (size_t i = 0; i < content->n_usb; i++) {
    const FloePolicyUsbRule *rule = &content->usb[i];

    if (!is_for_numbers (rule, numbers) || floe_policy_usb_situation_mismatch (rule, situation) != NULL)
      continue;
    if (!gives_to (rule, machine, situation))
      return FALSE;
    if (!asks_more (rule))
      return TRUE;
  }
  return FALSE;
}

static const Numbers *
find_numbers (const GArray *all, int32_t vendor, int32_t product)
{
  for (guint i = 0; i < all->len; i++) {
    const Numbers *numbers = &g_array_index (all, Numbers, i);

    if (numbers->vendor == vendor && numbers->product == product)
      return numbers;
  }
  return NULL;
}

static void
add_numbers (GArray *all, const FloePolicyContent *content, const FloePolicyUsbRule *rule, const FloePolicyMachine *machine,
             const FloePolicyUsbSituation *situation)
{
  Numbers numbers = { rule->vendor, rule->product, FALSE };

  if (find_numbers (all, rule->vendor, rule->product) != NULL)
    return;
  numbers.allowed = certainly_given (content, &numbers, machine, situation);
  g_array_append_val (all, numbers);
}

char *
floe_policy_usbredir_filter (const FloePolicyContent *content, const FloePolicyMachine *machine,
                             const FloePolicyUsbSituation *situation)
{
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (Numbers));
  g_autoptr (GString) text = g_string_new (NULL);

  /* A vendor's products that a rule names come before the rest of that vendor's. */
  for (size_t i = 0; i < content->n_usb; i++)
    if (content->usb[i].product != FLOE_POLICY_USB_ANY)
      add_numbers (all, content, &content->usb[i], machine, situation);
  for (size_t i = 0; i < content->n_usb; i++)
    if (content->usb[i].product == FLOE_POLICY_USB_ANY && content->usb[i].vendor != FLOE_POLICY_USB_ANY)
      add_numbers (all, content, &content->usb[i], machine, situation);
  for (guint i = 0; i < all->len; i++) {
    const Numbers *numbers = &g_array_index (all, Numbers, i);
    const Numbers *vendor = find_numbers (all, numbers->vendor, FLOE_POLICY_USB_ANY);

    /* To deny is said only where something after it would allow. */
    if (!numbers->allowed && (numbers == vendor || vendor == NULL || !vendor->allowed))
      continue;
    g_string_append_printf (text, "-1,0x%04x,", (unsigned) numbers->vendor);
    if (numbers->product == FLOE_POLICY_USB_ANY)
      g_string_append_printf (text, "-1,-1,%d|", numbers->allowed);
    else
      g_string_append_printf (text, "0x%04x,-1,%d|", (unsigned) numbers->product, numbers->allowed);
  }
  g_string_append (text, "-1,-1,-1,-1,0");
  return g_string_free (g_steal_pointer (&text), FALSE);
}
