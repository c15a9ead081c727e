/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy.h"
#include "policy/document/floe-usbguard.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The bytes as a USBGuard rule file. Whatever they are, the list that comes out is one that a document takes, and each rule has a report. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) text = g_bytes_new (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeUsbguardImport) import = floe_usbguard_import (text, "fuzz", size % 2 == 0 ? NULL : "desk", &error);
  g_autoptr (GPtrArray) rules = floe_usbguard_parse (text, "fuzz", NULL);
  g_autofree char *whole = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (FloePolicyDocument) document = NULL;

  if ((import == NULL) != (error != NULL) || (import != NULL && rules == NULL))
    abort ();
  if (import == NULL)
    return 0;
  whole = g_strconcat ("{\"floe\":1,\"group\":\"g\",\"machines\":[{\"id\":\"desk\",\"image\":{\"name\":\"i\",\"channel\":\"c\"},\"vcpus\":1,"
                       "\"memory_mib\":512,\"disk\":\"reset\"}],\"assignment\":[{\"who\":\"*\",\"machines\":[\"desk\"]}],\"usb\":",
                       import->json, "}", NULL);
  bytes = g_bytes_new (whole, strlen (whole));
  document = floe_policy_parse (bytes, "imported.json", NULL);
  if (document == NULL || floe_policy_document_content (document)->n_usb != import->n_rules || import->reports->len != rules->len)
    abort ();
  for (guint i = 0; i < import->reports->len; i++) {
    const FloeUsbguardReport *report = g_ptr_array_index (import->reports, i);

    if ((report->outcome == FLOE_USBGUARD_TRANSLATED) != (report->reason == NULL))
      abort ();
  }
  return 0;
}
