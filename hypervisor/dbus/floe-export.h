/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/dbus/floe-authority.h"
#include "hypervisor/machine/floe-machine.h"
#include "hypervisor/policy-loader/floe-loader.h"

/* The objects of org.floe.Hypervisor1.xml on the bus. Main thread, but for the actions. */
typedef struct _FloeExport FloeExport;

typedef struct {
  /* SpoolChanged: called in a worker thread; fills *version in any case. */
  gboolean (*refresh) (gpointer data, guint64 *version, GError **error);
  /* AnswerUsb and SetSituation: called in a worker thread. */
  gboolean (*answer_usb) (gpointer data, const char *path, guint64 connection, const char *choice, gboolean remember,
                          GError **error);
  void (*set_situation) (gpointer data, const char *sender, const char *front, const char *person, gboolean locked);
  /* JoinGroup: called in a worker thread. */
  gboolean (*join_group) (gpointer data, const char *group, GError **error);
  /* ImagesInUse: called in a worker thread. */
  GStrv (*images_in_use) (gpointer data, GError **error);
  gpointer data;
} FloeExportActions;

/* HOST, AUTHORITY are borrowed. */
FloeExport *floe_export_new (GDBusConnection *bus, FloeHost *host, FloeAuthority *authority,
                             const FloeExportActions *actions);
void floe_export_free (FloeExport *export);

/* The objects become visible, whole. */
void floe_export_publish (FloeExport *export);
/* The bus name is ours: audit events, which have waited for that, are told. */
void floe_export_named (FloeExport *export);
void floe_export_set_policy (FloeExport *export, FloeInForce *in_force, const char *problem);
void floe_export_add_machine (FloeExport *export, FloeMachine *machine);
void floe_export_update_machine (FloeExport *export, FloeMachine *machine);
void floe_export_remove_machine (FloeExport *export, FloeMachine *machine);
/* Looks at the hardware again. */
void floe_export_check_hardware (FloeExport *export);
/* Tells what a machine's card let through or not: as an audit event and in the log. */
void floe_export_net_event (FloeExport *export, const FloeNetEvent *event);
/* DEVICES of FloeUsbDevice; CHANGED (may be NULL) is told as an audit event. */
void floe_export_usb_changed (FloeExport *export, GPtrArray *devices, const FloeUsbDevice *changed, gboolean gone);
/* FALSE while a machine is starting. */
void floe_export_update_background (FloeExport *export);

/* ID as it stands in an object path (systemd's bus_label_escape). To be freed. Pure. */
char *floe_export_escape (const char *id);
