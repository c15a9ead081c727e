/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server-sync/enrol/floe-appliance-report.h"
#include "server-sync/enrol/floe-enrol-message.h"

/* What an endpoint that has enrolled tells its server now and then (docs/server.md, "Check-in"): strict JSON, small, whole, signed with the key that it
 * enrolled with.
 *
 * With S the SHA-256 of the server's TLS key, C the bytes of the message: Ed25519 (the endpoint's key, "floe check-in 1\n" S SHA-256 (C)). Another server cannot use
 * what it was sent, since its S is another; what was sent once cannot be sent again, since its sequence is not above that of the last one. */

#define FLOE_CHECKIN_MAX 4096                          /* bytes of a message, and of its answer */
#define FLOE_CHECKIN_VERSION_MAX 64                    /* bytes */
#define FLOE_CHECKIN_SEQUENCE_MAX G_GINT64_CONSTANT (9007199254740991) /* what every JSON reader keeps exactly */

typedef struct {
  char endpoint[FLOE_ENROL_ID_SIZE];
  gint64 sequence; /* larger than in every message of this endpoint before: microseconds since 1970, or one more than the last */
  char version[FLOE_CHECKIN_VERSION_MAX + 1]; /* of Floe, as floe_name_is_safe() */
  gboolean is_appliance;
  FloeApplianceReport appliance;
} FloeCheckin;

/* What the other side would refuse is an error. */
GBytes *floe_checkin_write (const FloeCheckin *checkin, GError **error) FLOE_WARN_UNUSED;
/* INVALID, LIMIT. */
gboolean floe_checkin_parse (GBytes *body, FloeCheckin *checkin, GError **error) FLOE_WARN_UNUSED;

typedef enum {
  FLOE_CHECKIN_TAKEN,
  FLOE_CHECKIN_UNKNOWN, /* no such endpoint, or not its signature: one answer for both */
  FLOE_CHECKIN_OLD,     /* with `sequence`: the last one's; only to who signed */
  FLOE_CHECKIN_INVALID,
  FLOE_CHECKIN_BUSY,
} FloeCheckinOutcome;

typedef struct {
  FloeCheckinOutcome outcome;
  gint64 sequence;
} FloeCheckinAnswer;

GBytes *floe_checkin_answer_write (const FloeCheckinAnswer *answer);
gboolean floe_checkin_answer_parse (GBytes *body, FloeCheckinAnswer *answer, GError **error) FLOE_WARN_UNUSED;
