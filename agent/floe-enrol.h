/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/floe-agent-config.h"

/* Enrolment, the endpoint's side: one exchange with a server that is known by nothing but a typed name and a code. Blocking: for a thread of
 * its own. The steps and what each proves are at the head of server-sync/enrol/floe-enrol-proof.h. */

/* What went wrong, for people; each has a name ("unreachable") that the console translates. */
typedef enum {
  FLOE_ENROL_WELL,
  FLOE_ENROL_ADDRESS,      /* typed wrongly */
  FLOE_ENROL_TYPO,         /* in the code; found before anything is sent */
  FLOE_ENROL_UNREACHABLE,
  FLOE_ENROL_NOT_FLOE,     /* something else answers there */
  FLOE_ENROL_CLOCK,        /* this computer's, or the server's */
  FLOE_ENROL_CODE,         /* the server does not know it */
  FLOE_ENROL_EXPIRED,
  FLOE_ENROL_USED,
  FLOE_ENROL_IMPOSTOR,     /* the server did not prove to know the code, or its key changed meanwhile */
  FLOE_ENROL_ORGANISATION, /* the server's signing keys are not those that this system trusts */
  FLOE_ENROL_BUSY,         /* the server cannot now */
  FLOE_ENROL_FAILED,       /* something here */
  FLOE_ENROL_CANCELLED,
} FloeEnrolProblem;

const char *floe_enrol_problem_name (FloeEnrolProblem problem);

typedef struct {
  const char *address, *code; /* as typed */
  const char *name;           /* of this endpoint; NULL: one that is made of its id */
  const char *const *facts;   /* key, value, key, value..., NULL; may be NULL */
} FloeEnrolOptions;

/* Enrols, and writes STATE/agent/enrolment.conf; then CONFIG is complete. A recovery key at RUN/agent/recovery-key is handed over and
 * removed. On failure *problem says what for people, *error in full; trying again is safe at any point: the server knows this endpoint by
 * its key. */
gboolean floe_enrol (FloeAgentConfig *config, const FloeEnrolOptions *options, GCancellable *cancellable, FloeEnrolProblem *problem,
                     GError **error) FLOE_WARN_UNUSED;
/* Adopts what an earlier enrolment left; NOT_FOUND when there was none. */
gboolean floe_enrol_resume (FloeAgentConfig *config, GError **error) FLOE_WARN_UNUSED;
