/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qmp/floe-qmp-lines.h"
#include "hypervisor/qmp/floe-qmp-message.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What a QEMU that a guest took over may send: pushed in two pieces, each line parsed and its payload looked at. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (FloeQmpLines) lines = floe_qmp_lines_new ();
  GBytes *line;

  if (!floe_qmp_lines_push (lines, data, size / 2, NULL)
      || !floe_qmp_lines_push (lines, data + size / 2, size - size / 2, NULL))
    return 0;
  while ((line = floe_qmp_lines_next (lines)) != NULL) {
    g_autoptr (FloeQmpMessage) message = floe_qmp_message_parse (line, NULL);

    g_bytes_unref (line);
    if (message == NULL)
      continue;
    (void)floe_json_string (floe_json_optional (floe_qmp_message_payload (message), "status"), 64);
    (void)!floe_qmp_message_finish (message, NULL);
  }
  return 0;
}
