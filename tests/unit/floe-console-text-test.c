/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-console-text.h"

#include <string.h>

static void
check (const char *text, size_t max, const char *expected)
{
  g_autofree char *plain = floe_text_plain (text, max);

  g_assert_cmpstr (plain, ==, expected);
  g_assert_true (g_utf8_validate (plain, -1, NULL));
  g_assert_cmpint (g_utf8_strlen (plain, -1), <=, (glong) max);
}

static void
test_plain (void)
{
  check (NULL, 10, "");
  check ("", 10, "");
  check ("Kingston DataTraveler", 40, "Kingston DataTraveler");
  check ("Écran à clé – 漢字", 40, "Écran à clé – 漢字");
  check ("  a \t b  ", 40, "a \357\277\275 b");
  check ("a\nb\x1b[31m\x7f", 40, "a\357\277\275b\357\277\275[31m\357\277\275");
  check ("<b>&amp;%s", 40, "<b>&amp;%s");
}

static void
test_bounds (void)
{
  check ("abcdef", 6, "abcdef");
  check ("abcdefg", 6, "abcde…");
  check ("ééééé", 3, "éé…");
  check ("ab", 1, "…");
  check ("ab", 0, "");
}

static void
test_tricks (void)
{
  /* Right-to-left override, zero-width joiner, line separator, BOM. */
  check ("gpj\xe2\x80\xae" "exe", 40, "gpj\357\277\275exe");
  check ("a\xe2\x80\x8d" "b\xe2\x80\xa8" "c\xef\xbb\xbf", 40, "a\357\277\275b\357\277\275c\357\277\275");
  /* Private use, unassigned. */
  check ("\xee\x80\x80\xf3\xb0\x80\x80", 40, "\357\277\275\357\277\275");
  /* A tower of combining marks would paint over the lines above. */
  check ("a\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81" "b", 40, "a\xcc\x81\xcc\x81" "b");
  /* Broken UTF-8: overlong, lone continuation, cut off, surrogate. */
  check ("\xc0\xaf" "a\x80" "b\xe2\x82", 40, "\357\277\275\357\277\275a\357\277\275b\357\277\275\357\277\275");
  check ("\xed\xa0\x80", 40, "\357\277\275\357\277\275\357\277\275");
}

static void
test_size (void)
{
  g_autofree char *kb = floe_text_size (1500), *mb = floe_text_size (999999999), *gb = floe_text_size (3199999999);

  g_assert_cmpstr (kb, ==, "1 kB");
  g_assert_cmpstr (mb, ==, "999 MB");
  g_assert_cmpstr (gb, ==, "3.1 GB");
}

static void
test_colour (void)
{
  static const char *const bad[] = { NULL, "", "red", "#12345", "#1234567", "#12345g", "123456#", "#-12345", "# 12345" };
  FloeColour colour;

  g_assert_true (floe_colour_parse ("#2e7d32", &colour));
  g_assert_cmpuint (colour.red, ==, 0x2e);
  g_assert_cmpuint (colour.green, ==, 0x7d);
  g_assert_cmpuint (colour.blue, ==, 0x32);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_assert_false (floe_colour_parse (bad[i], &colour));
    g_assert_cmpuint (colour.red, ==, 0x60);
  }
}

static void
test_contrast (void)
{
  FloeColour white = { 255, 255, 255 }, black = { 0, 0, 0 }, green = { 0x2e, 0x7d, 0x32 }, yellow = { 0xff, 0xeb, 0x3b };

  g_assert_true (floe_colour_wants_black (&white));
  g_assert_true (floe_colour_wants_black (&yellow));
  g_assert_false (floe_colour_wants_black (&black));
  g_assert_false (floe_colour_wants_black (&green));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/console-text/plain", test_plain);
  g_test_add_func ("/console-text/bounds", test_bounds);
  g_test_add_func ("/console-text/tricks", test_tricks);
  g_test_add_func ("/console-text/size", test_size);
  g_test_add_func ("/console-text/colour", test_colour);
  g_test_add_func ("/console-text/contrast", test_contrast);
  return g_test_run ();
}
