/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/signing/floe-signer.h"

#include "common/floe-fd.h"

#include <openssl/crypto.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#define PASSPHRASE_MAX 1024

struct _FloePassphrase {
  char *file; /* NULL: the terminal */
  gboolean known;
  char text[PASSPHRASE_MAX + 1];
};

FloePassphrase *
floe_passphrase_new (const char *file)
{
  FloePassphrase *passphrase = g_new0 (FloePassphrase, 1);

  passphrase->file = g_strdup (file);
  /* Best effort: without the privilege to lock memory the passphrase could reach swap, and signing still has to work. */
  (void) mlock (passphrase, sizeof *passphrase);
  return passphrase;
}

void
floe_passphrase_free (FloePassphrase *passphrase)
{
  if (passphrase == NULL)
    return;
  g_free (passphrase->file);
  OPENSSL_cleanse (passphrase, sizeof *passphrase);
  (void) munlock (passphrase, sizeof *passphrase);
  g_free (passphrase);
}

/* Reads a line of at most PASSPHRASE_MAX bytes from FD into TEXT, without its end of line. A byte at a time, so that what
 * follows the line stays unread and no buffer of the C library keeps a copy. */
static gboolean
read_line (int fd, char *text, const char *source, GError **error)
{
  for (size_t length = 0; length <= PASSPHRASE_MAX; length++) {
    ssize_t got;

    do
      got = read (fd, text + length, 1);
    while (got < 0 && errno == EINTR);
    if (got < 0)
      return floe_error_set_errno (error, errno, "read %s", source);
    if (got == 0 || text[length] == '\n') {
      text[length] = '\0';
      return length > 0 || floe_error_set (error, FLOE_ERROR_INVALID, "%s: the passphrase is empty", source);
    }
  }
  OPENSSL_cleanse (text, PASSPHRASE_MAX + 1);
  return floe_error_set (error, FLOE_ERROR_LIMIT, "%s: passphrase of more than %d bytes", source, PASSPHRASE_MAX);
}

static gboolean
ask_once (int tty, const char *question, const char *what, char *text, GError **error)
{
  g_autofree char *prompt = g_strdup_printf ("%s %s: ", question, what);
  struct termios shown, hidden;
  gboolean read_ok;

  if (tcgetattr (tty, &shown) < 0)
    return floe_error_set_errno (error, errno, "terminal");
  hidden = shown;
  hidden.c_lflag &= ~(tcflag_t) ECHO;
  if (tcsetattr (tty, TCSAFLUSH, &hidden) < 0)
    return floe_error_set_errno (error, errno, "terminal");
  read_ok = floe_write_all (tty, prompt, strlen (prompt), error) && read_line (tty, text, "terminal", error);
  tcsetattr (tty, TCSAFLUSH, &shown);
  return floe_write_all (tty, "\n", 1, NULL) && read_ok;
}

static gboolean
ask_terminal (FloePassphrase *passphrase, const char *what, gboolean confirm, GError **error)
{
  floe_autofd tty = open ("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  char again[PASSPHRASE_MAX + 1];
  gboolean same;

  if (tty < 0)
    return floe_error_set (error, FLOE_ERROR_UNSUPPORTED,
                           "%s: a passphrase is needed and there is no terminal; give --passphrase-file", what);
  if (!ask_once (tty, "Passphrase for", what, passphrase->text, error))
    return FALSE;
  if (!confirm)
    return TRUE;
  if (!ask_once (tty, "The same again for", what, again, error))
    return FALSE;
  same = strcmp (again, passphrase->text) == 0;
  OPENSSL_cleanse (again, sizeof again);
  return same || floe_error_set (error, FLOE_ERROR_INVALID, "%s: the two passphrases differ", what);
}

const char *
floe_passphrase_get (FloePassphrase *passphrase, const char *what, gboolean confirm, GError **error)
{
  if (passphrase == NULL) {
    floe_error_set (error, FLOE_ERROR_REFUSED, "%s: a passphrase is needed and none was given", what);
    return NULL;
  }
  if (passphrase->known)
    return passphrase->text;
  if (passphrase->file == NULL) {
    passphrase->known = ask_terminal (passphrase, what, confirm, error);
  } else {
    floe_autofd fd = open (passphrase->file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
      floe_error_set_errno (error, errno, "open %s", passphrase->file);
    else
      passphrase->known = read_line (fd, passphrase->text, passphrase->file, error);
  }
  if (!passphrase->known)
    OPENSSL_cleanse (passphrase->text, sizeof passphrase->text);
  return passphrase->known ? passphrase->text : NULL;
}
