/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "common/floe-error.h"

#include <stdint.h>

/* What floe-slot remembers, in STATE/slot/record.json, root's alone. */

#define FLOE_SLOT_FAILED_MAX 32 /* as FLOE_APPLIANCE_FAILED_MAX */

typedef struct {
  gint64 clock;    /* the highest time ever seen, seconds since 1970 */
  int64_t ran;     /* the version that ran last and was good; 0: none yet */
  int64_t failed[FLOE_SLOT_FAILED_MAX]; /* versions that were tried in vain, the newest last */
  size_t n_failed;
} FloeSlotRecord;

/* A record that is not there is empty; a damaged one is an error. */
gboolean floe_slot_record_load (int dir, FloeSlotRecord *record, GError **error) FLOE_WARN_UNUSED;
gboolean floe_slot_record_save (int dir, const FloeSlotRecord *record, GError **error) FLOE_WARN_UNUSED;

gboolean floe_slot_record_has_failed (const FloeSlotRecord *record, int64_t version);
/* TRUE when that is news. The oldest is forgotten when there are too many. */
gboolean floe_slot_record_add_failed (FloeSlotRecord *record, int64_t version);
void floe_slot_record_forgive (FloeSlotRecord *record, int64_t version);

/* STATE/slot/report.json, for everybody to read: what runs, which version starts next, which failed, and what is in the way of an update ("" for
 * nothing). */
typedef struct {
  int64_t running, next, offered; /* 0: none, or not known */
  const char *problem;
} FloeSlotReport;
gboolean floe_slot_report_save (int dir, const FloeSlotReport *report, const FloeSlotRecord *record, GError **error) FLOE_WARN_UNUSED;
