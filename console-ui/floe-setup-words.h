/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* The setup screen in words, in the user's language. Pure. Everything from the bus is untrusted text and comes back plain. */

/* PROBLEM as org.floe.Agent1 names it, what the person can do about it; DETAIL is the agent's own sentence, for what has no words here. To be freed. */
char *floe_setup_problem_words (const char *problem, const char *detail);

typedef struct {
  char *title; /* "Memory" */
  char *words; /* "7.7 GiB" */
  char *level; /* "good", "note" or "bad" */
  char *mark;  /* that in a word */
} FloeHardwareWords;

void floe_hardware_words_free (FloeHardwareWords *words);
/* Of FloeHardwareWords, from Hardware of org.floe.Hypervisor1 (aa{sv}, or NULL). */
GPtrArray *floe_hardware_words (GVariant *hardware);
