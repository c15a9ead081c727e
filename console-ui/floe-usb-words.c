/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-usb-words.h"

#include "console-ui/floe-console-text.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define NAME_MAX_CHARS 48
#define RULE_MAX_CHARS 64
#define TITLE_MAX_CHARS 48
#define CHOICES_MAX 16

static const char *
string_field (GVariant *fields, const char *name)
{
  const char *value = "";

  g_variant_lookup (fields, name, "&s", &value);
  return value;
}

/* -- What it is ----------------------------------------------------------------------------------------------------- */

static const char *
kind_words (const char *kind)
{
  static const struct {
    const char *kind, *words;
  } kinds[] = {
    { "storage", N_ ("USB storage") },       { "keyboard", N_ ("USB keyboard") },     { "mouse", N_ ("USB mouse") },
    { "input", N_ ("USB input device") },    { "audio", N_ ("USB sound device") },    { "camera", N_ ("USB camera") },
    { "network", N_ ("USB network card") },  { "printer", N_ ("USB printer") },       { "scanner", N_ ("USB scanner or camera") },
    { "smart-card", N_ ("USB smart card reader") }, { "wireless", N_ ("USB wireless adapter") }, { "hub", N_ ("USB hub") },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].kind, kind) == 0)
      return _ (kinds[i].words);
  return _ ("USB device");
}

char *
floe_usb_what (GVariant *device)
{
  const char *kind = kind_words (string_field (device, "kind"));
  g_autofree char *name = floe_text_plain (string_field (device, "name"), NAME_MAX_CHARS);
  guint16 vendor = 0, product = 0;

  if (name[0] != '\0')
    /* Translators: %1$s is a kind of device ("USB storage"), %2$s what the device calls itself. */
    return g_strdup_printf (_ ("%1$s “%2$s”"), kind, name);
  g_variant_lookup (device, "vendor", "q", &vendor);
  g_variant_lookup (device, "product", "q", &product);
  /* Translators: a device that gives no name: %1$s is a kind of device ("USB storage"); its vendor and product numbers follow. */
  return g_strdup_printf (_ ("%1$s %2$04x:%3$04x"), kind, vendor, product);
}

/* -- What it asks --------------------------------------------------------------------------------------------------- */

void
floe_usb_question_free (FloeUsbQuestion *question)
{
  if (question == NULL)
    return;
  g_free (question->path);
  g_free (question->what);
  g_free (question->rule);
  g_strfreev (question->choices);
  g_free (question);
}

static FloeUsbQuestion *
question_of (GVariant *device)
{
  g_autoptr (FloeUsbQuestion) question = g_new0 (FloeUsbQuestion, 1);

  if (strcmp (string_field (device, "verdict"), "ask") != 0 || !g_variant_lookup (device, "choices", "^as", &question->choices)
      || !g_variant_lookup (device, "connection", "t", &question->connection)
      || g_strv_length (question->choices) > CHOICES_MAX
      || !g_strv_contains ((const char *const *) question->choices, "block"))
    return NULL;
  question->path = g_strdup (string_field (device, "path"));
  question->what = floe_usb_what (device);
  question->rule = floe_text_plain (string_field (device, "rule"), RULE_MAX_CHARS);
  g_variant_lookup (device, "may_remember", "b", &question->may_remember);
  return g_steal_pointer (&question);
}

FloeUsbQuestion *
floe_usb_question_first (GVariant *devices)
{
  FloeUsbQuestion *first = NULL;

  if (devices == NULL || !g_variant_is_of_type (devices, G_VARIANT_TYPE ("aa{sv}")))
    return NULL;
  for (gsize i = 0; i < g_variant_n_children (devices); i++) {
    g_autoptr (GVariant) device = g_variant_get_child_value (devices, i);
    g_autoptr (FloeUsbQuestion) question = question_of (device);

    if (question == NULL || (first != NULL && first->connection <= question->connection))
      continue;
    floe_usb_question_free (first);
    first = g_steal_pointer (&question);
  }
  return first;
}

gboolean
floe_usb_question_equal (const FloeUsbQuestion *a, const FloeUsbQuestion *b)
{
  if (a == NULL || b == NULL)
    return a == b;
  return a->connection == b->connection && strcmp (a->path, b->path) == 0 && strcmp (a->what, b->what) == 0
         && strcmp (a->rule, b->rule) == 0 && a->may_remember == b->may_remember
         && g_strv_equal ((const char *const *) a->choices, (const char *const *) b->choices);
}

/* -- What can be answered ------------------------------------------------------------------------------------------- */

char *
floe_usb_choice_words (const char *choice, const char *front, FloeUsbTitle title, gpointer data)
{
  g_autofree char *target = g_strndup (choice, strcspn (choice, "["));
  gboolean part = strchr (choice, '[') != NULL, read_only = g_str_has_suffix (target, ":read-only");
  g_autofree char *shown = NULL;
  const char *machine = NULL;

  if (read_only)
    target[strlen (target) - strlen (":read-only")] = '\0';
  if (strcmp (target, "block") == 0)
    return g_strdup (_ ("Do not use it"));
  if (strcmp (target, "host") == 0)
    return g_strdup (part ? _ ("Use a part of it with this computer") : _ ("Use it with this computer"));
  if (strcmp (target, "front") == 0)
    machine = front;
  else if (g_str_has_prefix (target, "machine:"))
    machine = title (target + strlen ("machine:"), data);
  if (machine == NULL)
    return NULL;
  shown = floe_text_plain (machine, TITLE_MAX_CHARS);
  if (read_only)
    /* Translators: %s is a desktop's title. */
    return g_strdup_printf (_ ("Let %s read it"), shown);
  /* Translators: %s is a desktop's title. */
  return g_strdup_printf (part ? _ ("Give a part of it to %s") : _ ("Give it to %s"), shown);
}
