/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "tests/lib/forge.h"

/* A client with a state directory of its own over a forged repository. */
typedef struct {
  Forge *forge;
  char *path;
  int state;
} Endpoint;

/* Has the repository's first root, nothing else. */
Endpoint *endpoint_new (void);
/* The same, and has refreshed once. */
Endpoint *endpoint_new_current (void);
/* Removes the directory too. */
void endpoint_free (Endpoint *endpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Endpoint, endpoint_free)

/* Each opens the state anew, as a process started now would. */
gboolean endpoint_refresh (Endpoint *endpoint, gint64 now, GError **error);
FloeVerified *endpoint_fetch (Endpoint *endpoint, const char *target, gint64 now, GError **error);
/* Version trusted for ROLE on disk; 0 if none. */
gint64 endpoint_version (Endpoint *endpoint, const char *role);
/* "NAME DIGEST" of every file in the state directory, sorted, a line each, but for those named in EXCEPT (separated by spaces). */
char *endpoint_state (Endpoint *endpoint, const char *except);
