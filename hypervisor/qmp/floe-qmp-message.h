/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-json.h"

/* What a QMP server may say (QEMU's docs/interop/qmp-spec): a greeting, a reply to a command, an error, or an event. */
typedef enum {
  FLOE_QMP_GREETING,
  FLOE_QMP_REPLY,
  FLOE_QMP_FAILURE,
  FLOE_QMP_EVENT,
} FloeQmpKind;

typedef struct _FloeQmpMessage FloeQmpMessage;

/* Parses one line. INVALID for what is none of the four, PEER never. */
FloeQmpMessage *floe_qmp_message_parse (GBytes *line, GError **error) FLOE_WARN_UNUSED;
void floe_qmp_message_free (FloeQmpMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeQmpMessage, floe_qmp_message_free)

FloeQmpKind floe_qmp_message_kind (const FloeQmpMessage *message);
/* The command that a reply or failure answers; 0 when the peer could not tell (it did not understand the command). */
guint64 floe_qmp_message_id (const FloeQmpMessage *message);
/* An event's name; a failure's description. */
const char *floe_qmp_message_text (const FloeQmpMessage *message);
/* A reply's "return" or an event's "data", NULL if it has none. A reader ends with floe_qmp_message_finish(). */
FloeJson *floe_qmp_message_payload (const FloeQmpMessage *message);
/* Whether all that was read was as wanted; keys that nobody asked for are let be, as the specification says. */
gboolean floe_qmp_message_finish (FloeQmpMessage *message, GError **error) FLOE_WARN_UNUSED;
