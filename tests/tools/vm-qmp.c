/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vm-qmp COMMAND [ARGUMENTS]: inside the test machine (tests/lib/vm.sh), one command to the QMP monitor of the QEMU that it runs in, through
 * a virtio port. ARGUMENTS is a JSON object. Prints the answer, a line; status 1 when it is an error. Callers wait for
 * one another. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PORT "/run/outer-qmp"
#define LOCK "/run/outer-qmp.lock"
#define ANSWER_MS 20000

static void
fail (const char *what)
{
  fprintf (stderr, "vm-qmp: %s: %s\n", what, strerror (errno));
  exit (1);
}

/* A line without its end into LINE; what is longer is cut. */
static void
read_line (int fd, char *line, size_t size)
{
  size_t n = 0;

  for (;;) {
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    char c;

    if (poll (&ready, 1, ANSWER_MS) <= 0) {
      errno = ETIMEDOUT;
      fail ("no answer");
    }
    if (read (fd, &c, 1) != 1)
      fail (PORT);
    if (c == '\n')
      break;
    if (n < size - 1 && c != '\r')
      line[n++] = c;
  }
  line[n] = '\0';
}

/* Sends REQUEST, which has id ID, and waits for the answer to it; events and answers to callers that died are passed over. */
static int
ask (int fd, const char *request, const char *id, int show)
{
  static char line[65536];

  if (write (fd, request, strlen (request)) != (ssize_t)strlen (request))
    fail (PORT);
  for (;;) {
    read_line (fd, line, sizeof line);
    if (strstr (line, id) == NULL)
      continue;
    if (show)
      puts (line);
    return strstr (line, "\"return\"") != NULL ? 0 : 1;
  }
}

int
main (int argc, char **argv)
{
  char request[65536], id[64];
  int lock = open (LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  int fd = open (PORT, O_RDWR | O_CLOEXEC);

  if (argc < 2 || argc > 3) {
    fprintf (stderr, "usage: vm-qmp COMMAND [ARGUMENTS]\n");
    return 2;
  }
  if (lock < 0 || flock (lock, LOCK_EX) < 0)
    fail (LOCK);
  if (fd < 0)
    fail (PORT);
  /* Needed once; an error afterwards. Either way there is an answer. */
  snprintf (id, sizeof id, "\"id\": \"negotiate-%ld\"", (long)getpid ());
  snprintf (request, sizeof request, "{\"execute\":\"qmp_capabilities\",%s}\n", id);
  ask (fd, request, id, 0);
  snprintf (id, sizeof id, "\"id\": \"ask-%ld\"", (long)getpid ());
  if ((size_t)snprintf (request, sizeof request, "{\"execute\":\"%s\"%s%s,%s}\n", argv[1], argc > 2 ? ",\"arguments\":" : "",
                        argc > 2 ? argv[2] : "", id)
      >= sizeof request) {
    errno = E2BIG;
    fail ("request");
  }
  return ask (fd, request, id, 1);
}
