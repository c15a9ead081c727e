/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-sysfs.h"

#include "common/floe-fd.h"

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
read_name (const FloeUsbRaw *raw)
{
  size_t maker_size = 0, product_size = 0;
  g_autofree char *maker = read_text (raw->dir, "manufacturer", &maker_size);
  g_autofree char *product = read_text (raw->dir, "product", &product_size);
  g_autofree char *maker_shown = floe_usb_displayable (maker != NULL ? maker : "", maker_size);
  g_autofree char *product_shown = floe_usb_displayable (product != NULL ? product : "", product_size);

  if (*product_shown == '\0')
    return g_strdup_printf ("%s%s%04x:%04x", maker_shown, *maker_shown != '\0' ? " " : "", raw->descriptors.vendor,
                            raw->descriptors.product);
  if (*maker_shown == '\0' || g_str_has_prefix (product_shown, maker_shown))
    return g_steal_pointer (&product_shown);
  return g_strdup_printf ("%s %s", maker_shown, product_shown);
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
  raw->number = (unsigned)read_number (raw->dir, "devnum", 0);
  raw->bytes = floe_file_read_at (raw->dir, "descriptors", FLOE_USB_DESCRIPTORS_MAX, NULL);
  if (raw->bytes == NULL)
    raw->bytes = g_bytes_new_static ("", 0);
  data = g_bytes_get_data (raw->bytes, &size);
  floe_usb_decode (data, size, &raw->descriptors);
  raw->serial = read_text (raw->dir, "serial", &raw->serial_size);
  raw->name = read_name (raw);
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
  g_free (raw->name);
  g_free (raw);
}

int
floe_usb_switch_read (const FloeUsbRaw *raw, const char *name)
{
  return (int)(gint64)read_number (raw->dir, name, G_MAXUINT64);
}

gboolean
floe_usb_switch_set (const FloeUsbRaw *raw, const char *name, int value, GError **error)
{
  floe_autofd fd = openat (raw->dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  char text[16];
  int length = snprintf (text, sizeof text, "%d\n", value);

  if (fd < 0 || write (fd, text, (size_t)length) != length)
    return floe_error_set_errno (error, errno, "set %s of USB device %s to %d", name, raw->path, value);
  if (floe_usb_switch_read (raw, name) != value)
    return floe_error_set (error, FLOE_ERROR_IO, "set %s of USB device %s to %d: the kernel shows another value", name,
                           raw->path, value);
  return TRUE;
}
