/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decoder on what common devices say (usb-devices.txt): whole, and to these interfaces; and on the same bytes cut short anywhere. */
#include "hypervisor/usb/floe-usb-descriptors.h"

#include <stdio.h>
#include <string.h>

typedef struct {
  char *name;
  GByteArray *bytes;
} Device;

static void
add_hex (GByteArray *bytes, const char *text)
{
  unsigned byte;
  int used;

  for (; sscanf (text, " %2x%n", &byte, &used) == 1; text += used)
    g_byte_array_append (bytes, &(guint8){ (guint8)byte }, 1);
}

static char *
listed (const FloeUsbDescriptors *out)
{
  GString *list = g_string_new (NULL);

  for (size_t i = 0; i < out->n_interfaces; i++) {
    const FloePolicyUsbInterface *at = &out->interfaces[i];

    g_string_append_printf (list, "%s%u.%u.%u:%02x:%02x:%02x", i > 0 ? " " : "", at->configuration, at->number, at->alternate, at->class_code,
                            at->subclass, at->protocol);
  }
  return g_string_free (list, FALSE);
}

static void
check (const Device *device, const char *expected)
{
  g_autofree char *found = NULL;
  FloeUsbDescriptors out;

  g_test_message ("%s", device->name);
  floe_usb_decode (device->bytes->data, device->bytes->len, &out);
  g_assert_cmpstr (out.problem, ==, NULL);
  found = listed (&out);
  g_assert_cmpstr (found, ==, expected);
  g_assert_cmpuint (out.vendor, ==, device->bytes->data[8] | device->bytes->data[9] << 8);
  for (size_t size = 0; size < device->bytes->len; size++) {
    /* A copy, so that a byte too far is seen by ASan. */
    g_autofree guint8 *part = g_memdup2 (device->bytes->data, size);

    floe_usb_decode (part, size, &out);
    g_assert_nonnull (out.problem);
  }
}

static void
test_devices (void)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  Device device = { NULL, g_byte_array_new () };
  unsigned n = 0;

  g_assert_true (g_file_get_contents (FLOE_SOURCE_DIR "/tests/unit/usb-devices.txt", &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    if (g_str_has_prefix (*line, "name ")) {
      device.name = *line + 5;
      g_byte_array_set_size (device.bytes, 0);
    } else if (g_str_has_prefix (*line, "hex "))
      add_hex (device.bytes, *line + 4);
    else if (g_str_has_prefix (*line, "is ")) {
      check (&device, *line + 3);
      n++;
    } else
      g_assert_true (**line == '\0' || **line == '#');
  }
  g_byte_array_unref (device.bytes);
  g_assert_cmpuint (n, >=, 14);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/usb-devices/real", test_devices);
  return g_test_run ();
}
