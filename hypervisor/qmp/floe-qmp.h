/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hypervisor/qmp/floe-qmp-message.h"

/* The monitor of one QEMU over a connected socket.
 *
 * Threads: the socket is read on the main context given to floe_qmp_new(). Commands are executed from any other thread, and
 * wait there for their reply; several may wait at once. An event function is called on the reading context and must neither
 * wait nor execute a command. */
typedef struct _FloeQmp FloeQmp;

/* NAME is the event's, DATA its data or NULL. Called a last time with NAME NULL when the peer has ended the connection or
 * broken the protocol; not when floe_qmp_close() ended it. */
typedef void (*FloeQmpEventFunc) (const char *name, FloeJson *data, gpointer context);

/* Takes the socket SOCKET_FD. RELEASE is called with CONTEXT once no event can come any more. */
FloeQmp *floe_qmp_new (int socket_fd, GMainContext *reader, FloeQmpEventFunc on_event, gpointer context,
                       GDestroyNotify release);
FloeQmp *floe_qmp_ref (FloeQmp *qmp);
void floe_qmp_unref (FloeQmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeQmp, floe_qmp_unref)

/* Waits for the greeting and leaves capability negotiation. PEER when the other side is no QMP server, CANCELLED after
 * TIMEOUT_MS. */
gboolean floe_qmp_handshake (FloeQmp *qmp, guint timeout_ms, GError **error) FLOE_WARN_UNUSED;

/* Executes COMMAND with ARGUMENTS (an object, taken; NULL for none), with the descriptor FD (or -1) in the same message.
 * PEER with QEMU's own words when it refuses or is gone, CANCELLED when no reply came within TIMEOUT_MS. The reply is of
 * kind FLOE_QMP_REPLY. */
FloeQmpMessage *floe_qmp_execute (FloeQmp *qmp, const char *command, json_t *arguments, int fd, guint timeout_ms,
                                  GError **error) FLOE_WARN_UNUSED;

/* Ends the connection: whoever waits gets PEER. Any thread. */
void floe_qmp_close (FloeQmp *qmp);
gboolean floe_qmp_is_open (FloeQmp *qmp);
