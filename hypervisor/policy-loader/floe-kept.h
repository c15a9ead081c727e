/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-trust.h"

/* The policy in force, kept so that it can go on after a restart though the trust state has moved on to one that this
 * version cannot read: STATE/hypervisor/in-force/ has the document and the metadata that vouched for it, as the trust
 * client accepted them. Nothing is believed because it lies there: it is verified again. Always the last one that came
 * into force, whole, whenever the power fails. */

/* DOCUMENT comes into force by what TRUST_DIR has: durable when this returns. */
gboolean floe_kept_save (int state_dir, int trust_dir, GBytes *document, GError **error) FLOE_WARN_UNUSED;
/* The directory, which floe_trust_open() takes as its state; -1 with NOT_FOUND when nothing was ever in force. */
int floe_kept_open (int state_dir, GError **error) FLOE_WARN_UNUSED;
/* The document in it, not judged. */
GBytes *floe_kept_document (int kept_dir, GError **error) FLOE_WARN_UNUSED;
