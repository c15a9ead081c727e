/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-sysfs.h"

#include "common/floe-fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 4096 /* a page: all that sysfs shows of an attribute */
#define NAME_MAX_CHARACTERS 80

/* Steps over a number without leading zeros, at most three digits. */
static gboolean
skip_number (const char **at)
{
  size_t digits = strspn (*at, G_CSET_DIGITS);

  if (digits < 1 || digits > 3 || (*at)[0] == '0')
    return FALSE;
  *at += digits;
  return TRUE;
}

gboolean
floe_usb_is_device_name (const char *name, gboolean *root_hub)
{
  *root_hub = g_str_has_prefix (name, "usb");
  if (*root_hub) {
    name += 3;
    return skip_number (&name) && *name == '\0';
  }
  if (!skip_number (&name) || *name++ != '-' || !skip_number (&name))
    return FALSE;
  while (*name == '.') {
    name++;
    if (!skip_number (&name))
      return FALSE;
  }
  return *name == '\0';
}

/* NULL when absent; without the newline that sysfs adds. */
static char *
read_text (int dir, const char *name, size_t *size)
{
  g_autoptr (GBytes) bytes = floe_file_read_at (dir, name, TEXT_MAX, NULL);
  gsize length;
  const char *data;

  if (bytes == NULL)
    return NULL;
  data = g_bytes_get_data (bytes, &length);
  if (length > 0 && data[length - 1] == '\n')
    length--;
  *size = length;
  /* Terminated besides, and NUL inside kept: the size is what counts. */
  char *copy = g_malloc0 (length + 1);
  if (length > 0)
    memcpy (copy, data, length);
  return copy;
}

static guint64
read_number (int dir, const char *name, guint64 fallback)
{
  size_t size = 0;
  g_autofree char *text = read_text (dir, name, &size);
  guint64 number;

  return text != NULL && g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT, &number, NULL) ? number : fallback;
}

char *
floe_usb_displayable (const char *text, size_t size)
{
  g_autofree char *valid = g_utf8_make_valid (text, (gssize)size);
  GString *shown = g_string_new (NULL);
  unsigned n = 0;

  for (const char *at = valid; *at != '\0' && n < NAME_MAX_CHARACTERS; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);

    if (g_unichar_isspace (c)) {
      if (shown->len > 0 && shown->str[shown->len - 1] != ' ')
        g_string_append_c (shown, ' ');
    } else if (g_unichar_isprint (c) && g_unichar_type (c) != G_UNICODE_FORMAT) {
      g_string_append_unichar (shown, c);
      n++;
    }
  }
  if (shown->len > 0 && shown->str[shown->len - 1] == ' ')
    g_string_truncate (shown, shown->len - 1);
  return g_string_free (shown, FALSE);
}

static char *
shown_or_empty (const char *text, size_t size)
{
  return text == NULL ? g_strdup ("") : floe_usb_displayable (text, size);
}

static char *
make_name (const FloeUsbRaw *raw)
{
  g_autofree char *maker_shown = shown_or_empty (raw->manufacturer, raw->manufacturer_size);
  g_autofree char *product_shown = shown_or_empty (raw->product, raw->product_size);

  if (*product_shown == '\0')
    return g_strdup_printf ("%s%s%04x:%04x", maker_shown, *maker_shown != '\0' ? " " : "", raw->descriptors.vendor,
                            raw->descriptors.product);
  if (*maker_shown == '\0' || g_str_has_prefix (product_shown, maker_shown))
    return g_steal_pointer (&product_shown);
  return g_strdup_printf ("%s %s", maker_shown, product_shown);
}

/* In Mbit/s, as the kernel writes it: "1.5", "12", "480", "5000" and more. */
static FloePolicyUsbSpeed
read_speed (int dir)
{
  size_t size = 0;
  g_autofree char *text = read_text (dir, "speed", &size);

  if (text == NULL)
    return 0;
  if (strcmp (text, "1.5") == 0)
    return FLOE_POLICY_USB_LOW;
  if (strcmp (text, "12") == 0)
    return FLOE_POLICY_USB_FULL;
  if (strcmp (text, "480") == 0)
    return FLOE_POLICY_USB_HIGH;
  return g_ascii_strtoull (text, NULL, 10) >= 5000 ? FLOE_POLICY_USB_SUPER : 0;
}

FloeUsbRaw *
floe_usb_raw_read (int devices, const char *name)
{
  g_autoptr (FloeUsbRaw) raw = g_new0 (FloeUsbRaw, 1);
  gsize size;
  const uint8_t *data;

  raw->path = g_strdup (name);
  floe_usb_is_device_name (name, &raw->root_hub);
  /* The entries are the kernel's own links to where the device hangs. */
  raw->dir = openat (devices, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (raw->dir < 0)
    return NULL;
  raw->bus = (unsigned)read_number (raw->dir, "busnum", 0);
  raw->number = (unsigned)read_number (raw->dir, "devnum", 0);
  raw->speed = read_speed (raw->dir);
  raw->bytes = floe_file_read_at (raw->dir, "descriptors", FLOE_USB_DESCRIPTORS_MAX, NULL);
  if (raw->bytes == NULL)
    raw->bytes = g_bytes_new_static ("", 0);
  data = g_bytes_get_data (raw->bytes, &size);
  /* A directory whose device has just gone reads as nothing. */
  if (size == 0 && raw->number == 0)
    return NULL;
  floe_usb_decode (data, size, &raw->descriptors);
  raw->serial = read_text (raw->dir, "serial", &raw->serial_size);
  raw->manufacturer = read_text (raw->dir, "manufacturer", &raw->manufacturer_size);
  raw->product = read_text (raw->dir, "product", &raw->product_size);
  raw->name = make_name (raw);
  return g_steal_pointer (&raw);
}

void
floe_usb_raw_free (FloeUsbRaw *raw)
{
  if (raw == NULL)
    return;
  floe_fd_clear (&raw->dir);
  g_free (raw->path);
  g_clear_pointer (&raw->bytes, g_bytes_unref);
  g_free (raw->serial);
  g_free (raw->manufacturer);
  g_free (raw->product);
  g_free (raw->name);
  g_free (raw);
}

FloePolicyUsbDevice
floe_usb_raw_device (const FloeUsbRaw *raw)
{
  return (FloePolicyUsbDevice){
    .vendor = raw->descriptors.vendor,
    .product = raw->descriptors.product,
    .serial = { raw->serial, raw->serial_size },
    .manufacturer = { raw->manufacturer, raw->manufacturer_size },
    .name = { raw->product, raw->product_size },
    .port = raw->path,
    .speed = raw->speed,
    .device_class = raw->descriptors.device_class,
    .interfaces = raw->descriptors.interfaces,
    .n_interfaces = raw->descriptors.n_interfaces,
    .complete = raw->descriptors.problem == NULL,
  };
}

int
floe_usb_switch_read (const FloeUsbRaw *raw, const char *name)
{
  return (int)(gint64)read_number (raw->dir, name, G_MAXUINT64);
}

/* Writes VALUE to NAME below DIR and reads it back; WHO is for errors. */
static gboolean
set_number (int dir, const char *who, const char *name, int value, GError **error)
{
  floe_autofd fd = openat (dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  char text[16];
  int length = snprintf (text, sizeof text, "%d\n", value);

  if (fd < 0 || write (fd, text, (size_t)length) != length)
    return floe_error_set_errno (error, errno, "set %s of USB device %s to %d", name, who, value);
  if (read_number (dir, name, G_MAXUINT64) != (guint64)value)
    return floe_error_set (error, FLOE_ERROR_IO, "set %s of USB device %s to %d: the kernel shows another value", name, who,
                           value);
  return TRUE;
}

gboolean
floe_usb_switch_set (const FloeUsbRaw *raw, const char *name, int value, GError **error)
{
  return set_number (raw->dir, raw->path, name, value, error);
}

gboolean
floe_usb_port_cycle (const FloeUsbRaw *raw, GError **error)
{
  /* The kernel's own link. It goes with the device, the port itself stays. */
  floe_autofd port = openat (raw->dir, "port", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (port < 0)
    return floe_error_set_errno (error, errno, "port of USB device %s", raw->path);
  return set_number (port, raw->path, "disable", 1, error) && set_number (port, raw->path, "disable", 0, error);
}

/* -- Interfaces ------------------------------------------------------------------------------------------------------- */

/* "1-2:1.0" of device "1-2": what stands behind the colon. */
static gboolean
parse_interface_name (const FloeUsbRaw *raw, const char *name, FloeUsbRawInterface *out)
{
  size_t length = strlen (raw->path);
  int end = 0;

  return strncmp (name, raw->path, length) == 0 && name[length] == ':'
         && sscanf (name + length + 1, "%3u.%3u%n", &out->configuration, &out->number, &end) == 2
         && name[length + 1 + (size_t)end] == '\0' && out->configuration <= 255 && out->number <= 255;
}

static void
interface_free (gpointer data)
{
  FloeUsbRawInterface *interface = data;

  g_free (interface->name);
  g_free (interface->driver);
  g_free (interface);
}

/* The name at the end of the link `driver`. */
static char *
read_driver (int dir)
{
  char target[1024];
  ssize_t length = readlinkat (dir, "driver", target, sizeof target - 1);

  if (length <= 0)
    return NULL;
  target[length] = '\0';
  return g_path_get_basename (target);
}

GPtrArray *
floe_usb_raw_interfaces (const FloeUsbRaw *raw)
{
  GPtrArray *interfaces = g_ptr_array_new_with_free_func (interface_free);
  int copy = openat (raw->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy < 0 ? NULL : fdopendir (copy);
  const struct dirent *entry;

  if (stream == NULL)
    floe_fd_clear (&copy);
  while (stream != NULL && interfaces->len < FLOE_USB_INTERFACES_MAX && (entry = readdir (stream)) != NULL) {
    FloeUsbRawInterface found = { 0 };
    floe_autofd dir = -1;

    if (!parse_interface_name (raw, entry->d_name, &found))
      continue;
    dir = openat (raw->dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
      continue;
    found.name = g_strdup (entry->d_name);
    found.authorized = read_number (dir, "authorized", 0) == 1;
    found.driver = read_driver (dir);
    g_ptr_array_add (interfaces, g_memdup2 (&found, sizeof found));
  }
  if (stream != NULL)
    closedir (stream);
  return interfaces;
}

gboolean
floe_usb_interface_set (const FloeUsbRaw *raw, const char *name, gboolean value, GError **error)
{
  floe_autofd dir = openat (raw->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

  if (dir < 0)
    return floe_error_set_errno (error, errno, "USB interface %s", name);
  return set_number (dir, name, "authorized", value, error);
}
