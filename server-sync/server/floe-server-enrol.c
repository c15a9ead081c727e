/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-enrol.h"

#include "common/floe-log.h"

#include <openssl/crypto.h>

static unsigned
status_of (FloeEnrolRefusal refusal)
{
  static const unsigned statuses[] = {
    [FLOE_ENROL_REFUSED_NOT] = 200,     [FLOE_ENROL_REFUSED_CODE] = 403,    [FLOE_ENROL_REFUSED_EXPIRED] = 403,
    [FLOE_ENROL_REFUSED_USED] = 403,    [FLOE_ENROL_REFUSED_INVALID] = 400, [FLOE_ENROL_REFUSED_BUSY] = 503,
  };

  return statuses[refusal];
}

/* Whether the client has the code and the key that it names. */
static gboolean
check_proofs (FloeRegistry *registry, const FloeEnrolRequest *parsed, const FloeDigest *server, GBytes *request, const char *proof,
              const char *signature, FloeDigest *key, FloeEnrolAnswer *answer, GError **error)
{
  FloeDigest wanted;
  gboolean usable, right;

  if (!floe_registry_find_key (registry, parsed->code, key, &usable, error))
    return FALSE;
  floe_enrol_request_proof (key, server, request, &wanted);
  right = floe_enrol_proof_is (&wanted, proof);
  if (right && usable) {
    /* The signature is checked only now: it is dear, and who has the code is owed a plain answer. */
    if (!floe_enrol_signature_is (parsed->key, server, request, signature))
      answer->refused = FLOE_ENROL_REFUSED_INVALID;
    return TRUE;
  }
  if (usable)
    floe_registry_count_failure (registry, parsed->code);
  answer->refused = FLOE_ENROL_REFUSED_CODE;
  return TRUE;
}

/* The recovery key that REQUEST brings, NULL when it brings none. */
static gboolean
take_recovery (const FloeEnrolRequest *request, const FloeDigest *key, GBytes **recovery, FloeEnrolAnswer *answer)
{
  g_autoptr (GError) error = NULL;

  if (request->recovery == NULL)
    return TRUE;
  *recovery = floe_enrol_unseal (key, request->recovery, &error);
  if (*recovery == NULL || g_bytes_get_size (*recovery) > FLOE_REGISTRY_RECOVERY_MAX)
    answer->refused = FLOE_ENROL_REFUSED_INVALID;
  return answer->refused == FLOE_ENROL_REFUSED_NOT;
}

static void
tell (const FloeEnrolRequest *request, const FloeEnrolAnswer *answer, gboolean recovery)
{
  if (answer->refused == FLOE_ENROL_REFUSED_NOT)
    floe_log (G_LOG_LEVEL_MESSAGE, "endpoint enrolled", "ENDPOINT", answer->id, "GROUP", answer->group, "CODE", request->code, "RECOVERY_KEY",
              recovery ? "yes" : "no", "NAME", request->name, NULL);
  else
    floe_log (G_LOG_LEVEL_MESSAGE, "enrolment refused", "CODE", request->code, "REASON", floe_enrol_refusal_name (answer->refused), NULL);
}

/* KEY is set, and *proved TRUE, when the client has the code. */
static gboolean
judge (FloeRegistry *registry, const FloeDigest *server, GBytes *request, const char *proof, const char *signature, gint64 now,
       FloeEnrolAnswer *answer, FloeDigest *key, gboolean *proved, GError **error)
{
  g_autoptr (FloeEnrolRequest) parsed = floe_enrol_request_parse (request, NULL);
  g_autoptr (GBytes) recovery = NULL;

  if (parsed == NULL) {
    answer->refused = FLOE_ENROL_REFUSED_INVALID;
    return TRUE;
  }
  if (!check_proofs (registry, parsed, server, request, proof, signature, key, answer, error))
    return FALSE;
  *proved = answer->refused != FLOE_ENROL_REFUSED_CODE;
  if (answer->refused == FLOE_ENROL_REFUSED_NOT && take_recovery (parsed, key, &recovery, answer) &&
      !floe_registry_enrol (registry, parsed, recovery, now, answer, error))
    return FALSE;
  /* A line for each guess would let anybody fill the log: those are counted as refused requests. */
  if (*proved)
    tell (parsed, answer, recovery != NULL);
  return TRUE;
}

void
floe_server_enrol (FloeRegistry *registry, const FloeDigest *server, GBytes *request, const char *proof, const char *signature, gint64 now,
                   FloeServerEnrolled *enrolled)
{
  g_autoptr (GError) error = NULL;
  FloeEnrolAnswer answer = { 0 };
  FloeDigest key, own;
  gboolean proved = FALSE;

  if (!judge (registry, server, request, proof, signature, now, &answer, &key, &proved, &error)) {
    floe_log (G_LOG_LEVEL_WARNING, "enrolment not possible", "REASON", error->message, NULL);
    answer = (FloeEnrolAnswer){ .refused = FLOE_ENROL_REFUSED_BUSY };
  }
  enrolled->status = status_of (answer.refused);
  enrolled->body = floe_enrol_answer_write (&answer);
  enrolled->proof = NULL;
  if (proved) {
    floe_enrol_answer_proof (&key, server, request, enrolled->body, &own);
    enrolled->proof = floe_hex_encode (own.bytes, sizeof own.bytes);
  }
  OPENSSL_cleanse (&key, sizeof key);
}
