/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-appliance-report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) text = g_bytes_new (data, size);
  g_autoptr (GError) error = NULL;
  g_autofree char *bytes = g_strndup ((const char *) data, size);
  FloeApplianceReport report, cut = { 0 };
  json_t *value;
  char *written;

  if (floe_appliance_report_parse (text, &report, &error) == (error != NULL))
    abort ();
  /* Whatever went wrong, for whatever reason with whatever bytes in it, can be reported. */
  floe_appliance_report_set_problem (&cut, bytes);
  value = floe_appliance_report_value (&cut);
  written = json_dumps (value, 0);
  json_decref (value);
  if (written == NULL)
    abort ();
  g_bytes_unref (text);
  text = g_bytes_new_take (written, strlen (written));
  if (!floe_appliance_report_parse (text, &report, NULL) || strcmp (report.problem, cut.problem) != 0)
    abort ();
  return 0;
}
