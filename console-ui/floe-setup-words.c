/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-setup-words.h"

#include "console-ui/floe-console-text.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define SENTENCE_MAX_CHARS 300
#define DETAIL_MAX_CHARS 120
#define ITEMS_MAX 16

char *
floe_setup_problem_words (const char *problem, const char *detail)
{
  static const struct {
    const char *problem, *words;
  } known[] = {
    { "address", N_ ("This is not an address. It is a name such as floe.example.org, perhaps with a colon and a number after it.") },
    { "typo", N_ ("The code is not complete, or one of its characters is mistyped. Compare it with what you were given.") },
    { "unreachable", N_ ("No server answers at this address. Check the address and the network cable, and try again.") },
    { "not-floe", N_ ("Something answers at this address, but it is not a Floe server. Check the address.") },
    { "clock", N_ ("The clock of this computer and that of the server are more than a day apart. Set this computer’s clock in its firmware.") },
    { "code", N_ ("The server does not know this code, or it was typed wrongly too often. Compare it with what you were given, or ask for a new one.") },
    { "expired", N_ ("This code’s time is over. Ask your IT department for a new one.") },
    { "used", N_ ("This code has been used for another computer. Ask your IT department for a new one.") },
    { "impostor", N_ ("The server at this address could not prove that it is the one the code is for. Tell your IT department, and do not go on in this network.") },
    { "organisation", N_ ("This computer’s system was made for another organisation’s server. Ask your IT department for the right one.") },
    { "busy", N_ ("The server cannot take computers at the moment. Try again later.") },
    { "cancelled", N_ ("Cancelled. Nothing was changed.") },
  };
  g_autofree char *plain = floe_text_plain (detail, SENTENCE_MAX_CHARS);

  if (problem == NULL || problem[0] == '\0')
    return g_strdup ("");
  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (known[i].problem, problem) == 0)
      return g_strdup (_ (known[i].words));
  /* Translators: %s is what the system reports, in English. */
  return g_strdup_printf (_ ("It did not work: %s"), plain);
}

/* -- Hardware ------------------------------------------------------------------------------------------------------- */

static const char *
title_of (const char *id)
{
  static const struct {
    const char *id, *title;
  } known[] = {
    { "kvm", N_ ("Processor") },           { "memory", N_ ("Memory") },   { "tpm", N_ ("Security chip") },
    { "secure-boot", N_ ("Secure Boot") }, { "network", N_ ("Network") }, { "graphics", N_ ("Screen") },
    { "kernel", N_ ("System") },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (known[i].id, id) == 0)
      return _ (known[i].title);
  return id;
}

/* What is said of ID in STATE; with one %s in it for the detail where DETAILED. NULL: nothing is known of it here. */
static const char *
words_of (const char *id, const char *state, gboolean *detailed)
{
  static const struct {
    const char *id, *state, *words;
    gboolean detailed;
  } known[] = {
    { "kvm", "works", N_ ("Runs desktops at full speed."), FALSE },
    /* Translators: %s says why, in English, as the system reports it. */
    { "kvm", "absent", N_ ("Cannot run desktops at speed: they are slow, or do not start. Turn virtualisation on in the firmware. (%s)"), TRUE },
    /* Translators: %s is a number. */
    { "memory", "enough", N_ ("%s GiB"), TRUE },
    { "memory", "little", N_ ("%s GiB: enough for one small desktop at a time."), TRUE },
    { "memory", "too-little", N_ ("%s GiB: too little for a desktop."), TRUE },
    { "memory", "unknown", N_ ("Cannot be told."), FALSE },
    { "tpm", "works", N_ ("TPM 2.0"), FALSE },
    { "tpm", "absent", N_ ("None, or turned off in the firmware: what is stored here is not bound to this computer."), FALSE },
    { "tpm", "closed", N_ ("Cannot be reached: what is stored here is not bound to this computer."), FALSE },
    { "tpm", "unused", N_ ("TPM 2.0; what is stored here was made without it and is not bound to this computer."), FALSE },
    { "tpm", "old", N_ ("Too old: what is stored here is not bound to this computer."), FALSE },
    { "secure-boot", "on", N_ ("On"), FALSE },
    { "secure-boot", "off", N_ ("Off: this computer starts whatever is put into it. Turn it on in the firmware."), FALSE },
    { "secure-boot", "bios", N_ ("Not there: this computer starts in its old mode. Choose UEFI in the firmware."), FALSE },
    { "secure-boot", "unknown", N_ ("Cannot be told."), FALSE },
    /* Translators: %s names network cards, such as: eno1, wlan0. */
    { "network", "link", N_ ("Connected (%s)"), TRUE },
    { "network", "no-link", N_ ("Not connected (%s). Plug in a network cable."), TRUE },
    { "network", "absent", N_ ("No network card, or none that this system knows: nothing can be fetched."), FALSE },
    { "graphics", "works", N_ ("Works."), FALSE },
    { "graphics", "no-screen", N_ ("No screen is connected to the graphics card."), FALSE },
    { "graphics", "absent", N_ ("No graphics card that this system knows."), FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (known[i].id, id) == 0 && strcmp (known[i].state, state) == 0) {
      *detailed = known[i].detailed;
      return _ (known[i].words);
    }
  return NULL;
}

void
floe_hardware_words_free (FloeHardwareWords *words)
{
  g_free (words->title);
  g_free (words->words);
  g_free (words->level);
  g_free (words->mark);
  g_free (words);
}

static char *
with_detail (const char *words, const char *detail)
{
  g_auto (GStrv) parts = g_strsplit (words, "%s", 2);

  return g_strjoinv (detail, parts);
}

static FloeHardwareWords *
words_new (GVariant *item)
{
  const char *id = "", *state = "", *level = "", *detail = "", *text = "", *known;
  g_autofree char *plain = NULL;
  FloeHardwareWords *words = g_new0 (FloeHardwareWords, 1);
  gboolean detailed = FALSE;

  g_variant_lookup (item, "id", "&s", &id);
  g_variant_lookup (item, "state", "&s", &state);
  g_variant_lookup (item, "level", "&s", &level);
  g_variant_lookup (item, "detail", "&s", &detail);
  g_variant_lookup (item, "text", "&s", &text);
  plain = floe_text_plain (detail, DETAIL_MAX_CHARS);
  known = words_of (id, state, &detailed);
  words->title = floe_text_plain (title_of (id), DETAIL_MAX_CHARS);
  words->words = known == NULL ? floe_text_plain (text, SENTENCE_MAX_CHARS) : detailed ? with_detail (known, plain) : g_strdup (known);
  words->level = g_strdup (strcmp (level, "good") == 0 || strcmp (level, "note") == 0 ? level : "bad");
  words->mark = g_strdup (strcmp (level, "good") == 0 ? _ ("Good") : strcmp (level, "note") == 0 ? _ ("Note") : _ ("Problem"));
  return words;
}

GPtrArray *
floe_hardware_words (GVariant *hardware)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) floe_hardware_words_free);
  GVariantIter iter;
  GVariant *item;

  if (hardware == NULL || !g_variant_is_of_type (hardware, G_VARIANT_TYPE ("aa{sv}")))
    return list;
  g_variant_iter_init (&iter, hardware);
  for (; list->len < ITEMS_MAX && (item = g_variant_iter_next_value (&iter)) != NULL; g_variant_unref (item))
    g_ptr_array_add (list, words_new (item));
  return list;
}
