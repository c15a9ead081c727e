/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/usb/floe-usb-past.h"

#include "common/floe-fd.h"

#include <string.h>
#include <unistd.h>

#define PAST_MAX_BYTES 256

static char *
file_name (const FloeUsbRaw *raw)
{
  return g_strdup_printf ("%s_%u", raw->path, raw->number);
}

gboolean
floe_usb_past_write (int dir, const FloeUsbRaw *raw, guint64 life, const char *machine, GError **error)
{
  g_autofree char *name = file_name (raw);
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT " %s", life, machine);

  return dir < 0 || floe_file_replace_at (dir, name, text, strlen (text), 0600, error);
}

char *
floe_usb_past_read (int dir, const FloeUsbRaw *raw, guint64 *life)
{
  g_autofree char *name = file_name (raw);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = dir < 0 ? NULL : floe_file_read_at (dir, name, PAST_MAX_BYTES, &error);
  g_autofree char *text = NULL;
  char *blank;
  gsize size;
  const char *data;

  *life = 0;
  if (bytes == NULL)
    return dir < 0 || g_error_matches (error, FLOE_ERROR, FLOE_ERROR_NOT_FOUND) ? NULL : g_strdup ("?");
  data = g_bytes_get_data (bytes, &size);
  text = g_strndup (data, size);
  blank = strchr (text, ' ');
  if (blank == NULL || strlen (text) != size || !floe_name_is_safe (blank + 1))
    return g_strdup ("?");
  *blank = '\0';
  return g_strdup (g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT64, life, NULL) ? blank + 1 : "?");
}

void
floe_usb_past_forget (int dir, const FloeUsbRaw *raw)
{
  g_autofree char *name = file_name (raw);

  if (dir >= 0)
    unlinkat (dir, name, 0);
}
