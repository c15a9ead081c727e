/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy-private.h"

#include <string.h>

static const char *const modifier_names[] = { "<Control>", "<Alt>", "<Shift>", "<Super>" };

/* Keys as GDK names them (gdkkeysyms.h without the prefix). No key that types text beyond letters: which key makes it depends on
 * the keyboard's language, and on French ones digits want Shift. */
static const char *const key_names[] = {
  "Left",   "Right", "Up",    "Down",   "Home",   "End",       "Page_Up", "Page_Down",   "Insert",
  "Delete", "Tab",   "space", "Return", "Escape", "BackSpace", "Pause",   "Scroll_Lock", "Menu",   NULL,
};

/* What this version of the console is translated into. */
static const char *const language_names[] = { "en", "fr", NULL };

static const FloePolicyNotYet console_not_yet[] = {
  { "lock", "the console has no lock screen" },
  { NULL },
};

static gboolean
key_is_known (const char *key)
{
  size_t size = strlen (key);

  if (size == 1)
    return g_ascii_islower (*key);
  if (*key == 'F' && size == 2)
    return key[1] >= '1' && key[1] <= '9';
  if (*key == 'F' && size == 3)
    return key[1] == '1' && key[2] >= '0' && key[2] <= '2';
  return g_strv_contains (key_names, key);
}

char *
floe_policy_accelerator_parse (const char *text, const char **why)
{
  gboolean held[G_N_ELEMENTS (modifier_names)] = { FALSE };
  g_autoptr (GString) form = g_string_new (NULL);

  *why = NULL;
  while (*text == '<') {
    size_t i = 0;

    while (i < G_N_ELEMENTS (modifier_names) && !g_str_has_prefix (text, modifier_names[i]))
      i++;
    if (i == G_N_ELEMENTS (modifier_names))
      *why = "modifiers are <Control>, <Alt>, <Shift> and <Super>";
    else if (held[i])
      *why = "a modifier stands twice";
    if (*why != NULL)
      return NULL;
    held[i] = TRUE;
    text += strlen (modifier_names[i]);
  }
  if (!key_is_known (text))
    *why = "after the modifiers, a key wanted: a to z, F1 to F12, or a name such as Right or Page_Up (see docs/policy.md)";
  /* Whatever is taken here never reaches a guest: a key that people type must not be. */
  else if (!held[0] && !held[1] && !held[3])
    *why = "at least one of <Control>, <Alt> and <Super> wanted: the guests need the key itself";
  if (*why != NULL)
    return NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (modifier_names); i++)
    g_string_append (form, held[i] ? modifier_names[i] : "");
  g_string_append (form, text);
  return g_string_free (g_steal_pointer (&form), FALSE);
}

static const char *
parse_accelerator (FloePolicyParser *parser, FloeJson *console, const char *key, const char *otherwise)
{
  FloeJson *value = floe_json_optional (console, key);
  const char *text = value != NULL ? floe_json_string (value, 64) : otherwise, *why;
  g_autofree char *form = floe_policy_accelerator_parse (text, &why);

  if (form == NULL) {
    floe_json_refuse (value, "'%s': %s", text, why);
    return "";
  }
  return floe_policy_parser_keep (parser, form);
}

static void
parse_languages (FloePolicyParser *parser, FloeJson *list, FloePolicyConsole *console)
{
  size_t n = list != NULL ? floe_json_length (list, 8) : 1;
  const char **languages = floe_policy_parser_array (parser, n + 1, sizeof *languages);

  console->languages = languages;
  if (list == NULL) {
    languages[0] = language_names[0];
    return;
  }
  if (n == 0)
    floe_json_refuse (list, "at least one language wanted");
  for (size_t i = 0; i < n; i++) {
    FloeJson *value = floe_json_at (list, i);
    const char *name = language_names[floe_json_enum (value, language_names)];

    if (g_strv_contains (languages, name))
      floe_json_refuse (value, "'%s' stands twice", name);
    languages[i] = name;
  }
}

static void
check_conflicts (FloeJson *object, const FloePolicyConsole *console)
{
  const char *const keys[] = { "switch_next", "switch_previous", "switch_list" };
  const char *const forms[] = { console->switch_next, console->switch_previous, console->switch_list };

  for (size_t i = 0; i < G_N_ELEMENTS (keys); i++)
    for (size_t j = 0; j < i; j++)
      if (strcmp (forms[i], forms[j]) == 0)
        floe_json_refuse (object, "%s and %s are the same key, %s", keys[j], keys[i], forms[i]);
}

void
floe_policy_parse_console (FloePolicyParser *parser, FloeJson *value)
{
  FloePolicyConsole *console = &parser->content->console;
  FloeJson *kiosk = floe_json_optional (value, "kiosk");

  console->switch_next = parse_accelerator (parser, value, "switch_next", "<Control><Alt>Right");
  console->switch_previous = parse_accelerator (parser, value, "switch_previous", "<Control><Alt>Left");
  console->switch_list = parse_accelerator (parser, value, "switch_list", "<Control><Alt>Home");
  console->kiosk = kiosk != NULL && floe_json_bool (kiosk);
  console->banner = floe_policy_parse_shown (parser, floe_json_optional (value, "banner"), 128);
  parse_languages (parser, floe_json_optional (value, "languages"), console);
  floe_policy_refuse_not_yet (value, console_not_yet);
  check_conflicts (value, console);
}
