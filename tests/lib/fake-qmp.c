/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/fake-qmp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct _FakeQmp {
  const char *const *script;
  int fd;
  long id;      /* of the last command */
  int received; /* descriptor that came beside it, or -1 */
  gboolean played;
  GThread *thread;
};

/* Reads one command; FALSE at the end of the connection. */
static gboolean
read_command (FakeQmp *fake, char *text, size_t size)
{
  size_t length = 0;

  if (fake->received >= 0)
    close (fake->received);
  fake->received = -1;
  do {
    char control[CMSG_SPACE (sizeof (int))];
    struct iovec part = { text + length, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *header;

    if (length + 1 >= size || recvmsg (fake->fd, &message, 0) != 1)
      return FALSE;
    header = CMSG_FIRSTHDR (&message);
    if (header != NULL)
      memcpy (&fake->received, CMSG_DATA (header), sizeof (int));
  } while (text[length++] != '\n');
  text[length] = '\0';
  return TRUE;
}

static void
say (FakeQmp *fake, const char *text)
{
  g_autofree char *line = g_strconcat (text, "\r\n", NULL);

  g_assert_cmpint (send (fake->fd, line, strlen (line), MSG_NOSIGNAL), ==, (ssize_t)strlen (line));
}

static void
answer (FakeQmp *fake, const char *key, const char *value)
{
  g_autofree char *text = g_strdup_printf ("{\"%s\": %s, \"id\": %ld}", key, value, fake->id);

  say (fake, text);
}

static gboolean
play_step (FakeQmp *fake, const char *step)
{
  char command[65536];
  g_autofree char *description = NULL;

  switch (step[0]) {
  case '>':
    say (fake, step + 1);
    return TRUE;
  case '<':
    if (!read_command (fake, command, sizeof command) || strstr (command, step + 1) == NULL)
      return FALSE;
    fake->id = strtol (strstr (command, "\"id\":") + 5, NULL, 10);
    return TRUE;
  case 'f':
    return fake->received >= 0;
  case '=':
    answer (fake, "return", step + 1);
    return TRUE;
  case '!':
    description = g_strdup_printf ("{\"class\": \"GenericError\", \"desc\": \"%s\"}", step + 1);
    answer (fake, "error", description);
    return TRUE;
  case '.':
    shutdown (fake->fd, SHUT_RDWR);
    return TRUE;
  default:
    g_assert_not_reached ();
  }
}

static gpointer
play (gpointer data)
{
  FakeQmp *fake = data;

  for (const char *const *step = fake->script; *step != NULL; step++)
    if (!play_step (fake, *step))
      return NULL;
  fake->played = TRUE;
  return NULL;
}

FakeQmp *
fake_qmp_new (const char *const *script, int *client)
{
  FakeQmp *fake = g_new0 (FakeQmp, 1);
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  fake->script = script;
  fake->fd = ends[0];
  fake->received = -1;
  *client = ends[1];
  fake->thread = g_thread_new ("fake-qmp", play, fake);
  return fake;
}

gboolean
fake_qmp_free (FakeQmp *fake)
{
  gboolean played;

  g_thread_join (fake->thread);
  played = fake->played;
  if (fake->received >= 0)
    close (fake->received);
  close (fake->fd);
  g_free (fake);
  return played;
}
