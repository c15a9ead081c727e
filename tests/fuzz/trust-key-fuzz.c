/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-key.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A key as JSON, a NUL, and a signature as text. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const uint8_t *end = memchr (data, 0, size);
  size_t key_size = end != NULL ? (size_t) (end - data) : size;
  g_autofree char *signature = end != NULL ? g_strndup ((const char *) end + 1, size - key_size - 1) : g_strdup ("");
  json_t *json = json_loadb ((const char *) data, key_size, JSON_REJECT_DUPLICATES, NULL);
  g_autofree char *id = json != NULL ? floe_key_make_id (json, NULL) : NULL;
  g_autoptr (FloeKey) key = id != NULL ? floe_key_parse (id, json, NULL) : NULL;

  if (key != NULL) {
    g_assert_true (floe_key_is_usable (key) == (floe_key_problem (key) == NULL));
    g_assert_true (floe_key_equal (key, key) == floe_key_is_usable (key));
    /* All-zero and other weak Ed25519 keys do verify forged signatures: keys are named by signed metadata. So nothing is asserted. */
    if (floe_key_verify (key, "x", 1, signature))
      g_assert_true (floe_key_is_usable (key));
  }
  json_decref (json);
  return 0;
}
