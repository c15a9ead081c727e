/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-fd.h"
#include "tests/lib/hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <linux/if_tun.h>

/* A guest gone bad, and those who watch for it (tests/lib/hostile.h).
 *
 *   guest FD|TAP SLOT FIFO [WORD...]  holds a tap as QEMU does (descriptor, or a tap made here), obeys lines from FIFO;
 *                                     answers each with one line on standard output
 *   chase TAP SLOT FIFO [WORD...]     finds the tap among other processes' descriptors, as soon as one of them has it, and
 * floods it; when it ends, the next one. Obeys lines in between early TAP                         writes every kind to a
 * tap that is down kinds                             lists the kinds watch INTERFACE                   counts marked frames
 * on an interface, in the namespace it runs in, until SIGTERM host                              counts marked packets that
 * the IP stack here delivers to itself, until SIGTERM
 *
 * Lines: "hostile ROUNDS [KIND]", "flood FRAMES" (as many, as fast as the tap takes them), "legit [NAME]" or "legit alone"
 * (no server of the endpoint's is there), "drain"; while chasing "count" and "pause", "go". WORDs change the card's
 * addresses (hostile_guest_set). */

typedef struct {
  HostileGuest hostile;
  int fd;
  size_t next;   /* frame, of a flood that goes on */
  gboolean calm; /* floods nothing until told "go" */
  unsigned long link, flow, flow6, refused;
} Guest;

static void
send_entry (Guest *guest, const HostileEntry *entry)
{
  if (write (guest->fd, entry->bytes, entry->size) < 0)
    guest->refused++;
  else if (entry->class == HOSTILE_LINK)
    guest->link++;
  else if (entry->class == HOSTILE_FLOW)
    guest->flow++;
  else
    guest->flow6++;
}

static void
forget_counts (Guest *guest)
{
  guest->link = guest->flow = guest->flow6 = guest->refused = 0;
}

static void
say_counts (const Guest *guest, const char *what)
{
  printf ("%s link %lu flow %lu flow6 %lu refused %lu", what, guest->link, guest->flow, guest->flow6, guest->refused);
}

static void
send_hostile (Guest *guest, unsigned rounds, const char *only)
{
  const GPtrArray *frames = guest->hostile.frames;

  forget_counts (guest);
  for (unsigned round = 0; round < rounds; round++)
    for (guint i = 0; i < frames->len; i++) {
      const HostileEntry *entry = g_ptr_array_index (frames, i);

      if (only == NULL || g_str_equal (only, hostile_kinds[entry->kind].name))
        send_entry (guest, entry);
    }
  say_counts (guest, "hostile");
  printf ("\n");
}

/* N frames in turn; a refused one is tried no more. */
static void
send_some (Guest *guest, unsigned long n)
{
  const GPtrArray *frames = guest->hostile.frames;

  while (n-- > 0) {
    send_entry (guest, g_ptr_array_index (frames, guest->next));
    guest->next = guest->next + 1 == frames->len ? 0 : guest->next + 1;
  }
}

static void
flood (Guest *guest, unsigned long n)
{
  gint64 begun = g_get_monotonic_time ();

  forget_counts (guest);
  send_some (guest, n);
  say_counts (guest, "flood");
  printf (" per-second %.0f\n", (double)n * G_USEC_PER_SEC / (double)MAX (g_get_monotonic_time () - begun, 1));
}

/* Reads everything that came in the meantime, as a guest's driver would, and counts marks: another guest's frames. */
static unsigned long
drain (int fd)
{
  uint8_t buffer[4096];
  unsigned long marks = 0;
  ssize_t got;

  while ((got = read (fd, buffer, sizeof buffer)) > 0)
    marks += memmem (buffer, (size_t)got, HOSTILE_MARK, strlen (HOSTILE_MARK)) != NULL;
  return marks;
}

/* -- Taps -----------------------------------------------------------------------------------------------------------------
 */

static int
open_tap (const char *name)
{
  struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) };
  floe_autofd fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);

  g_strlcpy (request.ifr_name, name, sizeof request.ifr_name);
  if (fd < 0 || ioctl (fd, TUNSETIFF, &request) < 0)
    return -1;
  return floe_fd_steal (&fd);
}

/* Whether descriptor FD of process PID is a queue of the tap NAME. */
static gboolean
holds_tap (const char *pid, const char *fd, const char *name)
{
  g_autofree char *path = g_strdup_printf ("/proc/%s/fd/%s", pid, fd);
  g_autofree char *info_path = g_strdup_printf ("/proc/%s/fdinfo/%s", pid, fd);
  g_autofree char *line = g_strdup_printf ("iff:\t%s\n", name);
  g_autofree char *info = NULL;
  char target[64];
  ssize_t size = readlink (path, target, sizeof target - 1);

  if (size < 0)
    return FALSE;
  target[size] = '\0';
  return g_str_has_suffix (target, "/net/tun") && g_file_get_contents (info_path, &info, NULL, NULL)
         && strstr (info, line) != NULL;
}

/* Those that may hold a card's tap; not other chasers. Comparing names first keeps the look at all processes short. */
static gboolean
may_hold_taps (const char *pid)
{
  static const char *const names[] = { "floe-hypervisor\n", "qemu-system-x86\n", "net-card\n", "hostile-frames\n", NULL };
  g_autofree char *path = g_strdup_printf ("/proc/%s/comm", pid);
  g_autofree char *name = NULL;

  return g_ascii_isdigit (pid[0]) && g_file_get_contents (path, &name, NULL, NULL) && g_strv_contains (names, name);
}

/* A duplicate of another process's descriptor for the tap NAME, or -1: as if that process had been taken over. */
static int
steal_tap (const char *name)
{
  g_autoptr (GDir) processes = g_dir_open ("/proc", 0, NULL);
  const char *pid;

  while ((pid = g_dir_read_name (processes)) != NULL) {
    g_autofree char *path = g_strdup_printf ("/proc/%s/fd", pid);
    g_autoptr (GDir) fds = may_hold_taps (pid) ? g_dir_open (path, 0, NULL) : NULL;
    const char *fd;

    while (fds != NULL && (fd = g_dir_read_name (fds)) != NULL)
      if (holds_tap (pid, fd, name)) {
        floe_autofd process = (int)syscall (SYS_pidfd_open, atoi (pid), 0);

        return process < 0 ? -1 : (int)syscall (SYS_pidfd_getfd, process, atoi (fd), 0);
      }
  }
  return -1;
}

/* Frames written before anything is ready must be refused by the tap itself. */
static int
do_early (const char *name)
{
  Guest guest = { .fd = open_tap (name) };

  if (guest.fd < 0)
    return 1;
  hostile_guest_init (&guest.hostile, 0);
  hostile_guest_fill (&guest.hostile);
  send_hostile (&guest, 1, NULL);
  return 0;
}

/* -- Roles ----------------------------------------------------------------------------------------------------------------
 */

static void
do_legit (Guest *guest, const char *name)
{
  gboolean alone = g_strcmp0 (name, "alone") == 0;
  g_autofree char *said = hostile_legit (&guest->hostile, guest->fd, alone ? NULL : name, !alone);

  printf ("legit %s\n", said);
}

/* FALSE: not a line that this knows. */
static gboolean
obey (Guest *guest, char *line)
{
  g_auto (GStrv) words = g_strsplit (g_strchomp (line), " ", 0);
  guint n = g_strv_length (words);

  if (n >= 2 && g_str_equal (words[0], "hostile"))
    send_hostile (guest, (unsigned)atoi (words[1]), words[2]);
  else if (n == 2 && g_str_equal (words[0], "flood"))
    flood (guest, strtoul (words[1], NULL, 10));
  else if (n >= 1 && g_str_equal (words[0], "legit"))
    do_legit (guest, words[1]);
  else if (n == 1 && g_str_equal (words[0], "drain"))
    printf ("drain %lu\n", drain (guest->fd));
  else
    return FALSE;
  fflush (stdout);
  return TRUE;
}

static gboolean
set_words (Guest *guest, char **words)
{
  for (; *words != NULL; words++)
    if (g_str_equal (*words, "calm"))
      guest->calm = TRUE;
    else if (!hostile_guest_set (&guest->hostile, *words))
      return FALSE;
  hostile_guest_fill (&guest->hostile);
  return TRUE;
}

static int
be_guest (const char *tap, unsigned slot, const char *fifo, char **words)
{
  Guest guest = { .fd = strspn (tap, "0123456789") == strlen (tap) ? atoi (tap) : open_tap (tap) };
  FILE *control;
  char line[256];

  hostile_guest_init (&guest.hostile, slot);
  if (guest.fd < 0 || !set_words (&guest, words))
    return 1;
  fcntl (guest.fd, F_SETFL, O_NONBLOCK);
  /* Read and write, so that it does not end when a writer closes it. */
  control = fopen (fifo, "r+");
  while (control != NULL && fgets (line, sizeof line, control) != NULL && obey (&guest, line))
    ;
  return 0;
}

/* One line from the control, if there is one within MS milliseconds. */
static gboolean
read_line (int control, int ms, char line[256])
{
  struct pollfd poll_fd = { control, POLLIN, 0 };
  size_t size = 0;

  if (poll (&poll_fd, 1, ms) <= 0)
    return FALSE;
  while (size < 255 && read (control, line + size, 1) == 1 && line[size] != '\n')
    size++;
  line[size] = '\0';
  return TRUE;
}

/* The tap NAME as it is now: one that is gone (EBADFD) is let go, and looked for again. Whether it is another one. */
static gboolean
hold_tap (Guest *guest, const char *name)
{
  if (guest->fd >= 0 && write (guest->fd, "", 0) < 0 && errno == EBADFD)
    close (floe_fd_steal (&guest->fd));
  if (guest->fd >= 0 || (guest->fd = steal_tap (name)) < 0)
    return FALSE;
  fcntl (guest->fd, F_SETFL, O_NONBLOCK);
  return TRUE;
}

/* Milliseconds until the next look. Who floods is to catch a new tap young. Who only obeys has it with the next line, and
 * looks now and then besides: looking is most of an emulated processor's time. */
static int
pause_of (const Guest *guest)
{
  if (guest->calm)
    return 200;
  return guest->fd < 0 ? 1 : 2;
}

/* Taps begin and end while this runs: found as soon as somebody has one, before it is up and before rules are there;
 * written to until it is gone (EBADFD), down (EIO) or not. */
static int
chase (const char *tap, unsigned slot, const char *fifo, char **words)
{
  Guest guest = { .fd = -1 };
  unsigned long taps = 0;
  floe_autofd control = open (fifo, O_RDWR | O_CLOEXEC);
  char line[256];

  hostile_guest_init (&guest.hostile, slot);
  if (control < 0 || !set_words (&guest, words))
    return 1;
  prctl (PR_SET_NAME, "chaser");
  printf ("chasing\n");
  fflush (stdout);
  for (;;) {
    gboolean told = read_line (control, pause_of (&guest), line);

    taps += hold_tap (&guest, tap);
    if (told) {
      if (g_str_has_prefix (line, "count")) {
        say_counts (&guest, "count");
        printf (" taps %lu holds %d\n", taps, guest.fd >= 0);
      } else if (g_str_has_prefix (line, "pause") || g_str_has_prefix (line, "go")) {
        guest.calm = line[0] == 'p';
        printf ("%s\n", line);
      } else if (!obey (&guest, line))
        return 0;
      fflush (stdout);
    }
    if (guest.fd >= 0 && !guest.calm)
      send_some (&guest, 512);
  }
}

static volatile sig_atomic_t ended;

static void
end (int signal_number)
{
  (void)signal_number;
  ended = 1;
}

/* The first of the leaks, for whoever has to find the hole. */
static void
show (const uint8_t *bytes, size_t size)
{
  for (size_t i = 0; i < MIN (size, 160); i++)
    fprintf (stderr, "%02x%s", bytes[i], i % 4 == 3 ? " " : "");
  fprintf (stderr, "\n");
}

/* Counts what N sockets see until SIGTERM; then says it. */
static int
count_marks (struct pollfd *sockets, nfds_t n)
{
  static uint8_t buffer[65536];
  unsigned long hostile = 0, good = 0;
  struct sigaction action = { .sa_handler = end };

  sigaction (SIGTERM, &action, NULL);
  printf ("watching\n");
  fflush (stdout);
  /* After the signal, what is queued is read to its end: a leak must not hide behind the order to stop. */
  for (gboolean more = TRUE; more || !ended;) {
    more = poll (sockets, n, ended ? 0 : 200) > 0;
    for (nfds_t i = 0; i < n && more; i++) {
      ssize_t got = sockets[i].revents & POLLIN ? recv (sockets[i].fd, buffer, sizeof buffer, MSG_DONTWAIT) : 0;

      if (got <= 0)
        continue;
      if (memmem (buffer, (size_t)got, HOSTILE_MARK, strlen (HOSTILE_MARK)) != NULL && ++hostile % 256 == 1)
        show (buffer, (size_t)got);
      good += memmem (buffer, (size_t)got, HOSTILE_GOOD, strlen (HOSTILE_GOOD)) != NULL;
    }
  }
  printf ("hostile %lu good %lu\n", hostile, good);
  return 0;
}

static int
open_socket (int family, int protocol)
{
  const int room = 64 * 1024 * 1024;
  int fd = socket (family, SOCK_RAW | SOCK_CLOEXEC, protocol);

  if (fd >= 0)
    setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  return fd;
}

static int
watch (const char *interface)
{
  struct sockaddr_ll address
      = { .sll_family = AF_PACKET, .sll_protocol = htons (ETH_P_ALL), .sll_ifindex = (int)if_nametoindex (interface) };
  struct pollfd socket_fd = { open_socket (AF_PACKET, htons (ETH_P_ALL)), POLLIN, 0 };

  if (address.sll_ifindex == 0 || socket_fd.fd < 0
      || bind (socket_fd.fd, (const struct sockaddr *)&address, sizeof address) < 0)
    return 1;
  return count_marks (&socket_fd, 1);
}

/* Raw sockets get what has passed the input hook. */
static int
watch_host (void)
{
  static const int protocols[] = { 1, 2, 4, 6, 17, 33, 41, 46, 47, 50, 51, 58, 88, 89, 103, 108, 112, 115, 132, 136 };
  struct pollfd sockets[2 * G_N_ELEMENTS (protocols)];

  for (size_t i = 0; i < G_N_ELEMENTS (sockets); i++) {
    sockets[i] = (struct pollfd){ open_socket (i % 2 ? AF_INET6 : AF_INET, protocols[i / 2]), POLLIN, 0 };
    if (sockets[i].fd < 0)
      return 1;
  }
  return count_marks (sockets, G_N_ELEMENTS (sockets));
}

static int
list_kinds (void)
{
  for (size_t i = 0; i < hostile_n_kinds; i++)
    printf ("%s\n", hostile_kinds[i].name);
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc >= 5 && g_str_equal (argv[1], "guest"))
    return be_guest (argv[2], (unsigned)atoi (argv[3]), argv[4], argv + 5);
  if (argc >= 5 && g_str_equal (argv[1], "chase"))
    return chase (argv[2], (unsigned)atoi (argv[3]), argv[4], argv + 5);
  if (argc == 3 && g_str_equal (argv[1], "early"))
    return do_early (argv[2]);
  if (argc == 2 && g_str_equal (argv[1], "kinds"))
    return list_kinds ();
  if (argc == 3 && g_str_equal (argv[1], "watch"))
    return watch (argv[2]);
  if (argc == 2 && g_str_equal (argv[1], "host"))
    return watch_host ();
  fprintf (stderr,
           "usage: hostile-frames guest FD|TAP SLOT FIFO [WORD...] | chase TAP SLOT FIFO [WORD...] | early TAP | kinds | "
           "watch INTERFACE | host\n");
  return 2;
}
