/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-event-log.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What is read one way is read the other way too, but for the list of which there is exactly one. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) log = g_bytes_new (data, size), dbx = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;
  FloeDigest pcr, with;
  gboolean read = floe_event_log_pcr7 (log, &pcr, NULL), foretold = floe_event_log_pcr7_with (log, dbx, &with, &error);

  g_assert (read || !foretold);
  g_assert (foretold || !read || g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND));
  return 0;
}
