/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-metadata.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A file of every role: the first byte says which. What parses must also survive being asked. */
static void
ask (FloeMetadata *metadata, FloeRoleType type)
{
  g_autoptr (GError) error = NULL;

  if (type == FLOE_ROLE_ROOT && !floe_metadata_verify (metadata, metadata->roles[FLOE_ROLE_ROOT], &error))
    g_assert_nonnull (error);
  if (type == FLOE_ROLE_TIMESTAMP)
    g_assert_nonnull (floe_metadata_file (metadata, "snapshot"));
  for (guint i = 0; type == FLOE_ROLE_TARGETS && i < metadata->delegations->len; i++) {
    g_clear_error (&error);
    if (floe_role_covers (metadata->delegations->pdata[i], "policy/office.json"))
      g_assert_true (floe_metadata_verify (metadata, metadata->delegations->pdata[i], &error) || error != NULL);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) raw = NULL;
  g_autoptr (FloeMetadata) metadata = NULL;
  g_autoptr (GError) error = NULL;
  FloeRoleType type;

  if (size < 1)
    return 0;
  type = data[0] % FLOE_N_ROLES;
  raw = g_bytes_new (data + 1, size - 1);
  metadata = floe_metadata_open (raw, "fuzz.json", &error);
  if (metadata != NULL && floe_metadata_parse (metadata, type, &error))
    ask (metadata, type);
  else
    g_assert_nonnull (error);
  return 0;
}
