/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-envelope.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Whatever is accepted can be signed, written and read again, and asked who signs for whom. */
static void
check_accepted (const FloeEnvelope *envelope, const char *role)
{
  static const char *const roles[] = { "root", "timestamp", "targets", "policy", "images" };
  g_autoptr (GBytes) text = floe_envelope_bytes (envelope);
  g_autoptr (FloeEnvelope) again = floe_envelope_parse (text, "again", role, NULL);

  if (again == NULL || !json_equal (floe_envelope_signed (again), floe_envelope_signed (envelope)))
    abort ();
  if (floe_envelope_version (envelope) < 1)
    abort ();
  for (size_t i = 0; i < G_N_ELEMENTS (roles); i++) {
    g_autoptr (FloeAuthority) authority = floe_authority_new (envelope, roles[i], NULL);

    json_t *keyids;

    if (authority == NULL)
      continue;
    keyids = json_object_get (floe_envelope_role (envelope, roles[i]), "keyids");
    if (floe_authority_threshold (authority) < 1)
      abort ();
    if (floe_authority_check (authority, envelope, roles[i], NULL) && json_array_size (keyids) < floe_authority_threshold (authority))
      abort ();
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const roles[] = { "root", "timestamp", "snapshot", "policy" };
  g_autoptr (GBytes) text = g_bytes_new (data, size);

  for (size_t i = 0; i < G_N_ELEMENTS (roles); i++) {
    g_autoptr (FloeEnvelope) envelope = floe_envelope_parse (text, "fuzz", roles[i], NULL);

    if (envelope != NULL)
      check_accepted (envelope, roles[i]);
  }
  return 0;
}
