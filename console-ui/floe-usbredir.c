/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console-ui/floe-usbredir.h"

#include <string.h>

#define RULES_MAX 1024
#define DENY_ALL "-1,-1,-1,-1,0"

/* -1, or a number of the given most, decimal or hexadecimal with 0x. */
static gboolean
is_field (const char *text, guint64 most)
{
  guint64 number;
  gboolean hex = g_str_has_prefix (text, "0x");

  return strcmp (text, "-1") == 0
         || g_ascii_string_to_unsigned (hex ? text + 2 : text, hex ? 16 : 10, 0, most, &number, NULL);
}

static gboolean
is_rule (const char *text)
{
  static const guint64 most[] = { 0xff, 0xffff, 0xffff, 0xffff };
  g_auto (GStrv) fields = g_strsplit (text, ",", 6);

  if (g_strv_length (fields) != 5)
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (most); i++)
    if (!is_field (fields[i], most[i]))
      return FALSE;
  if (strcmp (fields[4], "0") == 0)
    return TRUE;
  /* Whatever says that it is of some class would be let in. */
  return strcmp (fields[4], "1") == 0 && strcmp (fields[1], "-1") != 0;
}

gboolean
floe_usbredir_filter_valid (const char *filter)
{
  g_auto (GStrv) rules = g_strsplit (filter, "|", RULES_MAX + 1);
  guint n = g_strv_length (rules);

  if (n == 0 || n > RULES_MAX || strcmp (rules[n - 1], DENY_ALL) != 0)
    return FALSE;
  for (guint i = 0; i < n; i++)
    if (!is_rule (rules[i]))
      return FALSE;
  return TRUE;
}

gboolean
floe_usbredir_configure (SpiceSession *session, const char *filter)
{
  gboolean allowed = filter != NULL && floe_usbredir_filter_valid (filter);
  SpiceUsbDeviceManager *manager;

  g_object_set (session, "enable-usbredir", allowed, "enable-smartcard", FALSE, NULL);
  if (!allowed)
    return FALSE;
  manager = spice_usb_device_manager_get (session, NULL);
  if (manager == NULL) {
    g_object_set (session, "enable-usbredir", FALSE, NULL);
    return FALSE;
  }
  g_object_set (manager, "auto-connect", FALSE, "auto-connect-filter", DENY_ALL, "redirect-on-connect", DENY_ALL, NULL);
  return TRUE;
}
