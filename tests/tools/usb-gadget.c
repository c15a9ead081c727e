/* SPDX-License-Identifier: GPL-2.0-or-later */
/* usb-gadget [-p PORT] [-s low|full|high|super] [-r] [-e] FACE [FACE]: plays a USB device of any bytes, on the kernel's virtual host controller
 * (vhci_hcd, to which this program is a device at the far end of USB/IP: Documentation/usb/usbip_protocol.rst) until it is killed.
 *
 * A FACE is a file with lines
 *
 *   device HEX        the device descriptor
 *   config HEX        a configuration with all that belongs to it; again for the next one. Lengths inside may lie
 *   string N HEX      string descriptor N, whole
 *   text N WORDS      string descriptor N of these words (ASCII)
 *   report HEX        the report descriptor of its HID interfaces
 *
 * With a second FACE the device is that one from the second time on that it is asked for its device descriptor anew after it was
 * configured: after a reset; with -r from the second reading of the device descriptor on, whoever asks; with -e it refuses all transfers
 * on other endpoints, so that a driver resets it, and turns at the first such reading after that: not when somebody merely asks. Whatever is no
 * standard request is refused, and nothing ever comes from an interrupt endpoint. What happens is told on standard output, a word a line:
 * "attached", "configured N", "reset", "second", "asked" (a transfer on another endpoint than 0). */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VHCI "/sys/devices/platform/vhci_hcd.0/"
#define BLOB_MAX 65600

enum { CMD_SUBMIT = 1, CMD_UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4 };
enum { GET_STATUS = 0, SET_ADDRESS = 5, GET_DESCRIPTOR = 6, GET_CONFIGURATION = 8, SET_CONFIGURATION = 9, GET_INTERFACE = 10, SET_INTERFACE = 11 };

typedef struct {
  uint8_t *bytes;
  size_t size;
} Blob;

typedef struct {
  Blob device, report, configs[8], strings[256];
  unsigned n_configs;
} Face;

/* All big-endian. */
typedef struct {
  uint32_t command, seqnum, devid, direction, endpoint;
  uint32_t flags_or_status, length, start_frame, packets, interval_or_errors;
  uint8_t setup[8];
} Message;
_Static_assert(sizeof (Message) == 48, "a USB/IP header has 48 bytes");

typedef struct {
  int fd, by_reading, refuses;
  const Face *faces[2];
  unsigned face, configured, read, refused;
} Gadget;

static void
fail (const char *what)
{
  fprintf (stderr, "usb-gadget: %s: %s\n", what, strerror (errno));
  exit (1);
}

static void
say (const char *what, int number)
{
  if (number < 0)
    puts (what);
  else
    printf ("%s %d\n", what, number);
  fflush (stdout);
}

static Blob
from_hex (const char *text)
{
  Blob blob = { calloc (1, BLOB_MAX), 0 };
  unsigned byte;
  int used;

  for (; sscanf (text, " %2x%n", &byte, &used) == 1 && blob.size < BLOB_MAX; text += used)
    blob.bytes[blob.size++] = (uint8_t)byte;
  return blob;
}

static Blob
from_words (const char *text)
{
  size_t length = strcspn (text, "\n");
  Blob blob = { calloc (1, BLOB_MAX), 2 + 2 * length };

  blob.bytes[0] = (uint8_t)blob.size;
  blob.bytes[1] = 3;
  for (size_t i = 0; i < length; i++)
    blob.bytes[2 + 2 * i] = (uint8_t)text[i];
  return blob;
}

static Face *
read_face (const char *path)
{
  Face *face = calloc (1, sizeof *face);
  FILE *file = fopen (path, "re");
  char *line = NULL;
  size_t size = 0;
  unsigned n;
  int used;

  if (file == NULL)
    fail (path);
  while (getline (&line, &size, file) > 0) {
    used = 0;
    if (strncmp (line, "device ", 7) == 0)
      face->device = from_hex (line + 7);
    else if (strncmp (line, "config ", 7) == 0 && face->n_configs < 8)
      face->configs[face->n_configs++] = from_hex (line + 7);
    else if (strncmp (line, "report ", 7) == 0)
      face->report = from_hex (line + 7);
    else if (sscanf (line, "string %u %n", &n, &used) == 1 && n < 256 && used > 0)
      face->strings[n] = from_hex (line + used);
    else if (sscanf (line, "text %u %n", &n, &used) == 1 && n < 256 && used > 0)
      face->strings[n] = from_words (line + used);
    else {
      errno = EINVAL;
      fail (line);
    }
  }
  free (line);
  fclose (file);
  /* The languages: English (United States). */
  if (face->strings[0].bytes == NULL)
    face->strings[0] = from_hex ("04 03 09 04");
  return face;
}

static void
transfer (int fd, void *data, size_t size, int out)
{
  char *at = data;

  while (size > 0) {
    ssize_t n = out ? write (fd, at, size) : read (fd, at, size);

    /* The controller let go of us: pulled. */
    if (n == 0 || (n < 0 && errno != EINTR))
      exit (0);
    if (n > 0) {
      at += n;
      size -= (size_t)n;
    }
  }
}

static void
answer (const Gadget *gadget, const Message *request, int status, const void *data, size_t size)
{
  Message reply = { .command = htobe32 (RET_SUBMIT), .seqnum = request->seqnum, .flags_or_status = htobe32 ((uint32_t)status),
                    .length = htobe32 ((uint32_t)size) };

  transfer (gadget->fd, &reply, sizeof reply, 1);
  if (size > 0 && be32toh (request->direction) == 1)
    transfer (gadget->fd, (void *)data, size, 1);
}

static void
device_descriptor_asked (Gadget *gadget)
{
  gadget->read++;
  if (gadget->configured == 0 && !gadget->by_reading)
    return;
  if (gadget->by_reading && gadget->read < 2)
    return;
  if (gadget->refuses && gadget->refused == 0)
    return;
  if (!gadget->by_reading)
    say ("reset", -1);
  if (gadget->faces[1] != NULL && gadget->face == 0) {
    gadget->face = 1;
    say ("second", -1);
  }
  gadget->configured = 0;
}

static Blob
descriptor (Gadget *gadget, uint8_t type, uint8_t index, unsigned wanted)
{
  Blob none = { NULL, 0 };
  const Face *face;

  /* 64 bytes are what a host asks for when it does not know the device's packet size: at the beginning, and after a reset. */
  if (type == 1 && index == 0 && (gadget->by_reading || wanted == 64))
    device_descriptor_asked (gadget);
  face = gadget->faces[gadget->face];
  if (type == 1)
    return face->device;
  if (type == 2 && index < face->n_configs)
    return face->configs[index];
  if (type == 3)
    return face->strings[index];
  return none;
}

static void
control (Gadget *gadget, const Message *request)
{
  const uint8_t *setup = request->setup;
  unsigned wanted = be32toh (request->length);
  uint8_t zero[2] = { 0 };
  const Blob report = gadget->faces[gadget->face]->report;
  Blob blob;

  if (setup[0] == 0x80 && setup[1] == GET_DESCRIPTOR) {
    blob = descriptor (gadget, setup[3], setup[2], wanted);
    if (blob.bytes == NULL)
      answer (gadget, request, -EPIPE, NULL, 0);
    else
      answer (gadget, request, 0, blob.bytes, blob.size < wanted ? blob.size : wanted);
  } else if (setup[0] == 0x81 && setup[1] == GET_DESCRIPTOR && setup[3] == 0x22 && report.bytes != NULL) {
    answer (gadget, request, 0, report.bytes, report.size < wanted ? report.size : wanted);
  } else if (setup[0] == 0 && setup[1] == SET_CONFIGURATION) {
    gadget->configured = 1;
    say ("configured", setup[2]);
    answer (gadget, request, 0, NULL, 0);
  } else if ((setup[0] == 0 && setup[1] == SET_ADDRESS) || (setup[0] == 1 && setup[1] == SET_INTERFACE))
    answer (gadget, request, 0, NULL, 0);
  else if ((setup[0] & 0xe0) == 0x80 && setup[1] == GET_STATUS)
    answer (gadget, request, 0, zero, wanted < 2 ? wanted : 2);
  else
    answer (gadget, request, -EPIPE, NULL, 0);
}

static void
serve (Gadget *gadget)
{
  static uint8_t sink[1 << 20];

  for (;;) {
    Message request;

    transfer (gadget->fd, &request, sizeof request, 0);
    if (be32toh (request.command) == CMD_UNLINK) {
      Message reply = { .command = htobe32 (RET_UNLINK), .seqnum = request.seqnum, .flags_or_status = htobe32 ((uint32_t)-ECONNRESET) };

      transfer (gadget->fd, &reply, sizeof reply, 1);
      continue;
    }
    if (be32toh (request.direction) == 0 && be32toh (request.length) > 0) {
      if (be32toh (request.length) > sizeof sink)
        exit (1);
      transfer (gadget->fd, sink, be32toh (request.length), 0);
    }
    if (be32toh (request.endpoint) == 0) {
      control (gadget, &request);
    } else {
      say ("asked", (int)be32toh (request.endpoint));
      if (gadget->refuses) {
        gadget->refused++;
        answer (gadget, &request, -EPIPE, NULL, 0);
        continue;
      }
      /* What is sent to us is taken; what is wanted of us never comes. */
      if (be32toh (request.direction) == 0)
        answer (gadget, &request, 0, NULL, be32toh (request.length));
    }
  }
}

static int
attach (unsigned port, unsigned speed)
{
  char text[64];
  int pair[2], file, length;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    fail ("socketpair");
  length = snprintf (text, sizeof text, "%u %d %u %u", port, pair[0], 0x10000 + port + 1, speed);
  file = open (VHCI "attach", O_WRONLY | O_CLOEXEC);
  if (file < 0 || write (file, text, (size_t)length) != length)
    fail (VHCI "attach");
  close (file);
  /* The controller has a reference of its own; ours would keep the device there after it is pulled. */
  close (pair[0]);
  return pair[1];
}

int
main (int argc, char **argv)
{
  static const char *const speeds[] = { "", "low", "full", "high", "", "super" };
  Gadget gadget = { 0 };
  unsigned port = 0, speed = 3;
  int option;

  while ((option = getopt (argc, argv, "p:s:re")) != -1) {
    if (option == 'p')
      port = (unsigned)atoi (optarg);
    else if (option == 'r')
      gadget.by_reading = 1;
    else if (option == 'e')
      gadget.refuses = 1;
    else if (option == 's')
      for (speed = 5; speed > 1 && strcmp (optarg, speeds[speed]) != 0;)
        speed--;
    else
      return 2;
  }
  if (optind == argc || argc - optind > 2) {
    fprintf (stderr, "usage: usb-gadget [-p PORT] [-s SPEED] [-r] [-e] FACE [FACE]\n");
    return 2;
  }
  for (int i = 0; i < argc - optind; i++)
    gadget.faces[i] = read_face (argv[optind + i]);
  gadget.fd = attach (port, speed);
  say ("attached", -1);
  serve (&gadget);
  return 0;
}
