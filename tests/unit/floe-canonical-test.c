/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-canonical.h"

#include <stdlib.h>
#include <string.h>

/* Expected bytes are what securesystemslib's encode_canonical makes of the same values. */
static const struct {
  const char *json, *canonical;
} cases[] = {
  { "{}", "{}" },
  { "[]", "[]" },
  { " { \"b\" : 1 , \"a\" : [ true , false , null , -7 ] } ", "{\"a\":[true,false,null,-7],\"b\":1}" },
  { "[\"\\\"\\\\\\/\"]", "[\"\\\"\\\\/\"]" },
  { "[\"\\n\\t\\u0001\"]", "[\"\n\t\x01\"]" },
  { "[\"\\u00e9\\ud83d\\ude00\"]", "[\"é😀\"]" },
  { "[9223372036854775807,-9223372036854775808,-0]", "[9223372036854775807,-9223372036854775808,0]" },
  /* By code point, which is not UTF-16 order: U+FF5E before U+1F600. */
  { "{\"\\ud83d\\ude00\":1,\"\\uff5e\":2,\"é\":3,\"z\":4,\"A\":5,\"\":6,\"aa\":7,\"a\":8}",
    "{\"\":6,\"A\":5,\"a\":8,\"aa\":7,\"z\":4,\"é\":3,\"～\":2,\"😀\":1}" },
  { "{\"\\\"\":{\"\\\\\":[]}}", "{\"\\\"\":{\"\\\\\":[]}}" },
};

static void
test_forms (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    json_t *value = json_loads (cases[i].json, 0, NULL);
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) bytes = floe_canonical_encode (value, &error);

    g_assert_no_error (error);
    g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), cases[i].canonical, strlen (cases[i].canonical));
    json_decref (value);
  }
}

static void
test_real (void)
{
  json_t *value = json_loads ("{\"a\":[{\"b\":1.5}]}", 0, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (floe_canonical_encode (value, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
  json_decref (value);
}

static void
test_large (void)
{
  json_t *array = json_array ();
  g_autoptr (GBytes) bytes = NULL;

  for (int i = 0; i < 100000; i++)
    json_array_append_new (array, json_string ("0123456789"));
  bytes = floe_canonical_encode (array, NULL);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 100000 * 13 + 1);
  json_decref (array);
}

/* -- Every allocation failing in turn -------------------------------------------------------------------------------- */

static unsigned countdown;

static void *
failing_malloc (size_t size)
{
  return countdown > 0 && --countdown == 0 ? NULL : malloc (size);
}

/* Encodes VALUE with allocation 1, 2, … failing until none does; how many there are. */
static unsigned
fail_each (const json_t *value)
{
  for (unsigned points = 1;; points++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) bytes = NULL;
    gboolean done;

    countdown = points;
    bytes = floe_canonical_encode (value, &error);
    done = countdown > 0;
    countdown = 0;
    g_assert_true (done == (bytes != NULL));
    if (done)
      return points - 1;
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_NO_SPACE);
  }
}

static void
test_oom (void)
{
  json_t *value = json_loads ("[\"\",{\"a\":[{\"b\":{},\"c\":\"\\\\\\\"\"},[1,true,null]],\"d\":{\"e\":[\"x\",false]}}]", 0, NULL);
  unsigned points = 0;

  json_set_alloc_funcs (failing_malloc, free);
  /* The buffer grows when it is full: padding moves that moment to each place where something is written. */
  for (int padding = 900; padding < 1100; padding++) {
    g_autofree char *text = g_strnfill ((gsize) padding, 'x');

    json_array_set_new (value, 0, json_string (text));
    points += fail_each (value);
  }
  json_set_alloc_funcs (malloc, free);
  g_assert_cmpuint (points, >, 800);
  g_print ("figure: trust_oom_canonical = %u\n", points);
  json_decref (value);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/canonical/forms", test_forms);
  g_test_add_func ("/canonical/real", test_real);
  g_test_add_func ("/canonical/large", test_large);
  g_test_add_func ("/canonical/oom", test_oom);
  return g_test_run ();
}
