/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "image-builder/floe-cut.h"
#include "policy/signing/floe-repository.h"

/* What all that publishes into a repository shares: where it is, who signs, and which chunks keep the form they have. */

typedef struct {
  char *repo, *keys, *passphrase_file;
  char *channel; /* "stable" when none was given */
} FloePublishWhere;

/* The option entries for these, NULL-terminated; free with g_free(). */
GOptionEntry *floe_publish_where_entries (FloePublishWhere *where);
/* Whether they are there and make sense, with defaults filled in; for use before any work begins. */
gboolean floe_publish_where_check (FloePublishWhere *where, GError **error) FLOE_WARN_UNUSED;
void floe_publish_where_clear (FloePublishWhere *where);

/* Tables (of FloeTable) of every image and every version of the appliance in force: chunks that they name keep their compressed form. The
 * repository is opened for reading alone: nothing is cut for one that would be refused, and cutting, which takes minutes, keeps no
 * other writer out. */
GPtrArray *floe_publish_known_tables (const FloePublishWhere *where, GError **error) FLOE_WARN_UNUSED;
