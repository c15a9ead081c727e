/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-enrol-message.h"

#include "common/floe-fd.h"
#include "common/floe-json.h"

#include <string.h>

#define PROTOCOL 1
#define HEX "0123456789abcdef"
#define TIME_MAX G_GINT64_CONSTANT (253402300799) /* the last second of the year 9999 */

static const char *const refusals[] = {
  [FLOE_ENROL_REFUSED_NOT] = "",           [FLOE_ENROL_REFUSED_CODE] = "code",
  [FLOE_ENROL_REFUSED_EXPIRED] = "expired", [FLOE_ENROL_REFUSED_USED] = "used",
  [FLOE_ENROL_REFUSED_INVALID] = "invalid", [FLOE_ENROL_REFUSED_BUSY] = "busy",
  NULL,
};

const char *
floe_enrol_refusal_name (FloeEnrolRefusal refusal)
{
  return refusals[refusal];
}

/* -- Writing -------------------------------------------------------------------------------------------------------- */

static GBytes *
dump (json_t *object)
{
  char *text = json_dumps (object, JSON_COMPACT);

  json_decref (object);
  return g_bytes_new_with_free_func (text, strlen (text), free, text);
}

static void
set_hex (json_t *object, const char *key, const void *data, size_t size)
{
  g_autofree char *hex = floe_hex_encode (data, size);

  json_object_set_new (object, key, json_string (hex));
}

static json_t *
facts_object (const FloeEnrolRequest *request)
{
  json_t *facts = json_object ();

  for (char **at = request->facts; at != NULL && at[0] != NULL && at[1] != NULL; at += 2)
    json_object_set_new (facts, at[0], json_string (at[1]));
  return facts;
}

GBytes *
floe_enrol_request_write (const FloeEnrolRequest *request, GError **error)
{
  json_t *object = json_object ();
  g_autoptr (GBytes) body = NULL;
  g_autoptr (FloeEnrolRequest) again = NULL;

  json_object_set_new (object, "floe", json_integer (PROTOCOL));
  json_object_set_new (object, "code", json_string (request->code));
  set_hex (object, "key", request->key, sizeof request->key);
  set_hex (object, "nonce", request->nonce, sizeof request->nonce);
  json_object_set_new (object, "name", json_string (request->name));
  json_object_set_new (object, "facts", facts_object (request));
  if (request->recovery != NULL) {
    gsize size;
    const void *data = g_bytes_get_data (request->recovery, &size);

    set_hex (object, "recovery", data, size);
  }
  body = dump (object);
  /* What the other side would refuse is refused here, where it can be said. */
  again = floe_enrol_request_parse (body, error);
  return again != NULL ? g_steal_pointer (&body) : NULL;
}

GBytes *
floe_enrol_answer_write (const FloeEnrolAnswer *answer)
{
  json_t *object = json_object ();

  json_object_set_new (object, "floe", json_integer (PROTOCOL));
  if (answer->refused != FLOE_ENROL_REFUSED_NOT) {
    json_object_set_new (object, "refused", json_string (refusals[answer->refused]));
    return dump (object);
  }
  json_object_set_new (object, "endpoint", json_string (answer->id));
  json_object_set_new (object, "group", json_string (answer->group));
  json_object_set_new (object, "time", json_integer (answer->time));
  return dump (object);
}

GBytes *
floe_enrol_hello_write (gint64 now)
{
  json_t *object = json_object ();

  json_object_set_new (object, "floe", json_integer (PROTOCOL));
  json_object_set_new (object, "time", json_integer (now));
  return dump (object);
}

/* -- Reading -------------------------------------------------------------------------------------------------------- */

static void
read_protocol (FloeJson *root)
{
  floe_json_int (floe_json_member (root, "floe"), PROTOCOL, PROTOCOL);
}

static void
read_hex (FloeJson *root, const char *key, uint8_t *data, size_t size)
{
  FloeJson *value = floe_json_member (root, key);
  const char *text = floe_json_string (value, 2 * size);

  if (!floe_hex_decode (text, data, size))
    floe_json_refuse (value, "%zu lower-case hexadecimal digits wanted", 2 * size);
}

static void
read_code (FloeJson *root, FloeEnrolRequest *request)
{
  FloeJson *value = floe_json_member (root, "code");
  const char *id = floe_json_string (value, FLOE_CODE_ID_CHARS);

  if (!floe_code_id_is_valid (id))
    floe_json_refuse (value, "the public part of a code wanted");
  else
    g_strlcpy (request->code, id, sizeof request->code);
}

static void
read_name (FloeJson *root, FloeEnrolRequest *request)
{
  FloeJson *value = floe_json_member (root, "name");

  request->name = g_strdup (floe_json_string (value, FLOE_ENROL_NAME_MAX));
  if (request->name[0] == '\0')
    floe_json_refuse (value, "1 to %d bytes wanted", FLOE_ENROL_NAME_MAX);
}

static void
read_facts (FloeJson *root, FloeEnrolRequest *request)
{
  FloeJson *facts = floe_json_member (root, "facts");
  g_autofree const char **keys = floe_json_keys (facts, FLOE_ENROL_FACTS_MAX);
  g_autoptr (GPtrArray) pairs = g_ptr_array_new_with_free_func (g_free);

  for (const char **key = keys; *key != NULL; key++) {
    FloeJson *value = floe_json_member (facts, *key);

    if (!floe_name_is_safe (*key))
      floe_json_refuse (value, "the name of a fact: letters, digits, '.', '_', '-' wanted");
    g_ptr_array_add (pairs, g_strdup (*key));
    g_ptr_array_add (pairs, g_strdup (floe_json_string (value, FLOE_ENROL_FACT_MAX)));
  }
  g_ptr_array_add (pairs, NULL);
  request->facts = (char **) g_ptr_array_free (g_steal_pointer (&pairs), FALSE);
}

static void
read_recovery (FloeJson *root, FloeEnrolRequest *request)
{
  FloeJson *value = floe_json_optional (root, "recovery");
  const char *text = value != NULL ? floe_json_string (value, 2 * FLOE_ENROL_SEALED_MAX) : "";
  size_t size = strlen (text) / 2;
  g_autofree uint8_t *data = g_malloc (size + 1);

  if (value == NULL)
    return;
  if (size == 0 || !floe_hex_decode (text, data, size)) {
    floe_json_refuse (value, "lower-case hexadecimal digits wanted");
    return;
  }
  request->recovery = g_bytes_new (data, size);
}

FloeEnrolRequest *
floe_enrol_request_parse (GBytes *body, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (body, "request", FLOE_ENROL_REQUEST_MAX, error);
  g_autoptr (FloeEnrolRequest) request = g_new0 (FloeEnrolRequest, 1);
  FloeJson *root;

  if (document == NULL)
    return NULL;
  root = floe_json_root (document);
  read_protocol (root);
  read_code (root, request);
  read_hex (root, "key", request->key, sizeof request->key);
  read_hex (root, "nonce", request->nonce, sizeof request->nonce);
  read_name (root, request);
  read_facts (root, request);
  read_recovery (root, request);
  return floe_json_finish (document, error) ? g_steal_pointer (&request) : NULL;
}

void
floe_enrol_request_free (FloeEnrolRequest *request)
{
  if (request == NULL)
    return;
  g_free (request->name);
  g_strfreev (request->facts);
  g_clear_pointer (&request->recovery, g_bytes_unref);
  g_free (request);
}

void
floe_enrol_id_read (FloeJson *root, char id[FLOE_ENROL_ID_SIZE])
{
  FloeJson *value = floe_json_member (root, "endpoint");
  const char *text = floe_json_string (value, FLOE_ENROL_ID_SIZE - 1);

  if (strspn (text, HEX) != FLOE_ENROL_ID_SIZE - 1)
    floe_json_refuse (value, "%d hexadecimal digits wanted", FLOE_ENROL_ID_SIZE - 1);
  g_strlcpy (id, text, FLOE_ENROL_ID_SIZE);
}

static void
read_group (FloeJson *root, FloeEnrolAnswer *answer)
{
  FloeJson *value = floe_json_member (root, "group");
  const char *group = floe_json_string (value, FLOE_ENROL_GROUP_MAX);

  if (!floe_name_is_safe (group))
    floe_json_refuse (value, "the name of a policy group wanted");
  g_strlcpy (answer->group, group, sizeof answer->group);
}

gboolean
floe_enrol_answer_parse (GBytes *body, FloeEnrolAnswer *answer, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (body, "answer", FLOE_ENROL_ANSWER_MAX, error);
  FloeEnrolAnswer read = { 0 };
  FloeJson *root, *refused;

  if (document == NULL)
    return FALSE;
  root = floe_json_root (document);
  read_protocol (root);
  refused = floe_json_optional (root, "refused");
  if (refused != NULL) {
    read.refused = (FloeEnrolRefusal) floe_json_enum (refused, refusals + 1) + 1;
  } else {
    floe_enrol_id_read (root, read.id);
    read_group (root, &read);
    read.time = floe_json_int (floe_json_member (root, "time"), 0, TIME_MAX);
  }
  if (!floe_json_finish (document, error))
    return FALSE;
  *answer = read;
  return TRUE;
}

gboolean
floe_enrol_hello_parse (GBytes *body, gint64 *now, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (body, "answer", FLOE_ENROL_ANSWER_MAX, error);
  gint64 time;

  if (document == NULL)
    return FALSE;
  read_protocol (floe_json_root (document));
  time = floe_json_int (floe_json_member (floe_json_root (document), "time"), 0, TIME_MAX);
  if (!floe_json_finish (document, error))
    return FALSE;
  *now = time;
  return TRUE;
}
