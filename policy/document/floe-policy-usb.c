/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <string.h>

#define CLASS_PER_INTERFACE 0x00 /* USB 2.0, 9.6.1: the interfaces tell */
#define CLASS_HID 0x03
#define CLASS_MISCELLANEOUS 0xef /* Interface Association Descriptors: the interfaces tell */

static const char *const action_names[] = { "block", "host", "machine", "ask", NULL };

const char *
floe_policy_usb_action_name (FloePolicyUsbAction action)
{
  return action_names[action];
}

/* -- Strings ---------------------------------------------------------------------------------------------------------- */

/* Past one character of UTF-8; of bytes that are none, one and those after it that could continue a character. */
static const char *
next_character (const char *at, const char *end)
{
  at++;
  while (at < end && ((unsigned char) *at & 0xc0) == 0x80)
    at++;
  return at;
}

/* The last * is the only one that is ever tried anew: what stood before it has matched as early as it can. */
static gboolean
like_matches (const char *pattern, const char *at, size_t size)
{
  const char *end = at + size, *star = NULL, *retry = NULL;

  while (at < end || *pattern != '\0') {
    const char *literal = pattern[0] == '\\' && pattern[1] != '\0' ? pattern + 1 : pattern;

    if (*pattern == '*') {
      star = ++pattern;
      retry = at;
    } else if (*pattern == '?' && at < end) {
      pattern++;
      at = next_character (at, end);
    } else if (*pattern != '\0' && *pattern != '?' && at < end && *literal == *at) {
      pattern = literal + 1;
      at++;
    } else if (star != NULL && retry < end) {
      pattern = star;
      retry = next_character (retry, end);
      at = retry;
    } else {
      return FALSE;
    }
  }
  return TRUE;
}

/* A string that the device has not, or that could not be read, is what no condition asks for. */
gboolean
floe_policy_usb_text_matches (const FloePolicyUsbText *text, const FloePolicyUsbString *string)
{
  if (text->text == NULL)
    return TRUE;
  if (string->bytes == NULL)
    return FALSE;
  if (text->wildcards)
    return like_matches (text->text, string->bytes, string->size);
  return strlen (text->text) == string->size && memcmp (text->text, string->bytes, string->size) == 0;
}

static gboolean
port_matches (const FloePolicyUsbText *port, const char *at)
{
  const FloePolicyUsbString string = { at, at != NULL ? strlen (at) : 0 };

  return floe_policy_usb_text_matches (port, &string);
}

/* -- Interfaces ------------------------------------------------------------------------------------------------------- */

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

/* Whether a driver could bind to the class of the device itself. */
static gboolean
has_class_of_its_own (const FloePolicyUsbDevice *device)
{
  return device->device_class.class_code != CLASS_PER_INTERFACE && device->device_class.class_code != CLASS_MISCELLANEOUS;
}

/* How many of the device's interfaces, its device class among them where a driver could bind to it, match one of the patterns;
 * *ALL counts them. */
static size_t
count_matching (const FloePolicyUsbPattern *patterns, size_t n, const FloePolicyUsbDevice *device, size_t *all)
{
  size_t matching = 0;

  *all = device->n_interfaces;
  for (size_t i = 0; i < device->n_interfaces; i++)
    matching += some_pattern_matches (patterns, n, &device->interfaces[i]);
  if (has_class_of_its_own (device)) {
    (*all)++;
    matching += some_pattern_matches (patterns, n, &device->device_class);
  }
  return matching;
}

/* Whether the device has N interfaces, each of which matches a pattern, and each pattern one of them. */
static gboolean
are_exactly (const FloePolicyUsbPattern *patterns, size_t n, const FloePolicyUsbDevice *device)
{
  size_t all;

  if (device->n_interfaces != n || count_matching (patterns, n, device, &all) != all)
    return FALSE;
  for (size_t i = 0; i < n; i++) {
    gboolean met = FALSE;

    for (size_t j = 0; j < n && !met; j++)
      met = pattern_matches (&patterns[i], &device->interfaces[j]);
    if (!met)
      return FALSE;
  }
  return TRUE;
}

gboolean
floe_policy_usb_grant_gives (const FloePolicyUsbGrant *grant, const FloePolicyUsbDevice *device, uint8_t configuration, uint8_t number)
{
  gboolean there = FALSE;

  for (size_t i = 0; i < device->n_interfaces; i++) {
    const FloePolicyUsbInterface *interface = &device->interfaces[i];

    if (interface->configuration != configuration || interface->number != number)
      continue;
    if (grant->n_interfaces > 0 && !some_pattern_matches (grant->interfaces, grant->n_interfaces, interface))
      return FALSE;
    there = TRUE;
  }
  return there && grant->action != FLOE_POLICY_USB_BLOCK;
}

const char *
floe_policy_usb_grant_problem (const FloePolicyUsbGrant *grant, const FloePolicyUsbDevice *device)
{
  if (grant->action == FLOE_POLICY_USB_BLOCK)
    return NULL;
  if (!device->complete || device->n_interfaces == 0)
    return "its descriptors are incomplete, and only block rules match such a device";
  if (grant->n_interfaces == 0)
    return NULL;
  if (has_class_of_its_own (device) && !some_pattern_matches (grant->interfaces, grant->n_interfaces, &device->device_class))
    return "the class of the device itself is outside what the rule gives, and drivers bind to that too";
  for (size_t i = 0; i < device->n_interfaces; i++)
    if (floe_policy_usb_grant_gives (grant, device, device->interfaces[i].configuration, device->interfaces[i].number))
      return NULL;
  return "no interface of it, with all its alternate settings, is among those that the rule gives";
}

/* HID 1.11, 4.2 and 4.3: a boot interface says what it is; others (subclass 0) carry media keys, and what they are only their report
 * descriptors tell. */
gboolean
floe_policy_usb_is_keyboard (const FloePolicyUsbDevice *device)
{
  gboolean keyboard = FALSE;

  if (!device->complete || (has_class_of_its_own (device) && device->device_class.class_code != CLASS_HID))
    return FALSE;
  for (size_t i = 0; i < device->n_interfaces; i++) {
    const FloePolicyUsbInterface *interface = &device->interfaces[i];

    if (interface->class_code != CLASS_HID || interface->subclass > 1 || interface->protocol > 2)
      return FALSE;
    keyboard |= interface->subclass == 1 && interface->protocol == 1;
  }
  return keyboard;
}

/* -- Verdict ---------------------------------------------------------------------------------------------------------- */

static gboolean
is_in_front (const FloePolicyUsbRule *rule, const FloePolicyMachine *front)
{
  for (size_t i = 0; i < rule->n_front; i++)
    if (rule->front[i] == front)
      return TRUE;
  return rule->n_front == 0;
}

static gboolean
is_logged_in (const FloePolicyUsbRule *rule, const char *person)
{
  for (size_t i = 0; person != NULL && i < rule->n_people; i++)
    if (strcmp (rule->people[i], person) == 0)
      return TRUE;
  return rule->n_people == 0;
}

const char *
floe_policy_usb_situation_mismatch (const FloePolicyUsbRule *rule, const FloePolicyUsbSituation *situation)
{
  gboolean locked = situation != NULL && situation->locked;

  if (!is_in_front (rule, situation != NULL ? situation->front : NULL))
    return "another machine, or none, is in front";
  if (!is_logged_in (rule, situation != NULL ? situation->person : NULL))
    return "another person, or nobody, is logged in";
  if (rule->locked == FLOE_POLICY_USB_LOCKED && !locked)
    return "the screen is not locked";
  if (rule->locked == FLOE_POLICY_USB_UNLOCKED && locked)
    return "the screen is locked";
  return NULL;
}

static const char *
device_mismatch (const FloePolicyUsbRule *rule, const FloePolicyUsbDevice *device)
{
  size_t all;

  if (rule->vendor != FLOE_POLICY_USB_ANY && rule->vendor != device->vendor)
    return "another vendor";
  if (rule->product != FLOE_POLICY_USB_ANY && rule->product != device->product)
    return "another product";
  if (!floe_policy_usb_text_matches (&rule->serial, &device->serial))
    return "another serial";
  if (!floe_policy_usb_text_matches (&rule->manufacturer, &device->manufacturer))
    return "another manufacturer";
  if (!floe_policy_usb_text_matches (&rule->name, &device->name))
    return "another name";
  if (!port_matches (&rule->port, device->port))
    return "another port";
  if (rule->n_interface_any > 0 && count_matching (rule->interface_any, rule->n_interface_any, device, &all) == 0)
    return "no interface matches interface_any";
  if (rule->n_interfaces_all > 0
      && (count_matching (rule->interfaces_all, rule->n_interfaces_all, device, &all) != all || device->n_interfaces == 0))
    return "an interface is outside interfaces_all";
  if (rule->n_interfaces_exactly > 0 && !are_exactly (rule->interfaces_exactly, rule->n_interfaces_exactly, device))
    return "its interfaces are others, or more or fewer, than interfaces_exactly";
  if (rule->speeds != 0 && (rule->speeds & device->speed) == 0)
    return "another speed";
  return NULL;
}

const char *
floe_policy_usb_mismatch (const FloePolicyUsbRule *rule, const FloePolicyUsbDevice *device, const FloePolicyUsbSituation *situation,
                          size_t index)
{
  const char *mismatch = device_mismatch (rule, device);

  if (mismatch == NULL)
    mismatch = floe_policy_usb_situation_mismatch (rule, situation);
  if (mismatch == NULL && rule->count > 0 && situation != NULL && situation->holders != NULL && situation->holders[index] >= rule->count)
    mismatch = "as many devices as count allows hold it already";
  if (mismatch == NULL && rule->action != FLOE_POLICY_USB_ASK)
    mismatch = floe_policy_usb_grant_problem (&rule->grant, device);
  for (size_t i = 0; mismatch == NULL && i < rule->n_answers; i++)
    mismatch = floe_policy_usb_grant_problem (&rule->answers[i], device);
  return mismatch;
}

FloePolicyUsbGrant
floe_policy_usb_grant_resolve (const FloePolicyUsbGrant *grant, const FloePolicyUsbSituation *situation)
{
  FloePolicyUsbGrant resolved = *grant;

  if (grant->action != FLOE_POLICY_USB_MACHINE || grant->machine != NULL)
    return resolved;
  if (situation == NULL || situation->front == NULL)
    return (FloePolicyUsbGrant){ .action = FLOE_POLICY_USB_BLOCK };
  resolved.machine = situation->front;
  return resolved;
}

FloePolicyUsbVerdict
floe_policy_usb_verdict (const FloePolicyContent *content, const FloePolicyUsbDevice *device,
                         const FloePolicyUsbSituation *situation)
{
  for (size_t i = 0; i < content->n_usb; i++) {
    const FloePolicyUsbRule *rule = &content->usb[i];
    FloePolicyUsbGrant grant = { .action = FLOE_POLICY_USB_BLOCK };

    if (floe_policy_usb_mismatch (rule, device, situation, i) != NULL)
      continue;
    if (rule->action != FLOE_POLICY_USB_ASK)
      grant = floe_policy_usb_grant_resolve (&rule->grant, situation);
    return (FloePolicyUsbVerdict){ rule->action == FLOE_POLICY_USB_ASK ? FLOE_POLICY_USB_ASK : grant.action, grant, rule, rule->id, i };
  }
  return (FloePolicyUsbVerdict){ .action = FLOE_POLICY_USB_BLOCK, .rule = "default", .index = SIZE_MAX };
}
