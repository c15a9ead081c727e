/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <gio/gio.h>

/* The console's line to floe-install (org.floe.Install1), which is there while this computer runs from a USB key or the like. Follows it as it comes and
 * goes; asynchronous. Signals: "changed"; "disks": a list that was asked for has come. */
#define FLOE_TYPE_INSTALL_LINK (floe_install_link_get_type ())
G_DECLARE_FINAL_TYPE (FloeInstallLink, floe_install_link, FLOE, INSTALL_LINK, GObject)

typedef enum { FLOE_INSTALL_ABSENT, FLOE_INSTALL_READY, FLOE_INSTALL_WORKING, FLOE_INSTALL_DONE, FLOE_INSTALL_FAILED } FloeInstallState;

FloeInstallLink *floe_install_link_new (GDBusConnection *connection);
FloeInstallState floe_install_link_state (FloeInstallLink *link);
/* Borrowed until the next "changed". */
const char *floe_install_link_disk (FloeInstallLink *link);
const char *floe_install_link_step (FloeInstallLink *link);
const char *floe_install_link_problem (FloeInstallLink *link);
const char *floe_install_link_detail (FloeInstallLink *link);
double floe_install_link_progress (FloeInstallLink *link);
guint64 floe_install_link_needed (FloeInstallLink *link);
/* aa{sv}, or NULL before the first "disks". */
GVariant *floe_install_link_disks (FloeInstallLink *link);

void floe_install_link_look (FloeInstallLink *link);
void floe_install_link_install (FloeInstallLink *link, const char *disk, guint64 sequence, const char *confirm);
void floe_install_link_restart (FloeInstallLink *link);
