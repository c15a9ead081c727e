/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/server/floe-server-checkin.h"

#include "common/floe-log.h"
#include "server-sync/enrol/floe-enrol-proof.h"

#include <inttypes.h>

static gboolean
judge (FloeRegistry *registry, const FloeDigest *server, GBytes *body, const char *signature, gint64 now, FloeCheckinAnswer *answer,
       FloeCheckin *checkin, GError **error)
{
  uint8_t key[FLOE_ENROL_KEY_SIZE];
  gboolean known;

  if (!floe_checkin_parse (body, checkin, NULL)) {
    answer->outcome = FLOE_CHECKIN_INVALID;
    return TRUE;
  }
  if (!floe_registry_find_endpoint (registry, checkin->endpoint, key, &known, error))
    return FALSE;
  /* Also checked for an endpoint that is not there: the answer takes as long. */
  if (!floe_checkin_signature_is (key, server, body, signature) || !known) {
    answer->outcome = FLOE_CHECKIN_UNKNOWN;
    return TRUE;
  }
  if (!floe_registry_check_in (registry, checkin, now, &answer->sequence, error))
    return FALSE;
  answer->outcome = answer->sequence != 0 ? FLOE_CHECKIN_OLD : FLOE_CHECKIN_TAKEN;
  return TRUE;
}

/* What an administrator should read in the log: a version that failed. Others are in the list of endpoints. */
static void
tell (const FloeCheckin *checkin)
{
  const FloeApplianceReport *report = &checkin->appliance;
  g_autofree char *running = NULL, *failed = NULL;

  if (!checkin->is_appliance || report->n_failed == 0)
    return;
  running = g_strdup_printf ("%" PRIi64, report->running);
  failed = g_strdup_printf ("%" PRIi64, report->failed[report->n_failed - 1]);
  floe_log (G_LOG_LEVEL_MESSAGE, "a version of the appliance failed at an endpoint", "ENDPOINT", checkin->endpoint, "RUNNING", running, "FAILED",
            failed, NULL);
}

GBytes *
floe_server_check_in (FloeRegistry *registry, const FloeDigest *server, GBytes *body, const char *signature, gint64 now, unsigned *status)
{
  static const unsigned statuses[] = {
    [FLOE_CHECKIN_TAKEN] = 200,   [FLOE_CHECKIN_UNKNOWN] = 403, [FLOE_CHECKIN_OLD] = 409,
    [FLOE_CHECKIN_INVALID] = 400, [FLOE_CHECKIN_BUSY] = 503,
  };
  g_autoptr (GError) error = NULL;
  FloeCheckinAnswer answer = { FLOE_CHECKIN_BUSY, 0 };
  FloeCheckin checkin;

  if (!judge (registry, server, body, signature, now, &answer, &checkin, &error)) {
    answer = (FloeCheckinAnswer){ FLOE_CHECKIN_BUSY, 0 };
    floe_log (G_LOG_LEVEL_WARNING, "check-in not possible", "REASON", error->message, NULL);
  }
  if (answer.outcome == FLOE_CHECKIN_TAKEN)
    tell (&checkin);
  *status = statuses[answer.outcome];
  return floe_checkin_answer_write (&answer);
}
