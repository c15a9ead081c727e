/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#ifdef FLOE_HAVE_GTK
#include "console-ui/floe-accelerator.h"

static void
check (const char *text, guint keyval, guint modifiers)
{
  g_autoptr (GError) error = NULL;
  FloeHotkeyChord chord = { 1, 1 };

  g_assert_true (floe_accelerator_parse (text, &chord, &error));
  g_assert_no_error (error);
  g_assert_cmphex (chord.keyval, ==, keyval);
  g_assert_cmphex (chord.modifiers, ==, modifiers);
}

static void
test_good (void)
{
  check ("<Control><Alt>Right", 0xff53, 1 << 2 | 1 << 3);
  check ("<Alt><Control>Home", 0xff50, 1 << 2 | 1 << 3);
  check ("<Shift><Control>A", 'a', 1 << 0 | 1 << 2);
  check ("<Super>space", ' ', 1 << 6);
  check ("F12", 0xffc9, 0);
  check ("Pause", 0xff13, 0);
  check ("", 0, 0);
  check (NULL, 0, 0);
}

/* Refused, and the chord is left alone. */
static void
test_bad (void)
{
  static const char *const bad[] = { "a", "<Shift>a", "space", "Return", "<Control>", "<Control><Alt>", "<Hocus>Right", "nonsense",
                                     "<Control>Control_L", "Alt_L", "<Control><Alt>Rightt" };

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    FloeHotkeyChord chord = { 7, 7 };

    g_assert_false (floe_accelerator_parse (bad[i], &chord, &error));
    g_assert_error (error, FLOE_ERROR, FLOE_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, bad[i]));
    g_assert_cmpuint (chord.keyval, ==, 7);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/accelerator/good", test_good);
  g_test_add_func ("/accelerator/bad", test_bad);
  return g_test_run ();
}
#else
int
main (void)
{
  g_print ("skipped: built without the console\n");
  return 77;
}
#endif
