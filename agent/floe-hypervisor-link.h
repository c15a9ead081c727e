/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <gio/gio.h>

/* The agent's side of org.floe.Hypervisor1 (hypervisor/org.floe.Hypervisor1.xml) on the system bus. hypervisord, and the bus itself,
 * may be absent: what it has to know is told when it appears. */

typedef enum {
  FLOE_BACKGROUND_UNSAID, /* hypervisord is not there */
  FLOE_BACKGROUND_NO,
  FLOE_BACKGROUND_YES,
} FloeBackground;

typedef struct _FloeHypervisorLink FloeHypervisorLink;

/* CHANGED is called from the main loop when hypervisord has come or gone, or its BackgroundAllowed changed.
 * GROUP is told to every hypervisord that appears: the first time it joins it. */
FloeHypervisorLink *floe_hypervisor_link_new (const char *group, void (*changed) (gboolean appeared, gpointer data), gpointer data);
void floe_hypervisor_link_free (FloeHypervisorLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeHypervisorLink, floe_hypervisor_link_free)

FloeBackground floe_hypervisor_link_background (FloeHypervisorLink *link);
/* The spool has news; told now, or when hypervisord appears. */
void floe_hypervisor_link_spool_changed (FloeHypervisorLink *link);
/* Asks which images are needed here. ANSWERED is called with DATA from the main loop, once, with a NULL-terminated list of "NAME/VERSION", or with NULL when
 * that cannot be had. Nothing happens when hypervisord is not there, or is being asked already. */
void floe_hypervisor_link_ask_images (FloeHypervisorLink *link, void (*answered) (const char *const *ids, gpointer data), gpointer data);
/* FALSE when hypervisord is not there. */
gboolean floe_hypervisor_link_report (FloeHypervisorLink *link, const char *image, guint64 have, guint64 total, guint64 fetched);
