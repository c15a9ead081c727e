/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/document/floe-policy.h"
#include "policy/trust/floe-trust.h"

#include <string.h>

struct _FloePolicy {
  gatomicrefcount references;
  uint64_t version;
  FloePolicyDocument *document;
};

FloePolicy *
floe_policy_new (FloeVerified *verified, GError **error)
{
  const char *name = floe_verified_name (verified);
  g_autoptr (FloePolicyDocument) document = floe_policy_parse (floe_verified_bytes (verified), name, error);
  g_autofree char *wanted = NULL;
  FloePolicy *policy;

  if (document == NULL)
    return NULL;
  /* A mirror could serve one group's policy under another's name if names were not signed; a hurried administrator still can. */
  wanted = g_strdup_printf ("policy/%s.json", floe_policy_document_content (document)->group);
  if (strcmp (name, wanted) != 0) {
    floe_error_set (error, FLOE_ERROR_INVALID, "%s: its group is '%s': publish it as %s, or correct the group", name,
                    floe_policy_document_content (document)->group, wanted);
    return NULL;
  }
  policy = g_new0 (FloePolicy, 1);
  g_atomic_ref_count_init (&policy->references);
  policy->version = (uint64_t) floe_verified_version (verified);
  policy->document = g_steal_pointer (&document);
  return policy;
}

const FloePolicyContent *
floe_policy_content (const FloePolicy *policy)
{
  return floe_policy_document_content (policy->document);
}

uint64_t
floe_policy_version (const FloePolicy *policy)
{
  return policy->version;
}

FloePolicy *
floe_policy_ref (FloePolicy *policy)
{
  g_atomic_ref_count_inc (&policy->references);
  return policy;
}

void
floe_policy_unref (FloePolicy *policy)
{
  if (policy == NULL || !g_atomic_ref_count_dec (&policy->references))
    return;
  floe_policy_document_unref (policy->document);
  g_free (policy);
}
