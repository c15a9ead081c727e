/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>

/* Signed PE images as small as they get, by OpenSSL's own functions for making PKCS #7 and without ours for reading it. */
typedef struct _PeSigner PeSigner;

PeSigner *pe_signer_new (const char *name);
void pe_signer_free (PeSigner *signer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeSigner, pe_signer_free)
/* Its certificate in PEM. */
GBytes *pe_signer_certificate (const PeSigner *signer);

/* An image with a section .cmdline that has COMMAND_LINE, and SIZE bytes of another; SIGNER NULL: not signed. */
GBytes *pe_forge (const char *command_line, guint size, const PeSigner *signer);
