/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

/* How recovery keys are kept. When the organisation has put an RSA public key (PEM, 2,048 bits or more) at DATA/enrol/recovery.pem, a
 * recovery key is encrypted to it (RSAES-OAEP with SHA-256, RFC 8017) the moment it comes, and the server cannot read it any more. */

/* RECOVERY as it is to be stored. INVALID when recovery.pem is there and is no such key: nothing is then kept in plain instead. */
GBytes *floe_recovery_keep (int directory, GBytes *recovery, gboolean *sealed, GError **error) FLOE_WARN_UNUSED;
/* The recovery key that SEALED is of, by the private key in PEM. */
GBytes *floe_recovery_open (GBytes *private_pem, GBytes *sealed, GError **error) FLOE_WARN_UNUSED;
