/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-check-in.h"

#include "agent/floe-endpoint-key.h"
#include "agent/floe-enrol-http.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/enrol/floe-checkin.h"
#include "server-sync/enrol/floe-enrol-proof.h"

#include <string.h>
#include <sys/stat.h>

#define PIN_PREFIX "sha256//"

struct _FloeCheckIn {
  const FloeAgentConfig *config;
  GCancellable *cancellable;
  gint64 sequence; /* of the last message; of the thread while one is under way */
  gboolean busy, again;
  char *problem;   /* as last said in the log */
  struct stat seen; /* the report's, as last looked at */
};

/* -- One message: on its thread --------------------------------------------------------------------------------------- */

static gboolean
write_message (FloeCheckIn *check_in, GBytes **body, GError **error)
{
  FloeCheckin message = { .sequence = MAX (g_get_real_time (), check_in->sequence + 1), .version = FLOE_VERSION };
  g_autoptr (GError) problem = NULL;

  g_strlcpy (message.endpoint, check_in->config->id, sizeof message.endpoint);
  message.is_appliance = floe_appliance_report_load (check_in->config->state, &message.appliance, &problem);
  if (problem != NULL && !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    floe_log (G_LOG_LEVEL_WARNING, "the appliance's report is not one: it is left out", "REASON", problem->message, NULL);
  *body = floe_checkin_write (&message, error);
  if (*body == NULL)
    return FALSE;
  check_in->sequence = message.sequence;
  return TRUE;
}

static gboolean
sign_message (FloeCheckIn *check_in, const FloeDigest *server, GBytes *body, char **signature, GError **error)
{
  g_autofree char *path = g_build_filename (check_in->config->state, "agent", NULL);
  floe_autofd agent_dir = floe_dir_open (path, error);
  g_auto (FloeEndpointKey) key = { 0 };

  if (agent_dir < 0 || !floe_endpoint_key_load (agent_dir, &key, error))
    return FALSE;
  *signature = floe_checkin_sign (key.private_half, server, body, error);
  return *signature != NULL;
}

static gboolean
exchange (FloeCheckIn *check_in, const FloeDigest *server, GCancellable *cancellable, FloeCheckinAnswer *answer, GError **error)
{
  g_autofree char *url = g_strconcat (check_in->config->url, "/checkin", NULL);
  g_autoptr (GBytes) body = NULL;
  g_autofree char *signature = NULL;
  g_auto (FloeEnrolResponse) response = { 0 };

  if (!write_message (check_in, &body, error) || !sign_message (check_in, server, body, &signature, error) ||
      !floe_enrol_post (url, server, body, NULL, signature, cancellable, &response, error))
    return FALSE;
  if (floe_checkin_answer_parse (response.body, answer, NULL))
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_PEER, "%s: no answer to a check-in (%ld): a server before check-in, or none of ours", url, response.status);
}

static gboolean
check_in_once (FloeCheckIn *check_in, GCancellable *cancellable, GError **error)
{
  g_autofree guchar *pin = NULL;
  FloeCheckinAnswer answer;
  FloeDigest server;
  gsize size = 0;

  pin = g_base64_decode (check_in->config->pin + strlen (PIN_PREFIX), &size);
  if (size != sizeof server.bytes)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the server's pin is not of 32 bytes");
  memcpy (server.bytes, pin, size);
  if (!exchange (check_in, &server, cancellable, &answer, error))
    return FALSE;
  /* This computer's clock was ahead once, or its state is an old copy: it goes on where the server knows it to be. */
  if (answer.outcome == FLOE_CHECKIN_OLD && answer.sequence < FLOE_CHECKIN_SEQUENCE_MAX) {
    check_in->sequence = answer.sequence;
    if (!exchange (check_in, &server, cancellable, &answer, error))
      return FALSE;
  }
  switch (answer.outcome) {
  case FLOE_CHECKIN_TAKEN:
    return TRUE;
  case FLOE_CHECKIN_UNKNOWN:
    return floe_error_set (error, FLOE_ERROR_REFUSED, "the server does not know this endpoint, or not its key");
  case FLOE_CHECKIN_BUSY:
    return floe_error_set (error, FLOE_ERROR_BUSY, "the server cannot take it now; its log says why");
  default:
    return floe_error_set (error, FLOE_ERROR_PEER, "the server refuses it");
  }
}

static void
on_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;

  (void) source;
  if (check_in_once (data, cancellable, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* -- Main thread ------------------------------------------------------------------------------------------------------ */

static void
tell_problem (FloeCheckIn *check_in, const GError *error)
{
  const char *message = error != NULL ? error->message : NULL;

  if (g_strcmp0 (message, check_in->problem) == 0)
    return;
  if (message != NULL)
    floe_log (G_LOG_LEVEL_WARNING, "check-in failed", "REASON", message, "URL", check_in->config->url, NULL);
  else
    floe_log (G_LOG_LEVEL_MESSAGE, "check-in works again", "URL", check_in->config->url, NULL);
  g_free (check_in->problem);
  check_in->problem = g_strdup (message);
}

static void
on_sent (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeCheckIn *check_in = data;
  g_autoptr (GError) error = NULL;

  (void) source;
  (void) !g_task_propagate_boolean (G_TASK (result), &error);
  check_in->busy = FALSE;
  if (g_cancellable_is_cancelled (check_in->cancellable))
    return;
  tell_problem (check_in, error);
  if (check_in->again)
    floe_check_in_send (check_in);
}

void
floe_check_in_send (FloeCheckIn *check_in)
{
  g_autoptr (GTask) task = NULL;

  if (check_in == NULL)
    return;
  check_in->again = check_in->busy;
  if (check_in->busy)
    return;
  check_in->busy = TRUE;
  task = g_task_new (NULL, check_in->cancellable, on_sent, check_in);
  g_task_set_task_data (task, check_in, NULL);
  g_task_run_in_thread (task, on_thread);
}

gboolean
floe_check_in_has_news (FloeCheckIn *check_in)
{
  g_autofree char *path = NULL;
  struct stat now = { 0 };
  gboolean news;

  if (check_in == NULL)
    return FALSE;
  path = g_build_filename (check_in->config->state, "slot", FLOE_APPLIANCE_REPORT_NAME, NULL);
  if (stat (path, &now) < 0)
    now = (struct stat){ 0 };
  news = now.st_ino != check_in->seen.st_ino || now.st_mtim.tv_sec != check_in->seen.st_mtim.tv_sec || now.st_mtim.tv_nsec != check_in->seen.st_mtim.tv_nsec;
  check_in->seen = now;
  return news;
}

FloeCheckIn *
floe_check_in_new (const FloeAgentConfig *config)
{
  FloeCheckIn *check_in;

  if (config->id == NULL)
    return NULL;
  check_in = g_new0 (FloeCheckIn, 1);
  check_in->config = config;
  check_in->cancellable = g_cancellable_new ();
  (void) floe_check_in_has_news (check_in);
  return check_in;
}

void
floe_check_in_free (FloeCheckIn *check_in)
{
  if (check_in == NULL)
    return;
  g_cancellable_cancel (check_in->cancellable);
  while (check_in->busy)
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&check_in->cancellable);
  g_free (check_in->problem);
  g_free (check_in);
}
