/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-json.h"

static const char *const colours[] = { "red", "green", NULL };

/* Reads a small document with every kind of value in it. */
static gboolean
read_sample (const char *text, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  g_autoptr (FloeJsonDocument) document = floe_json_parse (bytes, "sample.json", 4096, error);
  FloeJson *root, *list;

  if (document == NULL)
    return FALSE;
  root = floe_json_root (document);
  floe_json_string (floe_json_member (root, "name"), 8);
  floe_json_int (floe_json_optional (root, "count"), 1, 64);
  floe_json_enum (floe_json_optional (root, "colour"), colours);
  floe_json_bool (floe_json_optional (root, "on"));
  list = floe_json_optional (root, "list");
  for (size_t i = 0; i < floe_json_length (list, 2); i++)
    floe_json_int (floe_json_member (floe_json_at (list, i), "n"), 0, 9);
  return floe_json_finish (document, error);
}

static void
test_accepts (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (read_sample ("{\"name\":\"x\",\"count\":64,\"colour\":\"green\",\"on\":true,\"list\":[{\"n\":0},{\"n\":9}]}", &error));
  g_assert_no_error (error);
}

static void
test_refuses (void)
{
  static const struct {
    const char *text, *message;
  } cases[] = {
    { "{}", "sample.json:1: document: key 'name' is missing" },
    { "[]", "sample.json:1: document: an object wanted, not an array" },
    { "{\"name\":\n 7}", "sample.json:1: name: a string wanted, not an integer" },
    { "{\"name\":\"x\",\n\"count\":900}", "sample.json:2: count: 1 to 64 wanted, not 900" },
    { "{\"name\":\"x\",\n\n\"colour\":\"blue\"}", "sample.json:3: colour: one of red, green wanted, not 'blue'" },
    { "{\"name\":\"123456789\"}", "sample.json:1: name: 9 bytes, 8 at most" },
    { "{\"name\":\"a\\u0007\"}", "sample.json:1: name: a control character (07) is not allowed" },
    { "{\"name\":\"x\",\n\"nmae\":1}", "sample.json:2: nmae: unknown key" },
    /* A key with a dot in it reads like two in a path, and is found all the same; one with an escape is not: its object's line. */
    { "{\"name\":\"x\",\n\"n.m\":1\n\n}", "sample.json:2: n.m: unknown key" },
    { "{\"name\":\"x\",\n\"n\\u006d\":1\n\n}", "sample.json:1: nm: unknown key" },
    { "{\"name\":\"x\",\"list\":[{\"n\":1},\n{\"n\":1,\n\"extra\":2}]}", "sample.json:3: list[1].extra: unknown key" },
    { "{\"name\":\"x\",\"list\":[{\"n\":1},{\"n\":1},{\"n\":1}]}", "sample.json:1: list: 3 elements, 2 at most" },
    { "{\"name\":\"x\",\"list\":[[{}, \"]\"],\n3]}", "sample.json:1: list[0]: an object wanted, not an array" },
    { "{\"name\":\"x\",\"on\":1}", "sample.json:1: on: true or false wanted, not an integer" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (read_sample (cases[i].text, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_cmpstr (error->message, ==, cases[i].message);
  }
}

static void
test_refuses_syntax (void)
{
  static const char *const cases[] = { "",        "{",          "{\"name\":\"x\",\"name\":\"y\"}", "{\"name\":\"\xff\"}",
                                       "{\"a\":NaN}", "{\"name\":\"\\u0000\"}", "{} {}",                       "{\"a\":1,}" };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (read_sample (cases[i], &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_true (g_str_has_prefix (error->message, "sample.json:"));
  }
}

static void
test_size (void)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static ("{\"a\":1}", 7);
  g_autoptr (GError) error = NULL;

  g_assert_null (floe_json_parse (bytes, "big.json", 6, &error));
  g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
}

/* TEXT repeated N times between brackets, and whether that may be parsed. */
static void
check_many (const char *text, size_t n, gboolean wanted)
{
  g_autoptr (GString) string = g_string_new ("[\"[{,\\\",\"");
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeJsonDocument) document = NULL;

  for (size_t i = 0; i < n; i++)
    g_string_append (string, text);
  g_string_append (string, "]");
  bytes = g_string_free_to_bytes (g_steal_pointer (&string));
  document = floe_json_parse (bytes, "many.json", G_MAXSIZE, &error);
  g_assert_true ((document != NULL) == wanted);
  if (!wanted)
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_LIMIT);
}

static void
test_values (void)
{
  /* The first string, which looks like more, and the array are two. */
  check_many (",1", FLOE_JSON_VALUES_MAX - 3, TRUE);
  check_many (",1", FLOE_JSON_VALUES_MAX - 2, TRUE);
  check_many (",1", FLOE_JSON_VALUES_MAX - 1, FALSE);
  check_many (",{}", FLOE_JSON_VALUES_MAX / 2, FALSE);
}

/* A member asked for twice is one value: what was read of it the first time is not left over the second. */
static void
test_twice (void)
{
  static const char text[] = "{\"a\":{\"b\":[1],\"c\":2}}";
  g_autoptr (GBytes) bytes = g_bytes_new_static (text, strlen (text));
  g_autoptr (GError) error = NULL;
  g_autoptr (FloeJsonDocument) document = floe_json_parse (bytes, "twice.json", 100, &error);
  FloeJson *root = floe_json_root (document);

  floe_json_int (floe_json_at (floe_json_member (floe_json_member (root, "a"), "b"), 0), 1, 1);
  floe_json_int (floe_json_member (floe_json_member (root, "a"), "c"), 2, 2);
  g_assert_true (floe_json_member (root, "a") == floe_json_optional (root, "a"));
  g_assert_cmpstr (floe_json_path (floe_json_at (floe_json_member (floe_json_member (root, "a"), "b"), 0)), ==, "a.b[0]");
  g_assert_true (floe_json_finish (document, &error));
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/json/accepts", test_accepts);
  g_test_add_func ("/json/refuses", test_refuses);
  g_test_add_func ("/json/refuses-syntax", test_refuses_syntax);
  g_test_add_func ("/json/size", test_size);
  g_test_add_func ("/json/values", test_values);
  g_test_add_func ("/json/twice", test_twice);
  return g_test_run ();
}
