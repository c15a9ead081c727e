/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/floe-enrol.h"

#include "agent/floe-address.h"
#include "agent/floe-endpoint-key.h"
#include "agent/floe-enrol-http.h"
#include "common/floe-fd.h"
#include "common/floe-json.h"
#include "server-sync/enrol/floe-enrol-proof.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define CLOCK_SECONDS (24 * 3600) /* more than this apart, metadata would seem to have expired, or not to */
#define ENROLMENT_NAME "enrolment.conf"
#define ENROLMENT_MAX 8192
#define RECOVERY_NAME "recovery-key"
#define RECOVERY_MAX 256
#define ROOT_MAX (64 * 1024)

/* One attempt. */
typedef struct {
  FloeAgentConfig *config;
  const FloeEnrolOptions *options;
  GCancellable *cancellable;
  FloeEnrolProblem problem;
  int agent_dir;
  char *url;
  FloeCode code;
  FloeDigest key;    /* of the code */
  FloeDigest server; /* that answers there */
  FloeEndpointKey own;
  GBytes *request;
  gboolean recovery; /* a recovery key is in it */
} Attempt;

static void
attempt_clear (Attempt *attempt)
{
  floe_fd_clear (&attempt->agent_dir);
  g_free (attempt->url);
  g_clear_pointer (&attempt->request, g_bytes_unref);
  floe_endpoint_key_clear (&attempt->own);
  OPENSSL_cleanse (&attempt->key, sizeof attempt->key);
  OPENSSL_cleanse (&attempt->code, sizeof attempt->code);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Attempt, attempt_clear)

const char *
floe_enrol_problem_name (FloeEnrolProblem problem)
{
  static const char *const names[] = {
    [FLOE_ENROL_WELL] = "",
    [FLOE_ENROL_ADDRESS] = "address",
    [FLOE_ENROL_TYPO] = "typo",
    [FLOE_ENROL_UNREACHABLE] = "unreachable",
    [FLOE_ENROL_NOT_FLOE] = "not-floe",
    [FLOE_ENROL_CLOCK] = "clock",
    [FLOE_ENROL_CODE] = "code",
    [FLOE_ENROL_EXPIRED] = "expired",
    [FLOE_ENROL_USED] = "used",
    [FLOE_ENROL_IMPOSTOR] = "impostor",
    [FLOE_ENROL_ORGANISATION] = "organisation",
    [FLOE_ENROL_BUSY] = "busy",
    [FLOE_ENROL_FAILED] = "failed",
    [FLOE_ENROL_CANCELLED] = "cancelled",
  };

  return names[problem];
}

static gboolean
set_problem (Attempt *attempt, FloeEnrolProblem problem)
{
  attempt->problem = problem;
  return FALSE;
}

static gboolean refuse (Attempt *attempt, FloeEnrolProblem problem, FloeError code, GError **error, const char *format, ...) G_GNUC_PRINTF (5, 6);

static gboolean
refuse (Attempt *attempt, FloeEnrolProblem problem, FloeError code, GError **error, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  floe_error_set (error, code, "%s", message);
  return set_problem (attempt, problem);
}

/* -- Before anything is sent ---------------------------------------------------------------------------------------- */

static gboolean
prepare (Attempt *attempt, GError **error)
{
  g_autofree char *path = g_build_filename (attempt->config->state, "agent", NULL);

  attempt->url = floe_address_parse (attempt->options->address, error);
  if (attempt->url == NULL)
    return set_problem (attempt, FLOE_ENROL_ADDRESS);
  if (!floe_code_parse (attempt->options->code, &attempt->code, error))
    return set_problem (attempt, FLOE_ENROL_TYPO);
  attempt->agent_dir = floe_dir_open (path, error);
  return attempt->agent_dir >= 0 && floe_endpoint_key_load (attempt->agent_dir, &attempt->own, error) &&
         floe_code_key (&attempt->code, &attempt->key, error);
}

/* -- The server ----------------------------------------------------------------------------------------------------- */

static gboolean
judge_network (Attempt *attempt, const GError *error)
{
  if (g_error_matches (error, FLOE_ERROR, FLOE_ERROR_CANCELLED))
    return set_problem (attempt, FLOE_ENROL_CANCELLED);
  if (g_error_matches (error, FLOE_ERROR, FLOE_ERROR_IO))
    return set_problem (attempt, FLOE_ENROL_UNREACHABLE);
  if (g_error_matches (error, FLOE_ERROR, FLOE_ERROR_UNVERIFIED))
    return set_problem (attempt, FLOE_ENROL_IMPOSTOR);
  if (g_error_matches (error, FLOE_ERROR, FLOE_ERROR_PEER) || g_error_matches (error, FLOE_ERROR, FLOE_ERROR_LIMIT))
    return set_problem (attempt, FLOE_ENROL_NOT_FLOE);
  return FALSE;
}

static gboolean
get (Attempt *attempt, const char *path, FloeEnrolResponse *response, GError **error)
{
  g_autofree char *url = g_strconcat (attempt->url, path, NULL);
  g_autoptr (GError) problem = NULL;

  if (floe_enrol_get (url, attempt->cancellable, response, &problem))
    return TRUE;
  judge_network (attempt, problem);
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

/* Whether a Floe server is there, which key it has, and what time it thinks it is. None of this is proved yet. */
static gboolean
greet (Attempt *attempt, GError **error)
{
  g_auto (FloeEnrolResponse) response = { 0 };
  g_autoptr (GError) problem = NULL;
  gint64 now = g_get_real_time () / G_USEC_PER_SEC, theirs;

  if (!get (attempt, "/enrol", &response, error))
    return FALSE;
  if (response.status != 200 || !floe_enrol_hello_parse (response.body, &theirs, &problem))
    return refuse (attempt, FLOE_ENROL_NOT_FLOE, FLOE_ERROR_PEER, error, "%s/enrol: no Floe server that takes endpoints (%ld%s%s)", attempt->url,
                   response.status, problem != NULL ? ", " : "", problem != NULL ? problem->message : "");
  if (ABS (now - theirs) > CLOCK_SECONDS)
    return refuse (attempt, FLOE_ENROL_CLOCK, FLOE_ERROR_REFUSED, error,
                   "the clock of this computer and that of the server are %" G_GINT64_FORMAT " hours apart: set the one that is wrong",
                   ABS (now - theirs) / 3600);
  attempt->server = response.server;
  return TRUE;
}

/* The version of root metadata, or 0. */
static gint64
root_version (GBytes *root)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (root, "root.json", ROOT_MAX, NULL);
  gint64 version = document == NULL ? 0 : floe_json_int (floe_json_member (floe_json_member (floe_json_root (document), "signed"), "version"), 1, G_MAXINT32);

  return document == NULL || floe_json_failed (document) ? 0 : version;
}

/* A system made for another organisation would enrol here and then verify nothing: better said before the code is used. */
static gboolean
compare_roots (Attempt *attempt, GError **error)
{
  g_autoptr (GBytes) root = floe_file_read (attempt->config->root, ROOT_MAX, error);
  g_auto (FloeEnrolResponse) response = { 0 };
  g_autofree char *path = NULL;
  gint64 version = root == NULL ? 0 : root_version (root);

  if (root == NULL)
    return FALSE;
  if (version == 0)
    return floe_error_set (error, FLOE_ERROR_INVALID, "%s: no root metadata", attempt->config->root);
  path = g_strdup_printf ("/metadata/%" G_GINT64_FORMAT ".root.json", version);
  if (!get (attempt, path, &response, error))
    return FALSE;
  return (response.status == 200 && g_bytes_equal (response.body, root)) ||
         refuse (attempt, FLOE_ENROL_ORGANISATION, FLOE_ERROR_UNVERIFIED, error,
                 "%s%s: not the root metadata that this system trusts (%s): it was made for another server", attempt->url, path, attempt->config->root);
}

/* -- The exchange --------------------------------------------------------------------------------------------------- */

/* Sealed, or NULL when there is none to hand over. */
static gboolean
take_recovery (Attempt *attempt, GBytes **sealed, GError **error)
{
  g_autofree char *path = g_build_filename (attempt->config->run, "agent", RECOVERY_NAME, NULL);
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) secret = floe_file_read (path, RECOVERY_MAX, &problem);
  gsize size;
  const char *text;

  if (secret == NULL && g_error_matches (problem, FLOE_ERROR, FLOE_ERROR_NOT_FOUND))
    return TRUE;
  if (secret == NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  text = g_bytes_get_data (secret, &size);
  while (size > 0 && text[size - 1] == '\n')
    size--;
  *sealed = floe_enrol_seal (&attempt->key, text, size, error);
  attempt->recovery = *sealed != NULL;
  return attempt->recovery;
}

static gboolean
write_request (Attempt *attempt, GError **error)
{
  char id[FLOE_ENROL_ID_SIZE];
  g_autofree char *made_up = NULL;
  FloeEnrolRequest request = { .name = (char *) attempt->options->name, .facts = (GStrv) attempt->options->facts };
  g_autoptr (GBytes) sealed = NULL;

  floe_enrol_endpoint_id (attempt->own.public_half, id);
  made_up = g_strconcat ("endpoint-", id, NULL);
  if (request.name == NULL)
    request.name = made_up;
  floe_code_id (&attempt->code, request.code);
  memcpy (request.key, attempt->own.public_half, sizeof request.key);
  if (RAND_bytes (request.nonce, sizeof request.nonce) != 1)
    return floe_error_set (error, FLOE_ERROR_FAILED, "OpenSSL has no random bytes");
  if (!take_recovery (attempt, &sealed, error))
    return FALSE;
  request.recovery = sealed;
  attempt->request = floe_enrol_request_write (&request, error);
  return attempt->request != NULL;
}

static gboolean
send_request (Attempt *attempt, FloeEnrolResponse *response, GError **error)
{
  g_autofree char *url = g_strconcat (attempt->url, "/enrol", NULL);
  g_autofree char *signature = floe_enrol_sign (attempt->own.private_half, &attempt->server, attempt->request, error);
  g_autofree char *proof = NULL;
  g_autoptr (GError) problem = NULL;
  FloeDigest mac;

  if (signature == NULL)
    return FALSE;
  floe_enrol_request_proof (&attempt->key, &attempt->server, attempt->request, &mac);
  proof = floe_hex_encode (mac.bytes, sizeof mac.bytes);
  if (floe_enrol_post (url, &attempt->server, attempt->request, proof, signature, attempt->cancellable, response, &problem))
    return TRUE;
  judge_network (attempt, problem);
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

/* What the server says, by whom: only who knows the code may say more than that he does not. */
static gboolean
read_answer (Attempt *attempt, const FloeEnrolResponse *response, FloeEnrolAnswer *answer, GError **error)
{
  g_autoptr (GError) problem = NULL;
  FloeDigest wanted;

  floe_enrol_answer_proof (&attempt->key, &attempt->server, attempt->request, response->body, &wanted);
  if (!floe_enrol_answer_parse (response->body, answer, &problem))
    return refuse (attempt, FLOE_ENROL_NOT_FLOE, FLOE_ERROR_PEER, error, "%s: an answer that is none (%ld): %s", attempt->url, response->status,
                   problem->message);
  if (answer->refused == FLOE_ENROL_REFUSED_CODE)
    return refuse (attempt, FLOE_ENROL_CODE, FLOE_ERROR_REFUSED, error, "%s does not take this code: it knows no such one, or it was tried too often",
                   attempt->url);
  if (answer->refused == FLOE_ENROL_REFUSED_BUSY)
    return refuse (attempt, FLOE_ENROL_BUSY, FLOE_ERROR_BUSY, error, "%s cannot enrol endpoints now; its log says why", attempt->url);
  if (!floe_enrol_proof_is (&wanted, response->proof))
    return refuse (attempt, FLOE_ENROL_IMPOSTOR, FLOE_ERROR_UNVERIFIED, error,
                   "%s did not prove to know the code: it is not the server that the code is of, or somebody stands in between", attempt->url);
  switch (answer->refused) {
  case FLOE_ENROL_REFUSED_NOT:
    return TRUE;
  case FLOE_ENROL_REFUSED_EXPIRED:
    return refuse (attempt, FLOE_ENROL_EXPIRED, FLOE_ERROR_EXPIRED, error, "the code's time is over: ask for a new one");
  case FLOE_ENROL_REFUSED_USED:
    return refuse (attempt, FLOE_ENROL_USED, FLOE_ERROR_REFUSED, error, "the code has been used by another endpoint: ask for a new one");
  default:
    return floe_error_set (error, FLOE_ERROR_PEER, "%s: the server could make nothing of the request", attempt->url);
  }
}

/* Durable before the recovery key goes: after a power cut the same exchange is simply had again. */
static gboolean
keep (Attempt *attempt, const FloeEnrolAnswer *answer, GError **error)
{
  g_autofree char *pin = floe_enrol_pin (&attempt->server);
  g_autofree char *text = floe_agent_config_enrolment (attempt->url, pin, answer->group, answer->id);
  g_autofree char *run = g_build_filename (attempt->config->run, "agent", NULL);
  floe_autofd run_dir = -1;

  if (!floe_file_replace_at (attempt->agent_dir, ENROLMENT_NAME, text, strlen (text), 0644, error) ||
      !floe_agent_config_adopt (attempt->config, text, strlen (text), ENROLMENT_NAME, error))
    return FALSE;
  if (!attempt->recovery)
    return TRUE;
  run_dir = floe_dir_open (run, error);
  return run_dir >= 0 && floe_file_remove_at (run_dir, RECOVERY_NAME, error);
}

gboolean
floe_enrol (FloeAgentConfig *config, const FloeEnrolOptions *options, GCancellable *cancellable, FloeEnrolProblem *problem, GError **error)
{
  g_auto (Attempt) attempt = {
    .config = config, .options = options, .cancellable = cancellable, .problem = FLOE_ENROL_FAILED, .agent_dir = -1,
  };
  g_auto (FloeEnrolResponse) response = { 0 };
  FloeEnrolAnswer answer;
  gboolean done = prepare (&attempt, error) && greet (&attempt, error) && compare_roots (&attempt, error) && write_request (&attempt, error) &&
                  send_request (&attempt, &response, error) && read_answer (&attempt, &response, &answer, error) && keep (&attempt, &answer, error);

  *problem = done ? FLOE_ENROL_WELL : attempt.problem;
  return done;
}

gboolean
floe_enrol_resume (FloeAgentConfig *config, GError **error)
{
  g_autofree char *path = g_build_filename (config->state, "agent", ENROLMENT_NAME, NULL);
  g_autoptr (GBytes) text = floe_file_read (path, ENROLMENT_MAX, error);
  gsize size;
  const char *data;

  if (text == NULL)
    return FALSE;
  data = g_bytes_get_data (text, &size);
  return floe_agent_config_adopt (config, data != NULL ? data : "", size, path, error);
}
