/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy/trust/floe-trust.h"

/* Targets carry their SHA-256 in their path: one that the spool has whole is not fetched again. Everything else, and targets
 * that the spool lacks or has altered, comes from NETWORK (owned from here on), which is to write it to the spool. */
FloeTrustTransport *floe_spool_transport (const char *spool_path, FloeTrustTransport *network);
