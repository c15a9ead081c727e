/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-checkin-sender.h"

#include "agent/floe-endpoint-key.h"
#include "agent/floe-enrol-http.h"
#include "common/floe-fd.h"
#include "common/floe-log.h"
#include "server-sync/enrol/floe-checkin.h"
#include "server-sync/enrol/floe-enrol-proof.h"

#include <string.h>
#include <sys/stat.h>

#define PIN_PREFIX "sha256//"

struct _FloeCheckinSender {
  const FloeAgentConfig *config;
  GCancellable *cancellable;
  gint64 sequence; /* of the last message; of the thread while one is under way */
  gboolean busy, again;
  char *problem;   /* as last said in the log */
  struct stat seen; /* the report's, as last looked at */
};

/* -- One message: on its thread --------------------------------------------------------------------------------------- */

static gboolean
write_message (FloeCheckinSender *sender, GBytes **body, GError **error)
{
  FloeCheckin message = { .sequence = MAX (g_get_real_time (), sender->sequence + 1), .version = FLOE_VERSION };
  g_autoptr (GError) problem = NULL;

  g_strlcpy (message.endpoint, sender->config->id, sizeof message.endpoint);
  message.is_appliance = floe_appliance_report_load (sender->config->state, &message.appliance, &problem);
  if (problem != NULL && !g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    floe_log (G_LOG_LEVEL_WARNING, "the appliance's report is not one: it is left out", "REASON", problem->message, NULL);
  *body = floe_checkin_write (&message, error);
  if (*body == NULL)
    return FALSE;
  sender->sequence = message.sequence;
  return TRUE;
}

static gboolean
sign_message (FloeCheckinSender *sender, const FloeDigest *server, GBytes *body, char **signature, GError **error)
{
  g_autofree char *path = g_build_filename (sender->config->state, "agent", NULL);
  floe_autofd agent_dir = floe_dir_open (path, error);
  g_auto (FloeEndpointKey) key = { 0 };

  if (agent_dir < 0 || !floe_endpoint_key_load (agent_dir, &key, error))
    return FALSE;
  *signature = floe_checkin_sign (key.private_half, server, body, error);
  return *signature != NULL;
}

static gboolean
exchange (FloeCheckinSender *sender, const FloeDigest *server, GCancellable *cancellable, FloeCheckinAnswer *answer, GError **error)
{
  g_autofree char *url = g_strconcat (sender->config->url, "/checkin", NULL);
  g_autoptr (GBytes) body = NULL;
  g_autofree char *signature = NULL;
  g_auto (FloeEnrolResponse) response = { 0 };

  if (!write_message (sender, &body, error) || !sign_message (sender, server, body, &signature, error) ||
      !floe_enrol_post (url, server, body, NULL, signature, cancellable, &response, error))
    return FALSE;
  if (floe_checkin_answer_parse (response.body, answer, NULL))
    return TRUE;
  return floe_error_set (error, FLOE_ERROR_PEER, "%s: no answer to a check-in (%ld): a server before check-in, or none of ours", url, response.status);
}

static gboolean
check_in_once (FloeCheckinSender *sender, GCancellable *cancellable, GError **error)
{
  g_autofree guchar *pin = NULL;
  FloeCheckinAnswer answer;
  FloeDigest server;
  gsize size = 0;

  pin = g_base64_decode (sender->config->pin + strlen (PIN_PREFIX), &size);
  if (size != sizeof server.bytes)
    return floe_error_set (error, FLOE_ERROR_INVALID, "the server's pin is not of 32 bytes");
  memcpy (server.bytes, pin, size);
  if (!exchange (sender, &server, cancellable, &answer, error))
    return FALSE;
  /* This computer's clock was ahead once, or its state is an old copy: it goes on where the server knows it to be. */
  if (answer.outcome == FLOE_CHECKIN_OLD && answer.sequence < FLOE_CHECKIN_SEQUENCE_MAX) {
    sender->sequence = answer.sequence;
    if (!exchange (sender, &server, cancellable, &answer, error))
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
tell_problem (FloeCheckinSender *sender, const GError *error)
{
  const char *message = error != NULL ? error->message : NULL;

  if (g_strcmp0 (message, sender->problem) == 0)
    return;
  if (message != NULL)
    floe_log (G_LOG_LEVEL_WARNING, "check-in failed", "REASON", message, "URL", sender->config->url, NULL);
  else
    floe_log (G_LOG_LEVEL_MESSAGE, "check-in works again", "URL", sender->config->url, NULL);
  g_free (sender->problem);
  sender->problem = g_strdup (message);
}

static void
on_sent (GObject *source, GAsyncResult *result, gpointer data)
{
  FloeCheckinSender *sender = data;
  g_autoptr (GError) error = NULL;

  (void) source;
  (void) !g_task_propagate_boolean (G_TASK (result), &error);
  sender->busy = FALSE;
  if (g_cancellable_is_cancelled (sender->cancellable))
    return;
  tell_problem (sender, error);
  if (sender->again)
    floe_checkin_sender_send (sender);
}

void
floe_checkin_sender_send (FloeCheckinSender *sender)
{
  g_autoptr (GTask) task = NULL;

  if (sender == NULL)
    return;
  sender->again = sender->busy;
  if (sender->busy)
    return;
  sender->busy = TRUE;
  task = g_task_new (NULL, sender->cancellable, on_sent, sender);
  g_task_set_task_data (task, sender, NULL);
  g_task_run_in_thread (task, on_thread);
}

gboolean
floe_checkin_sender_has_news (FloeCheckinSender *sender)
{
  g_autofree char *path = NULL;
  struct stat now = { 0 };
  gboolean news;

  if (sender == NULL)
    return FALSE;
  path = g_build_filename (sender->config->state, "slot", FLOE_APPLIANCE_REPORT_NAME, NULL);
  if (stat (path, &now) < 0)
    now = (struct stat){ 0 };
  news = now.st_ino != sender->seen.st_ino || now.st_mtim.tv_sec != sender->seen.st_mtim.tv_sec || now.st_mtim.tv_nsec != sender->seen.st_mtim.tv_nsec;
  sender->seen = now;
  return news;
}

FloeCheckinSender *
floe_checkin_sender_new (const FloeAgentConfig *config)
{
  FloeCheckinSender *sender;

  if (config->id == NULL)
    return NULL;
  sender = g_new0 (FloeCheckinSender, 1);
  sender->config = config;
  sender->cancellable = g_cancellable_new ();
  (void) floe_checkin_sender_has_news (sender);
  return sender;
}

void
floe_checkin_sender_free (FloeCheckinSender *sender)
{
  if (sender == NULL)
    return;
  g_cancellable_cancel (sender->cancellable);
  while (sender->busy)
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&sender->cancellable);
  g_free (sender->problem);
  g_free (sender);
}
