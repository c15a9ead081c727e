/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-checkin.h"

#include "common/floe-fd.h"

#include <string.h>

#define PROTOCOL 1

static const char *const refusals[] = { "unknown", "old", "invalid", "busy", NULL };

static GBytes *
dump (json_t *object)
{
  char *text = json_dumps (object, JSON_COMPACT);

  json_decref (object);
  return g_bytes_new_with_free_func (text, strlen (text), free, text);
}

GBytes *
floe_checkin_write (const FloeCheckin *checkin, GError **error)
{
  json_t *object = json_object ();
  g_autoptr (GBytes) body = NULL;
  FloeCheckin again;

  json_object_set_new (object, "floe", json_integer (PROTOCOL));
  json_object_set_new (object, "endpoint", json_string (checkin->endpoint));
  json_object_set_new (object, "sequence", json_integer (checkin->sequence));
  json_object_set_new (object, "version", json_string (checkin->version));
  if (checkin->is_appliance)
    json_object_set_new (object, "appliance", floe_appliance_report_value (&checkin->appliance));
  body = dump (object);
  return floe_checkin_parse (body, &again, error) ? g_steal_pointer (&body) : NULL;
}

static void
read_version (FloeJson *root, FloeCheckin *checkin)
{
  FloeJson *value = floe_json_member (root, "version");
  const char *version = floe_json_string (value, FLOE_CHECKIN_VERSION_MAX);

  if (!floe_name_is_safe (version))
    floe_json_refuse (value, "a version wanted: letters, digits, '.', '_', '-'");
  g_strlcpy (checkin->version, version, sizeof checkin->version);
}

gboolean
floe_checkin_parse (GBytes *body, FloeCheckin *checkin, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (body, "check-in", FLOE_CHECKIN_MAX, error);
  FloeCheckin read = { 0 };
  FloeJson *root, *appliance;

  if (document == NULL)
    return FALSE;
  root = floe_json_root (document);
  floe_json_int (floe_json_member (root, "floe"), PROTOCOL, PROTOCOL);
  floe_enrol_id_read (root, read.endpoint);
  read.sequence = floe_json_int (floe_json_member (root, "sequence"), 1, FLOE_CHECKIN_SEQUENCE_MAX);
  read_version (root, &read);
  appliance = floe_json_optional (root, "appliance");
  read.is_appliance = appliance != NULL;
  if (read.is_appliance)
    floe_appliance_report_read (appliance, &read.appliance);
  if (!floe_json_finish (document, error))
    return FALSE;
  *checkin = read;
  return TRUE;
}

GBytes *
floe_checkin_answer_write (const FloeCheckinAnswer *answer)
{
  json_t *object = json_object ();

  json_object_set_new (object, "floe", json_integer (PROTOCOL));
  if (answer->outcome != FLOE_CHECKIN_TAKEN)
    json_object_set_new (object, "refused", json_string (refusals[answer->outcome - 1]));
  if (answer->outcome == FLOE_CHECKIN_OLD)
    json_object_set_new (object, "sequence", json_integer (answer->sequence));
  return dump (object);
}

gboolean
floe_checkin_answer_parse (GBytes *body, FloeCheckinAnswer *answer, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (body, "answer", FLOE_CHECKIN_MAX, error);
  FloeCheckinAnswer read = { FLOE_CHECKIN_TAKEN, 0 };
  FloeJson *root, *refused;

  if (document == NULL)
    return FALSE;
  root = floe_json_root (document);
  floe_json_int (floe_json_member (root, "floe"), PROTOCOL, PROTOCOL);
  refused = floe_json_optional (root, "refused");
  if (refused != NULL)
    read.outcome = (FloeCheckinOutcome) floe_json_enum (refused, refusals) + 1;
  if (read.outcome == FLOE_CHECKIN_OLD)
    read.sequence = floe_json_int (floe_json_member (root, "sequence"), 1, FLOE_CHECKIN_SEQUENCE_MAX);
  if (!floe_json_finish (document, error))
    return FALSE;
  *answer = read;
  return TRUE;
}
