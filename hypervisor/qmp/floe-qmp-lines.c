/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qmp/floe-qmp-lines.h"

#include <string.h>

struct _FloeQmpLines {
  GByteArray *partial; /* a line whose end has not come; never over FLOE_QMP_LINE_MAX */
  GQueue whole;        /* of GBytes */
};

FloeQmpLines *
floe_qmp_lines_new (void)
{
  FloeQmpLines *lines = g_new0 (FloeQmpLines, 1);

  lines->partial = g_byte_array_new ();
  g_queue_init (&lines->whole);
  return lines;
}

void
floe_qmp_lines_free (FloeQmpLines *lines)
{
  if (lines == NULL)
    return;
  g_byte_array_unref (lines->partial);
  g_queue_clear_full (&lines->whole, (GDestroyNotify)g_bytes_unref);
  g_free (lines);
}

static void
end_line (FloeQmpLines *lines)
{
  guint length = lines->partial->len;

  if (length > 0 && lines->partial->data[length - 1] == '\r')
    length--;
  if (length > 0)
    g_queue_push_tail (&lines->whole, g_bytes_new (lines->partial->data, length));
  g_byte_array_set_size (lines->partial, 0);
}

gboolean
floe_qmp_lines_push (FloeQmpLines *lines, const void *data, size_t size, GError **error)
{
  const char *at = data;

  while (size > 0) {
    const char *end = memchr (at, '\n', size);
    size_t part = end == NULL ? size : (size_t)(end - at);

    if (part > FLOE_QMP_LINE_MAX - lines->partial->len)
      return floe_error_set (error, FLOE_ERROR_LIMIT, "QMP line over %d bytes", FLOE_QMP_LINE_MAX);
    g_byte_array_append (lines->partial, (const guint8 *)at, (guint)part);
    if (end == NULL)
      return TRUE;
    end_line (lines);
    at += part + 1;
    size -= part + 1;
  }
  return TRUE;
}

GBytes *
floe_qmp_lines_next (FloeQmpLines *lines)
{
  return g_queue_pop_head (&lines->whole);
}
