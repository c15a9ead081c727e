/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* The languages that this console speaks: those with a catalogue, and English. */

/* Binds the catalogues beside the program (../share/locale from its directory) and begins in LANGUAGE, or, when NULL, in the
 * environment's. Before GTK starts. */
void floe_language_init (const char *language);
/* Changes to a code of floe_language_choices(); texts already on screen are the caller's to renew. */
void floe_language_use (const char *code);
const char *floe_language_current (void);
/* Codes that policy's list ("en", "fr", "fr-CA") leaves, in its order; all when it is empty. Never empty. */
char **floe_language_choices (const char *const *policy);
/* A language's own name. */
const char *floe_language_name (const char *code);
