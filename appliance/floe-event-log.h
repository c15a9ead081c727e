/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* What firmware wrote down of its start, for whoever asks the TPM: the TCG's event log ("PC Client Platform Firmware Profile", 10.2), as the kernel hands it out
 * (/sys/kernel/security/tpm0/binary_bios_measurements). It proves nothing by itself; replayed, it has to give what the TPM has. Pure. */

#define FLOE_EVENT_LOG_MAX (1u << 20)

/* What PCR 7 is after all of LOG, in the bank of SHA-256. INVALID when the log is none or ends within an event, UNSUPPORTED without that bank, LIMIT above
 * FLOE_EVENT_LOG_MAX. */
gboolean floe_event_log_pcr7 (GBytes *log, FloeDigest *pcr, GError **error) FLOE_WARN_UNUSED;
/* The same, had Secure Boot's list of what is forbidden been DBX: what the next start gives once that is in the variable. NOT_FOUND when the log
 * measures no such list, or more than one. */
gboolean floe_event_log_pcr7_with (GBytes *log, GBytes *dbx, FloeDigest *pcr, GError **error) FLOE_WARN_UNUSED;
