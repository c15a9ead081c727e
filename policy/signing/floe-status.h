/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/signing/floe-repository.h"

/* Words about a repository, for people. They read, and write nothing. */

/* Versions, expiries, keys and who signed, of all roles; then drafts: what they change, who signed, who may; then warnings. */
char *floe_repository_status (FloeRepository *repository, gint64 now);
/* One line for each thing that has expired, or will within the last quarter of its life, with the command that helps; "" when
 * there is none. *EXPIRED (may be NULL) tells whether anything has. */
char *floe_repository_warnings (FloeRepository *repository, gint64 now, gboolean *expired);
/* What the draft of ROLE changes, a line each; "" when it only extends the term. */
char *floe_repository_changes (FloeRepository *repository, const char *role);
/* Who has signed the draft of ROLE, and who else may; "" when there is no draft. */
char *floe_repository_waiting (FloeRepository *repository, const char *role);
