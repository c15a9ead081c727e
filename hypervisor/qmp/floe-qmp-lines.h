/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* QMP's transport (docs/interop/qmp-spec): JSON texts, each ended by CR LF. The peer is a QEMU that a guest may have taken
 * over, so a line is bounded before it is kept. */
#define FLOE_QMP_LINE_MAX (256 * 1024)

typedef struct _FloeQmpLines FloeQmpLines;

FloeQmpLines *floe_qmp_lines_new (void);
void floe_qmp_lines_free (FloeQmpLines *lines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeQmpLines, floe_qmp_lines_free)

/* Takes SIZE more bytes. LIMIT when an unfinished line would exceed FLOE_QMP_LINE_MAX; nothing more can be pushed after an
 * error. */
gboolean floe_qmp_lines_push (FloeQmpLines *lines, const void *data, size_t size, GError **error) FLOE_WARN_UNUSED;
/* The next whole line without its end, or NULL when more bytes are needed. Empty lines are passed over. */
GBytes *floe_qmp_lines_next (FloeQmpLines *lines);
