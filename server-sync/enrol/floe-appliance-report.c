/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-appliance-report.h"

#include "common/floe-fd.h"
#include "server-sync/image/floe-appliance-info.h"

#include <string.h>

#define FORM 1

/* People read it in terminals: nothing that moves a cursor or turns the direction of text. */
static gboolean
is_plain (const char *text)
{
  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at))
    if (!g_unichar_isprint (g_utf8_get_char (at)))
      return FALSE;
  return TRUE;
}

static char *
make_plain (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *plain = g_string_new (NULL);

  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at))
    g_string_append_unichar (plain, g_unichar_isprint (g_utf8_get_char (at)) ? g_utf8_get_char (at) : '?');
  return g_string_free (plain, FALSE);
}

void
floe_appliance_report_set_problem (FloeApplianceReport *report, const char *problem)
{
  g_autofree char *plain = make_plain (problem);
  const char *end;

  for (end = plain; *end != '\0' && g_utf8_next_char (end) - plain <= FLOE_APPLIANCE_PROBLEM_MAX; end = g_utf8_next_char (end))
    ;
  memcpy (report->problem, plain, (size_t) (end - plain));
  report->problem[end - plain] = '\0';
}

json_t *
floe_appliance_report_value (const FloeApplianceReport *report)
{
  json_t *object = json_object (), *failed = json_array ();

  for (size_t i = 0; i < report->n_failed; i++)
    json_array_append_new (failed, json_integer (report->failed[i]));
  json_object_set_new (object, "floe-slot", json_integer (FORM));
  json_object_set_new (object, "running", json_integer (report->running));
  json_object_set_new (object, "next", json_integer (report->next));
  json_object_set_new (object, "offered", json_integer (report->offered));
  json_object_set_new (object, "failed", failed);
  json_object_set_new (object, "problem", json_string (report->problem));
  return object;
}

void
floe_appliance_report_read (FloeJson *object, FloeApplianceReport *report)
{
  FloeJson *failed, *problem;

  *report = (FloeApplianceReport){ 0 };
  floe_json_int (floe_json_member (object, "floe-slot"), FORM, FORM);
  report->running = floe_json_int (floe_json_member (object, "running"), 0, FLOE_APPLIANCE_VERSION_MAX);
  report->next = floe_json_int (floe_json_member (object, "next"), 0, FLOE_APPLIANCE_VERSION_MAX);
  report->offered = floe_json_int (floe_json_member (object, "offered"), 0, FLOE_APPLIANCE_VERSION_MAX);
  failed = floe_json_member (object, "failed");
  report->n_failed = floe_json_length (failed, FLOE_APPLIANCE_FAILED_MAX);
  for (size_t i = 0; i < report->n_failed; i++)
    report->failed[i] = floe_json_int (floe_json_at (failed, i), 1, FLOE_APPLIANCE_VERSION_MAX);
  problem = floe_json_member (object, "problem");
  g_strlcpy (report->problem, floe_json_string (problem, FLOE_APPLIANCE_PROBLEM_MAX), sizeof report->problem);
  if (!is_plain (report->problem))
    floe_json_refuse (problem, "plain text wanted");
}

gboolean
floe_appliance_report_parse (GBytes *text, FloeApplianceReport *report, GError **error)
{
  g_autoptr (FloeJsonDocument) document = floe_json_parse (text, FLOE_APPLIANCE_REPORT_NAME, FLOE_APPLIANCE_REPORT_MAX, error);
  FloeApplianceReport read;

  if (document == NULL)
    return FALSE;
  floe_appliance_report_read (floe_json_root (document), &read);
  if (!floe_json_finish (document, error))
    return FALSE;
  *report = read;
  return TRUE;
}

gboolean
floe_appliance_report_load (const char *state, FloeApplianceReport *report, GError **error)
{
  g_autofree char *path = g_build_filename (state, "slot", FLOE_APPLIANCE_REPORT_NAME, NULL);
  g_autoptr (GBytes) text = floe_file_read (path, FLOE_APPLIANCE_REPORT_MAX, error);

  return text != NULL && floe_appliance_report_parse (text, report, error);
}

gint64
floe_appliance_report_ready (const FloeApplianceReport *report)
{
  return report->running != 0 && report->next != report->running ? report->next : 0;
}
