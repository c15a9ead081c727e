/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-answers.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Remembered answers; what parses must come out of building and parsing again the same, and within its bounds. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (FloeUsbAnswers) answers = floe_usb_answers_parse (bytes, "answers", NULL);

  if (answers != NULL) {
    g_autoptr (GBytes) built = floe_usb_answers_build (answers);
    g_autoptr (FloeUsbAnswers) again = floe_usb_answers_parse (built, "again", NULL);

    g_assert (floe_usb_answers_count (answers) <= FLOE_USB_ANSWERS_MAX);
    g_assert (again != NULL && floe_usb_answers_count (again) == floe_usb_answers_count (answers));
  }
  return 0;
}
