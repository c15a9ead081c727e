/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-error.h"

#include <errno.h>

static const GDBusErrorEntry entries[] = {
  { FLOE_ERROR_FAILED, "org.floe.Error.Failed" },
  { FLOE_ERROR_INVALID, "org.floe.Error.Invalid" },
  { FLOE_ERROR_UNVERIFIED, "org.floe.Error.Unverified" },
  { FLOE_ERROR_EXPIRED, "org.floe.Error.Expired" },
  { FLOE_ERROR_ROLLBACK, "org.floe.Error.Rollback" },
  { FLOE_ERROR_LIMIT, "org.floe.Error.Limit" },
  { FLOE_ERROR_REFUSED, "org.floe.Error.Refused" },
  { FLOE_ERROR_NOT_FOUND, "org.floe.Error.NotFound" },
  { FLOE_ERROR_BUSY, "org.floe.Error.Busy" },
  { FLOE_ERROR_UNSUPPORTED, "org.floe.Error.Unsupported" },
  { FLOE_ERROR_NO_SPACE, "org.floe.Error.NoSpace" },
  { FLOE_ERROR_IO, "org.floe.Error.Io" },
  { FLOE_ERROR_PEER, "org.floe.Error.Peer" },
  { FLOE_ERROR_CANCELLED, "org.floe.Error.Cancelled" },
};

GQuark
floe_error_quark (void)
{
  static gsize quark;

  g_dbus_error_register_error_domain ("floe-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

gboolean
floe_error_set_errno (GError **error, int saved_errno, const char *format, ...)
{
  FloeError code = FLOE_ERROR_IO;
  g_autofree char *what = NULL;
  va_list arguments;

  if (saved_errno == ENOSPC || saved_errno == EDQUOT || saved_errno == ENOMEM)
    code = FLOE_ERROR_NO_SPACE;
  else if (saved_errno == ENOENT)
    code = FLOE_ERROR_NOT_FOUND;

  va_start (arguments, format);
  what = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, FLOE_ERROR, code, "%s: %s", what, g_strerror (saved_errno));
  return FALSE;
}

gboolean
floe_error_set (GError **error, FloeError code, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  if (error != NULL)
    *error = g_error_new_valist (FLOE_ERROR, code, format, arguments);
  va_end (arguments);
  return FALSE;
}
