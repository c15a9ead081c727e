/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "server-sync/enrol/floe-enrol-message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) body = g_bytes_new (data, size);
  FloeEnrolAnswer answer = { 0 };
  gint64 now = -1;
  gboolean hello = floe_enrol_hello_parse (body, &now, NULL);

  if (hello != (now >= 0))
    abort ();
  if (!floe_enrol_answer_parse (body, &answer, NULL))
    return 0;
  /* Never both, and what is written to a file is a safe name. */
  if (hello || (answer.refused == FLOE_ENROL_REFUSED_NOT && (!floe_name_is_safe (answer.group) || !floe_name_is_safe (answer.id))) ||
      (answer.refused != FLOE_ENROL_REFUSED_NOT && answer.id[0] != '\0'))
    abort ();
  return 0;
}
