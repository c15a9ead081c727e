/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-sync/enrol/floe-checkin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) body = g_bytes_new (data, size);
  g_autoptr (GBytes) again = NULL, answer = NULL;
  g_autoptr (GError) error = NULL;
  FloeCheckin checkin, second;
  FloeCheckinAnswer read;

  /* What was taken can be written, and says the same. */
  if (floe_checkin_parse (body, &checkin, &error)) {
    again = floe_checkin_write (&checkin, NULL);
    if (error != NULL || again == NULL || !floe_checkin_parse (again, &second, NULL) || second.sequence != checkin.sequence ||
        strcmp (second.endpoint, checkin.endpoint) != 0 || strcmp (second.appliance.problem, checkin.appliance.problem) != 0)
      abort ();
  } else if (error == NULL) {
    abort ();
  }
  if (floe_checkin_answer_parse (body, &read, NULL)) {
    answer = floe_checkin_answer_write (&read);
    if (!floe_checkin_answer_parse (answer, &read, NULL))
      abort ();
  }
  return 0;
}
