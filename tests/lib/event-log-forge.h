/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-digest.h"

/* Event logs as firmware with a TPM 2 writes them, and the PCRs that they give, without our reader of them. */

#define EVENT_LOG_VARIABLE 0x80000001u
#define EVENT_LOG_SEPARATOR 0x4u
#define EVENT_LOG_NO_ACTION 0x3u

typedef struct {
  GByteArray *bytes;
  FloeDigest pcr7;
  gboolean without_sha256; /* SHA-1 alone */
} EventLogForge;

EventLogForge *event_log_forge_new (gboolean without_sha256);
void event_log_forge_free (EventLogForge *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EventLogForge, event_log_forge_free)
void event_log_forge_add (EventLogForge *log, guint32 pcr, guint32 type, const void *data, gsize size);
/* A variable of Secure Boot's into PCR 7: NAME in ASCII, of those that images are judged by (db, dbx) or of the specification's own (SecureBoot, PK, KEK). */
void event_log_forge_variable (EventLogForge *log, const char *name, gboolean of_images, const void *data, gsize size);
/* A log of a start with Secure Boot and DBX in force. */
EventLogForge *event_log_forge_start (GBytes *dbx);
