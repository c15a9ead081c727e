/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-code.h"
#include "common/floe-json.h"

/* What an endpoint that enrols and its server say to each other (docs/server.md, "Enrolment"): strict JSON, small, whole. */

#define FLOE_ENROL_REQUEST_MAX 16384 /* bytes */
#define FLOE_ENROL_ANSWER_MAX 4096
#define FLOE_ENROL_NAME_MAX 64
#define FLOE_ENROL_FACTS_MAX 24
#define FLOE_ENROL_FACT_MAX 200
#define FLOE_ENROL_GROUP_MAX 64
#define FLOE_ENROL_KEY_SIZE 32 /* of a raw Ed25519 public key (RFC 8032) */
#define FLOE_ENROL_NONCE_SIZE 32
#define FLOE_ENROL_ID_SIZE 17 /* an endpoint's id: 16 hexadecimal digits and NUL */
#define FLOE_ENROL_SEALED_MAX 1024

typedef struct {
  char code[FLOE_CODE_ID_CHARS + 1]; /* its public part */
  uint8_t key[FLOE_ENROL_KEY_SIZE];  /* the endpoint's */
  uint8_t nonce[FLOE_ENROL_NONCE_SIZE];
  char *name;        /* what people call the endpoint: printable UTF-8 */
  GStrv facts;       /* of the hardware check: key, value, key, value...; keys as floe_name_is_safe() */
  GBytes *recovery;  /* sealed by floe_enrol_seal(), or NULL */
} FloeEnrolRequest;

/* LIMIT when a field is larger than the limits above. */
GBytes *floe_enrol_request_write (const FloeEnrolRequest *request, GError **error) FLOE_WARN_UNUSED;
/* INVALID, LIMIT. */
FloeEnrolRequest *floe_enrol_request_parse (GBytes *body, GError **error) FLOE_WARN_UNUSED;
void floe_enrol_request_free (FloeEnrolRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FloeEnrolRequest, floe_enrol_request_free)

typedef enum {
  FLOE_ENROL_REFUSED_NOT,
  FLOE_ENROL_REFUSED_CODE,    /* unknown, wrong proof, or tried too often: one answer for all, so that nobody learns which */
  FLOE_ENROL_REFUSED_EXPIRED, /* this and the next only to who proved to have the code */
  FLOE_ENROL_REFUSED_USED,
  FLOE_ENROL_REFUSED_INVALID, /* not the form of a request */
  FLOE_ENROL_REFUSED_BUSY,    /* the server cannot now */
} FloeEnrolRefusal;

/* "code", "expired"... as on the wire; "" for none. */
const char *floe_enrol_refusal_name (FloeEnrolRefusal refusal);

typedef struct {
  FloeEnrolRefusal refused; /* then only this */
  char id[FLOE_ENROL_ID_SIZE];
  char group[FLOE_ENROL_GROUP_MAX + 1];
  gint64 time; /* the server's, seconds since 1970 */
} FloeEnrolAnswer;

GBytes *floe_enrol_answer_write (const FloeEnrolAnswer *answer);
gboolean floe_enrol_answer_parse (GBytes *body, FloeEnrolAnswer *answer, GError **error) FLOE_WARN_UNUSED;

/* What GET /enrol answers: that this is a Floe server, and its time. */
GBytes *floe_enrol_hello_write (gint64 now);
gboolean floe_enrol_hello_parse (GBytes *body, gint64 *now, GError **error) FLOE_WARN_UNUSED;

/* "endpoint" of ROOT, an endpoint's id, as a part of another document, whose floe_json_finish() tells. */
void floe_enrol_id_read (FloeJson *root, char id[FLOE_ENROL_ID_SIZE]);
