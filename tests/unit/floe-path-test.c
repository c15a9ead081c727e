/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/trust/floe-metadata.h"

#include <string.h>

/* Agreement with Python's fnmatch.fnmatchcase on each component is what the reference implementation has. */
static const struct {
  const char *pattern, *path;
  gboolean matches;
} cases[] = {
  { "targets/*.tgz", "targets/foo.tgz", TRUE },
  { "targets/*.tgz", "targets/foo.txt", FALSE },
  { "foo-version-?.tgz", "foo-version-2.tgz", TRUE },
  { "foo-version-?.tgz", "foo-version-alpha.tgz", FALSE },
  { "*.tgz", "foo.tgz", TRUE },
  { "*.tgz", "targets/foo.tgz", FALSE },
  { "*", "a/b", FALSE },
  { "*/*", "a/b", TRUE },
  { "*/*", "a", FALSE },
  { "a/b", "a/b/c", FALSE },
  { "a/b/", "a/b", FALSE },
  { "/a", "a", FALSE },
  { "", "", TRUE },
  { "", "a", FALSE },
  { "*", "", TRUE },
  { "*", ".hidden", TRUE },
  { "?", "/", FALSE },
  { "?", "é", TRUE },
  { "??", "é", FALSE },
  { "a*b*c", "aXbYbZc", TRUE },
  { "a*b*c", "aXbYbZ", FALSE },
  { "**", "abc", TRUE },
  { "a**", "a", TRUE },
  { "[abc]x", "bx", TRUE },
  { "[abc]x", "dx", FALSE },
  { "[a-c]x", "cx", TRUE },
  { "[!a-c]x", "cx", FALSE },
  { "[!a-c]x", "dx", TRUE },
  { "[]a]", "]", TRUE },
  { "[!]a]", "]", FALSE },
  { "[!]a]", "b", TRUE },
  { "[a", "[a", TRUE },
  { "[", "[", TRUE },
  { "[!", "[!", TRUE },
  { "[]", "[]", TRUE },
  { "[]", "x", FALSE },
  { "[a-]", "-", TRUE },
  { "[à-ü]", "é", TRUE },
  { "[a/b]", "a", FALSE },
  { "[!x]", "/", FALSE },
  { "\\*", "*", FALSE },
  { "\\*", "\\x", TRUE },
  { "README.md", "README.MD", FALSE },
  { "policy/*", "policy/../images/x", FALSE },
};

static void
test_patterns (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    if (floe_path_matches (cases[i].pattern, cases[i].path) != cases[i].matches)
      g_test_fail_printf ("'%s' and '%s'", cases[i].pattern, cases[i].path);
}

/* Takes minutes where a matcher takes every star back. */
static void
test_many_stars (void)
{
  g_autoptr (GString) pattern = g_string_new (NULL);
  g_autofree char *path = g_strnfill (5000, 'a');

  for (int i = 0; i < 500; i++)
    g_string_append (pattern, "*a");
  g_string_append (pattern, "*b");
  g_assert_false (floe_path_matches (pattern->str, path));
}

static void
test_prefixes (void)
{
  g_autoptr (GPtrArray) prefixes = g_ptr_array_new ();
  FloeRole role = { .prefixes = prefixes };

  /* SHA-256 of "abc" begins with ba7816bf. */
  g_assert_false (floe_role_covers (&role, "abc"));
  g_ptr_array_add (prefixes, (gpointer) "00");
  g_assert_false (floe_role_covers (&role, "abc"));
  g_ptr_array_add (prefixes, (gpointer) "ba78");
  g_assert_true (floe_role_covers (&role, "abc"));
  role.prefixes = NULL;
  g_assert_false (floe_role_covers (&role, "abc"));
}

static void
test_encode (void)
{
  g_autofree char *all = floe_percent_encode ("aZ0-._~/ %é?", ""), *path = floe_percent_encode ("a b/c", "/");

  g_assert_cmpstr (all, ==, "aZ0-._~%2F%20%25%C3%A9%3F");
  g_assert_cmpstr (path, ==, "a%20b/c");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/path/patterns", test_patterns);
  g_test_add_func ("/path/many-stars", test_many_stars);
  g_test_add_func ("/path/prefixes", test_prefixes);
  g_test_add_func ("/path/encode", test_encode);
  return g_test_run ();
}
