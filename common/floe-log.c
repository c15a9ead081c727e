/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/floe-log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_FIELDS 16
#define DOMAIN "floe"

static const char *
level_name (GLogLevelFlags level)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return "error";
  if (level & G_LOG_LEVEL_WARNING)
    return "warning";
  return level & G_LOG_LEVEL_DEBUG ? "debug" : "info";
}

/* Appends VALUE so that one event stays one line and a hostile string cannot look like another field. */
static void
append_escaped (GString *line, const char *value, gssize length)
{
  size_t size = length < 0 ? strlen (value) : (size_t) length;

  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char) value[i];

    if (c < 0x20 || c == 0x7f || c == '\\')
      g_string_append_printf (line, "\\x%02x", c);
    else
      g_string_append_c (line, (char) c);
  }
}

static gboolean
is_own_field (const char *key)
{
  return g_str_has_prefix (key, "FLOE_");
}

static GLogWriterOutput
write_line (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  g_autoptr (GString) line = g_string_new (data);

  g_string_append_printf (line, ": %s: ", level_name (level));
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      append_escaped (line, fields[i].value, fields[i].length);
  for (gsize i = 0; i < n_fields; i++)
    if (is_own_field (fields[i].key)) {
      g_string_append_printf (line, " %s=", fields[i].key + strlen ("FLOE_"));
      append_escaped (line, fields[i].value, fields[i].length);
    }
  g_string_append_c (line, '\n');
  /* One write, so that lines of several processes on one descriptor do not mix; a full pipe loses the line, not us. */
  if (write (STDERR_FILENO, line->str, line->len) < 0)
    return G_LOG_WRITER_UNHANDLED;
  return G_LOG_WRITER_HANDLED;
}

static GLogWriterOutput
writer (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if ((level & (G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_INFO)) && g_getenv ("FLOE_DEBUG") == NULL)
    return G_LOG_WRITER_HANDLED;
  if (g_log_writer_is_journald (STDERR_FILENO))
    return g_log_writer_journald (level, fields, n_fields, data);
  return write_line (level, fields, n_fields, data);
}

void
floe_log_init (const char *program)
{
  g_set_prgname (program);
  g_log_set_writer_func (writer, g_strdup (program), NULL);
}

void
floe_log (GLogLevelFlags level, const char *message, ...)
{
  GLogField fields[MAX_FIELDS + 2] = {
    { "MESSAGE", message, -1 },
    { "GLIB_DOMAIN", DOMAIN, -1 },
  };
  char keys[MAX_FIELDS][64];
  gsize n_fields = 2;
  va_list arguments;
  const char *key;

  va_start (arguments, message);
  while ((key = va_arg (arguments, const char *)) != NULL) {
    const char *value = va_arg (arguments, const char *);

    if (value == NULL || n_fields == G_N_ELEMENTS (fields))
      continue;
    g_snprintf (keys[n_fields - 2], sizeof keys[0], "FLOE_%s", key);
    fields[n_fields] = (GLogField){ keys[n_fields - 2], value, -1 };
    n_fields++;
  }
  va_end (arguments);
  g_log_structured_array (level, fields, n_fields);
}
