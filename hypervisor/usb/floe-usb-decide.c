/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-digest.h"
#include "hypervisor/usb/floe-usb-internal.h"

#include <string.h>

/* Theory of operation: the policy's verdict is a pure function of device and situation. Around it are the three things that it does
 * not know: what the person answered, that a device given to the machine in front stays there when another comes to the front, and
 * that the last keyboard of the host is not taken away. */

/* -- Words ------------------------------------------------------------------------------------------------------------ */

static void
append_part (GString *label, int16_t part)
{
  if (part == FLOE_POLICY_USB_ANY)
    g_string_append_c (label, '*');
  else
    g_string_append_printf (label, "%02x", (unsigned)part);
}

char *
floe_usb_grant_label (const FloePolicyUsbGrant *grant)
{
  GString *label = g_string_new (NULL);

  if (grant->action != FLOE_POLICY_USB_MACHINE)
    g_string_append (label, grant->action == FLOE_POLICY_USB_HOST ? "host" : "block");
  else if (grant->machine == NULL)
    g_string_append (label, "front");
  else
    g_string_append_printf (label, "machine:%s", grant->machine->id);
  if (grant->read_only)
    g_string_append (label, ":read-only");
  for (size_t i = 0; i < grant->n_interfaces; i++) {
    const FloePolicyUsbPattern *pattern = &grant->interfaces[i];

    g_string_append_c (label, i == 0 ? '[' : ',');
    append_part (label, pattern->class_code);
    g_string_append_c (label, ':');
    append_part (label, pattern->subclass);
    g_string_append_c (label, ':');
    append_part (label, pattern->protocol);
  }
  if (grant->n_interfaces > 0)
    g_string_append_c (label, ']');
  return g_string_free (label, FALSE);
}

char **
floe_usb_choices (const FloePolicyUsbRule *rule)
{
  GPtrArray *choices = g_ptr_array_new ();

  g_ptr_array_add (choices, g_strdup ("block"));
  for (size_t i = 0; i < rule->n_answers; i++)
    g_ptr_array_add (choices, floe_usb_grant_label (&rule->answers[i]));
  g_ptr_array_add (choices, NULL);
  return (char **)g_ptr_array_free (choices, FALSE);
}

static gboolean
grant_reaches (const FloePolicyUsbGrant *grant, const FloePolicyMachine *machine)
{
  return grant->action == FLOE_POLICY_USB_MACHINE && (grant->machine == NULL || grant->machine == machine);
}

gboolean
floe_usb_may_reach (const FloePolicyContent *content, const FloePolicyMachine *machine)
{
  for (size_t i = 0; i < content->n_usb; i++) {
    const FloePolicyUsbRule *rule = &content->usb[i];

    if (rule->action == FLOE_POLICY_USB_MACHINE && grant_reaches (&rule->grant, machine))
      return TRUE;
    for (size_t k = 0; rule->action == FLOE_POLICY_USB_ASK && k < rule->n_answers; k++)
      if (grant_reaches (&rule->answers[k], machine))
        return TRUE;
  }
  return FALSE;
}

/* USB-IF's class codes; for words only, no verdict depends on it. */
static const char *
interface_kind (const FloePolicyUsbInterface *interface)
{
  switch (interface->class_code) {
  case 0x01:
    return "audio";
  case 0x02:
  case 0x0a:
    return "network";
  case 0x03:
    return interface->subclass == 1 && interface->protocol == 1   ? "keyboard"
           : interface->subclass == 1 && interface->protocol == 2 ? "mouse"
                                                                  : "input";
  case 0x06:
    return "scanner";
  case 0x07:
    return "printer";
  case 0x08:
    return "storage";
  case 0x09:
    return "hub";
  case 0x0b:
    return "smart-card";
  case 0x0e:
    return "camera";
  case 0xe0:
    return "wireless";
  default:
    return "device";
  }
}

const char *
floe_usb_kind (const FloeUsbRaw *raw)
{
  const FloeUsbDescriptors *descriptors = &raw->descriptors;
  const char *kind = NULL;

  if (floe_usb_is_keyboard (raw))
    return "keyboard";
  for (size_t i = 0; i < descriptors->n_interfaces; i++) {
    const char *is = interface_kind (&descriptors->interfaces[i]);

    if (kind != NULL && strcmp (kind, is) != 0)
      return "device";
    kind = is;
  }
  return kind != NULL ? kind : "device";
}

/* -- The last keyboard ------------------------------------------------------------------------------------------------ */

gboolean
floe_usb_is_keyboard (const FloeUsbRaw *raw)
{
  const FloePolicyUsbDevice device = floe_usb_raw_device (raw);

  return !raw->root_hub && floe_policy_usb_is_keyboard (&device);
}

static gboolean
is_last_keyboard (FloeUsb *usb, const FloeUsbOne *one)
{
  if (!one->in_use || !floe_usb_is_keyboard (one->raw))
    return FALSE;
  for (guint i = 0; i < usb->devices->len; i++) {
    const FloeUsbOne *other = g_ptr_array_index (usb->devices, i);

    if (other != one && other->in_use && floe_usb_is_keyboard (other->raw))
      return FALSE;
  }
  return TRUE;
}

/* -- The policy ------------------------------------------------------------------------------------------------------- */

/* How many devices hold each rule, ONE not counted, those only that were decided before it in this round. */
static unsigned *
count_holders (FloeUsb *usb, const FloeUsbOne *one)
{
  unsigned *holders = g_new0 (unsigned, usb->content->n_usb + 1);

  for (guint i = 0; i < usb->devices->len; i++) {
    const FloeUsbOne *other = g_ptr_array_index (usb->devices, i);

    if (other != one && other->holds < usb->content->n_usb)
      holders[other->holds]++;
  }
  return holders;
}

static const FloePolicyMachine *
find_front (FloeUsb *usb, const char *id)
{
  return id == NULL ? NULL : floe_policy_find_machine (usb->content, id);
}

static FloePolicyUsbVerdict
ask_policy (FloeUsb *usb, const FloeUsbOne *one, const FloePolicyMachine *front)
{
  const FloePolicyUsbDevice device = floe_usb_raw_device (one->raw);
  g_autofree unsigned *holders = count_holders (usb, one);
  const FloePolicyUsbSituation situation
      = { .holders = holders, .front = front, .person = usb->person, .locked = usb->locked };

  return floe_policy_usb_verdict (usb->content, &device, &situation);
}

/* -- Answers ---------------------------------------------------------------------------------------------------------- */

/* All that tells a device from another, in one digest. */
static void
add_string (FloeDigester *digester, const char *text, size_t size)
{
  const guint64 length = text == NULL ? G_MAXUINT64 : size;

  floe_digester_update (digester, &length, sizeof length);
  if (text != NULL)
    floe_digester_update (digester, text, size);
}

char *
floe_usb_identity (const FloeUsbRaw *raw)
{
  g_autoptr (FloeDigester) digester = floe_digester_new ();
  char hex[FLOE_DIGEST_HEX_SIZE];
  FloeDigest digest;
  gsize size;
  const char *descriptors = g_bytes_get_data (raw->bytes, &size);

  add_string (digester, descriptors, size);
  add_string (digester, raw->serial, raw->serial_size);
  add_string (digester, raw->manufacturer, raw->manufacturer_size);
  add_string (digester, raw->product, raw->product_size);
  floe_digester_finish (digester, &digest);
  floe_digest_to_hex (&digest, hex);
  return g_strdup (hex);
}

static const char *
remembered (FloeUsb *usb, const FloeUsbOne *one, const FloePolicyUsbRule *rule)
{
  g_autofree char *device = NULL;

  if (usb->answers == NULL || rule->remember != FLOE_POLICY_USB_REMEMBER_DEVICE)
    return NULL;
  device = floe_usb_identity (one->raw);
  return floe_usb_answers_find (usb->answers, rule->id, device, one->public.path);
}

/* The grant of RULE that LABEL names; FALSE when it offers none such (any more). */
static gboolean
find_answer (const FloePolicyUsbRule *rule, const char *label, FloePolicyUsbGrant *grant)
{
  if (strcmp (label, "block") == 0) {
    *grant = (FloePolicyUsbGrant){ .action = FLOE_POLICY_USB_BLOCK };
    return TRUE;
  }
  for (size_t i = 0; i < rule->n_answers; i++) {
    g_autofree char *offered = floe_usb_grant_label (&rule->answers[i]);

    if (strcmp (offered, label) == 0) {
      *grant = rule->answers[i];
      return TRUE;
    }
  }
  return FALSE;
}

static void
apply_answer (FloeUsb *usb, const FloeUsbOne *one, const FloePolicyMachine *front, FloeUsbDecision *decision)
{
  const FloePolicyUsbDevice device = floe_usb_raw_device (one->raw);
  const FloePolicyUsbSituation situation = { .front = front };
  gboolean answered = one->answer != NULL && strcmp (one->answer_rule, decision->rule) == 0;
  const char *label = answered ? one->answer : remembered (usb, one, decision->decided);
  FloePolicyUsbGrant chosen;
  const char *problem;

  decision->reason = "the person is asked";
  if (label == NULL || !find_answer (decision->decided, label, &chosen))
    return;
  decision->reason = answered ? "the person's answer" : "an earlier answer of the person's, remembered";
  problem = floe_policy_usb_grant_problem (&chosen, &device);
  if (problem != NULL) {
    chosen = (FloePolicyUsbGrant){ .action = FLOE_POLICY_USB_BLOCK };
    decision->reason = problem;
  } else if (chosen.action == FLOE_POLICY_USB_MACHINE && chosen.machine == NULL && front == NULL) {
    decision->reason = "the person's answer is the machine in front, and there is none";
  }
  decision->grant = floe_policy_usb_grant_resolve (&chosen, &situation);
  decision->action = decision->grant.action;
}

/* -- All together ----------------------------------------------------------------------------------------------------- */

static FloeUsbDecision
decide_with (FloeUsb *usb, const FloeUsbOne *one, const FloePolicyMachine *front)
{
  FloePolicyUsbVerdict verdict = ask_policy (usb, one, front);
  FloeUsbDecision decision = { .grant = verdict.grant,
                               .action = verdict.action,
                               .rule = verdict.rule,
                               .reason = verdict.decided != NULL ? "the policy's rule" : "no rule allows it",
                               .decided = verdict.decided,
                               .index = verdict.index };

  if (verdict.action == FLOE_POLICY_USB_ASK)
    apply_answer (usb, one, front, &decision);
  else if (verdict.action == FLOE_POLICY_USB_BLOCK && verdict.decided != NULL && verdict.decided->action == FLOE_POLICY_USB_MACHINE)
    decision.reason = "it is for the machine in front, and there is none";
  return decision;
}

static FloeUsbDecision
decide_by_policy (FloeUsb *usb, FloeUsbOne *one)
{
  const FloePolicyMachine *front = find_front (usb, one->front);
  FloeUsbDecision decision;

  /* It stays where it was given while that is still allowed: a stick must not leave a desktop in the middle of a write because the
   * person looks at another one. */
  if (front != NULL) {
    decision = decide_with (usb, one, front);
    if (decision.action == FLOE_POLICY_USB_MACHINE)
      return decision;
  }
  front = find_front (usb, usb->front);
  decision = decide_with (usb, one, front);
  g_free (one->front);
  one->front = decision.action == FLOE_POLICY_USB_MACHINE && front != NULL ? g_strdup (front->id) : NULL;
  return decision;
}

FloeUsbDecision
floe_usb_decide (FloeUsb *usb, FloeUsbOne *one)
{
  const FloePolicyUsbGrant host = { .action = FLOE_POLICY_USB_HOST };
  FloeUsbDecision decision = { .action = FLOE_POLICY_USB_BLOCK,
                               .grant = { .action = FLOE_POLICY_USB_BLOCK },
                               .rule = "floe-no-policy",
                               .reason = "no policy is in force",
                               .index = SIZE_MAX };

  if (one->raw->root_hub)
    return (FloeUsbDecision){ host, FLOE_POLICY_USB_HOST, "floe-root-hub", "a controller of the host's", NULL, SIZE_MAX };
  one->is_system = floe_usb_system_has (usb->system, one->raw);
  if (one->is_system)
    return (FloeUsbDecision){ host, FLOE_POLICY_USB_HOST, "floe-system-disk", "this computer runs from it", NULL, SIZE_MAX };
  if (usb->content != NULL)
    decision = decide_by_policy (usb, one);
  if (decision.action != FLOE_POLICY_USB_HOST && is_last_keyboard (usb, one))
    return (FloeUsbDecision){ host, FLOE_POLICY_USB_HOST, "floe-last-keyboard", "the host's only keyboard is not taken away",
                              NULL, SIZE_MAX };
  return decision;
}
