/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/qmp/floe-qmp.h"

/* One typed function a QMP command that we use (QEMU's qapi/ directory describes them). All wait, so none is called on the
 * reading context; all have a deadline of their own and fail as floe_qmp_execute() does. */

/* Lets the vCPUs run; stops them. */
gboolean floe_qmp_cont (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_stop (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;
/* "running", "paused", "inmigrate", "postmigrate"...; to be freed. */
char *floe_qmp_query_status (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;
/* Presses the power button; the guest may ignore it. */
gboolean floe_qmp_system_powerdown (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_system_reset (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_quit (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;

/* Hands QEMU a copy of FD under NAME; QEMU closes it when it is used, or by closefd. */
gboolean floe_qmp_getfd (FloeQmp *qmp, const char *name, int fd, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_closefd (FloeQmp *qmp, const char *name, GError **error) FLOE_WARN_UNUSED;
/* Makes the connected socket given by getfd under NAME one SPICE channel, without ticket. */
gboolean floe_qmp_add_spice_client (FloeQmp *qmp, const char *name, GError **error) FLOE_WARN_UNUSED;

/* Whether the guest has the port behind chardev LABEL open (query-chardev's frontend-open). */
gboolean floe_qmp_query_port_open (FloeQmp *qmp, const char *label, gboolean *is_open, GError **error) FLOE_WARN_UNUSED;

typedef enum {
  FLOE_QMP_MIGRATION_ACTIVE,
  FLOE_QMP_MIGRATION_COMPLETED,
  FLOE_QMP_MIGRATION_FAILED,
} FloeQmpMigration;

/* Saves the stopped machine into the descriptor given by getfd under NAME; returns at once, query tells the rest. */
gboolean floe_qmp_migrate_to_fd (FloeQmp *qmp, const char *name, GError **error) FLOE_WARN_UNUSED;
/* Loads a machine started with -incoming defer. */
gboolean floe_qmp_migrate_incoming_fd (FloeQmp *qmp, const char *name, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_query_migrate (FloeQmp *qmp, FloeQmpMigration *state, GError **error) FLOE_WARN_UNUSED;
/* Lifts the bandwidth limit, which is meant for networks. */
gboolean floe_qmp_migrate_unlimited (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;

/* -- USB devices and disks that come and go -------------------------------------------------------------------------- */

/* Hands QEMU a copy of FD in an fdset of its own, which OPAQUE marks; *SET is its number. It is /dev/fdset/SET to QEMU, and stays
 * until remove_fd and until nothing in QEMU has it open. */
gboolean floe_qmp_add_fd (FloeQmp *qmp, const char *opaque, int fd, gint64 *set, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_remove_fd (FloeQmp *qmp, gint64 set, GError **error) FLOE_WARN_UNUSED;
/* Numbers (gint64) of fdsets that OPAQUE marks. */
GArray *floe_qmp_query_fdsets (FloeQmp *qmp, const char *opaque, GError **error) FLOE_WARN_UNUSED;
/* The usbfs descriptor of SET becomes device ID on BUS. */
gboolean floe_qmp_device_add_usb_host (FloeQmp *qmp, const char *id, const char *bus, gint64 set,
                                       GError **error) FLOE_WARN_UNUSED;
/* The block device of SET, open for reading, becomes node NODE; a node becomes a USB disk ID on BUS. */
gboolean floe_qmp_blockdev_add_read_only (FloeQmp *qmp, const char *node, gint64 set, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_blockdev_del (FloeQmp *qmp, const char *node, GError **error) FLOE_WARN_UNUSED;
gboolean floe_qmp_device_add_usb_disk (FloeQmp *qmp, const char *id, const char *bus, const char *node,
                                       GError **error) FLOE_WARN_UNUSED;
/* Only asks; event DEVICE_DELETED says that it is done. */
gboolean floe_qmp_device_del (FloeQmp *qmp, const char *id, GError **error) FLOE_WARN_UNUSED;
/* Ids (strings) of devices that were added with one and are there. */
GPtrArray *floe_qmp_list_devices (FloeQmp *qmp, GError **error) FLOE_WARN_UNUSED;
