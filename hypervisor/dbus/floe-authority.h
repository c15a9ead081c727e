/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* Who may call what: one table, method to polkit action; what is not in it is refused. uid 0 may call all of it. Without
 * polkit nobody else may call anything. */
typedef struct _FloeAuthority FloeAuthority;

/* BUS is where callers are. */
FloeAuthority *floe_authority_new (GDBusConnection *bus);
void floe_authority_free (FloeAuthority *authority);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeAuthority, floe_authority_free)

/* The action that METHOD of INTERFACE asks for, or NULL: nobody may call it. Pure. */
const char *floe_authority_action (const char *interface, const char *method);

/* REFUSED, naming method and action, unless the sender of INVOCATION may call its method. Waits for the bus: a worker
 * thread's. */
gboolean floe_authority_check (FloeAuthority *authority, GDBusMethodInvocation *invocation,
                               GError **error) FLOE_WARN_UNUSED;
