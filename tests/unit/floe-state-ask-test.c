/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "appliance/floe-state-ask.h"

#include <string.h>

static void
check_typed (const char *typed, const char *wanted)
{
  char key[FLOE_STATE_KEY_DIGITS + 1] = "";
  size_t digits = 0;

  for (const char *c = typed; *c != 0; c++)
    digits = floe_state_key_type (key, digits, *c);
  g_assert_cmpstr (key, ==, wanted);
  g_assert_cmpuint (digits, ==, strlen (wanted));
}

static void
test_digits (void)
{
  check_typed ("", "");
  check_typed ("0123456789abcdef", "0123456789abcdef");
  check_typed ("DEAD-BEEF 01", "deadbeef01");
  check_typed ("xyz!\t\033[A", "a"); /* the last letter of an arrow key's sequence is a digit, and is seen to be one too many */
}

/* Where A and Q have changed places, nobody finds the A. */
static void
test_layout (void)
{
  check_typed ("qQ0", "aa0");
}

static void
test_backspace (void)
{
  check_typed ("12\b3", "13");
  check_typed ("12\177\177\177\1774", "4");
}

static void
test_too_many (void)
{
  g_autofree char *many = g_strnfill (3 * FLOE_STATE_KEY_DIGITS, 'f'), *whole = g_strnfill (FLOE_STATE_KEY_DIGITS, 'f');

  check_typed (many, whole);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/state-ask/digits", test_digits);
  g_test_add_func ("/state-ask/layout", test_layout);
  g_test_add_func ("/state-ask/backspace", test_backspace);
  g_test_add_func ("/state-ask/too-many", test_too_many);
  return g_test_run ();
}
