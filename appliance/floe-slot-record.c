/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-slot-record.h"

#include "common/floe-fd.h"
#include "common/floe-json.h"
#include "server-sync/enrol/floe-appliance-report.h"
#include "server-sync/image/floe-appliance-info.h"

#include <string.h>

#define FORM 1
#define RECORD "record.json"
#define RECORD_MAX 4096

G_STATIC_ASSERT (FLOE_SLOT_FAILED_MAX == FLOE_APPLIANCE_FAILED_MAX);

gboolean
floe_slot_record_load (int dir, FloeSlotRecord *record, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) bytes = floe_file_read_at (dir, RECORD, RECORD_MAX, &local);
  g_autoptr (FloeJsonDocument) document = bytes == NULL ? NULL : floe_json_parse (bytes, RECORD, RECORD_MAX, &local);
  FloeSlotRecord found = { 0 };
  FloeJson *root, *failed;

  if (g_error_matches (local, FLOE_ERROR, FLOE_ERROR_NOT_FOUND)) {
    *record = found;
    return TRUE;
  }
  if (document == NULL) {
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  root = floe_json_root (document);
  floe_json_int (floe_json_member (root, "floe-slot"), FORM, FORM);
  found.clock = floe_json_int (floe_json_member (root, "clock"), 0, G_MAXINT64);
  found.ran = floe_json_int (floe_json_member (root, "ran"), 0, FLOE_APPLIANCE_VERSION_MAX);
  failed = floe_json_member (root, "failed");
  found.n_failed = floe_json_length (failed, FLOE_SLOT_FAILED_MAX);
  for (size_t i = 0; i < found.n_failed; i++)
    found.failed[i] = floe_json_int (floe_json_at (failed, i), 1, FLOE_APPLIANCE_VERSION_MAX);
  if (!floe_json_finish (document, error))
    return FALSE;
  *record = found;
  return TRUE;
}

static json_t *
failed_value (const FloeSlotRecord *record)
{
  json_t *failed = json_array ();

  for (size_t i = 0; i < record->n_failed; i++)
    json_array_append_new (failed, json_integer (record->failed[i]));
  return failed;
}

/* Takes VALUE. */
static gboolean
save (int dir, const char *name, json_t *value, mode_t mode, GError **error)
{
  char *text = json_dumps (value, JSON_INDENT (2));
  gboolean saved = floe_file_replace_at (dir, name, text, strlen (text), mode, error);

  json_decref (value);
  free (text);
  return saved;
}

gboolean
floe_slot_record_save (int dir, const FloeSlotRecord *record, GError **error)
{
  json_t *root = json_object ();

  json_object_set_new (root, "floe-slot", json_integer (FORM));
  json_object_set_new (root, "clock", json_integer (record->clock));
  json_object_set_new (root, "ran", json_integer (record->ran));
  json_object_set_new (root, "failed", failed_value (record));
  return save (dir, RECORD, root, 0600, error);
}

gboolean
floe_slot_record_has_failed (const FloeSlotRecord *record, int64_t version)
{
  for (size_t i = 0; i < record->n_failed; i++)
    if (record->failed[i] == version)
      return TRUE;
  return FALSE;
}

void
floe_slot_record_forgive (FloeSlotRecord *record, int64_t version)
{
  size_t kept = 0;

  for (size_t i = 0; i < record->n_failed; i++)
    if (record->failed[i] != version)
      record->failed[kept++] = record->failed[i];
  record->n_failed = kept;
}

gboolean
floe_slot_record_add_failed (FloeSlotRecord *record, int64_t version)
{
  if (floe_slot_record_has_failed (record, version))
    return FALSE;
  if (record->n_failed == FLOE_SLOT_FAILED_MAX)
    floe_slot_record_forgive (record, record->failed[0]);
  record->failed[record->n_failed++] = version;
  return TRUE;
}

gboolean
floe_slot_report_save (int dir, const FloeSlotReport *report, const FloeSlotRecord *record, GError **error)
{
  FloeApplianceReport said = { .running = report->running, .next = report->next, .offered = report->offered, .n_failed = record->n_failed };

  for (size_t i = 0; i < record->n_failed; i++)
    said.failed[i] = record->failed[i];
  floe_appliance_report_set_problem (&said, report->problem);
  return save (dir, FLOE_APPLIANCE_REPORT_NAME, floe_appliance_report_value (&said), 0644, error);
}
