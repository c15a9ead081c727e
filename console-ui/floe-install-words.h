/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* The screen of 'Try' and 'Install' in words, in the user's language. Pure. Everything from the bus is untrusted text (labels on disks are anybody's)
 * and comes back plain. */

typedef struct {
  char *name;    /* "sda": what is typed */
  char *title;   /* "Samsung SSD 980, 512.1 GB" */
  char *detail;  /* where it is, its serial number */
  char *problem; /* why it cannot be chosen; "" when it can */
  char *note;    /* an installation that did not end; "" for none */
  char **losses; /* what is on it, a line each; never empty */
  guint64 sequence;
} FloeInstallDiskWords;

void floe_install_disk_words_free (FloeInstallDiskWords *disk);
/* Of FloeInstallDiskWords, from what List of org.floe.Install1 answers (aa{sv}); NEEDED bytes are what a disk has to have. Those without a name that
 * could be typed are left out. */
GPtrArray *floe_install_disk_words (GVariant *disks, guint64 needed);

/* STEP as org.floe.Install1 names it. Static. */
const char *floe_install_step_words (const char *step);
/* PROBLEM as org.floe.Install1 names it, what the person can do about it; DETAIL is its own sentence. To be freed. */
char *floe_install_problem_words (const char *problem, const char *detail);
