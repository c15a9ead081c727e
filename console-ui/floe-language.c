/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-language.h"

#include "common/floe-log.h"

#include <glib/gi18n-lib.h>
#include <libintl.h>
#include <locale.h>
#include <string.h>

/* gettext follows the locale of LC_MESSAGES, and takes no catalogue at all in "C" (since glibc 2.39, nor in C.UTF-8). An appliance
 * has no generated locales, so the build makes the messages part of those needed, found through LOCPATH. */

static const struct {
  const char *code, *name, *locale;
} languages[] = {
  { "en", "English", "C.UTF-8" },
  { "fr", "Français", "fr_FR.UTF-8" },
};

static guint
find (const char *text)
{
  size_t length = text != NULL ? strcspn (text, "-_.@") : 0;

  for (guint i = 0; i < G_N_ELEMENTS (languages); i++)
    if (length == strlen (languages[i].code) && strncmp (text, languages[i].code, length) == 0)
      return i;
  return G_N_ELEMENTS (languages);
}

void
floe_language_use (const char *code)
{
  guint i = find (code);

  if (i == G_N_ELEMENTS (languages))
    return;
  /* The variables as well, for a GTK that reads them; setlocale also tells gettext to look anew. */
  g_setenv ("LANGUAGE", languages[i].code, TRUE);
  if (setlocale (LC_MESSAGES, languages[i].locale) == NULL) {
    floe_warning ("locale missing, trying without it", "LOCALE", languages[i].locale);
    setlocale (LC_MESSAGES, "C.UTF-8");
  }
}

const char *
floe_language_current (void)
{
  guint i = find (g_getenv ("LANGUAGE"));

  return languages[i < G_N_ELEMENTS (languages) ? i : 0].code;
}

void
floe_language_init (const char *language)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *bin = g_path_get_dirname (program != NULL ? program : "/usr/bin/floe-console");
  g_autofree char *catalogues = g_build_filename (bin, "..", "share", "locale", NULL);
  g_autofree char *locales = g_build_filename (bin, "..", "share", "floe", "locale", NULL);
  const char *wanted = language;

  for (const char *const *name = (const char *const[]){ "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG", NULL }; *name != NULL; name++)
    if (wanted == NULL || wanted[0] == '\0')
      wanted = g_getenv (*name);
  /* GLib decides at its first translation, for good, whether there are any: in C.UTF-8 with our domain set it would say no, and a console that
   * begins in English would stay so whatever is chosen. Before the domain is set it says yes. */
  (void) g_dgettext (GETTEXT_PACKAGE, "");
  if (g_file_test (locales, G_FILE_TEST_IS_DIR))
    g_setenv ("LOCPATH", locales, TRUE);
  /* Text is UTF-8 whatever the environment says: titles and devices' names are. */
  g_unsetenv ("LC_ALL");
  setlocale (LC_ALL, "C.UTF-8");
  bindtextdomain (GETTEXT_PACKAGE, catalogues);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  floe_language_use (find (wanted) < G_N_ELEMENTS (languages) ? wanted : "en");
}

char **
floe_language_choices (const char *const *policy)
{
  g_autoptr (GStrvBuilder) codes = g_strv_builder_new ();
  gboolean taken[G_N_ELEMENTS (languages)] = { FALSE };
  gboolean any = FALSE;

  for (; policy != NULL && *policy != NULL; policy++) {
    guint i = find (*policy);

    if (i == G_N_ELEMENTS (languages) || taken[i])
      continue;
    any = taken[i] = TRUE;
    g_strv_builder_add (codes, languages[i].code);
  }
  for (guint i = 0; !any && i < G_N_ELEMENTS (languages); i++)
    g_strv_builder_add (codes, languages[i].code);
  return g_strv_builder_end (codes);
}

const char *
floe_language_name (const char *code)
{
  guint i = find (code);

  return i < G_N_ELEMENTS (languages) ? languages[i].name : code;
}
