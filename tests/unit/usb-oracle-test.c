/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our decoder of USB descriptors against another that was written by others: libusb's. It is made to read descriptors of ours as if a
 * device had them: libusb_wrap_sys_device() on a file in memory, whose few usbfs requests are answered here (the program's own
 * ioctl() stands before the C library's).
 *
 * Where we call descriptors whole, libusb must decode each configuration, and to the very same interfaces. Where we find a mistake, libusb
 * may go on or not, but must find no interface that we did not see, since rules that block look at all that we saw: unless the mistake is
 * that nobody can say where the next configuration begins, and each has a guess of its own. */
#include "hypervisor/usb/floe-usb-descriptors.h"

#include <errno.h>
#include <libusb.h>
#include <linux/usbdevice_fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define CASES 50000
#endif
#endif
#ifndef CASES
#define CASES 1000000
#endif
#define BYTES_MAX 2048

static int memory = -1;

/* What libusb asks of the device's node; every other request of this program's goes to the kernel. */
int ioctl (int fd, unsigned long request, ...);
int
ioctl (int fd, unsigned long request, ...)
{
  va_list list;
  void *argument;

  va_start (list, request);
  argument = va_arg (list, void *);
  va_end (list);
  if (fd != memory)
    return (int)syscall (SYS_ioctl, fd, request, argument);
  if (request == USBDEVFS_CONNECTINFO) {
    *(struct usbdevfs_connectinfo *)argument = (struct usbdevfs_connectinfo){ .devnum = 1 };
    return 0;
  }
  errno = ENOTTY;
  return -1;
}

/* -- Descriptors ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
  uint8_t bytes[BYTES_MAX];
  size_t size;
  guint64 random;
} Case;

static unsigned
random_below (Case *c, unsigned n)
{
  c->random ^= c->random << 13;
  c->random ^= c->random >> 7;
  c->random ^= c->random << 17;
  return (unsigned)(c->random >> 20) % n;
}

static void
put (Case *c, const uint8_t *bytes, size_t size)
{
  g_assert_cmpuint (c->size + size, <=, BYTES_MAX);
  memcpy (c->bytes + c->size, bytes, size);
  c->size += size;
}
#define PUT(c, ...) put (c, (const uint8_t[]){ __VA_ARGS__ }, sizeof ((const uint8_t[]){ __VA_ARGS__ }))

static uint8_t
any_class (Case *c)
{
  static const uint8_t classes[] = { 0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 14, 0xe0, 0xef, 0xfe, 0xff };

  return classes[random_below (c, G_N_ELEMENTS (classes))];
}

static void
put_extra (Case *c)
{
  static const uint8_t types[] = { 0x0b, 0x21, 0x22, 0x24, 0x25, 0x30, 0x41 };
  uint8_t extra[34];
  unsigned size = 2 + random_below (c, sizeof extra - 2);

  extra[0] = (uint8_t)size;
  extra[1] = types[random_below (c, G_N_ELEMENTS (types))];
  for (unsigned i = 2; i < size; i++)
    extra[i] = (uint8_t)random_below (c, 256);
  put (c, extra, size);
}

static void
put_setting (Case *c, uint8_t number, uint8_t setting)
{
  unsigned endpoints = random_below (c, 4);

  PUT (c, 9, 4, number, setting, (uint8_t)endpoints, any_class (c), (uint8_t)random_below (c, 8), (uint8_t)random_below (c, 0x70), 0);
  if (random_below (c, 3) == 0)
    put_extra (c);
  for (unsigned i = 0; i < endpoints; i++)
    PUT (c, 7, 5, (uint8_t)(0x80 * random_below (c, 2) + 1 + i), (uint8_t)random_below (c, 4), 64, 0, 1);
}

static void
put_configuration (Case *c, uint8_t value)
{
  size_t at = c->size;
  unsigned interfaces = random_below (c, 5);

  PUT (c, 9, 2, 0, 0, (uint8_t)interfaces, value, 0, 0x80, 50);
  if (random_below (c, 4) == 0)
    put_extra (c);
  for (unsigned i = 0; i < interfaces; i++)
    for (unsigned setting = 0, n = 1 + random_below (c, 3); setting < n; setting++)
      put_setting (c, (uint8_t)i, (uint8_t)setting);
  c->bytes[at + 2] = (uint8_t)((c->size - at) & 0xff);
  c->bytes[at + 3] = (uint8_t)((c->size - at) >> 8);
}

static void
make_whole (Case *c)
{
  unsigned configurations = 1 + random_below (c, 3);

  c->size = 0;
  PUT (c, 18, 1, 0, 2, any_class (c), 0, 0, 64, (uint8_t)random_below (c, 256), (uint8_t)random_below (c, 256),
       (uint8_t)random_below (c, 256), (uint8_t)random_below (c, 256), 0, 1, 1, 2, 3, (uint8_t)configurations);
  for (unsigned i = 0; i < configurations; i++)
    put_configuration (c, (uint8_t)(1 + i));
}

/* One to three bytes another, cut short, or with something behind it. The device descriptor's first two bytes stay: without them neither
 * decoder has anything to say. */
static void
damage (Case *c)
{
  unsigned how = random_below (c, 8);

  if (how == 0 && c->size > 19)
    c->size = 18 + random_below (c, (unsigned)c->size - 18);
  else if (how == 1)
    put_extra (c);
  else
    for (unsigned i = 0, n = 1 + random_below (c, 3); i < n; i++) {
      unsigned at = 2 + random_below (c, (unsigned)c->size - 2);

      c->bytes[at] = random_below (c, 2) ? (uint8_t)random_below (c, 256) : (uint8_t)random_below (c, 12);
    }
}

/* -- Both decoders ---------------------------------------------------------------------------------------------------------------- */

static unsigned
key_of (uint8_t number, uint8_t setting)
{
  return number * 256u + setting;
}

/* Of our interfaces from position FROM on, whether one is what libusb shows. USED: not twice the same one. */
static gboolean
we_saw (const FloeUsbDescriptors *ours, const struct libusb_interface_descriptor *theirs, gboolean *used)
{
  for (size_t i = 0; i < ours->n_interfaces; i++) {
    const FloePolicyUsbInterface *mine = &ours->interfaces[i];

    if (!used[i] && key_of (mine->number, mine->alternate) == key_of (theirs->bInterfaceNumber, theirs->bAlternateSetting)
        && mine->class_code == theirs->bInterfaceClass && mine->subclass == theirs->bInterfaceSubClass
        && mine->protocol == theirs->bInterfaceProtocol) {
      used[i] = TRUE;
      return TRUE;
    }
  }
  return FALSE;
}

/* Whether we could not tell where the next configuration begins. */
static gboolean
lost (const FloeUsbDescriptors *ours)
{
  return ours->problem != NULL
         && (g_str_has_prefix (ours->problem, "bytes where a configuration") || g_str_has_prefix (ours->problem, "a configuration whose total"));
}

/* Adds to SEEN what libusb finds in a configuration; FALSE when one of them is not among ours. */
static gboolean
compare_configuration (const FloeUsbDescriptors *ours, const struct libusb_config_descriptor *theirs, gboolean *used, size_t *seen)
{
  for (unsigned i = 0; i < theirs->bNumInterfaces; i++)
    for (int setting = 0; setting < theirs->interface[i].num_altsetting; setting++) {
      (*seen)++;
      if (!we_saw (ours, &theirs->interface[i].altsetting[setting], used))
        return FALSE;
    }
  return TRUE;
}

static const char *
compare (const FloeUsbDescriptors *ours, libusb_device *device)
{
  gboolean used[FLOE_USB_INTERFACES_MAX] = { FALSE };
  struct libusb_device_descriptor theirs;
  size_t seen = 0;

  if (libusb_get_device_descriptor (device, &theirs) != 0)
    return "libusb has no device descriptor";
  if (ours->vendor != theirs.idVendor || ours->product != theirs.idProduct || ours->device_class.class_code != theirs.bDeviceClass)
    return "other numbers or another class of the device";
  for (uint8_t i = 0; i < theirs.bNumConfigurations; i++) {
    struct libusb_config_descriptor *configuration = NULL;
    gboolean same;

    if (libusb_get_config_descriptor (device, i, &configuration) != 0) {
      if (ours->problem == NULL)
        return "a configuration that libusb cannot decode, and we call whole";
      continue;
    }
    same = compare_configuration (ours, configuration, used, &seen);
    libusb_free_config_descriptor (configuration);
    if (!same && !lost (ours))
      return "an interface that libusb sees and we do not";
  }
  if (ours->problem == NULL && seen != ours->n_interfaces)
    return "an interface that we see and libusb does not";
  return NULL;
}

/* NULL when both agree. *THEIRS: whether libusb took the device at all. */
static const char *
judge (libusb_context *context, const Case *c, const FloeUsbDescriptors *ours, gboolean *theirs)
{
  libusb_device_handle *handle = NULL;
  const char *difference;

  g_assert_cmpint (ftruncate (memory, 0), ==, 0);
  g_assert_cmpint (pwrite (memory, c->bytes, c->size, 0), ==, (ssize_t)c->size);
  *theirs = libusb_wrap_sys_device (context, memory, &handle) == 0;
  if (!*theirs)
    return ours->problem == NULL ? "libusb refuses a device that we call whole" : NULL;
  difference = compare (ours, libusb_get_device (handle));
  libusb_close (handle);
  return difference;
}

static void
show (const Case *c, const FloeUsbDescriptors *ours, const char *difference)
{
  g_autoptr (GString) hex = g_string_new (NULL);

  for (size_t i = 0; i < c->size; i++)
    g_string_append_printf (hex, "%02x ", c->bytes[i]);
  g_printerr ("# %s; our problem: %s\n# %s\n", difference, ours->problem != NULL ? ours->problem : "none", hex->str);
}

/* libusb 1.0.26 itself loses memory over some descriptors that it refuses, which LeakSanitizer would hold against us. */
const char *__lsan_default_suppressions (void);

const char *
__lsan_default_suppressions (void)
{
  return "leak:libusb";
}

int
main (void)
{
  libusb_context *context = NULL;
  Case c = { .random = 0x9e3779b97f4a7c15 };
  unsigned disagreements = 0, whole = 0, damaged_whole = 0, taken = 0;

  memory = memfd_create ("device", MFD_CLOEXEC);
  g_assert_cmpint (memory, >=, 0);
  libusb_set_option (NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
  libusb_set_option (NULL, LIBUSB_OPTION_LOG_LEVEL, LIBUSB_LOG_LEVEL_NONE);
  g_assert_cmpint (libusb_init (&context), ==, 0);
  libusb_set_option (context, LIBUSB_OPTION_LOG_LEVEL, LIBUSB_LOG_LEVEL_NONE);
  for (unsigned i = 0; i < CASES; i++) {
    static FloeUsbDescriptors ours;
    const char *difference;
    gboolean theirs;

    make_whole (&c);
    if (i % 2)
      damage (&c);
    floe_usb_decode (c.bytes, c.size, &ours);
    difference = judge (context, &c, &ours, &theirs);
    if (i % 2 == 0 && ours.problem != NULL)
      difference = "we find a mistake in descriptors that are made without one";
    if (difference != NULL && disagreements++ < 5)
      show (&c, &ours, difference);
    taken += theirs;
    whole += i % 2 == 0;
    damaged_whole += i % 2 && ours.problem == NULL;
  }
  libusb_exit (context);
  printf ("%u made whole, %u damaged and whole all the same, libusb takes %u\n", whole, damaged_whole, taken);
  printf ("figure: usb_oracle_cases = %u\nfigure: usb_oracle_disagreements = %u\n", CASES, disagreements);
  /* An oracle that refuses everything agrees with everybody. */
  return disagreements == 0 && taken > CASES * 9 / 10 && damaged_whole > CASES / 20 ? 0 : 1;
}
