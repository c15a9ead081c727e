/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The question for the recovery key, on the kernel's console.
 *
 * It is asked before anything of the state is there, so by this program and no desktop. What is typed goes nowhere but into a key that is tried. USB
 * is closed at this time, and most PCs have their keyboard there: devices all of whose interfaces are HID are opened while the question stands, and
 * closed again; all they can do meanwhile is answer it. The keyboard's layout is not known: digits come without Shift on the layouts of most
 * countries, and where A and Q have changed places, Q is A, for it is no digit itself. */

#include "appliance/floe-state-ask.h"

#include "appliance/floe-usb-kind.h"
#include "common/floe-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define SCREEN "/dev/tty1"
#define FIRST_SECONDS 60  /* until somebody begins */
#define NEXT_SECONDS 180  /* until he goes on */
#define LOOK_SECONDS 2    /* for keyboards that were plugged in meanwhile */
#define GROUP 4

void
floe_state_key_free (char *key)
{
  if (key != NULL)
    explicit_bzero (key, strlen (key));
  g_free (key);
}

size_t
floe_state_key_type (char *key, size_t digits, char c)
{
  c = g_ascii_tolower (c);
  if ((c == '\b' || c == 0x7f) && digits > 0)
    digits--;
  else if (digits < FLOE_STATE_KEY_DIGITS && (g_ascii_isxdigit (c) || c == 'q'))
    key[digits++] = c == 'q' ? 'a' : c;
  key[digits] = 0;
  return digits;
}

/* What was typed so far, on one line, in groups as the eye wants them. */
static void
show (int screen, const char *key)
{
  char line[2 * FLOE_STATE_KEY_DIGITS];
  size_t at = 0;

  for (size_t i = 0; key[i] != 0; i++) {
    if (i > 0 && i % GROUP == 0)
      line[at++] = ' ';
    line[at++] = key[i];
  }
  dprintf (screen, "\r  %.*s\033[K", (int) at, line);
  explicit_bzero (line, sizeof line);
}

/* TRUE at the end of a line with a whole key; FALSE when nobody types any more. */
static gboolean
read_key (int screen, char key[FLOE_STATE_KEY_DIGITS + 1])
{
  gint64 until = g_get_monotonic_time () + FIRST_SECONDS * G_USEC_PER_SEC;
  struct pollfd ready = { .fd = screen, .events = POLLIN };
  size_t digits = 0;
  char c;

  while (g_get_monotonic_time () < until) {
    floe_usb_authorise (FLOE_USB_HID, true, NULL);
    if (poll (&ready, 1, LOOK_SECONDS * 1000) <= 0)
      continue;
    if (read (screen, &c, 1) != 1)
      return FALSE;
    until = g_get_monotonic_time () + NEXT_SECONDS * G_USEC_PER_SEC;
    if (c != '\n' && c != '\r') {
      digits = floe_state_key_type (key, digits, c);
      show (screen, key);
    } else if (digits == FLOE_STATE_KEY_DIGITS)
      return TRUE;
    else
      dprintf (screen, "\n  It has %d digits; these are %zu.\n", FLOE_STATE_KEY_DIGITS, digits);
  }
  return FALSE;
}

char *
floe_state_ask_key (const char *reason, GError **error)
{
  char key[FLOE_STATE_KEY_DIGITS + 1] = "", *answer = NULL;
  floe_autofd screen = open (SCREEN, O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct termios before, raw;

  if (screen < 0 || tcgetattr (screen, &before) != 0) {
    floe_error_set_errno (error, errno, SCREEN);
    return NULL;
  }
  raw = before;
  raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO | ISIG);
  tcsetattr (screen, TCSAFLUSH, &raw);
  dprintf (screen,
           "\n\n  Floe does not open what is kept on this disk.\n  %s\n\n"
           "  The recovery key of this machine opens it: its administrator has it from the management server.\n"
           "  Type its %d digits (0-9, a-f) and Enter. Without it the machine restarts in a minute.\n\n",
           reason, FLOE_STATE_KEY_DIGITS);
  if (read_key (screen, key))
    answer = g_strdup (key);
  else
    floe_error_set (error, FLOE_ERROR_CANCELLED, "nobody typed the recovery key");
  dprintf (screen, "\n");
  tcsetattr (screen, TCSAFLUSH, &before);
  floe_usb_authorise (FLOE_USB_HID, false, NULL);
  explicit_bzero (key, sizeof key);
  return answer;
}
