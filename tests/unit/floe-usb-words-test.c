/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-usb-words.h"

#include <string.h>

static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return value;
}

static void
test_what (void)
{
  static const char *const cases[][2] = {
    { "{'kind': <'storage'>, 'name': <'DataTraveler'>}", "USB storage “DataTraveler”" },
    { "{'kind': <'keyboard'>, 'vendor': <uint16 0x46d>, 'product': <uint16 0xc31c>}", "USB keyboard 046d:c31c" },
    { "{'kind': <'toaster'>, 'name': <'<b>%s</b>\\n\\u202ex'>}", "USB device “<b>%s</b>\xef\xbf\xbd\xef\xbf\xbdx”" },
    { "@a{sv} {}", "USB device 0000:0000" },
    { "{'kind': <1>, 'name': <2>}", "USB device 0000:0000" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GVariant) device = parse (cases[i][0]);
    g_autofree char *what = floe_usb_what (device);

    g_assert_cmpstr (what, ==, cases[i][1]);
  }
}

#define ASK(path, connection, choices)                                                                                     \
  "{'path': <'" path "'>, 'connection': <uint64 " connection ">, 'name': <'Stick'>, 'verdict': <'ask'>, 'rule': <'r'>, "   \
  "'choices': <" choices ">, 'may_remember': <true>}"

static void
test_question (void)
{
  static const char *const nothing[] = {
    "@aa{sv} []", "'x'", "[{'verdict': <'host'>}]", "[{'verdict': <'ask'>}]", "[" ASK ("1-1", "1", "['host']") "]",
    "[" ASK ("1-1", "1", "'block'") "]",
    "[" ASK ("1-1", "1", "['block','1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16']") "]",
  };
  g_autoptr (GVariant) devices = parse ("[{'verdict': <'block'>}, " ASK ("1-2", "9", "['block', 'host']") ", " ASK (
      "1-3", "4", "['block', 'machine:office']") "]");
  g_autoptr (FloeUsbQuestion) first = floe_usb_question_first (devices);
  g_autoptr (FloeUsbQuestion) same = floe_usb_question_first (devices);

  g_assert_cmpstr (first->path, ==, "1-3");
  g_assert_cmpuint (first->connection, ==, 4);
  g_assert_cmpstr (first->what, ==, "USB device “Stick”");
  g_assert_true (first->may_remember);
  g_assert_true (floe_usb_question_equal (first, same));
  same->connection++;
  g_assert_false (floe_usb_question_equal (first, same));
  g_assert_false (floe_usb_question_equal (first, NULL));
  g_assert_true (floe_usb_question_equal (NULL, NULL));
  g_assert_null (floe_usb_question_first (NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (nothing); i++) {
    g_autoptr (GVariant) value = parse (nothing[i]);

    g_assert_null (floe_usb_question_first (value));
  }
}

static const char *
title (const char *id, gpointer data)
{
  return strcmp (id, "office") == 0 ? data : NULL;
}

static void
test_choices (void)
{
  static const char *const cases[][3] = {
    { "block", NULL, "Do not use it" },
    { "host", NULL, "Use it with this computer" },
    { "host[03:*:*]", NULL, "Use a part of it with this computer" },
    { "machine:office", NULL, "Give it to Office" },
    { "machine:office:read-only[08:06:50,08:06:62]", NULL, "Let Office read it" },
    { "machine:office[06:01:01]", NULL, "Give a part of it to Office" },
    { "machine:gone", NULL, NULL },
    { "front", "Web", "Give it to Web" },
    { "front:read-only[08:06:50]", "Web", "Let Web read it" },
    { "front", NULL, NULL },
    { "everything", "Web", NULL },
    { "", "Web", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *words = floe_usb_choice_words (cases[i][0], cases[i][1], title, (gpointer) "Office");

    g_assert_cmpstr (words, ==, cases[i][2]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/usb-words/what", test_what);
  g_test_add_func ("/usb-words/question", test_question);
  g_test_add_func ("/usb-words/choices", test_choices);
  return g_test_run ();
}
