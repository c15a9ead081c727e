/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-json.h"

/* What an appliance says of its versions: floe-slot writes it to STATE/slot/report.json, for everybody to read; the agent hands it to the server
 * (floe-checkin.h), hypervisord to the console. */

#define FLOE_APPLIANCE_REPORT_NAME "report.json"
#define FLOE_APPLIANCE_REPORT_MAX 4096     /* bytes of the file */
#define FLOE_APPLIANCE_FAILED_MAX 32
#define FLOE_APPLIANCE_PROBLEM_MAX 500     /* bytes */

typedef struct {
  gint64 running, next, offered;            /* versions; 0: none, or not known */
  gint64 failed[FLOE_APPLIANCE_FAILED_MAX]; /* tried in vain, the newest last */
  size_t n_failed;
  char problem[FLOE_APPLIANCE_PROBLEM_MAX + 1]; /* what is in the way of an update; "": nothing. UTF-8 without control characters */
} FloeApplianceReport;

/* PROBLEM is cut to what fits; what is no plain text in it becomes '?'. */
void floe_appliance_report_set_problem (FloeApplianceReport *report, const char *problem);
/* A new JSON object. */
json_t *floe_appliance_report_value (const FloeApplianceReport *report);

/* As a part of another document, whose floe_json_finish() tells. */
void floe_appliance_report_read (FloeJson *object, FloeApplianceReport *report);
/* As a whole one. INVALID, LIMIT. */
gboolean floe_appliance_report_parse (GBytes *text, FloeApplianceReport *report, GError **error) FLOE_WARN_UNUSED;
/* STATE/slot/report.json; NOT_FOUND where there is none. */
gboolean floe_appliance_report_load (const char *state, FloeApplianceReport *report, GError **error) FLOE_WARN_UNUSED;
/* Whether a version is installed that the next start would start instead of the one that runs; 0: none. */
gint64 floe_appliance_report_ready (const FloeApplianceReport *report);
