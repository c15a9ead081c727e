/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/image/floe-image-info.h"
#include "server-sync/image/floe-publish.h"

/* What `publish` and `cut` share: options that describe an image, cutting with a progress line, and the words at the end.
 */

typedef struct {
  char *name;
  char *os, *firmware; /* NULL: linux, uefi */
  int memory_mib, vcpus;
  gboolean tpm, secure_boot;
  int threads, level;
  gboolean any_size; /* not a disk: not a multiple of 512 bytes, perhaps */
  char *boot_list, *trace; /* at most one */
} FloeCutOptions;

/* Entries of A and B, both NULL-terminated, in one; free with g_free(). */
GOptionEntry *floe_cut_join_entries (const GOptionEntry *a, const GOptionEntry *b);
/* The option entries for these, NULL-terminated; free with g_free(). EXTRA (NULL-terminated) come first. */
GOptionEntry *floe_cut_entries (FloeCutOptions *options, const GOptionEntry *extra);
void floe_cut_options_clear (FloeCutOptions *options);

typedef struct {
  FloePublished *published;
  FloeImageInfo *info;
  GBytes *boot; /* or NULL */
} FloeCut;
void floe_cut_free (FloeCut *cut);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeCut, floe_cut_free)

/* Whether the options make sense by themselves; for use before any work begins. */
gboolean floe_cut_check (const FloeCutOptions *options, GError **error) FLOE_WARN_UNUSED;
/* Cuts the raw image at PATH into the chunk store in directory CHUNKS. KNOWN: see floe_publish_chunks(). */
FloeCut *floe_cut (const char *path, const char *chunks, GPtrArray *known, const FloeCutOptions *options,
                   GError **error) FLOE_WARN_UNUSED;
/* Its first half alone: chunks, index and table, for what is described otherwise than by an image.json. */
FloePublished *floe_cut_chunks (const char *path, const char *chunks, GPtrArray *known, const FloeCutOptions *options,
                                GError **error) FLOE_WARN_UNUSED;
/* Prints what was cut and what was new, for people and as figures of a test. */
void floe_cut_print (const FloeCut *cut);
