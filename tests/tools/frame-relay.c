/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* `frame-relay FD NAME`: in the place of QEMU and its guest. FD is a machine's tap, as QEMU inherits it; NAME is a tap that is made in the
 * network namespace this runs in, through which the kernel there takes part as the guest. Frames go through as they are, virtio-net
 * headers included. */

static void
die (const char *what)
{
  perror (what);
  exit (1);
}

static int
make_tap (const char *name)
{
  struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) };
  int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);

  strncpy (request.ifr_name, name, IFNAMSIZ - 1);
  if (fd < 0 || ioctl (fd, TUNSETIFF, &request) < 0)
    die (name);
  return fd;
}

static void
pass (int from, int to)
{
  static char frame[70000];
  ssize_t size = read (from, frame, sizeof frame);

  if (size < 0 && errno != EAGAIN && errno != EINTR)
    die ("read");
  /* A frame that the other side does not take is lost, as on any wire. */
  if (size > 0 && write (to, frame, (size_t)size) < 0 && errno != EIO && errno != EAGAIN && errno != EINVAL)
    die ("write");
}

int
main (int argc, char **argv)
{
  int card, guest;

  if (argc != 3)
    return 2;
  card = atoi (argv[1]);
  guest = make_tap (argv[2]);
  printf ("relaying\n");
  fflush (stdout);
  for (;;) {
    struct pollfd fds[] = { { .fd = card, .events = POLLIN }, { .fd = guest, .events = POLLIN } };

    if (poll (fds, 2, -1) < 0 && errno != EINTR)
      die ("poll");
    if (fds[0].revents != 0)
      pass (card, guest);
    if (fds[1].revents != 0)
      pass (guest, card);
  }
}
