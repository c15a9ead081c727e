/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

#include <stdint.h>

/* Kernel images and boot loaders as the firmware sees them: PE/COFF for x86-64 ("PE Format", Microsoft) with one Authenticode signature ("Windows
 * Authenticode Portable Executable Signature Format"). What lies on a boot partition anybody may have written: nothing is believed that the
 * signature does not cover, and nothing outside of it may be there. */

#define FLOE_PE_MAX (UINT64_C (256) << 20)

/* Bytes of the one section NAME (".cmdline", at most 8 characters) of IMAGE; NULL with INVALID or NOT_FOUND. */
GBytes *floe_pe_section (GBytes *image, const char *name, GError **error) FLOE_WARN_UNUSED;

/* SHA-256 of IMAGE as firmware computes it, of what its signature is over: by it Secure Boot's lists name an image. UNVERIFIED when it is not signed,
 * INVALID. Of an image with a gap between its sections the firmware's is another one; what we build has none. */
gboolean floe_pe_digest (GBytes *image, FloeDigest *digest, GError **error) FLOE_WARN_UNUSED;

/* UNVERIFIED unless the one signature of IMAGE was made with the key of CERTIFICATE (PEM) over all other bytes of it. INVALID when IMAGE or
 * CERTIFICATE is none. The certificate itself is the caller's to trust: dates and issuers are not looked at, as the firmware does not. */
gboolean floe_pe_verify (GBytes *image, GBytes *certificate, GError **error) FLOE_WARN_UNUSED;
